//! Owners with evidence: who accepts, who holds, in which namespace and container.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
    thread,
    time::Instant,
};

use tracer_tests::{
    cgroup::Container,
    netns::isolated,
    nginx::Nginx,
    peer::Peer,
    record::{Record, listing},
    slowness::fewer,
    sockets::{self, End},
    tracer::{Trace, Tracer, WITH_TRACEFS, command, printed},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// A tracer of the connections of one server, in whichever namespace; it sees who accepts.
fn trace(server: SocketAddr, options: &[&str]) -> Tracer {
    let port = server.port().to_string();
    let tracer = Tracer::launch(WITH_TRACEFS, &[&["--port", port.as_str()], options].concat());
    assert_eq!(lacks(&tracer.so_far()[0]), [""; 0]);
    tracer
}

/// What the trace does without, but for what has no part in this.
fn lacks(hello: &Record) -> Vec<&str> {
    let degraded = hello.at("/degraded").as_array().unwrap().iter();
    let names = degraded.map(|missing| missing["feature"].as_str().unwrap());
    let others = ["socket cookies", "resets without a socket", RETURNS];
    names.filter(|name| !others.contains(name)).collect()
}

/// The hook at the return of the kernel's function; without it accept() is seen at the exit of the
/// system calls.
const RETURNS: &str = "fexit";

/// Whether who accepts is seen there, in whichever way the process does it.
fn sees_returns(hello: &Record) -> bool {
    let degraded = hello.at("/degraded").as_array().unwrap();
    degraded.iter().all(|missing| missing["feature"] != RETURNS)
}

/// Fetches a page; the process id of curl.
fn fetch(address: SocketAddr) -> u64 {
    let curl = Command::new("curl")
        .args(["--silent", "--fail", "--noproxy", "*", &format!("http://{address}/")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("live tests need the command curl");
    let pid = u64::from(curl.id());
    let Output { status, stdout, .. } = curl.wait_with_output().unwrap();
    assert!(status.success(), "curl: {status}");
    assert_eq!(stdout, b"served");
    pid
}

/// A child of a listener whose owner is known: from the first look at what was there before.
fn is_guessed(record: &Record) -> bool {
    record.is_step("LISTEN", "SYN_RECV") && record.number("/process/pid").is_some()
}

/// The records about one end of the connections to `server`, and the process of each.
fn owners<'a>(trace: &'a Trace, server: SocketAddr, role: &str) -> Vec<(&'a Record, u64)> {
    let known = trace.records.iter().position(is_guessed).expect("a guess");
    let about = |record: &&Record| record.at("/tcp/role") == role;
    let of_server = |record: &&Record| {
        [record.local(), record.peer()].into_iter().flatten().any(|end| end == server)
    };
    let pid = |record| Record::number(record, "/process/pid");
    let told = trace.records[known..].iter().filter(about).filter(of_server);
    told.map(|record| (record, pid(record).unwrap_or_else(|| panic!("whose? {record}")))).collect()
}

/// nginx, curl, and a process on each CPU that has to do with neither.
#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn preforked_workers_own_what_they_accept_whatever_else_runs() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|_| {
        let nginx = Nginx::start(directory.path());
        let tracer = trace(nginx.address, &[]);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let _hogs: Vec<_> = (0..processors).map(|_| Peer::start(PEER, "hog", &["spin"])).collect();
        let mut clients = Vec::new();
        sockets::eventually("the listener's owner is known", || {
            clients.push(fetch(nginx.address));
            tracer.so_far().iter().any(is_guessed)
        });
        clients.extend((0..30).map(|_| fetch(nginx.address)));
        tracer.wait_for("the last end", |record| {
            record.number("/process/pid") == clients.last().copied()
                && (record.at("/tcp/to") == "TIME_WAIT" || record.kind() == "connection")
        });
        let trace = tracer.finish();

        let ours = owners(&trace, nginx.address, "client");
        assert!(ours.len() >= 30 * 5, "{}", ours.len());
        for (record, pid) in ours {
            assert!(clients.contains(&pid), "{record}");
            assert_eq!(record.at("/process/name"), "curl", "{record}");
        }
        let theirs = owners(&trace, nginx.address, "server");
        let mut accepted = 0;
        for (record, pid) in &theirs {
            assert_eq!(record.at("/process/name"), "nginx", "{record}");
            if record.at("/process/evidence") == "listener" {
                let early = ["SYN_RECV", "ESTABLISHED"].map(|to| record.at("/tcp/to") == to);
                assert!(early.contains(&true), "only guessed: {record}");
                assert_eq!(*pid, nginx.master(), "{record}");
                assert_eq!(record.number("/process/others"), Some(3), "one of several: {record}");
            } else {
                assert_eq!(record.at("/process/evidence"), "accept", "{record}");
                // At the return of the kernel's function there is none yet.
                let has_fd = record.number("/process/fd").is_some();
                assert!(has_fd || sees_returns(&trace.hello), "{record}");
                assert!(nginx.workers.contains(pid), "{record}");
                accepted += 1;
            }
        }
        assert!(accepted >= 30 * 2, "{}", listing(theirs.iter().map(|(record, _)| *record)));
        let program = |record: &&Record| {
            record.kind() == "connection"
                && record
                    .text("/process/executable/path")
                    .is_some_and(|path| path.ends_with("/nginx"))
        };
        assert!(trace.records.iter().any(|record| program(&record)), "no program named");
    });
}

