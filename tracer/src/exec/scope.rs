//! Which sockets are a command's: those made in its control group or below, or held by a process
//! there. Where there is no such group, those whose owner descends from the command.

use std::{
    fs,
    os::fd::{BorrowedFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustix::net::{
    AddressFamily, SocketType,
    sockopt::{socket_domain, socket_type},
};
use tracer_wire::Program;

use tracer_event::{
    container::{Cgroup, PodName},
    enricher::Enricher,
    header::Degraded,
    process::{Parent, Process},
    stack::{Creator, Stack},
    subject::Subject,
};
use tracer_kernel::{enricher::Host, feature::Feature};

/// A control group for the command.
const GROUP: Feature = Feature {
    name: "control group of the command",
    lost: "its sockets are told by the processes that own them: those of processes that end before \
     anybody can look, and those of which no owner is known, are missing",
};
/// More processes and sockets than this are not remembered.
const REMEMBERED: usize = 1 << 16;

/// By what a command's sockets are known.
#[derive(Clone, Debug)]
pub enum Scope {
    /// By its control group.
    Group {
        /// Number of the group.
        id: u64,
        /// Its path in the hierarchy.
        path: String,
    },
    /// By its processes, for want of a group.
    Descent {
        /// Why there is no group.
        reason: String,
    },
}

impl Scope {
    /// What cannot be had without a group.
    pub fn degraded(&self) -> Option<Degraded> {
        match self {
            Self::Group { .. } => None,
            Self::Descent { reason } => Some(GROUP.missing(
                reason.clone(),
                "run as root where cgroup2 is mounted (mount -t cgroup2 cgroup2 /sys/fs/cgroup)",
            )),
        }
    }

    /// The group whose sockets alone the kernel is to report, 0 for all: what a descriptor that the
    /// command inherits leads to was made elsewhere, as were all that such a listener accepts.
    pub fn group_in_kernel(&self) -> u64 {
        match self {
            Self::Group { .. } if inherits_tcp() => {
                tracing::debug!("a TCP socket is inherited: all sockets are looked at");
                0
            }
            Self::Group { id, .. } => *id,
            Self::Descent { reason } => {
                tracing::debug!("no control group: {reason}");
                0
            }
        }
    }

    /// The host as the trace of the command sees it.
    pub fn of(self, host: Host) -> Scoped {
        Scoped { scope: self, host, known: Mutex::default() }
    }
}

/// A host of which only the sockets of a command count.
pub struct Scoped {
    scope: Scope,
    host: Host,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether a process descends from the command; its number and start.
    processes: HashMap<(u32, u64), bool, RandomState>,
    /// Cookies of sockets that belong to it, for those whose owner is not known at each event.
    sockets: HashMap<u64, (), RandomState>,
}

impl Scoped {
    fn has(&self, subject: &Subject) -> bool {
        match &self.scope {
            Scope::Group { id, path } => {
                // That of its owner counts for what a listener from outside has accepted.
                let made_in = || self.host.cgroup(&Subject { owner: None, ..*subject });
                let held_in = || self.host.cgroup(subject);
                let is_within =
                    |group: Option<Arc<Cgroup>>| group.is_some_and(|group| group.is_within(path));
                subject.cgroup == *id || is_within(made_in()) || is_within(held_in())
            }
            Scope::Descent { .. } => self.is_of_descendant(subject),
        }
    }

    fn is_of_descendant(&self, subject: &Subject) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = subject.cookie.is_some_and(|cookie| known.sockets.contains_key(&cookie));
        let is_it = is_known
            || subject.owner.is_some_and(|owner| self.descends(&mut known, &owner.process));
        if let Some(cookie) = subject.cookie.filter(|_| is_it && !is_known) {
            if known.sockets.len() >= REMEMBERED {
                known.sockets.clear();
            }
            known.sockets.insert(cookie, ());
        }
        is_it
    }

    /// Whether a process descends from the command: orphans become our own children.
    fn descends(&self, known: &mut Known, process: &Process) -> bool {
        let key = (process.pid, process.start_ns);
        if let Some(answer) = known.processes.get(&key) {
            return *answer;
        }
        let own = std::process::id();
        let parent = self.host.parent(process).map(|parent| parent.pid);
        let by_number = |pid| known.processes.iter().any(|(key, is_it)| *is_it && key.0 == pid);
        let answer = process.pid != own
            && parent.is_some_and(|pid| pid == own || by_number(pid) || has_ancestor(pid, own));
        if known.processes.len() >= REMEMBERED {
            known.processes.clear();
        }
        known.processes.insert(key, answer);
        answer
    }
}

/// Whether this process, and therefore the command, was given a TCP socket.
fn inherits_tcp() -> bool {
    let list = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut numbers = list.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.any(|fd: RawFd| {
        // SAFETY: only asked for an option; one that is closed meanwhile has none.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        socket_type(fd).is_ok_and(|kind| kind == SocketType::STREAM)
            && socket_domain(fd)
                .is_ok_and(|one| one == AddressFamily::INET || one == AddressFamily::INET6)
    })
}

/// Whether a process that is there descends from another.
fn has_ancestor(pid: u32, ancestor: u32) -> bool {
    let parent = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
    };
    std::iter::successors(Some(pid), parent).take_while(|pid| *pid > 1).any(|one| one == ancestor)
}

impl Enricher for Scoped {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        self.host.cgroup(subject)
    }

    fn executable(&self, process: &Process) -> Option<Arc<str>> {
        self.host.executable(process)
    }

    fn parent(&self, process: &Process) -> Option<Arc<Parent>> {
        self.host.parent(process)
    }

    fn pod_name(&self, uid: &str) -> Option<PodName> {
        self.host.pod_name(uid)
    }

    fn learn(&self, program: &Program) {
        self.host.learn(program);
    }

    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>> {
        self.host.stack(creator)
    }

    fn is_over(&self, group: &Cgroup) -> bool {
        self.host.is_over(group)
    }

    fn is_in_scope(&self, subject: Option<&Subject>) -> bool {
        // What is found of the host is of the host, whoever causes it.
        subject.is_some_and(|subject| self.has(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_found_by_proc() {
        let own = std::process::id();
        let parent =
            rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
        assert!(has_ancestor(own, own));
        assert!(parent.is_none_or(|parent| parent == 1 || has_ancestor(own, parent)));
        assert!(!has_ancestor(own, 4_194_305));
    }
}
