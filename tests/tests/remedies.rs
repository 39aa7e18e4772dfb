//! Every command that a finding prints is run here, in the situation that prints it, and does what
//! is said of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::{Command, Output},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tracer_tests::{
    case::Hosts,
    cgroup::Freezer,
    diagnosis::Diagnosis,
    fault::{self, close_waits, come_and_go},
    netns::{Namespace, isolated, run},
    peer::Peer,
    record::Record,
    sockets::{self, Path, eventually},
    tracer::Tracer,
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

fn server(name: &str, arguments: &[&str]) -> (Peer, SocketAddr) {
    fault::server(FAULT, name, arguments)
}

/// The commands of a finding. Those on a namespace enter it by a process that is to blame.
fn commands(finding: &Record, blamed: u64) -> Vec<String> {
    let remedies = finding.at("/finding/remedies").as_array().unwrap().iter();
    let commands: Vec<String> =
        remedies.filter_map(|one| Some(one["command"].as_str()?.to_owned())).collect();
    let enter = format!("nsenter -t {blamed} -n ");
    let of_namespace = |command: &&String| {
        ["ss ", "sysctl ", "timeout "].iter().any(|program| command.contains(program))
    };
    for command in commands.iter().filter(of_namespace) {
        assert!(command.starts_with(&enter), "{command} is not of {blamed}: {finding}");
    }
    commands
}

/// The command with a word in it, run as somebody would who has copied it.
#[track_caller]
fn run_one(commands: &[String], word: &str) -> Output {
    let of_word: Vec<&String> = commands.iter().filter(|one| one.contains(word)).collect();
    assert_eq!(of_word.len(), 1, "{word}: {commands:?}");
    Command::new("sh").args(["-c", of_word[0]]).output().unwrap()
}

/// The same; it succeeds, and prints this.
#[track_caller]
fn prints(commands: &[String], word: &str) -> String {
    let output = run_one(commands, word);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{commands:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A setting of the calling thread's namespace.
fn setting(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned()
}

#[test]
fn connections_in_close_wait_are_ended_in_the_leaker_s_namespace() {
    isolated(|namespace| {
        // It comes first among those with a socket there, and has nothing to do with it.
        let (stranger, _) = server("stranger", &["keep"]);
        let (leaking, address) = server("hoarder", &["keep"]);
        come_and_go(address, 3);
        let diagnosis = Diagnosis::of(namespace, &[]);
        let finding = diagnosis.only("close_wait_leak");
        assert!(finding.to_string().contains("half-closed and waits"), "{finding}");
        prints(&commands(finding, leaking.pid()), "ss -K");
        eventually("all have ended", || close_waits() == 0);
        drop((stranger, leaking));
    });
}

/// As long as a healthy connection is in FIN_WAIT2 at most.
#[test]
fn who_waits_in_fin_wait2_is_shown_with_its_timers() {
    let hosts = Hosts::connected();
    let serve = "l = listen(SERVER, 80); say('listens'); c = l.accept()[0]; hold()";
    let (server, _) = hosts.start(0, "server", serve);
    let half_close = "
s = socket.create_connection((SERVER, 80)); s.shutdown(socket.SHUT_WR); say('half closed'); hold()";
    let (client, _) = hosts.start(1, "client", half_close);
    thread::sleep(Duration::from_secs(77));
    let diagnosis = hosts.diagnose(1, "1s");
    let finding = diagnosis.only("stuck_state");
    assert_eq!(finding.at("/finding/evidence/state"), "FIN_WAIT2", "{finding}");
    let shown = prints(&commands(finding, client.pid()), "ss -tnoip");
    assert!(shown.contains(&format!("pid={}", client.pid())), "{shown}");
    drop((client, server));
}

#[test]
fn where_a_server_is_stuck_that_does_not_accept_is_shown() {
    isolated(|namespace| {
        let (deaf, address) = server("sleeper", &["deaf", "64"]);
        come_and_go(address, 8);
        let diagnosis = Diagnosis::of(namespace, &[]);
        let finding = diagnosis.only("close_wait_leak");
        assert_eq!(finding.at("/finding/evidence/cause"), "never_accepted", "{finding}");
        let stack = prints(&commands(finding, deaf.pid()), "/stack");
        assert!(stack.contains("read"), "it waits for standard input: {stack}");
    });
}

fn halted(namespace: &Namespace, pid: u64, cause: &str) -> Vec<String> {
    let diagnosis = Diagnosis::of(namespace, &[]);
    let finding = diagnosis.only("close_wait_leak");
    assert_eq!(finding.at("/finding/evidence/cause"), cause, "{finding}");
    commands(finding, pid)
}

#[test]
fn who_is_halted_is_shown_or_goes_on() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        come_and_go(address, 3);
        let pid = server.pid();
        let state = || {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            text.lines().find(|line| line.starts_with("State:")).unwrap().to_owned()
        };
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::STOP).unwrap();
        eventually("it has stopped", || state().contains("T (stopped)"));
        prints(&halted(namespace, pid, "owner_stopped"), "kill -CONT");
        eventually("it runs", || !state().contains("stopped"));
        // SAFETY: the process is a child's of this test; nothing is read or written in it.
        unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0);
            libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0);
        }
        eventually("it is traced", || state().contains("t (tracing stop)"));
        let tracer = prints(&halted(namespace, pid, "owner_traced"), "TracerPid");
        let tracer: u32 = tracer.trim_start_matches("TracerPid:").trim().parse().unwrap();
        assert!(fs::exists(format!("/proc/self/task/{tracer}")).unwrap(), "{tracer} is this test");
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) };
        Freezer::each(pid, |is_frozen| {
            prints(&halted(namespace, pid, "owner_frozen"), "echo ");
            eventually("it is thawed", || !is_frozen());
        });
        drop(server);
    });
}

