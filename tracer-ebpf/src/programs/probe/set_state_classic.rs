//! `sock:inet_sock_set_state` without BTF: the record of the classic tracepoint.
//!
//! It has addresses, ports and states only. The layout comes from the tracefs `format` file.

use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use tracer_wire::{Record, flag, kind};

use crate::programs::{
    actor,
    constants::constant,
    emit::{count, emit},
    filter,
    memory::{bytes, v4_mapped},
};

const IPPROTO_TCP: u16 = 6;
const AF_INET6: u16 = 10;

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
fn set_state_classic(context: TracePointContext) -> u32 {
    let old = field::<i32>(&context, constant!(RECORD_LAYOUT.oldstate)) as u8;
    let new = field::<i32>(&context, constant!(RECORD_LAYOUT.newstate)) as u8;
    if old == new || protocol(&context) != IPPROTO_TCP {
        return 0;
    }
    count(kind::STATE, |counters| counters.seen += 1);
    if !filter::passes_described(|record| describe(&context, record)) {
        return 0;
    }
    emit(&context, kind::STATE, |record: &mut Record| {
        describe(&context, record);
        actor::describe_thread(record);
        record.old_state = old;
        record.new_state = new;
        record.flags = flag::CLASSIC;
    });
    0
}

/// `protocol` was one byte wide before 5.6.
#[inline(always)]
fn protocol(context: &TracePointContext) -> u16 {
    let offset = constant!(RECORD_LAYOUT.protocol);
    if constant!(RECORD_LAYOUT.protocol_size) == 1 {
        u16::from(field::<u8>(context, offset))
    } else {
        field::<u16>(context, offset)
    }
}

#[inline(always)]
fn describe(context: &TracePointContext, record: &mut Record) {
    record.sk = field(context, constant!(RECORD_LAYOUT.skaddr));
    record.local_port = field(context, constant!(RECORD_LAYOUT.sport));
    record.peer_port = field(context, constant!(RECORD_LAYOUT.dport));
    if field::<u16>(context, constant!(RECORD_LAYOUT.family)) == AF_INET6 {
        record.local_address = address_v6(context, constant!(RECORD_LAYOUT.saddr_v6));
        record.peer_address = address_v6(context, constant!(RECORD_LAYOUT.daddr_v6));
    } else {
        record.local_address = v4_mapped(field(context, constant!(RECORD_LAYOUT.saddr)));
        record.peer_address = v4_mapped(field(context, constant!(RECORD_LAYOUT.daddr)));
    }
}

/// A field of the tracepoint's record; zero where it cannot be read.
///
/// Copied by a helper: the verifier takes plain loads from this context only at offsets that stand
/// in the instruction itself. Where the helper is not available (lockdown=confidentiality), tracefs
/// is not either.
#[inline(always)]
fn field<T: Copy + Default>(context: &TracePointContext, offset: u32) -> T {
    // SAFETY: the helper copies from any address; the fields are integers.
    unsafe { context.read_at(offset as usize) }.unwrap_or_default()
}

#[inline(always)]
fn address_v6(context: &TracePointContext, offset: u32) -> [u8; 16] {
    bytes([
        field(context, offset),
        field(context, offset + 4),
        field(context, offset + 8),
        field(context, offset + 12),
    ])
}
