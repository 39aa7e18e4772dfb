//! The hooks on accept(): optional, and by the classic way, which takes tracefs.

use std::fs;

use aya::{Ebpf, programs::TracePoint};
use rustix::thread::CapabilitySet;

use super::{
    LoadError,
    verify::{Refused, loaded},
};
use crate::{
    feature, privileges,
    tracefs::{self, TracefsError},
};
use tracer_event::header::Degraded;

/// The program, which is loaded with the others.
pub(super) const PROGRAM: &str = "exit_accept";
/// Its tracepoints, of the category `syscalls`.
const TRACEPOINTS: [&str; 2] = ["sys_exit_accept", "sys_exit_accept4"];

/// Attaches both, or says what is lost without, the stacks of accept() if they were asked for.
pub(super) fn attach(ebpf: &mut Ebpf, refused: &mut Refused, stacks: bool) -> Option<Degraded> {
    let (reason, remedy) = match try_attach(ebpf, refused) {
        Ok(()) => return None,
        Err(Missing::Tracefs(TracefsError::NotMounted)) => {
            ("tracefs is not mounted".into(), "mount -t tracefs tracefs /sys/kernel/tracing")
        }
        Err(Missing::Tracefs(error)) => {
            let remedy = match error {
                TracefsError::Read { .. } => "run as root, or add CAP_DAC_READ_SEARCH",
                _ => "use a kernel with CONFIG_FTRACE_SYSCALLS",
            };
            (error.to_string(), remedy)
        }
        // Debian's and Ubuntu's kernels know a third level, at which CAP_PERFMON does not suffice.
        Err(Missing::Program(error)) if is_paranoid() => (
            error.to_string(),
            "run as root, add CAP_SYS_ADMIN, or sysctl kernel.perf_event_paranoid=2",
        ),
        Err(Missing::Program(error)) => (
            error.to_string(),
            "use a kernel with CONFIG_FTRACE_SYSCALLS and without lockdown=confidentiality",
        ),
    };
    let mut degraded = feature::ACCEPT.missing(reason, remedy);
    if stacks {
        degraded.lost = "a server's sockets are named by their listener, with a `?`, until they \
                         are closed or a look at the descriptors shows who holds them; only the \
                         stacks of connect() are known"
            .into();
    }
    Some(degraded)
}

/// Whether perf_event_open() is for CAP_SYS_ADMIN only, which we do not have.
fn is_paranoid() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    level.trim().parse::<i32>().is_ok_and(|level| level > 2)
        && !privileges::effective().contains(CapabilitySet::SYS_ADMIN)
}

enum Missing {
    Tracefs(TracefsError),
    Program(LoadError),
}

fn try_attach(ebpf: &mut Ebpf, refused: &mut Refused) -> Result<(), Missing> {
    tracefs::has_event(tracefs::ACCEPT).map_err(Missing::Tracefs)?;
    let attach = |program: &mut TracePoint| {
        let mut tracepoints = TRACEPOINTS.into_iter();
        tracepoints.try_for_each(|tracepoint| program.attach("syscalls", tracepoint).map(drop))
    };
    loaded(ebpf, PROGRAM, refused)
        .and_then(attach)
        .map_err(|error| Missing::Program(LoadError::program(PROGRAM, &error)))
}
