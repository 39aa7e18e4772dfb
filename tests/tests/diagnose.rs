//! `tracer diagnose`: each fault is named, with its cause and who is to blame; what is well is not
//! accused.

use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tracer_tests::{
    cgroup::Container,
    diagnosis::Diagnosis,
    fault::{self, close_waits, come_and_go, descriptors},
    netns::{Namespace, isolated},
    peer::Peer,
    slowness::allowed,
    sockets::{self, Pair, Path, eventually},
    tracer::{self, command, read_all, refused, wait},
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

fn server(name: &str, arguments: &[&str]) -> (Peer, SocketAddr) {
    fault::server(FAULT, name, arguments)
}

#[test]
fn a_server_that_never_closes_is_named_with_every_descriptor() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        let since = Instant::now();
        come_and_go(address, 12);
        let begun = Instant::now();
        let diagnosis = Diagnosis::during(namespace, || come_and_go(address, 5));
        let observed = begun.elapsed();
        assert_eq!(diagnosis.status, 1);
        assert_eq!(diagnosis.findings.len(), 1, "{:?}", diagnosis.findings);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["cause"], "held", "{leak}");
        assert_eq!(leak["sockets"], 17);
        assert_eq!(leak["processes"][0]["pid"], server.pid());
        assert_eq!(leak["processes"][0]["name"], "hoarder");
        assert_eq!(leak["processes"][0]["executable"]["path"], FAULT);
        assert_eq!(leak["fds"], json!(descriptors("hoarder")));
        assert_eq!(
            leak["peers"],
            json!([{
                "peer": { "address": "127.0.0.1", "port": null }, "sockets": 17
            }])
        );
        assert_eq!(leak["service"]["local"]["port"], address.port());
        // Five in the time between the looks, which is some of the time that all of it took.
        let growth = leak["growth_per_minute"].as_f64().unwrap();
        let least = 5.0 * 60.0 / observed.as_secs_f64();
        assert!((least..=2.0 * least).contains(&growth), "{growth}, at least {least}");
        assert_eq!(leak["at_least"], true);
        // They were there before: the age is known from the last acknowledgement.
        let age = Duration::from_nanos(leak["oldest_ns"].as_u64().unwrap());
        assert!(age <= since.elapsed() && age + Duration::from_millis(50) >= begun.elapsed() / 2);
        assert_eq!(leak["peer_sockets"], json!({ "FIN_WAIT2": 17 }), "not TIME_WAIT");
        assert_eq!(leak["peer_orphans"], 17);
        let open = &leak["descriptors"];
        assert!(open["open"].as_u64() >= Some(20) && open["limit"].as_u64() > Some(20), "{open}");
        assert!(open["growth_per_minute"].as_f64() > Some(0.0) && open["minutes_left"].is_number());
        let text = diagnosis.text("close_wait_leak");
        assert!(text.contains(&format!("hoarder[{}] leaks 17", server.pid())), "{text}");
        server.close();
    });
}

#[test]
fn a_server_that_does_not_accept_is_named_by_its_listener() {
    isolated(|namespace| {
        let (server, address) = server("sleeper", &["deaf", "256"]);
        come_and_go(address, 200);
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!(diagnosis.status, 1);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["cause"], "never_accepted", "{leak}");
        assert_eq!(leak["listener"]["processes"][0]["pid"], server.pid());
        assert_eq!(leak["listener"]["queue"], 200);
        assert_eq!(leak["listener"]["backlog"], 256);
        assert_eq!(leak["fds"], json!([]));
        let (port, pid) = (address.port(), server.pid());
        let words = format!(
            "never accepted, listener 127.0.0.1:{port}, sleeper[{pid}], backlog 200 of 256"
        );
        let text = diagnosis.text("close_wait_leak");
        assert!(text.contains(&words), "{text}");
        // It is asked about by its process, although that holds none of the sockets.
        let asked = Diagnosis::of(namespace, &["--pid", &pid.to_string()]);
        assert_eq!(asked.evidence("close_wait_leak")["sockets"], 200);
        // Somebody who is there: one who is not would be remarked upon.
        let other = Diagnosis::of(namespace, &["--pid", "1"]);
        assert_eq!((other.status, other.findings.len()), (0, 0));
    });
}

