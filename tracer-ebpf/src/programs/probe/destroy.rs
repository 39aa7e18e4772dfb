//! `tcp:tcp_destroy_sock`: where there are no cookies, the end of what an address names.
//!
//! Loaded on such kernels only. No filter asks here: the port has been given back already.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_wire::{Record, kind};

use crate::programs::{emit::emit, sock::Common};

/// `(struct sock *sk)`, a full one in CLOSED, before its memory can be used again
/// (`tcp_v4_destroy_sock`).
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock(context: BtfTracePointContext) -> i32 {
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        emit(&context, kind::DESTROYED, |record: &mut Record| {
            record.sk = socket.address();
            record.netns = socket.netns();
        });
    }
    0
}
