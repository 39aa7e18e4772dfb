//! Network namespaces that the tests' traffic stays in.

use std::{
    fs::{self, File},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    panic,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tracer_lab::namespace;

use crate::{leashed::Leashed, slowness::allowed};

/// The namespace of the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its inode number, by which the kernel and the tracer name it.
    pub inode: u64,
    /// The option by which the tracer looks at it alone; never freed, as there are few.
    pub netns: &'static str,
}

impl Namespace {
    fn of_this_thread() -> Self {
        let metadata = fs::metadata("/proc/thread-self/ns/net")
            .expect("live tests need /proc with network namespaces");
        let inode = metadata.ino();
        Self { inode, netns: format!("--netns={inode}").leak() }
    }

    /// Sets a parameter of this namespace: `write("net/ipv4/ip_local_port_range", "1 2")`.
    ///
    /// To be called in the namespace: `/proc/sys/net` shows the one of the task that looks.
    pub fn set(&self, parameter: &str, value: &str) {
        assert_eq!(*self, Self::of_this_thread(), "called from another namespace");
        let path = format!("/proc/sys/{parameter}");
        fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Lets a segment without data pass `lo` every 20 ms, in the order of sending: a token bucket
    /// that one segment empties. What is sent then is on its way for at least as long.
    pub fn slow_down(&self) {
        assert_eq!(*self, Self::of_this_thread(), "called from another namespace");
        let bucket = ["tbf", "rate", "32kbit", "burst", "160", "latency", "5s"];
        run("tc", &[&["qdisc", "add", "dev", "lo", "root"], &bucket[..]].concat());
    }
}

/// Runs a test in a thread with a network namespace of its own, in which `lo` is up.
///
/// Threads and processes that the test starts are in that namespace too.
pub fn isolated<T: Send>(test: impl FnOnce(&Namespace) -> T + Send) -> T {
    apart(|| {
        enter_new();
        test(&Namespace::of_this_thread())
    })
}

/// Does something in a thread that is in the namespace to which a file leads.
pub fn inside<T: Send>(namespace: &Path, work: impl FnOnce(&Namespace) -> T + Send) -> T {
    apart(|| {
        let file = File::open(namespace).expect("a namespace");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("live tests need root");
        // An open file would keep the namespace alive.
        drop(file);
        work(&Namespace::of_this_thread())
    })
}

/// Does something in a thread of its own, with the name of the calling one.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let name = thread::current().name().unwrap_or("test").to_owned();
    let result = thread::scope(|scope| {
        let thread = thread::Builder::new().name(name).spawn_scoped(scope, work);
        thread.expect("a thread").join()
    });
    result.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

fn enter_new() {
    namespace::enter().unwrap_or_else(|error| panic!("live tests need root: {error}"));
}

/// A process that lives in a namespace.
#[derive(Debug)]
pub struct Resident(Leashed);

impl Resident {
    /// A process in the calling thread's namespace that does nothing.
    pub fn settle() -> Self {
        let mut idle = Command::new("sleep");
        idle.arg("600").stdin(Stdio::null());
        Self(Leashed::start(&mut idle))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The file that leads to its namespace, for [`inside`].
    pub fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid()).into()
    }
}

/// Two namespaces with a cable between them, 10.0.0.1 and 10.0.0.2 in all of them.
#[derive(Debug)]
pub struct Cable {
    /// Who keeps each of the namespaces.
    pub ends: [Resident; 2],
}

impl Cable {
    /// Lays one.
    pub fn lay() -> Self {
        let cable = Self { ends: [(); 2].map(|()| isolated(|_| Resident::settle())) };
        cable.add("cable", ["10.0.0.1/24", "10.0.0.2/24"]);
        cable
    }

    /// Lays another one between the same namespaces, of that name at both ends.
    pub fn add(&self, name: &str, addresses: [&str; 2]) {
        let [near, far] = &self.ends;
        let other = far.pid().to_string();
        inside(&near.namespace(), |_| {
            let cable = ["link", "add", name, "type", "veth", "peer", "name", name];
            run("ip", &[&cable[..], &["netns", &other]].concat());
        });
        for (end, address) in self.ends.iter().zip(addresses) {
            inside(&end.namespace(), |_| {
                run("ip", &["link", "set", name, "up"]);
                assign(address, name);
            });
        }
    }
}

/// How many processes are in a network namespace.
pub fn inhabitants(namespace: u64) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let is_there = |process: &fs::DirEntry| {
        fs::metadata(process.path().join("ns/net")).is_ok_and(|link| link.ino() == namespace)
    };
    processes.filter(is_there).count()
}

/// Gives an address, with the length of its prefix, to a device that is up.
///
/// Returns when it can be used: the route to an IPv6 address of this host is made by a worker of the
/// kernel, and on a busy machine 2 of 150 who connected before failed with ENETUNREACH.
pub fn assign(address: &str, device: &str) {
    if !address.contains(':') {
        return run("ip", &["address", "add", address, "dev", device]);
    }
    run("ip", &["address", "add", address, "dev", device, "nodad"]);
    let host = address.split('/').next().unwrap_or(address);
    let local = ["-6", "route", "show", "table", "local", "dev", device, host];
    let deadline = Instant::now() + allowed(Duration::from_secs(20));
    while output("ip", &local).is_empty() {
        assert!(Instant::now() < deadline, "no route to {address} of {device}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a command in the calling thread's namespace.
pub fn run(program: &str, arguments: &[&str]) {
    output(program, arguments);
}

/// What it writes.
fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("live tests need the command {program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {errors}", output.status);
    output.stdout
}
