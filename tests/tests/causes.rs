//! A flag in a trace says why the socket stays: the same causes as in a diagnosis.

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    fault,
    netns::{Namespace, isolated},
    peer::Peer,
    record::Record,
    sockets::{self, End, Pair, Path, close_client_first},
    tracer::{Tracer, WITH_TRACEFS, command},
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");
const SOON: &str = "close-wait=500ms,time-wait=500ms,fin-wait2=off";

fn server(name: &str, arguments: &[&str]) -> (Peer, SocketAddr) {
    fault::server(FAULT, name, arguments)
}

fn trace(namespace: &Namespace, options: &[&str]) -> Tracer {
    Tracer::launch(WITH_TRACEFS, &[&[namespace.netns, "--linger", SOON], options].concat())
}

/// The first flag on a socket in CLOSE_WAIT of a server.
fn flag(tracer: &Tracer, server: SocketAddr) -> Record {
    tracer.wait_for("a flag", |record| {
        record.kind() == "linger"
            && record.local() == Some(server)
            && record.at("/tcp/state") == "CLOSE_WAIT"
    })
}

#[test]
fn held_and_not_closed() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        let tracer = trace(namespace, &[]);
        drop(TcpStream::connect(address).unwrap());
        let flag = flag(&tracer, address);
        assert_eq!(flag.at("/cause/code"), "held", "{flag}");
        assert_eq!(flag.number("/processes/0/pid"), Some(server.pid()), "{flag}");
        server.close();
        tracer.finish();
    });
}

#[test]
fn never_accepted_names_the_listener() {
    isolated(|namespace| {
        let (server, address) = server("sleeper", &["deaf", "16"]);
        let tracer = trace(namespace, &[]);
        drop((0..3).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>());
        let flag = flag(&tracer, address);
        assert_eq!(flag.at("/cause/code"), "never_accepted", "{flag}");
        assert_eq!(flag.number("/cause/listener/processes/0/pid"), Some(server.pid()), "{flag}");
        assert_eq!(flag.at("/cause/listener/queue"), 3, "{flag}");
        assert_eq!(flag.at("/cause/listener/backlog"), 16, "{flag}");
        server.close();
        tracer.finish();
    });
}

#[test]
fn the_owner_is_stopped() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        let tracer = trace(namespace, &[]);
        let client = TcpStream::connect(address).unwrap();
        tracer.wait_for("the server's end", |record| {
            record.local() == Some(address) && record.is_step("SYN_RECV", "ESTABLISHED")
        });
        thread::sleep(Duration::from_millis(100));
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        drop(client);
        let flag = flag(&tracer, address);
        kill_process(pid, Signal::CONT).unwrap();
        assert_eq!(flag.at("/cause/code"), "owner_stopped", "{flag}");
        server.close();
        tracer.finish();
    });
}

#[test]
fn held_by_the_child() {
    isolated(|namespace| {
        let (mut server, address) = server("parent", &["fork"]);
        let tracer = trace(namespace, &[]);
        let client = TcpStream::connect(address).unwrap();
        let child: u64 = server.answer().parse().unwrap();
        drop(client);
        let flag = flag(&tracer, address);
        assert_eq!(flag.at("/cause/code"), "inherited", "{flag}");
        assert_eq!(flag.number("/cause/parent/pid"), Some(server.pid()), "{flag}");
        assert_eq!(flag.number("/processes/0/pid"), Some(child), "{flag}");
        server.close();
        tracer.finish();
    });
}

#[test]
fn unread_bytes_are_counted() {
    isolated(|namespace| {
        let tracer = trace(namespace, &[]);
        let Pair { listener: _listener, mut client, server } = Pair::over(Path::V4);
        let address = End::of(&server).local;
        sockets::send(&mut client, &server, &[0; 1234]);
        drop(client);
        let flag = flag(&tracer, address);
        assert_eq!(flag.at("/cause/code"), "unread_data", "{flag}");
        assert_eq!(flag.at("/cause/unread_bytes"), 1234, "{flag}");
        drop(server);
        tracer.finish();
    });
}

#[test]
fn time_wait_is_at_the_end_that_closed_first() {
    isolated(|namespace| {
        let tracer = trace(namespace, &[]);
        let pair = Pair::over(Path::V4);
        let (client, _) = pair.ends();
        let _listener = close_client_first(&tracer, pair);
        let flag = tracer.wait_for("a flag", |record| {
            record.kind() == "linger" && record.at("/tcp/state") == "TIME_WAIT"
        });
        assert!(client.is_told_by(&flag), "{flag}");
        assert_eq!(flag.at("/cause/code"), "closed_first", "{flag}");
        assert_eq!(flag.at("/cause/initiator"), "local", "{flag}");
        tracer.finish();
    });
}

#[test]
fn without_looks_the_cause_is_unknown_and_that_is_said() {
    isolated(|namespace| {
        let (server, address) = server("hoarder", &["keep"]);
        let tracer = trace(namespace, &["--no-snapshot"]);
        drop(TcpStream::connect(address).unwrap());
        let flag = flag(&tracer, address);
        assert_eq!(flag.at("/cause/code"), "unknown", "{flag}");
        server.close();
        tracer.finish();
    });
}

#[test]
fn people_read_it_in_the_line() {
    isolated(|namespace| {
        let (server, address) = server("sleeper", &["deaf", "16"]);
        let arguments = [namespace.netns, "--linger", SOON, "--duration", "4s", "--problems"];
        let traced = thread::spawn({
            let mut tracer = command("", &arguments);
            move || tracer.output().unwrap()
        });
        thread::sleep(Duration::from_secs(1));
        drop(TcpStream::connect(address).unwrap());
        let text = String::from_utf8(traced.join().unwrap().stdout).unwrap();
        let words = format!(
            "never accepted, listener {address} sleeper[{}], backlog 1 of 16",
            server.pid()
        );
        assert!(text.contains(&words), "{text}");
        server.close();
    });
}
