//! Hosts with nothing wrong: neither `tracer diagnose` nor the live trace says that anything is.
//!
//! Each for some seconds; `cargo xtask test -- --test false_alarms -- --ignored` watches all of them
//! for a minute, side by side.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tracer_tests::{
    case::python,
    diagnosis::Diagnosis,
    fault,
    netns::{Namespace, isolated},
    nginx::Nginx,
    postgres::Postgres,
    record::{Record, listing},
    sockets::{self, Pair, Path},
    tracer::Tracer,
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

const SHORT: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// What makes a host busy, or not: starts it and watches it for a time.
type Situation = fn(&Watch<'_>);

/// For how long, and where.
struct Watch<'a> {
    namespace: &'a Namespace,
    time: Duration,
}

impl Watch<'_> {
    /// Nothing is said of severity warning while what was started goes on, and what else happens.
    fn is_quiet(&self, meanwhile: impl FnOnce() + Send) {
        let tracer = Tracer::start(self.namespace, &[]);
        let time = format!("{}s", self.time.as_secs());
        let diagnosis = thread::scope(|scope| {
            let happens = scope.spawn(meanwhile);
            let diagnosis = Diagnosis::of(self.namespace, &["--for", &time]);
            happens.join().unwrap();
            diagnosis
        });
        let trace = tracer.finish();
        let warns = |record: &&Record| match record.kind() {
            "finding" => record.at("/finding/severity") != "info",
            kind => kind == "linger",
        };
        let warnings: Vec<&Record> =
            diagnosis.findings.iter().chain(&trace.records).filter(warns).collect();
        assert!(warnings.is_empty(), "false alarms: {}", listing(warnings));
        assert_eq!(diagnosis.status, 0);
        assert_eq!(diagnosis.summary.at("/healthy"), true);
    }
}

fn run(situation: Situation, time: Duration) {
    isolated(|namespace| situation(&Watch { namespace, time }));
}

const ALL: [Situation; 7] = [
    quiet_host,
    busy_nginx,
    health_checks,
    local_clients,
    download,
    rolling_restart,
    postgres_with_a_pool,
];

#[test]
fn a_quiet_host() {
    run(quiet_host, SHORT);
}

#[test]
fn a_busy_nginx_with_keep_alive() {
    run(busy_nginx, SHORT);
}

#[test]
fn the_checks_of_a_load_balancer() {
    run(health_checks, SHORT);
}

#[test]
fn clients_that_try_take_a_part_and_wait() {
    run(local_clients, SHORT);
}

#[test]
fn a_download_over_a_half_closed_connection() {
    run(download, SHORT);
}

#[test]
fn a_rolling_restart_that_drains() {
    run(rolling_restart, SHORT);
}

#[test]
fn postgresql_with_a_pool() {
    run(postgres_with_a_pool, SHORT);
}

#[test]
#[ignore = "takes more than a minute"]
fn all_of_them_for_a_minute() {
    thread::scope(|scope| {
        let threads = ALL.map(|situation| scope.spawn(move || run(situation, MINUTE)));
        let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!(failed, 0);
    });
}

fn quiet_host(watch: &Watch<'_>) {
    let _idle = [Path::V4, Path::V6, Path::DualStack].map(Pair::over);
    watch.is_quiet(|| {});
}

/// Clients that send requests over connections that they keep, some of which nginx or the client
/// closes in between, and a new connection now and then.
fn busy_nginx(watch: &Watch<'_>) {
    let files = TempDir::new().unwrap();
    let nginx = Nginx::start(files.path());
    let (_clients, _) = python(
        "clients",
        &format!(
            "
import http.client
def work(pause, requests):
    while True:
        c = http.client.HTTPConnection('127.0.0.1', {})
        for _ in range(requests):
            c.request('GET', '/'); c.getresponse().read(); time.sleep(pause)
        c.close()
for pause, requests in [(.002, 3000), (.01, 50), (.5, 100), (2, 100), (.05, 1)]:
    threading.Thread(target=work, args=(pause, requests), daemon=True).start()
say('requesting'); hold()",
            nginx.address.port()
        ),
    );
    watch.is_quiet(|| {});
}

