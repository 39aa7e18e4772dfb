//! `tcp:tcp_receive_reset` and `tcp:tcp_send_reset`: who broke the connection off.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_ebpf::{kind, state};

use crate::programs::{
    constants::constant,
    probe::{on_full_socket, on_minisocket},
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
/// 6.12 with sk NULL (which has no story here) or a minisocket too.
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset(context: BtfTracePointContext) -> i32 {
    if let Some(socket) = Common::new(context.arg::<*const c_void>(0)) {
        if socket.state() == state::TIME_WAIT {
            on_minisocket(&context, kind::RESET_SENT, socket);
            return 0;
        }
        on_full_socket(&context, kind::RESET_SENT, socket, |record| {
            if constant!(SETTINGS.has_reset_reason) == 1 {
                record.reset_reason = context.arg::<u32>(2);
            }
        });
    }
    0
}
