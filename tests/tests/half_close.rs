//! Teardowns other than one close() after the other: half-close and simultaneous close.

use std::net::Shutdown;

use tracer_lab::network::{Network, Way, which};
use tracer_tests::{
    shown::shown,
    sockets::{End, Pair, Path, read_to_end, send},
    tracer::Tracer,
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

#[test]
fn a_simultaneous_close_passes_closing_on_both_ends() {
    shown(|namespace| {
        let network = Network::new().expect("live tests need TUN devices");
        let tracer = Tracer::start(namespace, &[]);
        let pair = tracer_lab::sockets::Pair::over(tracer_lab::sockets::Path::Network).unwrap();
        let ends = [&pair.client, &pair.server].map(End::of);
        // Both are sent before either arrives.
        network.hold_both(which::fin);
        for (end, way) in [(&pair.client, Way::ToServer), (&pair.server, Way::ToClient)] {
            end.shutdown(Shutdown::Write).unwrap();
            network.wait_for(way, which::fin, 1, "a FIN").unwrap();
        }
        network.release().unwrap();
        for end in &ends {
            tracer.wait_for_step(end, "CLOSING", "TIME_WAIT");
        }
        let trace = tracer.finish();
        let [client, server] = ends.map(|end| trace.life(&end));
        client.is("client", &format!("{CLIENT} CLOSING TIME_WAIT(CLOSED)"));
        server.is("server", &format!("{SERVER} FIN_WAIT1 CLOSING TIME_WAIT(CLOSED)"));
    });
}
