//! The hooks on accept(): optional, at the return of the kernel's functions or, where it lets no
//! program be there, by the classic way, which takes tracefs.

use std::fs;

use aya::{
    Ebpf,
    programs::{FExit, ProgramError, TracePoint},
};
use rustix::thread::CapabilitySet;
use tracer_wire::Offsets;

use super::{
    LoadError,
    verify::{Hook, Refused, Wanted, loaded},
};
use crate::{
    feature, privileges,
    tracefs::{self, TracefsError},
};
use tracer_event::header::Degraded;

/// A program and the function at whose return it is.
pub(super) type Return = (&'static str, &'static str);
/// That of MPTCP is wanted where there is MPTCP.
const TCP: Return = ("accepted", "inet_accept");
const MPTCP: Return = ("accepted_mptcp", "mptcp_stream_accept");
/// The classic program.
const CLASSIC: &str = "exit_accept";
/// Its tracepoints, of the category `syscalls`.
const TRACEPOINTS: [&str; 2] = ["sys_exit_accept", "sys_exit_accept4"];

/// Whether the kernel names a function so that is wanted here.
pub(super) fn is_target(name: &[u8]) -> bool {
    [TCP, MPTCP].iter().any(|(_, function)| function.as_bytes() == name)
}

/// The programs that see all of a kernel's accept(), if it takes them all.
pub(super) fn returns(offsets: &Offsets) -> Vec<Return> {
    let has_mptcp = offsets.mptcp_first != Offsets::ABSENT;
    [TCP].into_iter().chain(has_mptcp.then_some(MPTCP)).collect()
}

/// What is loaded with the other programs: the classic one if the kernel refuses the first.
pub(super) fn wanted(returns: &[Return]) -> Vec<Vec<Wanted>> {
    let hooks = returns.iter().map(|&(program, function)| (program, Hook::Return(function)));
    let mut lists: Vec<Vec<Wanted>> = hooks.map(|wanted| vec![wanted]).collect();
    lists.iter_mut().take(1).for_each(|list| list.push((CLASSIC, Hook::Classic)));
    lists
}

/// Attaches what sees accept(), or says what is lost without; the stacks of accept() are too, if
/// they were asked for.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    refused: &mut Refused,
    returns: &[Return],
    stacks: bool,
) -> Vec<Degraded> {
    let Err((program, error)) = attach_returns(ebpf, refused, returns) else {
        return Vec::new();
    };
    let reason = LoadError::program(program, &error).to_string();
    let remedy = "use a kernel with fexit: on x86-64 Linux 5.5, on arm64 6.0, and not hardened";
    let degraded = feature::RETURNS.missing(reason, remedy);
    [degraded].into_iter().chain(attach_classic(ebpf, refused, stacks)).collect()
}

/// Attaches all of them or none; which was refused, and why.
fn attach_returns(
    ebpf: &mut Ebpf,
    refused: &mut Refused,
    returns: &[Return],
) -> Result<(), (&'static str, ProgramError)> {
    let attached = returns.iter().try_for_each(|&(name, _)| {
        let attach = |program: &mut FExit| program.attach();
        loaded(ebpf, name, refused).and_then(attach).map(drop).map_err(|error| (name, error))
    });
    if attached.is_err() {
        // What both ways see would be told twice.
        for (name, _) in returns {
            // Fails for what was not loaded.
            let _ = loaded(ebpf, name, refused).and_then(FExit::unload);
        }
    }
    attached
}

/// Attaches both tracepoints, or says what is lost without.
fn attach_classic(ebpf: &mut Ebpf, refused: &mut Refused, stacks: bool) -> Option<Degraded> {
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
                         are closed or a snapshot shows who holds them; only the \
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
    let load = |program: &mut TracePoint| {
        // Not loaded with the others where the kernel took the first of those that it stands for.
        if program.fd().is_err() {
            program.load()?;
        }
        attach(program)
    };
    loaded(ebpf, CLASSIC, refused)
        .and_then(load)
        .map_err(|error| Missing::Program(LoadError::program(CLASSIC, &error)))
}
