//! `tracer daemon`: the configuration file, and what the service manager is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tracer_tests::{
    files::set_mode,
    held::Held,
    netns::{Namespace, isolated},
    receiver::fetch,
    slowness::allowed,
    sockets::{self, Path as Over},
    tracer::{PATIENCE, command, read_all, wait},
};

/// A directory with a configuration, and the socket of a service manager.
struct Service {
    directory: TempDir,
    manager: UnixDatagram,
}

impl Service {
    fn new(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(allowed(PATIENCE))).unwrap();
        let service = Self { directory, manager };
        service.configure(configuration);
        service
    }

    /// Of a namespace, with the file it writes.
    fn of(namespace: &Namespace) -> (Self, PathBuf) {
        let service = Self::new("");
        let (inode, file) = (namespace.inode, service.path("out.json"));
        let output = file.display();
        service.configure(&format!("netns = {inode}\nformat = \"json\"\noutput = \"{output}\"\n"));
        (service, file)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, configuration: &str) {
        // At once, as an editor does: it may be read at any time.
        fs::write(self.path("new.toml"), configuration).unwrap();
        set_mode(&self.path("new.toml"), 0o644);
        fs::rename(self.path("new.toml"), self.path("t.toml")).unwrap();
    }

    fn start(&self) -> Child {
        let configuration = self.path("t.toml");
        command("", &["daemon", "--config", configuration.to_str().unwrap()])
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", "400000")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until a signal must have been taken in: several times the watchdog's interval.
    fn outlast_a_signal(&self) {
        for _ in 0..8 {
            self.wait_for("WATCHDOG=1");
        }
    }

    /// Waits until the manager is told this; what it was told before that.
    fn wait_for(&self, word: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let mut buffer = [0; 512];
            let length = self.manager.recv(&mut buffer).unwrap_or_else(|error| {
                panic!("{error}: {word} is not told, only {told:?}");
            });
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if text.lines().any(|line| line == word) {
                return told;
            }
            told.push(text);
        }
    }
}

fn end(mut child: Child) -> String {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let errors = read_all(child.stderr.take().unwrap());
    let status = wait(&mut child);
    let errors = errors.join().unwrap();
    assert!(status.success(), "{status}: {errors}");
    errors
}

fn kinds(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let kind = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["kind"].as_str().unwrap().to_owned()
    };
    text.lines().map(kind).collect()
}

#[test]
fn the_service_manager_hears_of_begin_life_and_end() {
    isolated(|namespace| {
        let service = Service::new("");
        let output = service.path("out.json");
        let (inode, file) = (namespace.inode, output.display());
        service.configure(&format!(
            "netns = {inode}\nformat = \"json\"\noutput = \"{file}\"\n[linger]\nclose-wait = \"5s\"\n"
        ));
        let daemon = service.start();
        service.wait_for("READY=1");
        // Of an idle host as well.
        for _ in 0..3 {
            service.wait_for("WATCHDOG=1");
        }
        let listener = sockets::listen(Over::V4);
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let errors = end(daemon);
        service.wait_for("STOPPING=1");
        let kinds = kinds(&output);
        assert_eq!(kinds.first().map(String::as_str), Some("hello"), "{errors}");
        assert_eq!(kinds.last().map(String::as_str), Some("summary"), "{errors}");
        assert!(kinds.iter().any(|kind| kind == "transition"), "{kinds:?}");
    });
}

/// Waits until the manager hears nothing of life for a time in which it otherwise hears it often.
fn goes_silent(service: &Service) {
    service.manager.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let until = Instant::now() + allowed(Duration::from_secs(60));
    let mut buffer = [0; 512];
    while service.manager.recv(&mut buffer).is_ok() {
        assert!(Instant::now() < until, "the watchdog is fed");
    }
    service.manager.set_read_timeout(Some(allowed(PATIENCE))).unwrap();
}

