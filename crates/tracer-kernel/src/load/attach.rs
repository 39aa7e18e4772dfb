//! Attaching the programs that BTF describes, in an order in which silence means something.
//!
//! The hooks on resets are attached before the main program. The other way round, a connection that
//! a reset has ended in between would be told as ended by something else, since no reset was seen.

use aya::{Ebpf, programs::BtfTracePoint};

use super::{
    error::LoadError,
    verify::{self, Refused},
};
use crate::feature::{self, Feature};
use tracer_event::header::Degraded;

/// Beside the main program, for what the kernel does not show to that.
pub(super) const GUARD: &str = "set_state_guard";
const WITHOUT_SOCKET: &str = "send_reset_without_socket";
/// Name of the program, its tracepoint, and what it is for.
pub(super) type Optional = (&'static str, &'static str, Feature);
/// Attached before the main program.
pub(super) const RESETS: [Optional; 2] = [
    ("send_reset", "tcp_send_reset", feature::SEND_RESET),
    ("receive_reset", "tcp_receive_reset", feature::RECEIVE_RESET),
];
/// Attached after it.
pub(super) const OTHERS: [Optional; 4] = [
    (GUARD, "inet_sock_set_state", feature::GUARD),
    (WITHOUT_SOCKET, "tcp_send_reset", feature::RESET_WITHOUT_SOCKET),
    ("retransmit_synack", "tcp_retransmit_synack", feature::RETRANSMIT_SYNACK),
    ("retransmit_skb", "tcp_retransmit_skb", feature::RETRANSMIT),
];

/// All of them, what takes the verifier longest first.
pub(super) fn optional_ones() -> impl Iterator<Item = &'static Optional> {
    let [guard, others @ ..] = &OTHERS;
    [guard].into_iter().chain(&RESETS).chain(others)
}

/// Attaches what a trace can do without; what of it is missing.
pub(super) fn optional(
    programs: &[Optional],
    ebpf: &mut Ebpf,
    refused: &mut Refused,
    has_reset_reason: bool,
) -> Vec<Degraded> {
    let missing = programs.iter().filter_map(|&(program, _, feature)| {
        if program == WITHOUT_SOCKET && !has_reset_reason {
            // It would attach, and never be run: both came with the same version.
            let reason = "tcp:tcp_send_reset has no reason here";
            return Some(feature.missing(reason, "use Linux 6.12 or later"));
        }
        let error = attach(ebpf, program, refused).err()?;
        Some(feature.missing(error.to_string(), "use a kernel that has this tracepoint"))
    });
    missing.collect()
}

/// Attaches one of the programs.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    program: &'static str,
    refused: &mut Refused,
) -> Result<(), LoadError> {
    verify::loaded(ebpf, program, refused)
        .and_then(BtfTracePoint::attach)
        .map(drop)
        .map_err(|error| LoadError::program(program, &error))
}
