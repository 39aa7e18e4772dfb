//! The programs, maps and links that a process has in the kernel.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
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

/// `BPF_OBJ_GET_INFO_BY_FD`, and the front of `union bpf_attr` for it.
const INFO: i32 = 15;

#[repr(C)]
struct InfoOf {
    fd: i32,
    len: u32,
    info: u64,
}

/// The front of `struct bpf_prog_info` up to the end of `name`, include/uapi/linux/bpf.h.
const PROGRAM_INFO: usize = 80;
const PROGRAM_NAME: usize = 64;

impl Object {
    /// A descriptor of it; `None` where the kernel has it no more.
    fn open(self) -> Option<OwnedFd> {
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
            // SAFETY: a descriptor that nobody else has; dropped, it keeps nothing alive.
            Ok(fd @ 0..) => Some(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => {
                let error = io::Error::last_os_error();
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{self:?}: {error}");
                None
            }
        }
    }

    /// Whether the kernel still has it.
    pub fn exists(self) -> bool {
        self.open().is_some()
    }

    /// The name of a program, which the kernel cuts after 15 bytes.
    fn program_name(self) -> String {
        let program = self.open().expect("a program that is attached");
        let mut info = [0u8; PROGRAM_INFO];
        let attributes = InfoOf {
            fd: program.as_raw_fd(),
            len: PROGRAM_INFO as u32,
            info: info.as_mut_ptr() as u64,
        };
        // SAFETY: attributes and room live through the call and are as large as said.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, INFO, &raw const attributes, size_of::<InfoOf>())
        };
        assert_eq!(result, 0, "{self:?}: {}", io::Error::last_os_error());
        let name = info[PROGRAM_NAME..].split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }
}

/// The programs that a process has attached by BTF, in the order in which it did.
pub fn attached_by(pid: u32) -> Vec<String> {
    let number = |info: &str, name| -> Option<u32> {
        info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("a process that runs");
    let infos = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let mut links: Vec<(u32, u32)> = infos
        .filter(|info| info.lines().any(|line| line.starts_with("tp_name:")))
        .filter_map(|info| Some((number(&info, "link_id:")?, number(&info, "prog_id:")?)))
        .collect();
    // The kernel numbers them as they are made.
    links.sort_unstable();
    links.into_iter().map(|(_, id)| Object { kind: 0, id }.program_name()).collect()
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
