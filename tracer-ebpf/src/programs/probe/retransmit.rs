//! `tcp:tcp_retransmit_skb` and `tcp:tcp_retransmit_synack`: handshakes and teardowns that had to
//! try again. Retransmitted data is only counted, by the kernel (`total_retrans`).

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{Record, kind, segment};

use crate::programs::{
    constants::constant,
    emit::emit,
    filter,
    memory::{control_byte, control_word},
    probe::{on_full_socket, passes_as_it_is},
    sock::Common,
};

/// `(const struct sock *sk, const struct sk_buff *skb[, int err])`
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn retransmit_skb(context: BtfTracePointContext) -> i32 {
    let skb = context.arg::<*const u8>(1);
    let Some(socket) = Common::new(context.arg::<*const c_void>(0)) else {
        return 0;
    };
    if skb.is_null() {
        return 0;
    }
    // Since 6.15 `tcp_flags` is a little-endian u16 whose low byte holds the flags wanted here.
    let flags = control_byte(skb, constant!(OFFSETS.skb_cb_tcp_flags));
    if flags & (segment::SYN | segment::FIN) == 0 {
        return 0;
    }
    on_full_socket(&context, kind::RETRANSMIT, socket, |record| {
        record.segment_flags = flags;
        record.segment_seq = sequence(skb);
    });
    0
}

/// `(const struct sock *sk, const struct request_sock *req)`: the listener and the half-open
/// connection, which has no full socket yet.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn retransmit_synack(context: BtfTracePointContext) -> i32 {
    let Some(request) = Common::new(context.arg::<*const c_void>(1)) else {
        return 0;
    };
    if !filter::is_empty() && !passes_as_it_is(request) {
        return 0;
    }
    emit(&context, kind::RETRANSMIT_SYNACK, |record: &mut Record| {
        request.describe_request_argument(record);
        record.old_state = request.state();
        record.segment_flags = segment::SYN | segment::ACK;
        record.segment_seq = request.request_sequence();
    });
    0
}

#[inline(always)]
fn sequence(skb: *const u8) -> u32 {
    control_word(skb, constant!(OFFSETS.skb_cb_seq))
}
