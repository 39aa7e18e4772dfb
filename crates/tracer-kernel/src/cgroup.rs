//! From the number of a control group to its path in cgroup2.
//!
//! The number is that of the directory's inode. The kernel opens it by that (`open_by_handle_at`,
//! which takes CAP_DAC_READ_SEARCH); without, the hierarchy is searched, but not often. Whoever owns
//! a directory of it names the groups in it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{DirEntryExt as _, MetadataExt as _},
        },
    },
    path::{Component, Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::mounts::{self, Mount};
use tracer_event::{
    container::{Cgroup, container},
    escape::escape,
};

/// A search looks at every directory of the hierarchy.
const SEARCH_REST: Duration = Duration::from_secs(5);

/// Why control groups cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// cgroup2 is mounted nowhere.
    #[error("cgroup2 is not mounted")]
    NotMounted,
    /// Its root cannot be opened.
    #[error("cannot open {path}: {source}", path = path.display())]
    Open {
        /// Where it is mounted.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The mounted cgroup2 hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    root: PathBuf,
    directory: File,
    searched: Mutex<Option<Instant>>,
}

impl Hierarchy {
    /// Opens the hierarchy among `mounts` (`/proc/self/mountinfo`).
    ///
    /// # Errors
    ///
    /// Where it is not mounted or not to be opened.
    pub fn open(mounts: &[u8]) -> Result<Self, CgroupError> {
        let root = mount_point(mounts).ok_or(CgroupError::NotMounted)?;
        match File::open(&root) {
            Ok(directory) => Ok(Self { root, directory, searched: Mutex::default() }),
            Err(source) => Err(CgroupError::Open { path: root, source }),
        }
    }

    /// Whether there are groups outside of what is mounted, as in a cgroup namespace: only the root
    /// of all groups has no type (Documentation/admin-guide/cgroup-v2.rst, `cgroup.type`).
    pub fn is_part(&self) -> bool {
        self.root.join("cgroup.type").exists()
    }

    /// Path of a group from the root of the hierarchy; `None` where the group is gone, or not
    /// found for the present.
    pub fn path(&self, id: u64) -> Option<PathBuf> {
        let path = match open_by_id(&self.directory, id) {
            Ok(group) => fs::read_link(format!("/proc/self/fd/{}", group.as_raw_fd())).ok()?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.search(id)?,
            Err(_) => return None,
        };
        Some(Path::new("/").join(path.strip_prefix(&self.root).ok()?))
    }

    /// Owner of the directory to which the first `depth` components of a group's path lead.
    pub fn owner(&self, path: &Path, depth: usize) -> Option<u32> {
        owner(&self.root, path, depth)
    }

    /// Whether no process is left in a group, nor in those below it; `None` where there is no such
    /// group.
    pub fn is_empty(&self, path: &str) -> Option<bool> {
        let inner = path.trim_start_matches('/');
        // Names that were escaped for output lead nowhere, nor do those outside of what is mounted.
        if inner.is_empty() || inner.contains('\\') || inner.contains("..") {
            return Some(false);
        }
        let events = fs::read_to_string(self.root.join(inner).join("cgroup.events"));
        match events {
            Ok(events) => Some(events.lines().any(|line| line == "populated 0")),
            Err(error) => (error.kind() != io::ErrorKind::NotFound).then_some(false),
        }
    }

    fn search(&self, id: u64) -> Option<PathBuf> {
        if fs::metadata(&self.root).is_ok_and(|root| root.ino() == id) {
            return Some(self.root.clone());
        }
        let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
        if searched.is_some_and(|last| last.elapsed() < SEARCH_REST) {
            return None;
        }
        let found = find(&self.root, id);
        *searched = Some(Instant::now());
        found
    }
}

/// The groups of all hierarchies that are mounted, with the containers that they are of. Each is a
/// directory; whoever asks for one goes no further when it is found.
pub(super) fn all(mounts: &[u8]) -> impl Iterator<Item = Cgroup> {
    let hierarchies = mounts::parse(mounts).filter_map(|mount| match mount.kind {
        b"cgroup2" => Some((mount.path(), PathBuf::from("/"))),
        b"cgroup" => Some((mount.path(), mount.root_path().to_owned())),
        _ => None,
    });
    hierarchies.flat_map(|(place, root)| {
        below(place.clone()).filter_map(move |(directory, _)| {
            let inner = directory.strip_prefix(&place).ok()?;
            let path = root.join(inner);
            let above = root.components().count() - 1;
            let owner =
                |depth: usize| (depth >= above).then(|| owner(&place, inner, depth - above))?;
            Some(group(path.as_os_str().as_encoded_bytes(), owner))
        })
    })
}

fn owner(root: &Path, path: &Path, depth: usize) -> Option<u32> {
    let components = path.components().filter(|part| *part != Component::RootDir);
    let directory = root.join(components.take(depth).collect::<PathBuf>());
    fs::metadata(directory).ok().map(|directory| directory.uid())
}

/// What is mounted when it is first asked for: of each process another group is asked for.
static MOUNTS: LazyLock<Vec<u8>> = LazyLock::new(mounts::read);

/// The same of a line of `/proc/PID/cgroup`: a path in the hierarchy of some controllers, or of none
/// (cgroup2).
pub(super) fn owner_in(controllers: &[u8], path: &Path, depth: usize) -> Option<u32> {
    let controller = controllers.split(|&byte| byte == b',').next()?;
    let mount = mounts::parse(&MOUNTS).find(|mount| is_of(mount, controller))?;
    let above = mount.root_path().components().count().saturating_sub(1);
    // What lies above is not shown here.
    let inner = path.strip_prefix(mount.root_path()).ok()?;
    (depth >= above).then(|| owner(&mount.path(), inner, depth - above))?
}

/// The lines of `/proc/PID/cgroup`: the controllers of a hierarchy (none for cgroup2), and the path
/// of the group in it.
fn parse(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
        Some((fields.next()?, fields.next()?))
    })
}