/// A queue at the limit of the namespace; its half-open connections are no flood of SYNs.
#[test]
fn somaxconn_is_raised_where_it_is_the_limit() {
    isolated(|namespace| {
        namespace.set("net/core/somaxconn", "4");
        let (deaf, address) = server("sleeper", &["deaf", "4"]);
        let clients: Vec<TcpStream> =
            (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        let diagnosis = Diagnosis::during(namespace, || {
            for _ in 0..8 {
                TcpStream::connect_timeout(&address, Duration::from_millis(50)).unwrap_err();
            }
        });
        let all: String = diagnosis.findings.iter().map(ToString::to_string).collect();
        assert!(!all.contains("syncookies"), "{all}");
        let finding = diagnosis.only("accept_queue_full");
        prints(&commands(finding, deaf.pid()), "somaxconn");
        assert_eq!(setting("core/somaxconn"), "4096");
        drop(clients);
    });
}

/// Clients without an answer, whose connections fill the queue of half-open ones.
fn half_open(address: SocketAddr, count: usize) -> Vec<Socket> {
    let rules = "table ip tracer_test {\n chain input {\n type filter hook input priority 0;\n \
                 tcp flags & (syn | ack) == syn | ack drop\n }\n}";
    run("nft", &[rules]);
    let connect = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It is in progress.
        socket.connect(&address.into()).unwrap_err();
        socket
    };
    (0..count).map(connect).collect()
}

#[test]
fn a_flood_of_syns_is_shown_and_survived() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_syncookies", "0");
        let (deaf, address) = server("sleeper", &["deaf", "4"]);
        let mut clients = Vec::new();
        let diagnosis = Diagnosis::during(namespace, || {
            clients = half_open(address, 16);
            // The second retransmission comes after three seconds.
            thread::sleep(Duration::from_secs(4));
        });
        let flood = diagnosis.only("syn_backlog");
        // It has no process of its own.
        let commands_of = |finding: &Record| {
            let entry = finding.number("/finding/netns_pid").unwrap();
            commands(finding, entry)
        };
        let waiting = prints(&commands_of(flood), "state syn-recv");
        assert!(waiting.contains(&address.to_string()), "{waiting}");
        prints(&commands_of(flood), "tcp_syncookies=1");
        assert_eq!(setting("ipv4/tcp_syncookies"), "1");
        prints(&commands_of(flood), "tcp_max_syn_backlog");
        assert!(setting("ipv4/tcp_max_syn_backlog").parse::<u32>().unwrap() >= 8_192);
        let stuck = diagnosis.all("stuck_handshake");
        let of = |state: &str| {
            let found = stuck.iter().find(|one| one.at("/finding/evidence/state") == state);
            found.unwrap_or_else(|| panic!("{state}: {:?}", diagnosis.findings))
        };
        let plain = run_one(&commands_of(of("SYN_SENT")), "/dev/tcp/");
        assert_eq!(plain.status.code(), Some(124), "no answer either: {plain:?}");
        let waiting = prints(&commands(of("SYN_RECV"), deaf.pid()), "state syn-recv");
        assert!(waiting.contains(&address.to_string()), "{waiting}");
        drop(clients);
    });
}

