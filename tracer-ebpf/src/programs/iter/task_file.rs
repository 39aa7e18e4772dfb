//! `iter/task_file`: who holds which TCP socket, in all network namespaces.
//!
//! It visits each descriptor table once (threads share it, unless they have left it) and needs no
//! ptrace permission. It also gives every open socket its cookie, so that later events match. Before 5.11 the kernel
//! leads from a file to its socket by no helper: then the addresses are followed, without cookies.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use tracer_ebpf::Holder;

use super::write;
use crate::programs::{
    constants::constant,
    memory::{comm, follow, load},
    sock::{Common, IPPROTO_MPTCP, Probed},
};

/// `struct bpf_iter__task_file { meta; task; fd; file }`
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn holders(context: *mut c_void) -> i32 {
    let context = context.cast_const().cast::<*const u8>();
    // SAFETY: the context has four words; the verifier checks the accesses.
    let (meta, task, fd, file) = unsafe {
        (
            core::ptr::read_volatile(context),
            core::ptr::read_volatile(context.add(1)),
            core::ptr::read_volatile(context.add(2).cast::<u32>()),
            core::ptr::read_volatile(context.add(3)),
        )
    };
    if task.is_null() || file.is_null() {
        return 0;
    }
    if constant!(SETTINGS.has_cookie_helper) == 1 {
        of_known(meta, task, fd, file);
    } else if let Some((socket, inode)) = Probed::of_file(file as u64) {
        let place = Place { cookie: socket.cookie(), sk: socket.address(), netns: socket.netns() };
        describe(meta, task, fd, inode, &place);
    }
    0
}

/// What names a socket.
struct Place {
    cookie: u64,
    sk: u64,
    netns: u32,
}

#[inline(always)]
fn of_known(meta: *const u8, task: *const u8, fd: u32, file: *const u8) {
    // SAFETY: the helper takes a BTF-typed file and returns its socket or NULL.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return;
    }
    // SAFETY: BTF-typed pointers and the members' own widths.
    let (sk, inode) = unsafe {
        (
            follow(socket.cast_const().cast(), constant!(OFFSETS.socket_sk)),
            load(follow(file, constant!(OFFSETS.file_inode)), constant!(OFFSETS.inode_ino)),
        )
    };
    let Some(common) = Common::new(sk.cast()) else { return };
    let place = if common.full().is_some() {
        Place { cookie: common.cookie(), sk: common.address(), netns: common.netns() }
    } else {
        // SAFETY: BTF-typed pointer and the member's own width.
        let protocol: u16 = unsafe { load(sk, constant!(OFFSETS.sk_protocol)) };
        if protocol != IPPROTO_MPTCP || constant!(SETTINGS.reads_addresses) == 0 {
            return;
        }
        let Some(subflow) = Probed::of_socket(sk as u64) else { return };
        Place { cookie: subflow.cookie(), sk: subflow.address(), netns: common.netns() }
    };
    describe(meta, task, fd, inode, &place);
}

#[inline(always)]
fn describe(meta: *const u8, task: *const u8, fd: u32, inode: u64, place: &Place) {
    let &Place { cookie, sk, netns } = place;
    // SAFETY: BTF-typed pointers and the members' own widths.
    let holder = unsafe {
        let leader = follow(task, constant!(OFFSETS.task_group_leader));
        Holder {
            cookie,
            sk,
            inode,
            start_ns: load(leader, constant!(OFFSETS.task_start_boottime)),
            pid: load(task, constant!(OFFSETS.task_tgid)),
            fd,
            netns,
            tid: load(task, constant!(OFFSETS.task_pid)),
            comm: comm(leader),
        }
    };
    write(meta, &holder);
}
