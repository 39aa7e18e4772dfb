//! Loading programs side by side: the verifier takes half of the time of a start.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FExit, Iter, Program, ProgramError, TracePoint},
};

/// Threads that wait for the verifier.
const THREADS: usize = 4;

/// What a program is loaded for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// A tracepoint whose arguments BTF describes.
    Typed(&'static str),
    /// An iterator over this target.
    Iterator(&'static str),
    /// The return of this function.
    Return(&'static str),
    /// A classic tracepoint.
    Classic,
}

/// A program and what it is for.
pub(super) type Wanted = (&'static str, Hook);

impl Hook {
    fn load(self, program: &mut Program, btf: &Btf) -> Result<(), ProgramError> {
        match self {
            Self::Typed(tracepoint) => {
                <&mut BtfTracePoint>::try_from(program)?.load(tracepoint, btf)
            }
            Self::Iterator(target) => <&mut Iter>::try_from(program)?.load(target, btf),
            Self::Return(function) => <&mut FExit>::try_from(program)?.load(function, btf),
            Self::Classic => <&mut TracePoint>::try_from(program)?.load(),
        }
    }
}

/// Whether the kernel names something so that a [`Hook`] can be for.
pub(super) fn is_target(name: &[u8]) -> bool {
    name.starts_with(b"btf_trace_tcp_")
        || [&b"btf_trace_inet_sock_set_state"[..], b"bpf_iter_tcp", b"bpf_iter_task_file"]
            .contains(&name)
}

/// The programs that the kernel refused, and why.
#[derive(Debug, Default)]
pub(super) struct Refused(Vec<(&'static str, ProgramError)>);

impl Refused {
    /// The refusal of a program, if it was refused or is not there.
    pub(super) fn check(&mut self, program: &str) -> Result<(), ProgramError> {
        let found = self.0.iter().position(|(refused, _)| *refused == program);
        found.map_or(Ok(()), |position| Err(self.0.swap_remove(position).1))
    }
}

/// A program of the object that was not refused.
pub(super) fn loaded<'a, T>(
    ebpf: &'a mut Ebpf,
    program: &str,
    refused: &mut Refused,
) -> Result<&'a mut T, ProgramError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    refused.check(program)?;
    ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// Loads programs of the object: of each list the first that the kernel takes. The list that takes
/// longest should come first.
pub(super) fn load(ebpf: &mut Ebpf, wanted: &[Vec<Wanted>], btf: &Btf) -> Refused {
    let mut programs: HashMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let job = |list: &Vec<Wanted>| -> Vec<(Wanted, &mut Program)> {
        let one = |wanted: &Wanted| Some((*wanted, programs.remove(wanted.0)?));
        list.iter().filter_map(one).collect()
    };
    // Taken from the end.
    let jobs = Mutex::new(wanted.iter().rev().map(job).collect::<Vec<_>>());
    let refused = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, |cpus| cpus.get().min(THREADS));
    let next = || lock(&jobs).pop();
    let work = || {
        while let Some(job) = next() {
            for ((name, hook), program) in job {
                match hook.load(program, btf) {
                    Ok(()) => break,
                    Err(error) => lock(&refused).push((name, error)),
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be started, this one does all the work.
            let _ = thread::Builder::new().name("tracer-loader".into()).spawn_scoped(scope, work);
        }
        work();
    });
    Refused(refused.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