#[test]
fn without_tracefs_the_acceptor_is_guessed_and_that_is_said_unless_its_return_is_seen() {
    let hidden = "for name in tracing debug; do \
        if test -d /sys/kernel/$name; then mount -t tmpfs none /sys/kernel/$name; fi; done";
    isolated(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port().to_string();
        let tracer = Tracer::launch(hidden, &["--port", &port, "--no-snapshot"]);
        let (client, _) = Peer::client(PEER, "courier", address);
        drop(sockets::accept(&listener));
        client.close();
        let trace = tracer.finish();
        if sees_returns(&trace.hello) {
            assert_eq!(lacks(&trace.hello), [""; 0]);
            return;
        }
        assert_eq!(lacks(&trace.hello), ["accept"]);
        let degraded = trace.hello.at("/degraded").as_array().unwrap();
        let missing = degraded.iter().find(|missing| missing["feature"] == "accept").unwrap();
        assert_eq!(missing["remedy"], "mount -t tracefs tracefs /sys/kernel/tracing");
    });
}

/// No system call returns that socket.
#[test]
fn who_accepts_by_io_uring_is_seen_where_a_program_may_be_at_the_return_of_accept() {
    isolated(|_| {
        let address = SocketAddr::from(([127, 0, 0, 1], sockets::free_port()));
        let tracer = trace(address, &[]);
        let mut server = Peer::ring(PEER, "ring", address);
        let (client, _) = Peer::client(PEER, "courier", address);
        let end = server.end();
        client.close();
        let step = tracer.wait_for_step(&end, "ESTABLISHED", "CLOSE_WAIT");
        let pid = server.pid();
        server.close();
        tracer.wait_for_step(&end, "LAST_ACK", "CLOSED");
        let trace = tracer.finish();
        assert_eq!(step.number("/process/pid"), Some(pid), "{step}");
        let is_seen = step.at("/process/evidence") == "accept";
        assert_eq!(is_seen, sees_returns(&trace.hello), "{step}");
    });
}

/// A descriptor inherited by another program: both are told.
#[test]
fn all_that_hold_a_lingering_socket_are_told() {
    isolated(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = trace(address, &["--linger", "close-wait=200ms,time-wait=off"]);
        let mut sharer = Peer::start(PEER, "sharer", &["share", &address.to_string()]);
        let end = sharer.end();
        drop(sockets::accept(&listener));
        let linger =
            tracer.wait_for("a flag", |record| record.kind() == "linger" && end.is_told_by(record));
        let holders = linger.at("/processes").as_array().unwrap();
        let told: Vec<_> = holders
            .iter()
            .map(|one| (one["pid"].as_u64(), one["name"].as_str(), one["fd"].as_u64()))
            .collect();
        let [(first, Some("sharer"), fd), (other, Some("sleep"), same)] = told[..] else {
            panic!("{linger}")
        };
        assert!(fd.is_some() && fd == same, "{linger}");
        assert_eq!(first, Some(sharer.pid()));
        assert!(other.is_some() && other != first);
        let program = holders[1]["executable"]["path"].as_str().unwrap();
        let is_sleep =
            ["/sleep", "/coreutils", "/busybox"].iter().any(|end| program.ends_with(end));
        assert!(is_sleep, "{program}");
        assert_eq!(linger.number("/process/pid"), first, "{linger}");
        assert_eq!(linger.number("/process/others"), Some(1), "{linger}");
        sharer.close();
        tracer.finish();
    });
}

