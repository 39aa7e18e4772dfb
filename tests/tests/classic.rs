//! The fallback: the classic tracepoint's record, found by tracefs.

use std::net::{Shutdown, TcpListener, TcpStream};

use tracer_tests::{
    shown::shown,
    sockets::{self, End, read_to_end},
    tracer::{Tracer, WITH_TRACEFS, command, refused},
};

/// The classic record names no namespace: these ports tell our sockets from others'. They lie
/// outside the range from which the kernel chooses.
const TEARDOWN: u16 = 20_011;
const REFUSED: u16 = 20_012;

fn classic(port: u16) -> Tracer {
    Tracer::launch(WITH_TRACEFS, &["--mode", "tracepoint", "--port", &port.to_string()])
}

#[test]
fn the_classic_tracepoint_tells_the_same_states() {
    shown(|_| {
        let tracer = classic(TEARDOWN);
        let listener = TcpListener::bind(("127.0.0.1", TEARDOWN)).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", TEARDOWN)).unwrap();
        let mut server = sockets::accept(&listener);
        let ends = [&client, &server].map(End::of);
        client.shutdown(Shutdown::Write).unwrap();
        read_to_end(&mut server);
        drop(server);
        read_to_end(&mut client);
        let trace = tracer.finish();
        assert_eq!(trace.hello.at("/mode"), "tracepoint");
        assert!(!trace.hello.at("/degraded").as_array().unwrap().is_empty());
        let [client, server] = ends.map(|end| trace.life(&end));
        client.is("client", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)");
        server
            .is("server", "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED")
            .closed("graceful", "peer");
        trace.tells_only(&[&client, &server, &trace.life(&End::of(&listener))]);
    });
}

#[test]
fn the_classic_tracepoint_tells_a_refused_connection_with_its_port() {
    shown(|_| {
        let tracer = classic(REFUSED);
        TcpStream::connect(("127.0.0.1", REFUSED)).unwrap_err();
        let trace = tracer.finish();
        let states: Vec<_> =
            trace.transitions().map(|r| (r.text("/tcp/from"), r.text("/tcp/to"))).collect();
        let expected = [("CLOSED", "SYN_SENT"), ("SYN_SENT", "CLOSED")];
        assert_eq!(states, expected.map(|(from, to)| (Some(from), Some(to))));
        for record in trace.transitions() {
            assert!(record.number("/network/local/port") >= Some(1024), "{record}");
            assert_eq!(record.number("/network/peer/port"), Some(REFUSED.into()), "{record}");
        }
    });
}

#[test]
fn without_tracefs_the_error_names_the_command_that_mounts_it() {
    let hidden = "for name in tracing debug; do \
        if test -d /sys/kernel/$name; then mount -t tmpfs none /sys/kernel/$name; fi; done";
    let errors = refused(&mut command(hidden, &["--mode", "tracepoint", "--duration", "1s"]));
    assert!(errors.contains("mount -t tracefs tracefs /sys/kernel/tracing"), "{errors}");
}
