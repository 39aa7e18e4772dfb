//! Which files a process writes, as the kernel tells it (fanotify(7)).

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

/// Notes all writes to the file systems that it watches.
#[derive(Debug)]
pub struct Watch(fs::File);

impl Watch {
    /// Watches the file systems that these paths lie on.
    pub fn of(paths: &[&Path]) -> Self {
        let flags = libc::FAN_CLASS_NOTIF
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_QUEUE;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32) };
        assert!(fd >= 0, "live tests need fanotify: {}", io::Error::last_os_error());
        // SAFETY: a descriptor that nobody else has.
        let watch = Self(unsafe { OwnedFd::from_raw_fd(fd) }.into());
        for path in paths {
            watch.add(path);
        }
        watch
    }

    fn add(&self, path: &Path) {
        let text = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: the path lives through the call.
        let result = unsafe {
            libc::fanotify_mark(
                self.0.as_raw_fd(),
                libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM,
                libc::FAN_MODIFY | libc::FAN_CLOSE_WRITE,
                libc::AT_FDCWD,
                text.as_ptr(),
            )
        };
        assert_eq!(result, 0, "{}: {}", path.display(), io::Error::last_os_error());
    }

    /// The files that a process has written or opened for writing since.
    pub fn written_by(mut self, pid: u32) -> BTreeSet<PathBuf> {
        const SIZE: usize = size_of::<libc::fanotify_event_metadata>();
        let mut written = BTreeSet::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = self.0.read(&mut buffer) {
            let mut rest = &buffer[..count];
            while rest.len() >= SIZE {
                // SAFETY: as many bytes as it takes are there, integers all.
                let event: libc::fanotify_event_metadata =
                    unsafe { std::ptr::read_unaligned(rest.as_ptr().cast()) };
                assert_eq!(event.mask & libc::FAN_Q_OVERFLOW, 0, "some writes were not noted");
                let path = path_of(event.fd);
                if u32::try_from(event.pid) == Ok(pid) {
                    written.insert(path);
                }
                rest = &rest[event.event_len as usize..];
            }
        }
        written
    }
}

fn path_of(fd: RawFd) -> PathBuf {
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).expect("the event's file");
    // SAFETY: the event's descriptor, which is ours to close.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    path
}
