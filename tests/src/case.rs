//! Situations that people have reported, made small: two hosts with a cable between them, and
//! programs in Python.

use std::time::Duration;

use crate::{
    diagnosis::Diagnosis,
    link::Link,
    netns::{Cable, Namespace, inside},
    peer::Peer,
    slowness::allowed,
    tracer::Tracer,
};

/// The addresses of the two hosts.
pub const SERVER: &str = "10.0.0.1";
/// The other one.
pub const CLIENT: &str = "10.0.0.2";

/// Who has started a trace waits no longer than this.
const SOON: Duration = Duration::from_secs(9);

/// What each program begins with: its name, and a way to wait for the end of the test, which
/// children that it has forked notice too. A line is written at once: two processes may speak.
const PRELUDE: &str = "
import os, socket, sys, threading, time
open('/proc/self/comm', 'w').write(sys.argv[1])
SERVER, CLIENT = '10.0.0.1', '10.0.0.2'
def say(*words): os.write(1, (' '.join(map(str, words)) + '\\n').encode())
def hold(): sys.stdin.read()
def listen(address, port, backlog=128, protocol=0, options=()):
    l = socket.socket(2, 1, protocol); l.setsockopt(1, 2, 1)
    for option in options: l.setsockopt(*option)
    l.bind((address, port)); l.listen(backlog); return l
";

/// Two hosts: the first one serves.
#[derive(Debug)]
pub struct Hosts {
    cable: Cable,
}

impl Hosts {
    /// A cable between two hosts.
    pub fn connected() -> Self {
        Self { cable: Cable::lay() }
    }

    /// Another way between them, 40 ms there and back, that can be cut.
    pub fn link(&self) -> Link {
        Link::lay(&self.cable.ends)
    }

    /// Does something on a host.
    pub fn on<T: Send>(&self, host: usize, work: impl FnOnce(&Namespace) -> T + Send) -> T {
        inside(&self.cable.ends[host].namespace(), work)
    }

    /// Starts a program on a host; returns with its first line.
    pub fn start(&self, host: usize, name: &str, code: &str) -> (Peer, String) {
        self.on(host, |_| python(name, code))
    }

    /// What is wrong on a host.
    pub fn diagnose(&self, host: usize, time: &str) -> Diagnosis {
        self.on(host, |namespace| Diagnosis::of(namespace, &["--for", time]))
    }

    /// The same as [`is_traced_soon`] on a host.
    pub fn is_traced_soon(&self, host: usize, code: &str) {
        self.on(host, |namespace| is_traced_soon(namespace, code));
    }

    /// A trace of a host.
    pub fn trace(&self, host: usize, options: &[&str]) -> Tracer {
        self.on(host, |namespace| Tracer::start(namespace, options))
    }
}

/// A trace of problems that begins now, with all that is wrong before it, names it within nine
/// seconds.
pub fn is_traced_soon(namespace: &Namespace, code: &str) {
    let time = format!("{}s", allowed(SOON).as_secs());
    let tracer = Tracer::start(namespace, &["--problems", "--duration", &time]);
    tracer.wait_for(code, |record| record.at("/finding/code") == code);
}

/// Starts a program in the calling thread's namespace; returns with its first line.
pub fn python(name: &str, code: &str) -> (Peer, String) {
    let mut peer = Peer::start("python3", "-c", &[&format!("{PRELUDE}{code}"), name]);
    let line = peer.answer();
    assert!(!line.is_empty(), "{name} has ended");
    (peer, line)
}
