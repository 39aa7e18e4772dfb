//! Network namespaces that come and go while all are traced.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use tracer_tests::{
    clock::Moment,
    kernel,
    netns::{Namespace, Resident, inside, isolated, run},
    record::Record,
    slowness::allowed,
    sockets::{self, End, eventually, wait_for_end},
    tracer::Tracer,
};

/// The interface that leads out of a namespace; it disappears with the namespace at its peer.
const CABLE: &str = "cable0";

/// Traces all namespaces, but only the connections with a port: what others do is not wanted.
fn trace_all(port: u16) -> Tracer {
    let port = port.to_string();
    Tracer::launch("", &["--netns", "all", "--port", &port, "--linger", "time-wait=100ms"])
}

/// A port for the connections of one test.
fn own_port() -> u16 {
    sockets::free_port()
}

/// Both ends of a connection in the calling thread's namespace.
fn connect(port: u16) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let server = sockets::accept(&listener);
    (listener, client, server)
}

/// A client's end in TIME_WAIT, all that is left of a connection.
fn time_wait(port: u16) -> End {
    let (_listener, client, mut server) = connect(port);
    let end = End::of(&client);
    drop(client);
    wait_for_end(&mut server);
    drop(server);
    eventually("a TIME_WAIT", || kernel::states().get(&end.cookie) == Some(&"TIME_WAIT"));
    end
}

fn is_found_to_linger(tracer: &Tracer, end: &End) -> Record {
    tracer.wait_for(&format!("{end:?} lingering"), |record| {
        record.kind() == "linger" && end.is_told_by(record)
    })
}

/// A killed TIME_WAIT of the calling thread's namespace is found out.
fn is_looked_into(tracer: &Tracer, namespace: &Namespace, end: &End) {
    kernel::kill_time_wait(end);
    let told = tracer.wait_for_step(end, "TIME_WAIT", "CLOSED");
    assert_eq!(told.at("/tcp/source"), "snapshot", "{told}");
    assert_eq!(told.number("/socket/netns"), Some(namespace.inode), "{told}");
}

/// Traces what happens in the calling thread's namespace from its beginning.
fn is_traced_and_looked_into(tracer: &Tracer, namespace: &Namespace, port: u16) {
    let end = time_wait(port);
    for (from, to) in [("CLOSED", "SYN_SENT"), ("FIN_WAIT2", "TIME_WAIT")] {
        let told = tracer.wait_for_step(&end, from, to);
        assert_eq!(told.number("/socket/netns"), Some(namespace.inode), "{told}");
    }
    is_looked_into(tracer, namespace, &end);
}

#[test]
fn a_namespace_that_appears_later_is_traced_and_looked_into() {
    let port = own_port();
    let tracer = trace_all(port);
    isolated(|namespace| {
        let _resident = Resident::settle();
        is_traced_and_looked_into(&tracer, namespace, port);
    });
}

/// Nothing but an event tells that it must be looked for among the threads.
#[test]
fn a_namespace_in_which_only_a_thread_lives_is_found_through_its_events() {
    let port = own_port();
    let tracer = trace_all(port);
    // The first look asks who holds sockets, and where.
    thread::sleep(Duration::from_secs(1));
    isolated(|namespace| is_traced_and_looked_into(&tracer, namespace, port));
}

/// What was there before the tracer is found when something happens beside it.
#[test]
fn what_was_in_such_a_namespace_before_is_found_then() {
    let port = own_port();
    isolated(|namespace| {
        let early = time_wait(port);
        let began = Moment::now();
        let tracer = trace_all(port);
        thread::sleep(Duration::from_secs(1));
        let later = time_wait(port);
        is_found_to_linger(&tracer, &later);
        let found = is_found_to_linger(&tracer, &early);
        // Its age is known, for the kernel's timer tells it.
        let told = Duration::from_nanos(found.number("/tcp/age_ns").unwrap());
        let wrong = (found.moment() - told).since(began).unsigned_abs();
        let allowed = allowed(Duration::from_millis(250));
        assert!(Duration::from_nanos(wrong) < allowed, "{wrong} ns: {found}");
        is_looked_into(&tracer, namespace, &early);
    });
}

/// Whether the interface is there that leads to another namespace.
fn is_plugged() -> bool {
    // Of the calling thread's namespace: /sys/class/net is that of its mount.
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    devices.contains(CABLE)
}

fn plug(far: &str) {
    let far_end = ["peer", "name", CABLE, "netns", far];
    run("ip", &[&["link", "add", CABLE, "type", "veth"], &far_end[..]].concat());
    assert!(is_plugged());
}

/// A namespace with a name; it loses the name when dropped.
struct Named(String);

impl Named {
    fn new() -> Self {
        let name = format!("tests-{}", rustix::thread::gettid());
        run("ip", &["netns", "add", &name]);
        Self(name)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.0)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        run("ip", &["netns", "delete", &self.0]);
    }
}

#[test]
fn a_namespace_that_is_deleted_is_not_kept_alive() {
    let port = own_port();
    isolated(|_| {
        let tracer = trace_all(port);
        let named = Named::new();
        plug(&named.0);
        let end = inside(&named.path(), |_| {
            run("ip", &["link", "set", "lo", "up"]);
            time_wait(port)
        });
        is_found_to_linger(&tracer, &end);
        // Nobody lives there, but it has been looked into by its name.
        inside(&named.path(), |namespace| {
            let other = time_wait(port);
            is_looked_into(&tracer, namespace, &other);
        });
        let held = File::open(named.path()).unwrap();
        drop(named);
        thread::sleep(Duration::from_secs(1));
        assert!(is_plugged(), "an open file keeps a namespace alive");
        drop(held);
        eventually("the end of a deleted namespace", || !is_plugged());
        drop(tracer);
    });
}

#[test]
fn a_namespace_whose_last_process_ends_is_not_kept_alive() {
    let port = own_port();
    let (is_there, there) = mpsc::channel();
    let (is_plugged_in, plugged_in) = mpsc::channel();
    isolated(move |_| {
        let tracer = trace_all(port);
        let tracer = &tracer;
        thread::scope(|scope| {
            let inhabitant = scope.spawn(move || {
                isolated(move |namespace| {
                    let _resident = Resident::settle();
                    is_there.send(rustix::thread::gettid()).unwrap();
                    plugged_in.recv().unwrap();
                    let end = time_wait(port);
                    is_looked_into(tracer, namespace, &end);
                });
            });
            plug(&there.recv().unwrap().to_string());
            is_plugged_in.send(()).unwrap();
            inhabitant.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        eventually("the end of an abandoned namespace", || !is_plugged());
    });
}