/// Seen from the host: with the namespace, and apart from the host's own.
#[test]
fn a_server_in_another_namespace_is_named_with_it() {
    isolated(|namespace| {
        // Nobody else on this host has it.
        let address = SocketAddr::from(([127, 77, 3, 9], sockets::free_port()));
        let ours = address.ip().to_string();
        let tracer = trace(address, &[]);
        let (mut server, _) = Peer::server_at(PEER, "depot", address);
        let (client, client_end) = Peer::client(PEER, "courier", address);
        let end = server.end();
        client.close();
        tracer.wait_for_step(&client_end, "FIN_WAIT1", "FIN_WAIT2");
        let elsewhere = listed(&["--netns", "host", "--address", &ours]);
        assert!(elsewhere.contains("= no sockets\n"), "{elsewhere}");
        let told = "+ 3 sockets in 1 other network namespace, not shown (--netns all)";
        assert!(elsewhere.ends_with(&format!("{told}\n")), "{elsewhere}");
        let here = listed(&[namespace.netns, "--address", &ours]);
        assert!(here.contains(&format!("depot[{}] fd ", server.pid())), "{here}");
        assert!(here.contains("= 3 sockets: "), "{here}");
        let all = listed(&["--address", &ours]);
        assert!(all.contains("= no sockets in this network namespace\n"), "{all}");
        assert!(all.contains("+ 3 sockets in 1 other network namespace: "), "{all}");

        let pid = server.pid();
        server.close();
        let trace = tracer.finish();
        trace.stays_in(namespace);
        for step in trace.life(&end).steps() {
            assert_eq!(step.number("/process/pid"), Some(pid), "{step}");
            assert_eq!(step.at("/process/name"), "depot", "{step}");
        }
        let evidence = trace.life(&end).last().at("/process/evidence");
        assert_eq!(evidence, "accept");
    });
}

#[test]
fn the_host_s_trace_leaves_other_namespaces_out() {
    isolated(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = trace(address, &["--netns", "host"]);
        let (client, _) = Peer::client(PEER, "courier", address);
        drop(sockets::accept(&listener));
        client.close();
        let trace = tracer.finish();
        assert_eq!(listing(trace.transitions()), "");
    });
}

fn listed(arguments: &[&str]) -> String {
    printed(&mut command("", &[&["sockets"], arguments].concat()))
}

/// No slower than `ss`, which asks procfs for each descriptor.
#[test]
fn fifty_thousand_sockets_have_their_owners_in_no_time() {
    const PROCESSES: usize = 10;
    let connections = fewer(2_500);
    isolated(|namespace| {
        let crowds: Vec<Peer> =
            (0..PROCESSES).map(|_| Peer::crowd(PEER, "crowd", connections)).collect();
        let begun = Instant::now();
        let text = listed(&[namespace.netns, "--format", "json", "--state", "established"]);
        let ours = begun.elapsed();
        let mut held: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for line in text.lines() {
            let record = Record::parse(line, begun);
            let of = |at: &str| record.number(at).unwrap_or_else(|| panic!("no {at}: {line}"));
            assert!(held.entry(of("/processes/0/pid")).or_default().insert(of("/processes/0/fd")));
        }
        let expected = crowds.iter().map(|crowd| (crowd.pid(), 2 * connections));
        let found = held.iter().map(|(pid, descriptors)| (*pid, descriptors.len()));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected.collect());
        let begun = Instant::now();
        assert!(Command::new("ss").arg("-tanp").output().unwrap().status.success());
        let theirs = begun.elapsed();
        println!("{ours:?}, ss -tanp {theirs:?}");
        // Other tests may run at the same time as one of them.
        assert!(ours < 3 * theirs, "{ours:?}, ss -tanp {theirs:?}");
    });
}

