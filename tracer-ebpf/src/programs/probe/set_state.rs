//! `sock:inet_sock_set_state` with BTF: the main program and its guard.
//!
//! Arguments on every version: `(const struct sock *sk, const int oldstate, const int newstate)`.
//! It fires before `sk_state` is written.

use core::ffi::c_void;

use aya_ebpf::{EbpfContext as _, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_wire::{Record, kind, state};

use crate::programs::{
    actor,
    emit::{count, emit},
    guard,
    probe::wanted,
    program,
    sock::{Common, Full},
    stack,
};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(context: BtfTracePointContext) -> i32 {
    let change = Change::of(&context);
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        guard::note(socket.address(), change.left(), change.entered());
        count(kind::STATE, |counters| counters.seen += 1);
        handle(&context, kind::STATE, socket, change);
    }
    0
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_guard(context: BtfTracePointContext) -> i32 {
    let change = Change::of(&context);
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        guard::unless_handled(socket.address(), change.left(), change.entered(), || {
            count(kind::STATE_CAUGHT, |counters| counters.seen += 1);
            handle(&context, kind::STATE_CAUGHT, socket, change);
        });
    }
    0
}

/// The state that is left and the one that is entered: second and third argument, read again at each
/// question.
///
/// Of a value that is kept the verifier remembers what each question has said of it, and so looks at
/// all that follows once for each answer.
#[derive(Clone, Copy)]
struct Change(*const u64);

impl Change {
    #[inline(always)]
    fn of(context: &BtfTracePointContext) -> Self {
        Self(context.as_ptr().cast_const().cast())
    }

    #[inline(always)]
    fn left(self) -> u8 {
        self.argument(1)
    }

    #[inline(always)]
    fn entered(self) -> u8 {
        self.argument(2)
    }

    #[inline(always)]
    fn is(self, old: u8, new: u8) -> bool {
        self.left() == old && self.entered() == new
    }

    #[inline(always)]
    fn argument(self, index: usize) -> u8 {
        // SAFETY: the tracepoint has three arguments, in eight bytes each.
        unsafe { core::ptr::read_volatile(self.0.add(index)) as u8 }
    }
}

/// Reports the event, unless it changes nothing (close() after shutdown(), destruction of a listener
/// by sock_diag, MPTCP) or is not TCP's.
#[inline(always)]
fn handle(context: &BtfTracePointContext, kind: u8, socket: Common, change: Change) {
    if change.left() == change.entered() {
        return;
    }
    let Some(full) = socket.full() else { return };
    if !wanted(full) {
        return;
    }
    if change.left() == state::CLOSE {
        program::report();
    }
    // See `accept::report`.
    let stack =
        if change.is(state::CLOSE, state::SYN_SENT) { stack::of_caller(context) } else { 0 };
    emit(context, kind, move |record: &mut Record| {
        full.describe_connection(record);
        if actor::may_have_changed(change.left(), change.entered()) {
            full.describe_owner(record);
        }
        full.describe_departure(record, change.entered());
        describe_exchange(full, record, change);
        if change.entered() == state::CLOSE
            && matches!(change.left(), state::SYN_SENT | state::SYN_RECV)
        {
            full.describe_icmp_error(record);
        }
        record.old_state = change.left();
        record.new_state = change.entered();
        if actor::may_act(change.left(), change.entered()) {
            actor::describe_process(record);
        }
        record.stack = stack;
        // Until 6.12 a child is announced as a raw copy of its listener, cookie included; its
        // own cookie comes with SYN_RECV → ESTABLISHED (inet_csk_clone_lock).
        let is_child = change.is(state::LISTEN, state::SYN_RECV);
        if is_child {
            record.listener = full.copied_from();
        }
        if !is_child || record.peer_port != 0 {
            record.cookie = socket.cookie();
        }
    });
}

/// What was sent, and by whom last.
#[inline(always)]
fn describe_exchange(full: Full, record: &mut Record, change: Change) {
    full.describe_sent(record);
    if change.is(state::ESTABLISHED, state::FIN_WAIT1) {
        full.describe_last_word(record);
    }
}
