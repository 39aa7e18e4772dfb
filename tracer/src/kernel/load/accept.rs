//! The hooks on accept(): optional, and by the classic way, which takes tracefs.

use aya::{
    Ebpf,
    programs::{ProgramError, TracePoint},
};

use super::LoadError;
use crate::{
    kernel::tracefs::{self, TracefsError},
    sink::Degraded,
};

/// Programs and tracepoints of the category `syscalls`.
const HOOKS: [(&str, &str); 2] =
    [("exit_accept", "sys_exit_accept"), ("exit_accept4", "sys_exit_accept4")];

/// Attaches both, or says what is lost without, the stacks of accept() if they were asked for.
pub(super) fn attach(ebpf: &mut Ebpf, stacks: bool) -> Option<Degraded> {
    let (reason, remedy) = match try_attach(ebpf) {
        Ok(()) => return None,
        Err(Refused::Tracefs(TracefsError::NotMounted)) => {
            ("tracefs is not mounted".into(), "mount -t tracefs tracefs /sys/kernel/tracing")
        }
        Err(Refused::Tracefs(error)) => {
            let remedy = match error {
                TracefsError::Read { .. } => "run as root, or add CAP_DAC_READ_SEARCH",
                _ => "use a kernel with CONFIG_FTRACE_SYSCALLS",
            };
            (error.to_string(), remedy)
        }
        Err(Refused::Program(error)) => (
            error.to_string(),
            "use Linux 5.11 or later, with CONFIG_FTRACE_SYSCALLS and without \
             lockdown=confidentiality",
        ),
    };
    Some(Degraded {
        feature: "accept".into(),
        lost: if stacks {
            "a server's sockets are named by their listener, with a `?`, until they are closed or \
             a look at the descriptors shows who holds them; only the stacks of connect() are told"
        } else {
            "a server's sockets are named by their listener, with a `?`, until they are closed or \
             a look at the descriptors shows who holds them"
        }
        .into(),
        reason,
        remedy: remedy.into(),
    })
}

enum Refused {
    Tracefs(TracefsError),
    Program(LoadError),
}

fn try_attach(ebpf: &mut Ebpf) -> Result<(), Refused> {
    tracefs::has_event("syscalls/sys_exit_accept4").map_err(Refused::Tracefs)?;
    for (program, tracepoint) in HOOKS {
        ebpf.program_mut(program)
            .ok_or(ProgramError::NotLoaded)
            .and_then(<&mut TracePoint>::try_from)
            .and_then(|loaded| {
                loaded.load()?;
                loaded.attach("syscalls", tracepoint)
            })
            .map_err(|error| Refused::Program(LoadError::program(program, &error)))?;
    }
    Ok(())
}
