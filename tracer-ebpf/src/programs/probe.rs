//! The hooks, one file each.

mod accept;
mod destroy;
mod reset;
mod retransmit;
mod set_state;
mod set_state_classic;

use aya_ebpf::programs::BtfTracePointContext;
use tracer_wire::Record;

use super::{
    emit::emit,
    filter,
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
    if wanted(full) {
        emit(context, kind, |record| {
            full.describe(record);
            name(socket, record);
            finish(record);
        });
    }
}

/// Emits a record about a minisocket that passes the filter.
#[inline(always)]
fn on_minisocket(context: &BtfTracePointContext, kind: u8, socket: Common) {
    if filter::is_empty() || passes_as_it_is(socket) {
        emit(context, kind, |record| {
            socket.describe(record);
            name(socket, record);
        });
    }
}

/// Cookie and present state.
#[inline(always)]
fn name(socket: Common, record: &mut Record) {
    record.cookie = socket.cookie();
    record.old_state = socket.state();
    record.new_state = record.old_state;
}

/// Whether the socket passes the filter. Without a filter nothing is read.
#[inline(always)]
fn wanted(full: Full) -> bool {
    filter::is_empty() || passes(full)
}

/// A function of its own: what it takes of the stack is free again before the record is filled.
/// Until 6.8 the verifier rounds what each function takes up to 32 bytes, and the sum must not
/// exceed 512 ("combined stack size of 3 calls is 544. Too large", of the guard on 6.1).
#[inline(never)]
fn passes(full: Full) -> bool {
    if full.is_outside_group() {
        return false;
    }
    filter::wants(full.local_port(), full.peer_port(), |identity| full.describe_identity(identity))
}

/// The same of what is no full socket, by what `sock_common` holds.
#[inline(never)]
fn passes_as_it_is(socket: Common) -> bool {
    filter::passes_described(|record| socket.describe(record))
}
