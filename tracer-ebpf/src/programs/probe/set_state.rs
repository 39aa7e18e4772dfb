//! `sock:inet_sock_set_state` with BTF: the main program and its guard.
//!
//! Arguments on every version: `(const struct sock *sk, const int oldstate, const int newstate)`.
//! It fires before `sk_state` is written.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_wire::{Record, kind, state};

use crate::programs::{
    actor,
    emit::{count, emit},
    guard,
    probe::wanted,
    program,
    sock::Common,
    stack,
};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(context: BtfTracePointContext) -> i32 {
    if let Some((socket, old, new)) = arguments(&context) {
        guard::note(socket.address(), old, new);
        count(kind::STATE, |counters| counters.seen += 1);
        handle(&context, kind::STATE, socket, old, new);
    }
    0
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_guard(context: BtfTracePointContext) -> i32 {
    if let Some((socket, old, new)) = arguments(&context) {
        guard::unless_handled(socket.address(), old, new, || {
            count(kind::STATE_CAUGHT, |counters| counters.seen += 1);
            handle(&context, kind::STATE_CAUGHT, socket, old, new);
        });
    }
    0
}

/// Socket, old and new state.
#[inline(always)]
fn arguments(context: &BtfTracePointContext) -> Option<(Common, u8, u8)> {
    let socket = Common::new(context.arg::<*const c_void>(0))?;
    Some((socket, context.arg::<i32>(1) as u8, context.arg::<i32>(2) as u8))
}

/// Reports the event, unless it changes nothing (close() after shutdown(), destruction of a listener
/// by sock_diag, MPTCP) or is not TCP's.
#[inline(always)]
fn handle(context: &BtfTracePointContext, kind: u8, socket: Common, old: u8, new: u8) {
    if old == new {
        return;
    }
    let Some(full) = socket.full() else { return };
    if !wanted(full) {
        return;
    }
    if old == state::CLOSE {
        program::report();
    }
    // See `accept::report`.
    let is_connect = old == state::CLOSE && new == state::SYN_SENT;
    let stack = if is_connect { stack::of_caller(context) } else { 0 };
    emit(context, kind, move |record: &mut Record| {
        full.describe_connection(record);
        if actor::may_have_changed(old, new) {
            full.describe_owner(record);
        }
        full.describe_departure(record, new);
        if new == state::CLOSE && matches!(old, state::SYN_SENT | state::SYN_RECV) {
            full.describe_icmp_error(record);
        }
        record.old_state = old;
        record.new_state = new;
        if actor::may_act(old, new) {
            actor::describe_process(record);
        }
        record.stack = stack;
        // Until 6.12 a child is announced as a raw copy of its listener, cookie included; its
        // own cookie comes with SYN_RECV → ESTABLISHED (inet_csk_clone_lock).
        let is_child = old == state::LISTEN && new == state::SYN_RECV;
        if is_child {
            record.listener = full.copied_from();
        }
        if !is_child || record.peer_port != 0 {
            record.cookie = socket.cookie();
        }
    });
}