/// Two listeners share an address; what waits for one has nothing to do with the other.
#[test]
fn of_listeners_that_share_an_address_the_one_that_does_not_accept_is_named() {
    isolated(|namespace| {
        let (deaf, address) = server("sleeper", &["shared-deaf", "0"]);
        let port = address.port().to_string();
        let (keen, _) = server("worker", &["shared-keen", &port]);
        let clients: Vec<TcpStream> =
            (0..30).map(|_| TcpStream::connect(address).unwrap()).collect();
        let waiting = waiting_for(namespace, &deaf);
        assert!((1..30).contains(&waiting), "{waiting} of 30 wait: the kernel shares them out");
        assert_eq!(waiting_for(namespace, &keen), 0, "an innocent");
        drop(clients);
        eventually("CLOSE_WAIT", || close_waits() == waiting);
        thread::sleep(Duration::from_secs(1));
        let diagnosis = Diagnosis::of(namespace, &[]);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["cause"], "never_accepted", "{leak}");
        assert_eq!(leak["sockets"], waiting, "{leak}");
        assert_eq!(leak["listener"]["processes"].as_array().unwrap().len(), 1, "{leak}");
        assert_eq!(leak["listener"]["processes"][0]["pid"], deaf.pid(), "{leak}");
        assert_eq!(leak["listener"]["queue"], waiting, "{leak}");
        assert_eq!(diagnosis.findings.len(), 1, "{:?}", diagnosis.findings);
        let text = diagnosis.text("close_wait_leak");
        assert!(!text.contains("worker"), "{text}");
        let other = Diagnosis::of(namespace, &["--pid", &keen.pid().to_string()]);
        assert_eq!(other.findings.len(), 0, "{:?}", other.findings);
        keen.close();
        deaf.close();
    });
}

/// Connections that `sockets` says wait for a process.
fn waiting_for(namespace: &Namespace, server: &Peer) -> usize {
    let text = tracer::sockets(namespace, &[]);
    let name = format!("[{}]? (not accepted)", server.pid());
    text.lines().filter(|line| line.contains(&name)).count()
}

/// Each descriptor table has the limit for itself.
#[test]
fn a_thread_with_descriptors_of_its_own_has_them_counted() {
    isolated(|namespace| {
        let (server, address) = server("hermit", &["apart"]);
        come_and_go(address, 20);
        thread::sleep(Duration::from_secs(1));
        let diagnosis = Diagnosis::of(namespace, &[]);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["processes"][0]["pid"], server.pid(), "{leak}");
        assert_eq!(leak["fds"].as_array().unwrap().len(), 20, "{leak}");
        let open = leak["descriptors"]["open"].as_u64();
        assert!(open >= Some(20) && open < Some(40), "not those of its first thread: {leak}");
        server.close();
    });
}

#[test]
fn a_full_accept_queue_is_critical() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_syncookies", "0");
        let (server, address) = server("sleeper", &["deaf", "4"]);
        // One more than the backlog fit; what comes after is dropped.
        let clients: Vec<TcpStream> =
            (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        let diagnosis = Diagnosis::during(namespace, || {
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
        });
        assert_eq!(diagnosis.status, 1);
        let finding = diagnosis.only("accept_queue_full");
        assert_eq!(finding.at("/finding/severity"), "critical", "{finding}");
        let queue = finding.at("/finding/evidence");
        assert_eq!(queue["listener"]["processes"][0]["pid"], server.pid());
        assert_eq!(queue["listener"]["queue"], 5);
        assert_eq!(queue["listener"]["backlog"], 4);
        assert!(queue["listen_overflows"].as_u64() >= Some(1), "{queue}");
        drop(clients);
    });
}

