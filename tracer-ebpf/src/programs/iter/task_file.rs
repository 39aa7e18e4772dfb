//! `iter/task_file`: who holds which TCP socket, in all network namespaces.
//!
//! It visits each descriptor table once (threads share it, unless they have left it) and needs no
//! ptrace permission. It also gives every open socket its cookie, so that later events match. Before
//! 5.11 the kernel leads from a file to its socket by no helper: then the addresses are followed,
//! without cookies.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use tracer_wire::Holder;

use super::{argument, output, write};
use crate::programs::{
    constants::{constant, offset},
    memory::{Address, Memory, Typed},
    sock::{Common, IPPROTO_MPTCP, Probed},
};

/// `struct bpf_iter__task_file { meta; task; fd; file }`
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn holders(context: *mut c_void) -> i32 {
    // SAFETY: the context's members.
    let (meta, task, fd, file) = unsafe {
        (
            argument::<*const u8>(context, 0),
            argument::<*const u8>(context, 1),
            argument::<u32>(context, 2),
            argument::<*const u8>(context, 3),
        )
    };
    let (Some(task), Some(file)) = (Typed::new(task), Typed::new(file)) else { return 0 };
    let socket = if constant!(SETTINGS.has_cookie_helper) == 1 {
        of_typed(file)
    } else {
        let file = Address(file.address());
        Probed::of_file(file).map(|(socket, inode)| Socket::of(socket, socket.netns(), inode))
    };
    if let Some(socket) = socket {
        write(output(meta), &holder(task, fd, socket));
    }
    0
}

/// What names a socket.
struct Socket {
    cookie: u64,
    sk: u64,
    netns: u32,
    inode: u64,
}

impl Socket {
    #[inline(always)]
    fn of(socket: Probed, netns: u32, inode: u64) -> Self {
        Self { cookie: socket.cookie(), sk: socket.address(), netns, inode }
    }
}

#[inline(always)]
fn of_typed(file: Typed) -> Option<Socket> {
    // SAFETY: the helper takes a BTF-typed file and returns its socket or NULL.
    let socket = Typed::new(unsafe { bpf_sock_from_file(file.pointer()) })?;
    let sk = socket.follow(offset!(socket_sk));
    let inode = file.follow(offset!(file_inode)).load(offset!(inode_ino));
    let common = Common::new(sk.pointer::<c_void>())?;
    let netns = common.netns();
    if common.full().is_some() {
        return Some(Socket { cookie: common.cookie(), sk: common.address(), netns, inode });
    }
    let is_mptcp = sk.load::<u16>(offset!(sk_protocol)) == IPPROTO_MPTCP;
    if !is_mptcp || constant!(SETTINGS.reads_addresses) == 0 {
        return None;
    }
    Some(Socket::of(Probed::of_socket(Address(sk.address()))?, netns, inode))
}

#[inline(always)]
fn holder(task: Typed, fd: u32, Socket { cookie, sk, netns, inode }: Socket) -> Holder {
    let leader = task.follow(offset!(task_group_leader));
    Holder {
        cookie,
        sk,
        inode,
        start_ns: leader.load(offset!(task_start_boottime)),
        pid: task.load(offset!(task_tgid)),
        fd,
        netns,
        tid: task.load(offset!(task_pid)),
        comm: leader.comm(),
    }
}