#[test]
fn a_thread_that_hangs_starves_the_watchdog_until_it_goes_on() {
    isolated(|namespace| {
        let (service, file) = Service::of(namespace);
        let daemon = service.start();
        service.wait_for("READY=1");
        let held = Held::stop(daemon.id(), "tracer-snapshot");
        // Something to look for.
        drop(sockets::Pair::over(Over::V4));
        goes_silent(&service);
        drop(held);
        service.outlast_a_signal();
        let errors = end(daemon);
        assert!(errors.contains("tracer-snapshot has not answered for"), "{errors}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.lines().last().unwrap().contains("\"complete\":true"), "{text}");
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_thread_that_has_died_is_no_complete_trace_and_status_2() {
    for name in ["tracer-snapshot", "tracer-output", "tracer-reader"] {
        isolated(|namespace| {
            let (service, file) = Service::of(namespace);
            let mut daemon = service.start();
            service.wait_for("READY=1");
            service.wait_for("WATCHDOG=1");
            Held::stop(daemon.id(), name).vanish(daemon.id());
            goes_silent(&service);
            kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
            let errors = read_all(daemon.stderr.take().unwrap());
            let code = wait(&mut daemon).code();
            let errors = errors.join().unwrap();
            assert_eq!(code, Some(2), "{name}: {errors}");
            assert!(errors.contains(&format!("{name} has died")), "{errors}");
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("\"complete\":true"), "{name}: {text}");
            let is_told = text.contains("\"complete\":false");
            assert!(is_told || name != "tracer-snapshot", "{text}");
        });
    }
}

fn is_whole(file: &Path) {
    let kinds = kinds(file);
    assert_eq!(kinds.first().map(String::as_str), Some("hello"), "{}", file.display());
    assert_eq!(kinds.last().map(String::as_str), Some("summary"), "{}", file.display());
}

const REFUSED: [&str; 5] = [
    "(--config): No such file or directory\n",
    "t.toml:4: port: invalid value '0'",
    "t.toml: --buffer-size 3.0 MiB",
    "others can write it (mode 0666)",
    "nobody answers at unix:///nowhere/log",
];

#[test]
fn sighup_reads_the_configuration_again() {
    isolated(|namespace| {
        let service = Service::new("");
        let (first, second) = (service.path("first.json"), service.path("second.json"));
        let configure = |file: &Path, more: &str| {
            let (inode, file) = (namespace.inode, file.display());
            service.configure(&format!(
                "netns = {inode}\nformat = \"json\"\noutput = \"{file}\"\n{more}"
            ));
        };
        configure(&first, "");
        let daemon = service.start();
        service.wait_for("READY=1");
        let hangup = || kill_process(Pid::from_child(&daemon), Signal::HUP).unwrap();
        // Nothing is changed by one that is not valid, of which no trace can be made, or that others
        // can write.
        for (more, mode) in
            [("port = 0\n", 0o644), ("buffer-size = \"3MiB\"\n", 0o644), ("", 0o666)]
        {
            configure(&second, more);
            set_mode(&service.path("t.toml"), mode);
            hangup();
            service.outlast_a_signal();
        }
        fs::remove_file(service.path("t.toml")).unwrap();
        hangup();
        service.outlast_a_signal();
        assert!(!second.exists());
        // What shows only when it is opened has the trace begin anew as it was.
        configure(&second, "syslog = \"unix:///nowhere/log\"\n");
        hangup();
        service.wait_for("READY=1");
        assert_eq!(fs::read_to_string(&second).unwrap(), "");
        configure(&second, "");
        hangup();
        let told = service.wait_for("READY=1");
        assert!(!told.iter().any(|told| told.contains("STOPPING")), "{told:?}");
        let errors = end(daemon);
        REFUSED.iter().for_each(|said| assert!(errors.contains(said), "{said}: {errors}"));
        is_whole(&first);
        is_whole(&second);
    });
}

/// docs/service.md, docs/fleet.md and docs/metrics.md say so.
#[test]
fn another_configuration_is_another_trace_whose_metrics_begin_at_zero() {
    let port = sockets::free_port();
    isolated(|namespace| {
        let (service, inode) = (Service::new(""), namespace.inode);
        let configure = |more: &str| {
            let address = format!("127.0.0.1:{port}");
            service.configure(&format!("netns = {inode}\nprometheus = \"{address}\"\n{more}"));
        };
        configure("");
        let daemon = service.start();
        service.wait_for("READY=1");
        let metrics = || fetch(&format!("http://127.0.0.1:{port}/metrics"), &[]).unwrap();
        let value = |name: &str| {
            let text = metrics();
            let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
            lines.map(|(_, number)| number.parse::<f64>().unwrap()).sum::<f64>()
        };
        drop(sockets::Pair::over(Over::V4));
        sockets::eventually("it is counted", || value("tracer_closes_total") > 1.0);
        let started = value("process_start_time_seconds");
        configure("sample = 2\n");
        kill_process(Pid::from_child(&daemon), Signal::HUP).unwrap();
        service.wait_for("READY=1");
        assert!(value("tracer_closes_total").abs() < 0.5, "{}", metrics());
        assert!((value("process_start_time_seconds") - started).abs() < 0.5);
        end(daemon);
    });
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_line() {
    let service = Service::new("format = \"json\"\nport = \"0\"\n");
    let mut daemon = service.start();
    let errors = read_all(daemon.stderr.take().unwrap());
    assert_eq!(wait(&mut daemon).code(), Some(2));
    let errors = errors.join().unwrap();
    assert!(errors.contains("t.toml:2: port: invalid value '0'"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