#[test]
fn a_child_that_keeps_its_parent_s_connection_is_named() {
    isolated(|namespace| {
        let (mut server, address) = server("parent", &["fork"]);
        let client = TcpStream::connect(address).unwrap();
        let child: u64 = server.answer().parse().unwrap();
        drop(client);
        eventually("CLOSE_WAIT", || close_waits() == 1);
        let diagnosis = Diagnosis::of(namespace, &["--for", "2s"]);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["cause"], "inherited", "{leak}");
        assert_eq!(leak["processes"].as_array().unwrap().len(), 1);
        assert_eq!(leak["processes"][0]["pid"], child);
        assert_eq!(leak["parent"]["pid"], server.pid());
        server.close();
    });
}

/// A request may end in a FIN and take its time.
#[test]
fn a_single_young_one_is_told_but_does_not_fail() {
    isolated(|namespace| {
        let (server, address) = server("busy", &["keep"]);
        come_and_go(address, 1);
        let diagnosis = Diagnosis::of(namespace, &["--for", "2s"]);
        assert_eq!(diagnosis.status, 0);
        assert_eq!(diagnosis.summary.at("/healthy"), true);
        let finding = diagnosis.only("close_wait_leak");
        assert_eq!(finding.at("/finding/severity"), "info", "{finding}");
        server.close();
    });
}

#[test]
fn a_container_can_be_asked_about() {
    isolated(|namespace| {
        let [inside, empty] = [2, 3].map(Container::make);
        let (server, address) = server("hoarder", &["keep"]);
        // A socket belongs to the group in which it is made.
        inside.adopt(server.pid());
        let (other, elsewhere) = self::server("other", &["keep"]);
        come_and_go(address, 3);
        come_and_go(elsewhere, 2);
        let both = Diagnosis::of(namespace, &[]);
        assert_eq!(both.all("close_wait_leak").len(), 2);
        let asked = Diagnosis::of(namespace, &["--container", &inside.id]);
        let leak = asked.evidence("close_wait_leak");
        assert_eq!(
            (&leak["sockets"], &leak["processes"][0]["name"]),
            (&json!(3), &json!("hoarder"))
        );
        assert_eq!(leak["processes"][0]["container"], inside.id);
        let healthy = Diagnosis::of(namespace, &["--container", &empty.id[..20]]);
        assert_eq!((healthy.status, healthy.findings.len()), (0, 0));
        server.close();
        other.close();
    });
}

#[test]
fn unread_data_is_the_cause_where_there_is_some() {
    isolated(|namespace| {
        let Pair { listener: _listener, mut client, server } = Pair::over(Path::V4);
        sockets::send(&mut client, &server, &[0; 1234]);
        drop(client);
        eventually("CLOSE_WAIT", || close_waits() == 1);
        let diagnosis = Diagnosis::of(namespace, &[]);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!((&leak["cause"], &leak["unread_bytes"]), (&json!("unread_data"), &json!(1234)));
        drop(server);
    });
}

#[test]
fn a_download_after_a_half_close_is_no_leak() {
    isolated(|namespace| {
        let (mut server, address) = server("archive", &["download"]);
        let client = TcpStream::connect(address).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.answer(), "sending");
        let reading = thread::spawn({
            let mut client = client.try_clone().unwrap();
            move || sockets::wait_for_end(&mut client)
        });
        let diagnosis = Diagnosis::of(namespace, &["--for", "6s"]);
        assert_eq!((diagnosis.status, diagnosis.findings.len()), (0, 0));
        assert_eq!(diagnosis.summary.at("/sending"), 1);
        assert_eq!(diagnosis.summary.at("/sockets/CLOSE_WAIT"), 1);
        server.close();
        reading.join().unwrap();
    });
}

