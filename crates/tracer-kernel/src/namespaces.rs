//! The host's network namespaces, found by looking.
//!
//! A namespace has no name of its own: it is found through a process that lives in it, or through
//! a bind mount (`ip netns`, container runtimes). Processes are searched first, their threads only
//! where events come from a namespace that was not found otherwise.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{
        fd::AsFd as _,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    mounts::{self, Mount},
    process::{self, numbered},
};
use tracer_event::{escape::escape, host::Entry};

const OWN: &str = "/proc/thread-self/ns/net";
/// Processes come and go; namespaces rarely do.
const FRESH: Duration = Duration::from_secs(5);

/// Finds namespaces and remembers where.
#[derive(Debug)]
pub struct Namespaces {
    home: Option<File>,
    /// The one that is wanted; `None` for all.
    only: Option<u32>,
    /// Paths that lead to a namespace, by its inode number.
    found: BTreeMap<u32, PathBuf>,
    looked: Option<Instant>,
    /// Searched again since they were last asked for: once is enough.
    relooked: bool,
}

impl Namespaces {
    /// Of a thread that may be moved around.
    pub fn new(only: Option<u32>) -> Self {
        Self {
            home: File::open(OWN).ok(),
            only,
            found: BTreeMap::new(),
            looked: None,
            relooked: false,
        }
    }

    /// All namespaces; `seen` are some that must be among them, if they still exist.
    pub fn all(&mut self, seen: &[u32]) -> Vec<u32> {
        let only = self.only.map(|only| [only]);
        let seen = only.as_ref().map_or(seen, |only| only.as_slice());
        // One that is known needs no looking for others.
        let is_fresh = self.looked.is_some_and(|looked| looked.elapsed() < FRESH || only.is_some());
        if !is_fresh || !self.knows(seen) {
            self.look(seen);
        }
        self.relooked = false;
        self.found.keys().copied().collect()
    }

    /// Opens one of them; `None` where it is gone, and its sockets with it.
    pub fn open(&mut self, inode: u32) -> Option<io::Result<File>> {
        let mut opened = self.try_one(inode)?;
        if opened.as_ref().is_err_and(is_gone) && !std::mem::replace(&mut self.relooked, true) {
            // A process has ended since: another may lead to its namespace.
            self.look(&[inode]);
            opened = self.try_one(inode)?;
        }
        (!opened.as_ref().is_err_and(is_gone)).then_some(opened)
    }

    fn knows(&self, seen: &[u32]) -> bool {
        seen.iter().all(|inode| self.found.contains_key(inode))
    }

    fn try_one(&self, inode: u32) -> Option<io::Result<File>> {
        self.found.get(&inode).map(|path| open(inode, path))
    }

    /// The one that is wanted; `None` for all.
    pub fn only(&self) -> Option<u32> {
        self.only
    }

    /// Whether a namespace is the one where the thread started.
    pub fn is_home(&self, inode: u32) -> bool {
        inode == self.home_inode()
    }

    /// The one where the thread started, 0 where that is not known.
    pub fn home_inode(&self) -> u32 {
        let home = self.home.as_ref().and_then(|home| home.metadata().ok());
        home.map_or(0, |home| home.ino() as u32)
    }

    /// The process, thread or mount through which one of them was found.
    pub fn entry(&self, inode: u32) -> Option<Entry> {
        let path = self.found.get(&inode)?;
        if !path.starts_with("/proc") {
            return Some(Entry::Mount(escape(path.as_os_str().as_bytes()).into()));
        }
        // /proc/PID/ns/net, /proc/PID/task/TID/ns/net
        let number = path.parent()?.parent()?.file_name()?.to_str()?.parse().ok()?;
        Some(Entry::Process(number))
    }

    /// Moves the thread back to where it started.
    pub fn go_home(&self) {
        if let Some(home) = &self.home {
            // Where it could leave, it can return.
            let _ = move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network));
        }
    }

    fn look(&mut self, seen: &[u32]) {
        self.looked = Some(Instant::now());
        self.found.clear();
        self.add(PathBuf::from(OWN));
        for process in process::all() {
            self.add(process.join("ns/net"));
        }
        for mount in mounts::parse(&mounts::read()).filter(is_namespace) {
            self.add(mount.path());
        }
        if !self.knows(seen) {
            self.look_at_threads();
        }
    }

    fn look_at_threads(&mut self) {
        for process in process::all() {
            for thread in numbered(&process.join("task")) {
                self.add(thread.join("ns/net"));
            }
        }
    }

    fn add(&mut self, path: PathBuf) {
        let is_wanted = |inode: &u32| self.only.is_none_or(|only| only == *inode);
        if let Some(inode) = namespace(&path).ok().filter(is_wanted) {
            self.found.entry(inode).or_insert(path);
        }
    }
}

/// The inode number of the namespace to which a link or bind mount leads.
///
/// # Errors
///
/// Where the kernel refuses to follow it. Linux 5.10 leads whom it refuses to the link's directory.
pub(super) fn namespace(path: &Path) -> io::Result<u32> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        Ok(metadata.ino() as u32)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// The number of a process that is gone may lead elsewhere now.
fn open(inode: u32, path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.ino() as u32 == inode {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The process that led there has ended (ENOENT, or ESRCH while it ends).
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Whether it is the bind mount of a network namespace.
fn is_namespace(mount: &Mount<'_>) -> bool {
    mount.kind == b"nsfs" && mount.root.starts_with(b"net:[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_mounts_of_namespaces_are_found() {
        let mounts = b"22 29 0:21 / /proc rw,relatime - proc proc rw\n\
            103 29 0:4 net:[4026532205] /run/netns/blue rw shared:5 - nsfs nsfs rw\n\
            104 29 0:4 mnt:[4026532206] /run/mounts/blue rw shared:5 - nsfs nsfs rw\n";
        let found: Vec<_> =
            mounts::parse(mounts).filter(is_namespace).map(|mount| mount.path()).collect();
        assert_eq!(found, [PathBuf::from("/run/netns/blue")]);
    }

    #[test]
    fn our_own_namespace_is_found() {
        let own = fs::metadata(OWN).unwrap().ino() as u32;
        let mut namespaces = Namespaces::new(None);
        assert!(namespaces.all(&[]).contains(&own));
        assert!(namespaces.open(own).unwrap().is_ok());
        assert!(namespaces.open(1).is_none());
        let mut namespaces = Namespaces::new(Some(own));
        assert_eq!(namespaces.all(&[1]), [own]);
        assert_eq!(Namespaces::new(Some(1)).all(&[own]), [0; 0]);
    }
}
