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

use super::{
    mounts::{self, Mount},
    surroundings::group,
};
use crate::model::container::Cgroup;

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
    /// Opens the hierarchy that `mounts` (`/proc/self/mountinfo`) tells of.
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

    /// Whose the directory is that the first so many components of a group's path lead to.
    pub fn owner(&self, path: &Path, depth: usize) -> Option<u32> {
        owner(&self.root, path, depth)
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
        b"cgroup" => Some((mount.path(), PathBuf::from(OsStr::from_bytes(mount.root)))),
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
    let is_it = |mount: &Mount<'_>| match mount.kind {
        b"cgroup2" => controller.is_empty(),
        b"cgroup" => !controller.is_empty() && mount.has_option(controller),
        _ => false,
    };
    let mount = mounts::parse(&MOUNTS).find(is_it)?;
    let root = Path::new(OsStr::from_bytes(mount.root));
    let above = root.components().count().saturating_sub(1);
    // What lies above is not shown here.
    let inner = path.strip_prefix(root).ok()?;
    (depth >= above).then(|| owner(&mount.path(), inner, depth - above))?
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
        let inner = root.join("model/table");
        let id = fs::metadata(&inner).unwrap().ino();
        assert_eq!(find(root, id), Some(inner));
        assert_eq!(find(root, 1 << 60), None);
    }
}