#[test]
fn a_leak_in_another_namespace_is_reported_from_the_host() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        come_and_go(address, 3);
        let pid = server.pid();
        let diagnosis = Diagnosis::run(&["--pid", &pid.to_string()]);
        let finding = diagnosis.only("close_wait_leak");
        assert_eq!(finding.number("/finding/netns"), Some(namespace.inode), "{finding}");
        let remedies = finding.at("/finding/remedies").as_array().unwrap();
        let enter = format!("nsenter -t {pid} -n ");
        let commands: Vec<&str> =
            remedies.iter().filter_map(|remedy| remedy["command"].as_str()).collect();
        assert!(commands.iter().any(|command| command.starts_with(&enter)), "{commands:?}");
    });
}

/// The remedy does what it says: the filter hits the sockets of the finding and no others.
#[test]
fn the_command_to_end_the_sockets_ends_them() {
    isolated(|namespace| {
        let (leaking, address) = server("hoarder", &["keep"]);
        let (other, elsewhere) = server("other", &["keep"]);
        come_and_go(address, 3);
        come_and_go(elsewhere, 2);
        let diagnosis = Diagnosis::of(namespace, &["--pid", &leaking.pid().to_string()]);
        let remedies = diagnosis.only("close_wait_leak").at("/finding/remedies").clone();
        let remedies = remedies.as_array().unwrap().iter();
        let mut commands = remedies.filter_map(|one| one["command"].as_str());
        let command = commands.find(|command| command.contains("ss -K")).unwrap();
        tracer_tests::netns::run("sh", &["-c", command]);
        eventually("the others left", || close_waits() == 2);
        drop(other);
    });
}

#[test]
fn a_healthy_host_gets_an_all_clear() {
    isolated(|namespace| {
        let pair = Pair::over(Path::V4);
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!((diagnosis.status, diagnosis.findings.len()), (0, 0));
        assert_eq!(diagnosis.summary.at("/healthy"), true);
        let expected = json!({ "ESTABLISHED": 2, "LISTEN": 1 });
        assert_eq!(diagnosis.summary.at("/sockets"), &expected);
        let brief = ["diagnose", "--for", "100ms", namespace.netns];
        let output = command("", &brief).output().expect("live tests need nsenter");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.starts_with("OK "), "{text}");
        assert!(text.contains("2 ESTABLISHED") && text.contains("1 LISTEN"), "{text}");
        assert!(!text.contains('\u{1b}'), "colour in a pipe: {text}");
        drop(pair);
    });
}

#[test]
fn the_severity_that_fails_can_be_chosen() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        come_and_go(address, 3);
        for (severity, status) in [("info", 1), ("warning", 1), ("critical", 0)] {
            let diagnosis = Diagnosis::of(namespace, &["--fail-on", severity]);
            let leak = diagnosis.only("close_wait_leak");
            assert_eq!(leak.at("/finding/severity"), "warning");
            assert_eq!(diagnosis.status, status, "--fail-on {severity}");
        }
        server.close();
    });
}

#[test]
fn an_interrupt_ends_the_observation_with_what_is_known() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        come_and_go(address, 3);
        let arguments = ["diagnose", namespace.netns, "--for", "1h", "--format", "json"];
        let mut child = command("", &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let text = read_all(child.stdout.take().unwrap());
        thread::sleep(allowed(Duration::from_secs(2)));
        // nsenter has become the tracer.
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(wait(&mut child).code(), Some(1));
        let text = text.join().unwrap();
        let kinds: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
            .collect();
        assert_eq!(kinds, ["hello", "finding", "summary"]);
        server.close();
    });
}

#[test]
fn a_bad_option_is_an_error() {
    isolated(|namespace| {
        for bad in ["--for", "--fail-on", "--format"] {
            let errors = refused(&mut command("", &["diagnose", namespace.netns, bad, "bogus"]));
            assert!(errors.contains(bad), "{errors}");
        }
    });
}
