//! Which segment of a handshake is lost: proved where both ends are on this host, and left open
//! where they are not; and who has not sent an RST.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use tracer_tests::{
    case::Hosts,
    diagnosis::Diagnosis,
    netns::{isolated, run},
    record::{Record, listing},
    remedy::succeeds,
    sockets::{self, Path},
    tracer::Tracer,
};

fn drop_received(flags: &str) {
    filter_received(&format!("tcp flags & (syn | ack) == {flags} counter drop"));
}

/// A rule of a namespace for what it receives, until the table is deleted.
fn filter_received(rule: &str) {
    let hook = "type filter hook input priority 0;";
    run("nft", &[&format!("table ip tracer_test {{\n chain input {{\n {hook}\n {rule}\n }}\n}}")]);
}

/// Attempts at one time that are given up while the SYN is retransmitted for the second time.
fn give_up(address: SocketAddr) {
    let attempt = move || TcpStream::connect_timeout(&address, Duration::from_millis(2_500));
    let attempts = [(); 3].map(|()| thread::spawn(attempt));
    for attempt in attempts {
        attempt.join().unwrap().unwrap_err();
    }
}

/// What is said of attempts to connect within this host.
fn within(flags: &str, lost: &str) {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(Path::V4);
        let address = listener.local_addr().unwrap();
        drop_received(flags);
        give_up(address);
        let found = tracer.wait_for("the failures", |one| {
            one.at("/finding/code") == "connect_failures"
                && one.at("/finding/evidence/failures/0/attempts") == 3
        });
        let failure = found.at("/finding/evidence/failures/0");
        assert_eq!(failure["reason"], "aborted_locally", "{found}");
        assert_eq!(failure["lost"], lost, "{found}");
        assert!(succeeds(&found, "nft list ruleset").contains("drop"), "{found}");
        tracer.finish();
    });
}

#[test]
fn a_syn_that_the_listener_here_does_not_get_is_lost() {
    within("syn", "syn");
}

#[test]
fn a_syn_ack_that_the_client_here_does_not_get_is_lost() {
    within("syn | ack", "syn_ack");
}

/// Attempts that are under way at the end of a diagnosis, by two ends.
fn under_way(flags: &str, judge: impl Fn(&[&Record]) + Sync) {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let address = listener.local_addr().unwrap();
        drop_received(flags);
        let attempt = move || TcpStream::connect_timeout(&address, Duration::from_secs(20));
        let clients = [(); 2].map(|()| thread::spawn(attempt));
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        judge(&diagnosis.all("stuck_handshake"));
        run("nft", &["delete table ip tracer_test"]);
        drop(listener);
        // They are connected late, or refused.
        clients.into_iter().for_each(|one| drop(one.join().unwrap()));
    });
}

fn lost(findings: &[&Record], state: &str) -> String {
    let its = findings.iter().find(|one| one.at("/finding/evidence/state") == state);
    let its = its.unwrap_or_else(|| panic!("{state}: {findings:?}"));
    assert!(succeeds(its, "nft list ruleset").contains("drop"), "{its}");
    its.text("/finding/evidence/lost").unwrap_or_else(|| panic!("{its}")).to_owned()
}

#[test]
fn handshakes_under_way_show_at_both_ends_what_is_lost() {
    under_way("syn", |found| {
        assert_eq!(lost(found, "SYN_SENT"), "syn");
        assert_eq!(found.len(), 1, "nothing is half-open");
    });
    under_way("syn | ack", |found| {
        assert_eq!(lost(found, "SYN_SENT"), "syn_ack");
        assert_eq!(lost(found, "SYN_RECV"), "syn_ack");
    });
    under_way("ack", |found| {
        assert_eq!(lost(found, "SYN_RECV"), "ack");
    });
}

/// Nothing proves what another host has got.
#[test]
fn towards_another_host_it_is_not_known_what_is_lost() {
    let hosts = Hosts::connected();
    let trace = hosts.trace(1, &[]);
    hosts.on(0, |_| drop_received("syn"));
    hosts.on(1, |_| give_up(SocketAddr::from(([10, 0, 0, 1], 9000))));
    let found = trace.wait_for("the failures", |one| {
        one.at("/finding/code") == "connect_failures"
            && one.at("/finding/evidence/failures/0/attempts") == 3
    });
    assert!(found.at("/finding/evidence/failures/0/lost").is_null(), "{found}");
    trace.finish();
}

/// Handshakes that are completed with the second SYN, and what that has cost.
#[test]
fn a_lost_syn_costs_the_first_time_out() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(Path::V4);
        let address = listener.local_addr().unwrap();
        drop_received("syn");
        let clients = [(); 3].map(|()| thread::spawn(move || TcpStream::connect(address).unwrap()));
        let sent = || {
            let all = tracer_tests::kernel::sockets();
            all.iter().filter(|one| one.state == "SYN_SENT").count() == 3
        };
        sockets::eventually("all have sent a SYN", sent);
        run("nft", &["delete table ip tracer_test"]);
        let clients = clients.map(|one| one.join().unwrap());
        let found = tracer.wait_for("the delay", |one| {
            one.at("/finding/code") == "connect_failures"
                && one.at("/finding/evidence/retransmitted") == 3
        });
        let evidence = found.at("/finding/evidence");
        let delay = evidence["delay_ns"].as_u64().unwrap();
        assert!(delay >= 3_000_000_000, "{}", listing(&[found]));
        drop(clients);
        tracer.finish();
    });
}

/// A packet filter that rejects what comes on open connections: the client is reset, and its server,
/// which is here, knows nothing of it.
#[test]
fn an_rst_that_a_packet_filter_sends_is_not_told_as_the_peer_s() {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let mut pairs = [(); 3].map(|()| sockets::connect(&listener, Path::V4));
        let diagnosis = Diagnosis::during(namespace, || {
            let port = listener.local_addr().unwrap().port();
            let reject = format!("tcp dport {port} reject with tcp reset");
            filter_received(&reject);
            for (client, _) in &mut pairs {
                client.write_all(b"?").unwrap();
                sockets::wait_for_end(client);
            }
        });
        let found = diagnosis.only("connection_resets");
        let open = found.at("/finding/evidence/still_open");
        assert_eq!(open["connections"], 3, "{found}");
        assert_eq!(open["process"]["pid"], std::process::id(), "{found}");
        assert!(found.text("/finding/text").unwrap().contains("not sent"), "{found}");
        assert!(succeeds(found, "nft list").contains("reject with tcp reset"), "{found}");
    });
}
