//! The programs, maps and links that a process has in the kernel.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{FromRawFd as _, OwnedFd},
};

/// `BPF_PROG_GET_FD_BY_ID` and its siblings, include/uapi/linux/bpf.h, by their name in fdinfo.
const KINDS: [(&str, i32); 3] = [("prog_id:", 13), ("map_id:", 14), ("link_id:", 30)];

/// The front of `union bpf_attr` for these commands.
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// An object by its kind (an index of `KINDS`) and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    kind: usize,
    id: u32,
}

impl Object {
    /// Whether the kernel still has it.
    pub fn exists(self) -> bool {
        let attributes = ById { id: self.id, next: 0, flags: 0 };
        // SAFETY: the attributes live through the call and are as large as said.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                KINDS[self.kind].1,
                &raw const attributes,
                size_of::<ById>(),
            )
        };
        match i32::try_from(result) {
            Ok(fd @ 0..) => {
                // SAFETY: a descriptor that nobody else has; dropped, it keeps nothing alive.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                true
            }
            _ => {
                let error = io::Error::last_os_error();
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{self:?}: {error}");
                false
            }
        }
    }
}

/// Those that a process has descriptors of.
pub fn held_by(pid: u32) -> BTreeSet<Object> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("a process that runs");
    let infos = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let objects = |info: String| {
        let of = |(kind, (name, _)): (usize, &(&str, i32))| {
            let value = info.lines().find_map(|line| line.strip_prefix(name))?;
            Some(Object { kind, id: value.trim().parse().ok()? })
        };
        KINDS.iter().enumerate().filter_map(of).collect::<Vec<_>>()
    };
    infos.flat_map(objects).collect()
}
