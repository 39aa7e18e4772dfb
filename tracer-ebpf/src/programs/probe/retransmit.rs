//! `tcp:tcp_retransmit_skb` and `tcp:tcp_retransmit_synack`: handshakes and teardowns that had to
//! try again. Retransmitted data is only counted, by the kernel (`total_retrans`), unless it is
//! asked for.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_wire::{Record, kind, segment};

use crate::programs::{
    constants::{constant, offset},
    emit::emit,
    filter,
    memory::Typed,
    probe::{on_full_socket, passes_as_it_is},
    sock::Common,
};

/// `(const struct sock *sk, const struct sk_buff *skb[, int err])`
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn retransmit_skb(context: BtfTracePointContext) -> i32 {
    let skb = Typed::new(context.arg::<*const u8>(1));
    let (Some(socket), Some(skb)) = (Common::new(context.arg::<*const c_void>(0)), skb) else {
        return 0;
    };
    // Since 6.15 `tcp_flags` is a little-endian u16 whose low byte holds the flags wanted here.
    let flags = skb.control_byte(offset!(skb_cb_tcp_flags));
    let data = constant!(SETTINGS.retransmitted_data) != 0 && flags & segment::ACK != 0;
    if data || flags & (segment::SYN | segment::FIN) != 0 {
        on_full_socket(&context, kind::RETRANSMIT, socket, |record| {
            record.segment_flags = flags;
            record.segment_seq = skb.control_word(offset!(skb_cb_seq));
        });
    }
    0
}

/// `(const struct sock *sk, const struct request_sock *req)`: the listener and the half-open
/// connection, which has no full socket yet.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn retransmit_synack(context: BtfTracePointContext) -> i32 {
    let listener = Common::new(context.arg::<*const c_void>(0));
    let (Some(listener), Some(request)) = (listener, Common::new(context.arg::<*const c_void>(1)))
    else {
        return 0;
    };
    if listener.is_outside_group() {
        return 0;
    }
    if filter::is_empty() || passes_as_it_is(request) {
        emit(&context, kind::RETRANSMIT_SYNACK, |record: &mut Record| {
            request.describe_request_argument(record);
            record.old_state = request.state();
            record.segment_flags = segment::SYN | segment::ACK;
            record.segment_seq = request.request_sequence();
        });
    }
    0
}
