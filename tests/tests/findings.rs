//! Findings of a live trace: told when a look shows them, and when they are over.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};
use tracer_tests::{
    netns::isolated,
    sockets::{self, Pair, Path},
    tracer::Tracer,
};

fn listen(backlog: i32) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(backlog).unwrap();
    socket.into()
}

#[test]
fn a_full_accept_queue_is_told_once_and_when_it_is_empty_again() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let listener = listen(2);
        let address = listener.local_addr().unwrap();
        let _clients: Vec<TcpStream> =
            (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        // Something must pass, or looks are rare.
        let Pair { listener: _other, client, server } = Pair::over(Path::V4);
        drop((client, server));
        let is = |status: &'static str| {
            move |record: &tracer_tests::record::Record| {
                record.at("/finding/code") == "accept_queue_full" && record.at("/status") == status
            }
        };
        let raised = tracer.wait_for("the full queue", is("raised"));
        let evidence = raised.at("/finding/evidence/listener");
        assert_eq!(evidence["local"]["port"], address.port());
        assert_eq!((&evidence["queue"], &evidence["backlog"]), (&3.into(), &2.into()));
        let _servers = [(); 3].map(|()| sockets::accept(&listener));
        let cleared = tracer.wait_for("its end", is("cleared"));
        assert_eq!(cleared.at("/finding/evidence/listener/queue"), 3, "as it was found last");
        let trace = tracer.finish();
        let told = trace.records.iter().filter(|record| record.kind() == "finding").count();
        assert_eq!(told, 2);
        assert_eq!(trace.summary.number("/records/finding"), Some(2));
    });
}
