//! `tcp:tcp_receive_reset` and `tcp:tcp_send_reset`: who broke the connection off.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_wire::{Record, kind, state};

use crate::programs::{
    constants::constant,
    emit::emit,
    filter,
    memory::Address,
    probe::{on_full_socket, on_minisocket},
    segment::Received,
    sock::Common,
};

/// `(struct sock *sk)`, before the state change. It also fires where data arrives after close(),
/// although no RST came in.
#[btf_tracepoint(function = "tcp_receive_reset")]
fn receive_reset(context: BtfTracePointContext) -> i32 {
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        on_full_socket(&context, kind::RESET_RECEIVED, socket, |_| {});
    }
    0
}

/// `(const struct sock *sk, const struct sk_buff *skb[, const enum sk_rst_reason reason])`: since
/// 6.12 with sk NULL (see [`send_reset_without_socket`]) or a minisocket too.
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset(context: BtfTracePointContext) -> i32 {
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        if socket.state() == state::TIME_WAIT {
            on_minisocket(&context, kind::RESET_SENT, socket);
            return 0;
        }
        on_full_socket(&context, kind::RESET_SENT, socket, |record| {
            record.reset_reason = reason(&context);
        });
    }
    0
}

/// The same tracepoint with sk NULL: a segment has come that is for no socket here, such as a SYN to
/// a port where nobody listens. A program of its own, as not every kernel lets addresses be read.
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset_without_socket(context: BtfTracePointContext) -> i32 {
    // Of no socket, and so of no control group.
    if !context.arg::<*const c_void>(0).is_null() || constant!(FILTER.cgroup) != 0 {
        return 0;
    }
    let skb = context.arg::<*const c_void>(1);
    // The verifier asks for this: no address is reckoned from what may be NULL.
    if skb.is_null() {
        return 0;
    }
    let Some(received) = Received::of(Address(skb as u64)) else { return 0 };
    if !filter::is_empty() && !received.passes() {
        return 0;
    }
    emit(&context, kind::RESET_WITHOUT_SOCKET, |record: &mut Record| {
        received.describe(record);
        record.old_state = state::CLOSE;
        record.new_state = state::CLOSE;
        record.segment_flags = received.flags();
        record.reset_reason = reason(&context);
    });
    0
}

/// `enum sk_rst_reason`, all of whose values are below 256 (include/net/rstreason.h).
#[inline(always)]
fn reason(context: &BtfTracePointContext) -> u8 {
    if constant!(SETTINGS.has_reset_reason) == 1 { context.arg::<u32>(2) as u8 } else { 0 }
}
