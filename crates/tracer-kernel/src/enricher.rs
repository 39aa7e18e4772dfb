//! Containers and programs of this host, from cgroup2 and procfs.
//!
//! The kernel names a socket's control group by a number, which cgroup2 itself leads to a path.
//! Where that hierarchy is not in use (cgroup v1), the owner's `/proc/PID/cgroup` has it.

mod programs;

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracer_wire::Program;

use self::programs::Programs;
use super::{
    bounded::Bounded,
    cgroup::{Hierarchy, group, of_process, owner_in},
    feature, mounts,
    pods::Pods,
    process::{self, ProcessKey, is_same, key},
    stacks::Resolved,
};
use tracer_event::{
    container::{Cgroup, PodName},
    enricher::Enricher,
    escape::escape,
    header::Degraded,
    process::{Parent, Process},
    stack::{Creator, Stack, Stacks as _},
    update::{Role, Subject},
};

/// Answers of each kind that are remembered.
const REMEMBERED: usize = 1 << 14;

/// What was found out about a process; `None` where nothing was.
type Answers<T> = Bounded<ProcessKey, Option<Arc<T>>, REMEMBERED>;

/// Looks things up on this host.
pub struct Host {
    hierarchy: Option<Hierarchy>,
    /// Version 1 hierarchies are in use beside or instead of cgroup2.
    has_v1: bool,
    known: Mutex<Known>,
    stacks: Arc<Resolved>,
}

#[derive(Default)]
struct Known {
    by_id: Bounded<u64, Arc<Cgroup>, REMEMBERED>,
    by_process: Answers<Cgroup>,
    executables: Answers<str>,
    parents: Answers<Parent>,
    reported: Programs,
    pods: Option<Pods>,
}

impl Known {
    fn pod_name(&mut self, uid: &str) -> Option<PodName> {
        self.pods.as_mut()?.name(uid)
    }
}

impl Host {
    /// Finds out what can be looked up here, and what cannot; `pods` are those whose names are known, with
    /// what is missing of these.
    pub fn look(pods: Option<(Pods, Option<Degraded>)>) -> (Self, Vec<Degraded>) {
        let mounts = mounts::read();
        let has_v1 = mounts::parse(&mounts).any(|mount| mount.kind == b"cgroup");
        let (hierarchy, degraded) = match Hierarchy::open(&mounts) {
            Ok(hierarchy) => {
                let reason = "only the control groups of a cgroup namespace are mounted";
                let remedy = "mount the /sys/fs/cgroup of the host";
                let is_part = hierarchy.is_part();
                (Some(hierarchy), is_part.then(|| feature::CONTAINERS.missing(reason, remedy)))
            }
            Err(_) if fs::metadata("/proc/self/cgroup").is_ok() => (None, None),
            Err(error) => {
                let remedy = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
                (None, Some(feature::CONTAINERS.missing(error.to_string(), remedy)))
            }
        };
        let (pods, unnamed) = pods.unzip();
        let known = Mutex::new(Known { pods, ..Known::default() });
        let degraded = degraded.into_iter().chain(unnamed.flatten()).collect();
        (Self { hierarchy, has_v1, known, stacks: Arc::default() }, degraded)
    }

    /// The stacks that have been looked up, and where to put more.
    pub fn stacks(&self) -> Arc<Resolved> {
        Arc::clone(&self.stacks)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the socket's own control group.
    fn by_id(&self, id: u64, known: &mut Known) -> Option<Arc<Cgroup>> {
        let hierarchy = self.hierarchy.as_ref().filter(|_| id != 0)?;
        if known.by_id.get(&id).is_none() {
            // One that is not found now may be found later.
            let path = hierarchy.path(id)?;
            let owner = |depth| hierarchy.owner(&path, depth);
            let group = group(path.as_os_str().as_encoded_bytes(), owner);
            let group = group.named(|uid| known.pod_name(uid));
            known.by_id.insert(id, Arc::new(group));
        }
        known.by_id.get(&id).cloned()
    }
}

impl Enricher for Host {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        let known = &mut *self.known();
        let own = self.by_id(subject.cgroup, known);
        // An accepted socket is in the group in which its listener was created (sk_clone_lock): with
        // socket activation, in systemd's.
        let created_by_owner = subject.role == Some(Role::Client);
        let is_known = own.as_ref().is_some_and(|own| {
            own.container.is_some() || created_by_owner && (!self.has_v1 || &*own.path != "/")
        });
        let Some(owner) = subject.owner.filter(|_| !is_known) else { return own };
        let Known { by_process, pods, .. } = known;
        let of_owner = look_up(by_process, &owner.process, |pid| {
            let lines = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
            let group = of_process(&lines, owner_in)?;
            Some(Arc::new(group.named(|uid| pods.as_mut()?.name(uid))))
        });
        of_owner.or(own)
    }

    fn executable(&self, process: &Process) -> Option<Arc<str>> {
        let known = &mut *self.known();
        let found = look_up(&mut known.executables, process, |pid| {
            let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            Some(escape(path.as_os_str().as_encoded_bytes()).into())
        });
        found.or_else(|| known.reported.executable(key(process)))
    }

    fn parent(&self, process: &Process) -> Option<Arc<Parent>> {
        let known = &mut *self.known();
        // When it acted it had the parent that started it, unless that was gone before.
        known.reported.parent(key(process)).or_else(|| {
            look_up(&mut known.parents, process, |pid| process::parent(pid).map(Arc::new))
        })
    }

    fn pod_name(&self, uid: &str) -> Option<PodName> {
        self.known().pod_name(uid)
    }

    fn learn(&self, program: &Program) {
        let mut known = self.known();
        // The process is the same after execve(), and its program another.
        known.executables.remove(&(program.pid, program.start_ns));
        known.reported.learn(program);
    }

    fn is_over(&self, group: &Cgroup) -> bool {
        let is_empty = |hierarchy: &Hierarchy| {
            // One that is gone is empty, unless its path is one of version 1.
            hierarchy.is_empty(group.whole()).unwrap_or(!self.has_v1)
        };
        self.hierarchy.as_ref().is_some_and(is_empty)
    }

    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>> {
        self.stacks.stack(creator)
    }
}

/// What `find` finds out about a process by its pid, asked once and while the process is there.
fn look_up<T: ?Sized>(
    answers: &mut Answers<T>,
    process: &Process,
    find: impl FnOnce(u32) -> Option<Arc<T>>,
) -> Option<Arc<T>> {
    let answer = || is_same(process).then(|| find(process.pid)).flatten();
    answers.get_or_insert_with(key(process), answer).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{NANOSECONDS_PER_TICK, Stat};

    #[test]
    fn our_own_program_is_found_and_not_that_of_another_start() {
        let pid = std::process::id();
        let start_ns = Stat::of(pid).unwrap().start_ticks * NANOSECONDS_PER_TICK + 1;
        let process = Process { pid, comm: [0; 16], start_ns };
        let (host, _) = Host::look(None);
        let own = std::env::current_exe().unwrap();
        assert_eq!(host.executable(&process).as_deref(), own.to_str());
        let reused = Process { start_ns: start_ns + NANOSECONDS_PER_TICK, ..process };
        assert_eq!(host.executable(&reused), None);
        let unknown = Process { start_ns: 0, ..process };
        assert_eq!(host.executable(&unknown), None);
    }
}
