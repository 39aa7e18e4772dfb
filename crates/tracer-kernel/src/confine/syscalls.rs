//! seccomp: system calls that fail with EPERM.
//!
//! A list of what is denied, not of what is allowed: which calls the C library, the resolver of
//! names and the allocator make differs from host to host, and a trace must not fail for it. Calls
//! that are not on the list cost nothing to speak of: the kernel remembers that they pass (5.11).

use std::{collections::BTreeMap, env::consts::ARCH, io};

use libc::{O_ACCMODE, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::Scope;

macro_rules! calls {
    ($($call:ident)*) => { &[$(libc::$call),*] };
}

/// What no thread does: executing, other processes' memory, the host's mounts, modules, clock and
/// name; and what would go around the rest of the list.
const NEVER: &[c_long] = calls! {
    SYS_execve SYS_execveat SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd
    SYS_io_uring_setup SYS_userfaultfd SYS_unshare SYS_mount SYS_umount2 SYS_mount_setattr
    SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsmount SYS_fspick SYS_pivot_root SYS_chroot
    SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load SYS_reboot SYS_swapon
    SYS_swapoff SYS_settimeofday SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_sethostname
    SYS_setdomainname SYS_add_key SYS_request_key SYS_keyctl
};

/// What changes files by their names, or where they are open for reading only, and listening.
const WRITING: &[c_long] = calls! {
    SYS_listen SYS_openat2 SYS_truncate SYS_unlinkat SYS_renameat SYS_renameat2 SYS_mkdirat
    SYS_linkat SYS_symlinkat SYS_mknodat SYS_fchmodat SYS_fchownat SYS_utimensat SYS_setxattr
    SYS_lsetxattr SYS_removexattr SYS_lremovexattr SYS_fchmod SYS_fchown SYS_fsetxattr
    SYS_fremovexattr
};

/// The same, of calls whose numbers are those of all architectures and not in `libc` for each:
/// fchmodat2 (6.6), setxattrat and removexattrat (6.13).
const WRITING_NEW: [c_long; 3] = [452, 463, 466];

/// The same, of architectures that have had them from before.
#[cfg(target_arch = "x86_64")]
const WRITING_OLD: &[c_long] = calls! {
    SYS_creat SYS_unlink SYS_rename SYS_mkdir SYS_rmdir SYS_link SYS_symlink SYS_mknod SYS_chmod
    SYS_chown SYS_lchown SYS_utime SYS_utimes SYS_futimesat
};
#[cfg(not(target_arch = "x86_64"))]
const WRITING_OLD: &[c_long] = &[];

/// What a process that only reads what is open and answers does not do besides: other ways to open
/// files, other processes, and any connection.
const READING: &[c_long] = calls! {
    SYS_open_by_handle_at SYS_name_to_handle_at SYS_socket SYS_socketpair SYS_connect SYS_bind
    SYS_clone SYS_clone3 SYS_kill SYS_tkill SYS_pidfd_open SYS_pidfd_send_signal SYS_setns
    SYS_prlimit64 SYS_capset SYS_bpf SYS_perf_event_open SYS_memfd_create SYS_ioctl
};

/// The same, of architectures that have had them from before.
#[cfg(target_arch = "x86_64")]
const READING_OLD: &[c_long] = calls! { SYS_fork SYS_vfork };
#[cfg(not(target_arch = "x86_64"))]
const READING_OLD: &[c_long] = &[];

/// Calls that open a file, and which of their arguments says how.
#[cfg(target_arch = "x86_64")]
const OPENING: &[(c_long, u8)] =
    &[(libc::SYS_open, 1), (libc::SYS_openat, 2), (libc::SYS_open_by_handle_at, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENING: &[(c_long, u8)] = &[(libc::SYS_openat, 2), (libc::SYS_open_by_handle_at, 2)];

/// Commands of bpf(): `BPF_MAP_CREATE`, `BPF_PROG_LOAD`, `BPF_OBJ_PIN`, include/uapi/linux/bpf.h.
const BPF_COMMANDS: [u64; 3] = [0, 5, 6];

/// The second table of calls on x86-64, whose numbers begin here (`__X32_SYSCALL_BIT`).
const X32: c_long = 0x4000_0000;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Forbids the calling thread, and all that it will start, what is on the lists.
///
/// # Errors
///
/// Where the kernel has no seccomp filters, or the architecture is not known.
pub(super) fn forbid(scope: Scope) -> io::Result<()> {
    let mut program = program(scope).map_err(io::Error::other)?;
    rustix::thread::set_no_new_privs(true)?;
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr().cast(),
    };
    // Without the last flag kernels before 5.16 slow the whole thread down.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the kernel copies the instructions, which live through the call and are as many as
    // said; both types are the kernel's `struct sock_filter`.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn program(scope: Scope) -> Result<BpfProgram, BackendError> {
    let mut rules: Rules = NEVER.iter().map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_bpf, any(0, u32::MAX, BPF_COMMANDS)?);
    if scope == Scope::Reading {
        rules.extend(READING.iter().chain(READING_OLD).map(|&call| (call, Vec::new())));
    }
    if scope != Scope::Sinks {
        let writing = WRITING.iter().chain(WRITING_OLD).chain(&WRITING_NEW);
        rules.extend(writing.map(|&call| (call, Vec::new())));
        for &(call, argument) in OPENING {
            let mut writing = any(argument, O_ACCMODE as u32, [O_WRONLY as u64, O_RDWR as u64])?;
            for flag in [O_CREAT, O_TRUNC] {
                writing.extend(any(argument, flag as u32, [flag as u64])?);
            }
            // Who may not at all may not write either.
            rules.entry(call).or_insert(writing);
        }
    }
    if cfg!(target_arch = "x86_64") {
        let twins: Rules = rules.iter().map(|(call, rule)| (call | X32, rule.clone())).collect();
        rules.extend(twins);
    }
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, denied, ARCH.try_into()?)?.try_into()
}

/// A rule for each value that the masked argument may have.
fn any(
    argument: u8,
    mask: u32,
    values: impl IntoIterator<Item = u64>,
) -> Result<Vec<SeccompRule>, BackendError> {
    let operator = SeccompCmpOp::MaskedEq(u64::from(mask));
    let rule = |value| {
        let length = SeccompCmpArgLen::Dword;
        let condition = SeccompCondition::new(argument, length, operator.clone(), value)?;
        SeccompRule::new(vec![condition])
    };
    values.into_iter().map(rule).collect()
}
