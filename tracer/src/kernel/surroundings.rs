//! Containers and programs of this host, from cgroup2 and procfs.
//!
//! The kernel names a socket's control group by a number, which cgroup2 itself leads to a path.
//! Where that hierarchy is not in use (cgroup v1), the owner's `/proc/PID/cgroup` tells.

mod programs;

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_ebpf::Program;

use self::programs::{Programs, parent_of};
use super::{
    cgroup::{Hierarchy, owner_in},
    feature, mounts,
    stacks::Resolved,
    time,
};
use crate::{
    event::{enricher::Surroundings, escape::escape, header::Degraded},
    model::{
        container::Cgroup,
        owner::{Parent, Process},
        stack::{Maker, Stack, Stacks as _},
        update::{Role, Subject},
    },
};

/// More answers than this are not remembered: starting over costs little.
const REMEMBERED: usize = 1 << 14;

type Answers<K, T> = HashMap<K, Option<Arc<T>>, RandomState>;
/// A process and not the next one with its pid.
type ProcessKey = (u32, u64);

/// Looks things up on this host.
pub struct Host {
    hierarchy: Option<Hierarchy>,
    /// Other hierarchies are in use beside or instead of cgroup2.
    has_v1: bool,
    answers: Mutex<Known>,
    stacks: Arc<Resolved>,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<u64, Arc<Cgroup>, RandomState>,
    by_process: Answers<ProcessKey, Cgroup>,
    executables: Answers<ProcessKey, str>,
    parents: Answers<ProcessKey, Parent>,
    told: Programs,
}

impl Host {
    /// Finds out what there is to ask; what is missing comes with it.
    pub fn look() -> (Self, Option<Degraded>) {
        let mounts = mounts::read();
        let hierarchy = Hierarchy::open(&mounts);
        let (reason, knows) = match (&hierarchy, fs::metadata("/proc/self/cgroup")) {
            (Ok(_), _) | (_, Ok(_)) => (String::new(), true),
            (Err(error), Err(_)) => (error.to_string(), false),
        };
        let has_v1 = mounts::parse(&mounts).any(|mount| mount.kind == b"cgroup");
        let hierarchy = hierarchy.ok();
        let host = Self { hierarchy, has_v1, answers: Mutex::default(), stacks: Arc::default() };
        let remedy = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
        let degraded = (!knows).then(|| feature::CONTAINERS.missing(reason, remedy));
        (host, degraded)
    }

    /// The stacks that have been looked up, and where to put more.
    pub fn stacks(&self) -> Arc<Resolved> {
        Arc::clone(&self.stacks)
    }

    /// By the socket's own control group.
    fn by_id(&self, id: u64, known: &mut Known) -> Option<Arc<Cgroup>> {
        let hierarchy = self.hierarchy.as_ref().filter(|_| id != 0)?;
        if let Some(group) = known.by_id.get(&id) {
            return Some(Arc::clone(group));
        }
        let path = hierarchy.path(id)?;
        let owner = |depth| hierarchy.owner(&path, depth);
        let group = Arc::new(group(path.as_os_str().as_encoded_bytes(), owner));
        if known.by_id.len() >= REMEMBERED {
            known.by_id.clear();
        }
        known.by_id.insert(id, Arc::clone(&group));
        Some(group)
    }
}

impl Surroundings for Host {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.by_id(subject.cgroup, &mut known);
        // What a listener has accepted is in the group in which that was made (sk_clone_lock): with
        // socket activation, in systemd's.
        let made_by_owner = subject.role == Some(Role::Client);
        let is_known = own.as_ref().is_some_and(|own| {
            own.container.is_some() || made_by_owner && (!self.has_v1 || &*own.path != "/")
        });
        let Some(owner) = subject.owner.filter(|_| !is_known) else { return own };
        let Process { pid, start_ns, .. } = owner.process;
        remember(&mut known.by_process, (pid, start_ns), || {
            is_same(&owner.process).then_some(())?;
            let lines = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
            Some(Arc::new(of_process(&lines, owner_in)?))
        })
        .or(own)
    }

    fn executable(&self, process: &Process) -> Option<Arc<str>> {
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (process.pid, process.start_ns);
        let found = remember(&mut known.executables, key, || {
            is_same(process).then_some(())?;
            let path = fs::read_link(format!("/proc/{}/exe", process.pid)).ok()?;
            Some(escape(path.as_os_str().as_encoded_bytes()).into())
        });
        found.or_else(|| known.told.executable(key))
    }

    fn parent(&self, process: &Process) -> Option<Arc<Parent>> {
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (process.pid, process.start_ns);
        // When it acted it had the parent that started it, unless that was gone before.
        known.told.parent(key).or_else(|| {
            remember(&mut known.parents, key, || {
                is_same(process).then_some(())?;
                parent_of(process.pid).map(Arc::new)
            })
        })
    }

    fn learn(&self, program: &Program) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).told.learn(program);
    }

    fn stack(&self, maker: &Maker) -> Option<Arc<Stack>> {
        self.stacks.stack(maker)
    }
}

fn remember<K: std::hash::Hash + Eq, T: ?Sized>(
    answers: &mut Answers<K, T>,
    key: K,
    look_up: impl FnOnce() -> Option<Arc<T>>,
) -> Option<Arc<T>> {
    if let Some(answer) = answers.get(&key) {
        return answer.clone();
    }
    if answers.len() >= REMEMBERED {
        answers.clear();
    }
    answers.entry(key).or_insert(look_up()).clone()
}