#[test]
fn ports_are_found_again() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_tw_reuse", "0");
        // Who is there when all others have gone; it needs a port as well.
        let (keeper, _) = server("keeper", &["keep"]);
        let listeners = [(); 2].map(|()| sockets::listen(Path::V4));
        namespace.set("net/ipv4/ip_local_port_range", "20000 20009");
        let [full, _] = &listeners;
        let address = full.local_addr().unwrap();
        let tracer = Tracer::start(namespace, &[]);
        // A look is needed to know that this is not the tracer's own namespace.
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!(diagnosis.status, 0);
        let mut greedy = Peer::start(FAULT, "greedy", &["exhaust", &address.to_string()]);
        assert_eq!(greedy.answer(), "10");
        let failure =
            tracer.wait_for("the failure", |one| one.at("/finding/code") == "no_local_port");
        let entry = failure.number("/finding/netns_pid").unwrap();
        let of_failure = commands(&failure, entry);
        let holders = prints(&of_failure, "ss -tanp dst");
        assert_eq!(holders.matches("\"greedy\"").count(), 10, "{holders}");
        let pid = greedy.pid();
        // This end closes first.
        let servers: Vec<TcpStream> = (0..10).map(|_| sockets::accept(full)).collect();
        greedy.close();
        drop(servers);
        let diagnosis = Diagnosis::of(namespace, &[]);
        let scarce = diagnosis.only("ephemeral_ports");
        let entry = scarce.number("/finding/netns_pid").unwrap();
        assert_ne!(entry, pid, "it has ended");
        let of_scarce = commands(scarce, entry);
        TcpStream::connect(address).unwrap_err();
        prints(&of_scarce, "tcp_tw_reuse=1");
        assert_eq!(setting("ipv4/tcp_tw_reuse"), "1");
        eventually("a port is taken over", || TcpStream::connect(address).is_ok());
        prints(&of_scarce, "ip_local_port_range");
        assert_eq!(setting("ipv4/ip_local_port_range"), "10240\t65000");
        drop(keeper);
        drop(tracer);
    });
}

/// Also where each connection skips TIME_WAIT, so that no socket is in it.
#[test]
fn there_may_be_more_sockets_in_time_wait() {
    for limit in ["5", "0"] {
        isolated(|namespace| {
            namespace.set("net/ipv4/tcp_max_tw_buckets", limit);
            let (keeper, address) = server("keeper", &["keep"]);
            let diagnosis = Diagnosis::during(namespace, || {
                for _ in 0..8 {
                    let listener = sockets::listen(Path::V4);
                    let (client, server) = sockets::connect(&listener, Path::V4);
                    drop(client);
                    drop(server);
                }
            });
            let finding = diagnosis.only("time_wait_overflow");
            let entry = finding.number("/finding/netns_pid").unwrap();
            prints(&commands(finding, entry), "tcp_max_tw_buckets");
            assert_eq!(setting("ipv4/tcp_max_tw_buckets"), "8192");
            drop((keeper, address));
        });
    }
}

/// Whether this process has CAP_SYS_RESOURCE: containers often have not.
fn may_raise_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() >> 24 & 1 == 1
}

/// The hard limit is as low as the soft one, or it is not.
#[test]
fn a_process_without_descriptors_gets_more() {
    for (limits, then) in [("24:24", "48 48"), ("24:4096", "48 4096")] {
        isolated(|namespace| {
            let (server, address) = server("hoarder", &["keep"]);
            let pid = server.pid().to_string();
            run("prlimit", &["--pid", &pid, &format!("--nofile={limits}")]);
            come_and_go(address, 18);
            let diagnosis = Diagnosis::of(namespace, &[]);
            let commands = commands(diagnosis.only("descriptors"), server.pid());
            if then == "48 48" && !may_raise_limits() {
                // As the shell of an administrator without CAP_SYS_RESOURCE is told.
                let refused = run_one(&commands, "prlimit");
                assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"));
                return;
            }
            prints(&commands, "prlimit");
            let file = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let line = file.lines().find(|line| line.starts_with("Max open files")).unwrap();
            let words: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
            assert_eq!(words.join(" "), then, "from {limits}");
        });
    }
}