/// By connect and RST, by connect and close, and by a request.
fn health_checks(watch: &Watch<'_>) {
    let (_server, port) = python(
        "server",
        "
l = listen('127.0.0.1', 0, 50); say(l.getsockname()[1])
def serve(c):
    try:
        if c.recv(100): c.sendall(b'ok')
    except OSError: pass
    c.close()
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()",
    );
    let (_balancer, _) = python(
        "balancer",
        &format!(
            "
say('checking')
while True:
    for how in ['reset', 'close', 'request']:
        s = socket.create_connection(('127.0.0.1', {port}))
        if how == 'reset': s.setsockopt(1, 13, b'\\1\\0\\0\\0\\0\\0\\0\\0')
        if how == 'request': s.sendall(b'?'); s.recv(10)
        s.close()
    time.sleep(.1)"
        ),
    );
    watch.is_quiet(|| {});
}

/// Clients of `localhost` try both its addresses, of which the server listens on one; some want no
/// more than the beginning of an answer, some say that they have asked all and wait. Each SYN is
/// answered with a cookie.
fn local_clients(watch: &Watch<'_>) {
    watch.namespace.set("net/ipv4/tcp_syncookies", "2");
    let (_server, port) = python(
        "server",
        "
l = listen('127.0.0.1', 0, 50); say(l.getsockname()[1])
def serve(c):
    try:
        if c.recv(100) == b'slow': time.sleep(6)
        c.sendall(bytes(65536))
    except OSError: pass
    c.close()
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()",
    );
    let (_clients, _) = python(
        "clients",
        &format!(
            "
say('asking')
def ask(what):
    try: socket.create_connection(('::1', {port}))
    except OSError: s = socket.create_connection(('127.0.0.1', {port}))
    s.sendall(what)
    if what == b'slow': s.shutdown(1)
    while s.recv(12) and what != b'part': pass
    s.close()
def work(what):
    while True: ask(what); time.sleep(.2)
for what in [b'whole', b'part'] + [b'slow'] * 4:
    threading.Thread(target=work, args=(what,), daemon=True).start()
hold()"
        ),
    );
    watch.is_quiet(|| {});
}

fn download(watch: &Watch<'_>) {
    let (mut server, address) = fault::server(FAULT, "archive", &["download"]);
    let client = TcpStream::connect(address).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.answer(), "sending");
    let reading = thread::spawn({
        let mut client = client.try_clone().unwrap();
        move || sockets::wait_for_end(&mut client)
    });
    watch.is_quiet(|| {});
    server.close();
    reading.join().unwrap();
}

/// A master keeps the listener. Each second a worker is replaced by a new one, and ends when it has
/// answered whom it has accepted. Its clients connect again when they are told that it closes.
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn rolling_restart(watch: &Watch<'_>) {
    let (_master, port) = python(
        "master",
        "
import signal
l = listen('127.0.0.1', 0, 50); l.setblocking(False); say(l.getsockname()[1])
def serve(c, ending):
    while c.recv(100):
        last = ending.is_set()
        c.sendall(b'last' if last else b'more')
        if last: break
    c.close()
def work():
    import select
    ending, threads = threading.Event(), []
    signal.signal(15, lambda *_: ending.set())
    # Whoever is killed does not end its workers.
    while not ending.is_set() and os.getppid() == master:
        if not select.select([l], [], [], .05)[0]: continue
        try: c, _ = l.accept()
        except BlockingIOError: continue
        c.setblocking(True); threads.append(threading.Thread(target=serve, args=(c, ending))); threads[-1].start()
    l.close()
    for thread in threads: thread.join()
    os._exit(0)
def worker():
    pid = os.fork()
    if pid == 0: work()
    return pid
master = os.getpid()
workers = [worker(), worker()]
threading.Thread(target=lambda: (hold(), os._exit(0)), daemon=True).start()
while True:
    time.sleep(1); old = workers.pop(0); workers.append(worker()); os.kill(old, 15); os.waitpid(old, 0)",
    );
    let (_clients, _) = python(
        "clients",
        &format!(
            "
def work():
    while True:
        s = socket.create_connection(('127.0.0.1', {port}))
        while True:
            s.sendall(b'?')
            if s.recv(10) != b'more': break
            time.sleep(.02)
        s.recv(10); s.close()
for _ in range(8): threading.Thread(target=work, daemon=True).start()
say('requesting'); hold()"
        ),
    );
    watch.is_quiet(|| {});
}

/// Each connection is a process's of its own, forked by the one that has accepted it.
fn postgres_with_a_pool(watch: &Watch<'_>) {
    let files = TempDir::new().unwrap();
    let postgres = Postgres::start(files.path());
    let time = (watch.time.as_secs() + 3).to_string();
    watch.is_quiet(|| {
        postgres.bench(&["--client", "8", "--rate", "40", "--no-vacuum", "--time", &time]);
    });
}