/// The container is told from the path as it is, where systemd has escapes of its own.
pub(super) fn group(path: &[u8], owner: impl Fn(usize) -> Option<u32>) -> Cgroup {
    let Cgroup { path: _, container } = Cgroup::of(&String::from_utf8_lossy(path), owner);
    let container = container.map(|name| escape(name.as_bytes()).into());
    Cgroup { path: escape(path).into(), container }
}

/// The control group of a process from its `/proc/PID/cgroup`: the line that names a container,
/// else that of cgroup2. `owner` is asked whose a group's directory is ([`owner_in`]).
pub(crate) fn of_process(
    lines: &[u8],
    owner: impl Fn(&[u8], &Path, usize) -> Option<u32>,
) -> Option<Cgroup> {
    let line = |line| {
        let mut fields = <[u8]>::splitn(line, 3, |&byte| byte == b':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let of = |depth| owner(controllers, Path::new(OsStr::from_bytes(path)), depth);
        Some(group(path, of))
    };
    let mut groups: Vec<Cgroup> = lines.split(|&byte| byte == b'\n').filter_map(line).collect();
    // cgroup2 comes last.
    groups.reverse();
    let contained = groups.iter().position(|group| group.container.is_some()).unwrap_or(0);
    (contained < groups.len()).then(|| groups.swap_remove(contained))
}

/// Whether the process that has the pid now is still the same; false where that is not known.
pub(super) fn is_same(process: &Process) -> bool {
    let shown = time::shown_since_boot(process.start_ns) / NANOSECONDS_PER_TICK;
    started(process.pid).is_ok_and(|ticks| ticks == shown)
}

/// `USER_HZ` is 100 on all architectures that matter here.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Field 22 of `/proc/PID/stat`: start of the process, ticks since the boot.
fn started(pid: u32) -> io::Result<u64> {
    let stat = fs::read(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    parse_start(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// When a process started, by its `/proc/PID/stat`.
pub(crate) fn parse_start(stat: &[u8]) -> Option<u64> {
    stat_field(stat, 22)?.parse().ok()
}

/// A field from the third on. The name in the second may hold anything, `)` and spaces included.
fn stat_field(stat: &[u8], number: usize) -> Option<&str> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(&stat[name_end + 1..]).ok()?;
    // The third field is the first of the rest.
    rest.split_ascii_whitespace().nth(number - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_a_name_that_anybody_chose() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 0\n";
        assert_eq!(parse_start(stat), Some(4711));
        assert_eq!(stat_field(stat, 4), Some("1"));
        assert_eq!(parse_start(b"7 (cut"), None);
        assert_eq!(parse_start(b"7 (cut) S 1"), None);
    }

    #[test]
    fn our_own_program_is_found_and_not_that_of_another_start() {
        let pid = std::process::id();
        let start_ns = started(pid).unwrap() * NANOSECONDS_PER_TICK + 1;
        let process = Process { pid, comm: [0; 16], start_ns };
        let (host, _) = Host::look();
        let own = std::env::current_exe().unwrap();
        assert_eq!(host.executable(&process).as_deref(), own.to_str());
        let reused = Process { start_ns: start_ns + NANOSECONDS_PER_TICK, ..process };
        assert_eq!(host.executable(&reused), None);
        let unknown = Process { start_ns: 0, ..process };
        assert_eq!(host.executable(&unknown), None);
    }

    #[test]
    fn names_of_groups_are_harmless_and_systemd_s_escapes_are_read() {
        let hostile = group(b"/lxc/a\x1b[2J\xff\n", |_| None);
        let group = group(br"/machine.slice/machine-build\x2dhost.scope", |_| None);
        assert_eq!(group.container.as_deref(), Some("build-host"));
        assert_eq!(&*group.path, r"/machine.slice/machine-build\\x2dhost.scope");
        assert_eq!(&*hostile.path, r"/lxc/a\x1b[2J\xff\x0a");
        assert!(hostile.container.unwrap().bytes().all(|byte| byte != 0x1b && byte != b'\n'));
    }

    #[test]
    fn whose_a_group_is_is_asked_of_its_hierarchy() {
        let id = "0123456789abcdef".repeat(4);
        let lines = format!("3:name=systemd:/system.slice/a.service/docker-{id}.scope\n0::/\n");
        let group = of_process(lines.as_bytes(), |controllers, path, depth| {
            assert_eq!(controllers, b"name=systemd");
            assert!(path.starts_with("/system.slice/a.service"));
            Some(if depth == 2 { 998 } else { 0 })
        });
        assert_eq!(group.unwrap().container.as_deref(), Some(&*format!("user-998/{id}")));
        // Of this host: whatever it has mounted belongs to root.
        for line in fs::read("/proc/self/cgroup").unwrap().split(|&byte| byte == b'\n') {
            let Some(controllers) = line.splitn(3, |&byte| byte == b':').nth(1) else { continue };
            let owner = owner_in(controllers, Path::new("/"), 0);
            assert!(owner.is_none_or(|uid| uid == 0), "{owner:?}");
        }
    }

    #[test]
    fn of_several_hierarchies_the_one_that_names_a_container_counts() {
        let of = |lines| of_process(lines, |_, _, _| None);
        let id = "0123456789abcdef".repeat(4);
        let lines = format!("9:pids:/docker/{id}\n1:cpu:/\n0::/\n");
        assert_eq!(of(lines.as_bytes()).unwrap().container.as_deref(), Some(&*id));
        let lines = b"9:pids:/x\n0::/system.slice/a:b.service\n";
        assert_eq!(&*of(lines).unwrap().path, "/system.slice/a:b.service");
        assert_eq!(of(b""), None);
        let foreign = of(b"9:pids:/x\n0::/a\xff\n").unwrap();
        assert_eq!(&*foreign.path, r"/a\xff");
    }
}
