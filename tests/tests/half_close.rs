//! Teardowns other than one close() after the other: half-close and simultaneous close.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Shutdown;

use tracer_tests::{
    netns::{Namespace, isolated},
    shown::shown,
    sockets::{End, Pair, Path, read_to_end, send},
    tracer::{Trace, Tracer},
};

const CLIENT: &str = "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1";
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED";
const PASSIVE: &str = "CLOSE_WAIT LAST_ACK CLOSED";

#[test]
fn a_half_closed_connection_still_carries_data_and_ends_in_time_wait() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { listener, mut client, mut server } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        client.shutdown(Shutdown::Write).unwrap();
        tracer.wait_for_step(&ends[0], "FIN_WAIT1", "FIN_WAIT2");
        assert_eq!(read_to_end(&mut server), b"");
        send(&mut server, &client, b"still here");
        drop(server);
        assert_eq!(read_to_end(&mut client), b"still here");
        tracer.wait_for_step(&ends[0], "FIN_WAIT2", "TIME_WAIT");
        drop(client);
        let trace = tracer.finish();
        let [client, server] = ends.map(|end| trace.life(&end));
        client.is("client", &format!("{CLIENT} FIN_WAIT2 TIME_WAIT(CLOSED)"));
        server.is("server", &format!("{SERVER} {PASSIVE}")).closed("graceful", "peer");
        trace.tells_only(&[&client, &server, &trace.life(&End::of(&listener))]);
    });
}

#[test]
fn close_after_a_half_close_leaves_the_rest_to_the_kernel() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { listener, client, server } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        client.shutdown(Shutdown::Write).unwrap();
        tracer.wait_for_step(&ends[0], "FIN_WAIT1", "FIN_WAIT2");
        // The tracepoint says FIN_WAIT2 → FIN_WAIT2, FIN_WAIT2 → CLOSE: only the second is told.
        drop(client);
        tracer.wait_for_step(&ends[0], "FIN_WAIT2", "FIN_WAIT2");
        drop(server);
        let trace = tracer.finish();
        let [client, server] = ends.map(|end| trace.life(&end));
        let rest = "FIN_WAIT2 FIN_WAIT2(CLOSED) TIME_WAIT(inferred)";
        client.is("client", &format!("{CLIENT} {rest}"));
        server.is("server", &format!("{SERVER} {PASSIVE}")).closed("graceful", "peer");
        trace.tells_only(&[&client, &server, &trace.life(&End::of(&listener))]);
    });
}

/// Makes both FINs cross on the wire: both ends have sent theirs before either arrives. Nothing
/// but two system calls has to fit into the 20 ms for which a segment is on its way.
fn close_simultaneously(namespace: &Namespace, tracer: &Tracer) -> (Pair, [End; 2]) {
    let pair = Pair::far_apart(namespace);
    let (client, server) = pair.ends();
    pair.client.shutdown(Shutdown::Write).unwrap();
    pair.server.shutdown(Shutdown::Write).unwrap();
    for end in [&client, &server] {
        tracer.wait_for("the end of the connection", |record| {
            let to = record.text("/tcp/to");
            end.is_told_by(record) && to.is_some_and(|to| ["TIME_WAIT", "CLOSED"].contains(&to))
        });
    }
    (pair, [client, server])
}

fn has_crossed(trace: &Trace, ends: &[End; 2]) -> bool {
    ends.iter().all(|end| trace.life(end).story().contains("CLOSING"))
}

#[test]
fn a_simultaneous_close_passes_closing_on_both_ends() {
    // A machine that sleeps for 20 ms between two system calls deserves another try.
    let (trace, ends) = (0..5)
        .map(|_| {
            isolated(|namespace| {
                let tracer = Tracer::start(namespace, &[]);
                let (_pair, ends) = close_simultaneously(namespace, &tracer);
                (tracer.finish(), ends)
            })
        })
        .find(|(trace, ends)| has_crossed(trace, ends))
        .expect("the FINs have not crossed in five tries");
    let [client, server] = ends.map(|end| trace.life(&end));
    client.is("client", &format!("{CLIENT} CLOSING TIME_WAIT(CLOSED)"));
    server.is("server", &format!("{SERVER} FIN_WAIT1 CLOSING TIME_WAIT(CLOSED)"));
}