#[test]
fn a_container_is_named_and_asked_for() {
    isolated(|namespace| {
        let container = Container::make(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = trace(address, &["--container", &container.id[..20]]);
        let mut inside = Peer::start(PEER, "inside", &["await", &address.to_string()]);
        container.adopt(inside.pid());
        inside.go();
        let end = inside.end();
        let server = sockets::accept(&listener);
        let outside = End::of(&server);
        tracer.wait_for("the connection", |record| end.is_told_by(record));

        let wanted = [namespace.netns, "--container", &container.id];
        let text = listed(&wanted);
        let short = format!("inside[{}]@{} fd ", inside.pid(), &container.id[..12]);
        assert!(text.contains(&short), "{text}");
        assert!(text.contains("= 1 socket: 1 ESTABLISHED"), "{text}");
        let json = listed(&[&wanted[..], &["--format", "json"]].concat());
        let record = Record::parse(json.trim(), Instant::now());
        let group = format!("/docker-{}.scope", container.id);
        assert_eq!(record.text("/socket/cgroup"), Some(&*group), "{record}");
        let without = listed(&[namespace.netns]);
        let others = without.lines().filter(|line| !line.contains(&short));
        assert!(others.clone().count() >= 3 && others.clone().all(|line| !line.contains('@')));

        drop(server);
        inside.close();
        tracer.wait_for_step(&end, "LAST_ACK", "CLOSED");
        let trace = tracer.finish();
        for record in trace.records.iter().filter(|record| end.is_told_by(record)) {
            assert_eq!(record.text("/container/id"), Some(&*container.id), "{record}");
            assert_eq!(record.text("/socket/cgroup"), Some(&*group), "{record}");
            assert_eq!(record.number("/socket/uid"), Some(0), "{record}");
        }
        assert!(trace.life(&end).steps().len() >= 4);
        assert!(trace.records.iter().all(|record| !outside.is_told_by(record)));
    });
}

/// Whoever has a part of the hierarchy names groups in it as he likes.
#[test]
fn nobody_can_pass_for_another_s_container() {
    const UID: u32 = 64_999;
    isolated(|_| {
        let container = Container::make(2);
        let (_delegated, forged) = Container::forged(&container, UID);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let theirs = format!("user-{UID}/{}", container.id);
        // Without, with the name that it takes for itself, with the one that it has.
        let tracers = [&[][..], &["--container", &container.id], &["--container", &theirs[..30]]]
            .map(|options| trace(address, options));
        let connect = |name: &str, group: &Container| {
            let mut inside = Peer::start(PEER, name, &["await", &address.to_string()]);
            group.adopt(inside.pid());
            inside.go();
            let end = inside.end();
            drop(sockets::accept(&listener));
            inside.close();
            end
        };
        let [forger, insider] = [connect("forger", &forged), connect("insider", &container)];
        let [all, other, own] = tracers;
        for (tracer, end) in [(&all, &insider), (&other, &insider), (&own, &forger)] {
            tracer.wait_for_step(end, "LAST_ACK", "CLOSED");
        }
        // What was shown to no program is told as lost, by all.
        let about_sockets = |tracer: &Tracer| {
            let records = tracer.so_far().into_iter().skip(1);
            records.filter(|record| record.kind() != "loss").collect::<Vec<_>>()
        };
        let told = [&all, &other, &own].map(about_sockets);
        for (end, id) in [(&forger, &theirs), (&insider, &container.id)] {
            let mut records = told.iter().flatten().filter(|record| end.is_told_by(record));
            assert!(records.all(|record| record.text("/container/id") == Some(id)), "{told:?}");
        }
        assert!(told[0].iter().any(|record| forger.is_told_by(record)), "{told:?}");
        assert!(told[1].iter().all(|record| insider.is_told_by(record)), "{told:?}");
        assert!(told[2].iter().all(|record| forger.is_told_by(record)), "{told:?}");
    });
}
