//! An owner that cannot run is said to be so, and how to let it go on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    cgroup::Freezer,
    diagnosis::Diagnosis,
    fault::{come_and_go, descriptors, server},
    netns::isolated,
    peer::Peer,
    sockets::eventually,
};

/// A server that has accepted two connections that its clients have closed.
fn hoarder() -> Peer {
    let (server, address) = server(env!("CARGO_BIN_EXE_fault"), "hoarder", &["keep"]);
    come_and_go(address, 2);
    eventually("accepted", || descriptors("hoarder").len() == 2);
    server
}

#[test]
fn a_stopped_owner_is_said_to_be_stopped() {
    isolated(|namespace| {
        let server = hoarder();
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let diagnosis = Diagnosis::of(namespace, &[]);
        kill_process(pid, Signal::CONT).unwrap();
        assert_eq!(diagnosis.evidence("close_wait_leak")["cause"], "owner_stopped");
        let remedies = diagnosis.only("close_wait_leak").at("/finding/remedies").clone();
        assert_eq!(remedies[0]["command"], format!("kill -CONT {}", server.pid()));
        server.close();
    });
}

#[test]
fn a_frozen_owner_is_said_to_be_frozen() {
    isolated(|namespace| {
        let server = hoarder();
        Freezer::each(server.pid(), |_| {
            let diagnosis = Diagnosis::of(namespace, &[]);
            assert_eq!(diagnosis.evidence("close_wait_leak")["cause"], "owner_frozen");
        });
        server.close();
    });
}

#[test]
fn an_owner_in_a_debugger_is_said_to_be_traced() {
    isolated(|namespace| {
        let server = hoarder();
        let traced = Traced::attach(server.pid());
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!(diagnosis.evidence("close_wait_leak")["cause"], "owner_traced");
        drop(traced);
        server.close();
    });
}

/// A process that the calling thread debugs.
struct Traced(libc::pid_t);

impl Traced {
    fn attach(pid: u64) -> Self {
        let pid = libc::pid_t::try_from(pid).unwrap();
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: requests that take no data.
        let attached = unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, nothing, nothing) };
        assert_eq!(attached, 0, "ptrace: {}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: a pointer to an integer.
        let stopped = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        assert!(stopped == pid && libc::WIFSTOPPED(status), "{stopped} {status:x}");
        Self(pid)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: a request that takes no data.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, nothing, nothing) };
    }
}
