//! `iter/task_file`: who holds which TCP socket, in all network namespaces.
//!
//! It visits each descriptor table once (threads share it) and needs no ptrace permission. It
//! also gives every open socket its cookie, so that later events match. Before 5.11 the kernel
//! leads from a file to its socket by no helper: then the addresses are followed, without cookies.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use tracer_ebpf::Holder;

use super::write;
use crate::programs::{
    constants::constant,
    memory::{comm, follow, load},
    sock::{Common, Probed},
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
    if let Some(sk) = Common::new(sk.cast())
        && sk.full().is_some()
    {
        let place = Place { cookie: sk.cookie(), sk: sk.address(), netns: sk.netns() };
        describe(meta, task, fd, inode, &place);
    }
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
            reserved: 0,
            comm: comm(leader),
        }
    };
    write(meta, &holder);
}