/// The path in the hierarchy of a controller (none for cgroup2), from `/proc/PID/cgroup`.
pub fn path_in<'a>(lines: &'a [u8], controller: &[u8]) -> Option<&'a [u8]> {
    let has =
        |controllers: &[u8]| controllers.split(|&byte| byte == b',').any(|one| one == controller);
    parse(lines).find(|(controllers, _)| has(controllers)).map(|(_, path)| path)
}

/// The same below the mount of that hierarchy; `None` where the group is not in what is mounted here, as
/// that of a process outside of this control-group namespace.
pub(crate) fn mounted<'a>(lines: &'a [u8], controller: &[u8]) -> Option<&'a Path> {
    let group = Path::new(OsStr::from_bytes(path_in(lines, controller)?)).strip_prefix("/").ok()?;
    let is_outside = group.components().any(|part| part == Component::ParentDir);
    (!is_outside).then_some(group)
}

/// Whether a mount is of the hierarchy of a controller (none for cgroup2).
pub(super) fn is_of(mount: &Mount<'_>, controller: &[u8]) -> bool {
    match mount.kind {
        b"cgroup2" => controller.is_empty(),
        b"cgroup" => !controller.is_empty() && mount.has_option(controller),
        _ => false,
    }
}

/// The container is recognised in the unescaped path, which has systemd's own escapes.
pub(super) fn group(path: &[u8], owner: impl Fn(usize) -> Option<u32>) -> Cgroup {
    let container = container(&String::from_utf8_lossy(path), owner);
    Cgroup::new(escape(path).into(), container.map(|name| escape(name.as_bytes()).into()))
}

/// The control group of a process from its `/proc/PID/cgroup`: the line that names a container,
/// else that of cgroup2. `owner` is asked whose a group's directory is (`owner_in`).
pub fn of_process(
    lines: &[u8],
    owner: impl Fn(&[u8], &Path, usize) -> Option<u32>,
) -> Option<Cgroup> {
    let named = |(controllers, path)| {
        group(path, |depth| owner(controllers, Path::new(OsStr::from_bytes(path)), depth))
    };
    let mut groups: Vec<Cgroup> = parse(lines).map(named).collect();
    // cgroup2 comes last.
    groups.reverse();
    let contained = groups.iter().position(|group| group.container.is_some()).unwrap_or(0);
    (contained < groups.len()).then(|| groups.swap_remove(contained))
}

/// The directory below `root` that has an inode number.
fn find(root: &Path, id: u64) -> Option<PathBuf> {
    below(root.to_owned()).find(|(_, inode)| *inode == id).map(|(path, _)| path)
}

/// The directories below `root` and their inode numbers.
fn below(root: PathBuf) -> impl Iterator<Item = (PathBuf, u64)> {
    let mut directories = vec![root];
    let mut found = Vec::new();
    std::iter::from_fn(move || {
        while found.is_empty() {
            for entry in fs::read_dir(directories.pop()?).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(entry.path());
                    found.push((entry.path(), entry.ino()));
                }
            }
        }
        found.pop()
    })
}

/// Mount point of cgroup2.
fn mount_point(mounts: &[u8]) -> Option<PathBuf> {
    Some(mounts::parse(mounts).find(|mount| mount.kind == b"cgroup2")?.path())
}

/// `struct file_handle` of kernfs: the number of the node.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// `FILEID_KERNFS`, include/linux/exportfs.h, since 5.5.
const FILEID_KERNFS: i32 = 0xfe;

fn open_by_id(mount: &File, id: u64) -> io::Result<OwnedFd> {
    let handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: the handle lives through the call and is as long as it says.
    let result = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, flags)
    };
    match i32::try_from(result) {
        // SAFETY: a descriptor that nobody else has.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_mount_point_is_found() {
        let mounts = b"33 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            35 24 0:30 / /sys/fs/cgroup/my\\040own rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/my own")));
        let other = b"33 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        assert!(matches!(Hierarchy::open(other), Err(CgroupError::NotMounted)));
    }

    #[test]
    fn a_directory_is_found_by_its_number() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let inner = root.join("stacks");
        let id = fs::metadata(&inner).unwrap().ino();
        assert_eq!(find(root, id), Some(inner));
        assert_eq!(find(root, 1 << 60), None);
    }
    #[rstest]
    #[case(b"0::/a/b\n", Some("/a/b"), None)]
    #[case(b"4:cpu,freezer:/x:y\n0::/\n", Some("/"), Some("/x:y"))]
    #[case(b"1:name=systemd:/s\n", None, None)]
    fn both_freezers_are_found(
        #[case] lines: &[u8],
        #[case] unified: Option<&str>,
        #[case] freezer: Option<&str>,
    ) {
        assert_eq!(path_in(lines, b""), unified.map(str::as_bytes));
        assert_eq!(path_in(lines, b"freezer"), freezer.map(str::as_bytes));
    }

    #[test]
    fn names_of_groups_are_harmless_and_systemd_s_escapes_are_read() {
        let fuzz_entry = group(b"/lxc/a\x1b[2J\xff\n", |_| None);
        let group = group(br"/machine.slice/machine-build\x2dhost.scope", |_| None);
        assert_eq!(group.container.as_deref(), Some("build-host"));
        assert_eq!(&*group.path, r"/machine.slice/machine-build\\x2dhost.scope");
        assert_eq!(&*fuzz_entry.path, r"/lxc/a\x1b[2J\xff\x0a");
        assert!(fuzz_entry.container.unwrap().bytes().all(|byte| byte != 0x1b && byte != b'\n'));
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
