//! Names of pods, by the directory in which the kubelet keeps their logs, `/var/log/pods`: a pod has
//! an entry `NAMESPACE_NAME_UID` there before the first of its containers starts.
//!
//! The directory is read at the start. The entries that come later the kernel reports (inotify), so
//! that whoever asks for a name waits for no disk; what is in them is never looked at.

use std::{ffi::CStr, io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rustix::fs::{
    Dir, Mode, OFlags,
    inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init},
};
use tracer_event::{container::PodName, escape::without_numbers, header::Degraded};

use super::feature::Feature;

/// Pods that are known at most: a kubelet runs some hundred (`--max-pods`).
const MOST: usize = 1 << 13;
/// Room for some dozen events at a time, bytes.
const ROOM: usize = 8 << 10;

/// Asked for by an option, and therefore no part of what a host offers.
const POD_NAMES: Feature = Feature {
    name: "names of pods",
    lost: "pods that start from now on are shown by their UID only",
};

/// The pods of this node.
pub struct Pods {
    directory: OwnedFd,
    /// What is made and removed in it; none where the kernel does not say.
    changes: Option<OwnedFd>,
    names: HashMap<Box<str>, PodName, RandomState>,
}

impl Pods {
    /// Reads the directory, and has the kernel report what changes there.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn open(path: &Path) -> io::Result<(Self, Option<Degraded>)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        // Before it is read, so that nothing falls between.
        let (changes, degraded) = match watch(path) {
            Ok(changes) => (Some(changes), None),
            Err(error) => {
                let reason = format!("inotify: {}", without_numbers(&error.to_string()));
                let remedy = "raise fs.inotify.max_user_instances (sysctl)";
                (None, Some(POD_NAMES.missing(reason, remedy)))
            }
        };
        let mut pods = Self { directory, changes, names: HashMap::default() };
        pods.read()?;
        Ok((pods, degraded))
    }

    /// What the pod with a UID is called.
    pub(super) fn name(&mut self, uid: &str) -> Option<PodName> {
        if !self.names.contains_key(uid) {
            self.catch_up();
        }
        self.names.get(uid).cloned()
    }

    /// Reads all entries.
    fn read(&mut self) -> io::Result<()> {
        self.names.clear();
        for entry in Dir::read_from(&self.directory)? {
            self.add(entry?.file_name().to_bytes());
        }
        Ok(())
    }

    /// Takes in what has changed, without waiting.
    fn catch_up(&mut self) {
        let Some(changes) = self.changes.take() else { return };
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(&changes, &mut room);
        let mut is_whole = true;
        // Until there is nothing more to read.
        while let Ok(event) = reader.next() {
            let what = event.events();
            is_whole &= !what.contains(ReadFlags::QUEUE_OVERFLOW);
            match event.file_name().map(CStr::to_bytes) {
                Some(name) if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) => {
                    self.add(name);
                }
                Some(name) => self.remove(name),
                None => {}
            }
        }
        // Of one that is held open the kernel does not report its removal.
        let is_there = rustix::fs::fstat(&self.directory).is_ok_and(|found| found.st_nlink > 0);
        if is_there {
            self.changes = Some(changes);
        } else {
            tracing::warn!("the directory of --pod-logs is gone: new pods are shown by their UID");
        }
        if !is_whole && let Err(error) = self.read() {
            tracing::warn!("the directory of --pod-logs cannot be read again: {error}");
        }
    }

    fn add(&mut self, entry: &[u8]) {
        let Some((uid, name)) = pod(entry) else { return };
        if self.names.len() < MOST {
            self.names.insert(uid.into(), name);
        } else {
            tracing::warn!(
                "more than {MOST} pods in the directory of --pod-logs: {name} is not named"
            );
        }
    }

    fn remove(&mut self, entry: &[u8]) {
        if let Some((uid, _)) = pod(entry) {
            self.names.remove(&*uid);
        }
    }
}

fn pod(entry: &[u8]) -> Option<(String, PodName)> {
    PodName::of_directory(str::from_utf8(entry).ok()?)
}

fn watch(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let changes = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let entries =
        WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::MOVED_FROM;
    add_watch(&changes, directory, entries | WatchFlags::ONLYDIR)?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &str = "0b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11";
    const NEW: &str = "1b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11";

    fn shown(pods: &mut Pods, uid: &str) -> Option<String> {
        pods.name(uid).map(|name| name.to_string())
    }

    #[test]
    fn pods_are_known_from_before_and_from_then_on_until_their_logs_are_removed() {
        let logs = tempfile::tempdir().unwrap();
        let entry = |name: &str, uid: &str| logs.path().join(format!("shop_{name}_{uid}"));
        fs::create_dir(entry("web", OLD)).unwrap();
        fs::create_dir(logs.path().join("lost+found")).unwrap();
        let (mut pods, degraded) = Pods::open(logs.path()).unwrap();
        assert_eq!(degraded, None);
        assert_eq!(shown(&mut pods, OLD).as_deref(), Some("shop/web"));
        assert_eq!(shown(&mut pods, NEW), None);
        fs::create_dir(entry("db", NEW)).unwrap();
        assert_eq!(shown(&mut pods, NEW).as_deref(), Some("shop/db"));
        fs::remove_dir(entry("web", OLD)).unwrap();
        // Whoever is asked for next has it look.
        assert_eq!(shown(&mut pods, "2"), None);
        assert_eq!(shown(&mut pods, OLD), None);
    }

    /// The kernel keeps 16,384 events, and says when there were more.
    #[test]
    fn what_the_kernel_has_no_room_to_report_is_read() {
        let logs = tempfile::tempdir().unwrap();
        let (mut pods, _) = Pods::open(logs.path()).unwrap();
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let most: usize = most.trim().parse().unwrap();
        for number in 0..=most / 2 {
            let path = logs.path().join(number.to_string());
            fs::create_dir(&path).unwrap();
            fs::remove_dir(&path).unwrap();
        }
        fs::create_dir(logs.path().join(format!("shop_db_{NEW}"))).unwrap();
        assert_eq!(shown(&mut pods, NEW).as_deref(), Some("shop/db"));
    }

    #[test]
    fn a_directory_that_goes_leaves_the_names_that_are_known() {
        let logs = tempfile::tempdir().unwrap();
        let path = logs.path().join("pods");
        fs::create_dir_all(path.join(format!("shop_web_{OLD}"))).unwrap();
        let (mut pods, _) = Pods::open(&path).unwrap();
        fs::rename(&path, logs.path().join("moved")).unwrap();
        assert_eq!(shown(&mut pods, OLD).as_deref(), Some("shop/web"));
        fs::remove_dir_all(logs.path().join("moved")).unwrap();
        assert_eq!(shown(&mut pods, NEW), None);
        assert!(pods.changes.is_none());
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let error = Pods::open(Path::new("/etc/passwd")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
