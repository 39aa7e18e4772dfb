//! The hooks, one file each.

mod accept;
mod reset;
mod retransmit;
mod set_state;
mod set_state_classic;

use core::mem::MaybeUninit;

use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::Record;

use super::{
    emit::emit,
    filter,
    memory::zeroed,
    sock::{Common, Full},
};

/// Emits a record about a full socket that passes the filter; `finish` adds what the hook knows.
#[inline(always)]
fn on_full_socket(
    context: &BtfTracePointContext,
    kind: u8,
    socket: Common,
    finish: impl FnOnce(&mut Record),
) {
    let Some(full) = socket.full() else { return };
    if !wanted(full) {
        return;
    }
    emit(context, kind, |record| {
        full.describe(record);
        record.cookie = socket.cookie();
        record.old_state = socket.state();
        record.new_state = record.old_state;
        finish(record);
    });
}

/// Emits a record about a minisocket that passes the filter.
#[inline(always)]
fn on_minisocket(context: &BtfTracePointContext, kind: u8, socket: Common) {
    if !filter::is_empty() {
        let mut identity = MaybeUninit::uninit();
        let identity = zeroed(&mut identity);
        socket.describe(identity);
        if !filter::passes(identity) {
            return;
        }
    }
    emit(context, kind, |record| {
        socket.describe(record);
        record.cookie = socket.cookie();
        record.old_state = socket.state();
        record.new_state = record.old_state;
    });
}

/// Whether the socket passes the filter. Without a filter nothing is read.
#[inline(always)]
fn wanted(full: Full) -> bool {
    if filter::is_empty() {
        return true;
    }
    filter::wants(full.local_port(), full.peer_port(), |identity| full.describe_identity(identity))
}
