//! What belongs to a socket and is not in the kernel's records: its control group, the container
//! it is in, the program of a process. Looked up when something is told, by [`Enricher`], and passed
//! on to the sinks as [`Context`].

use std::sync::Arc;

use tracer_wire::Program;

use crate::{
    container::{Cgroup, PodName},
    process::{Parent, Process},
    stack::{Creator, Stack},
    subject::Subject,
    wall_clock::WallClock,
};

/// Looks up what no record tells; each answer is remembered, so that asking is cheap.
pub trait Enricher: Send + Sync {
    /// The control group of a socket; `None` where it is not known.
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>>;

    /// Path of the program that a process runs, made harmless for output; of one that is gone, in
    /// the program's file system. `None` where nobody has seen it.
    fn executable(&self, process: &Process) -> Option<Arc<str>>;

    /// Who has started a process.
    fn parent(&self, _process: &Process) -> Option<Arc<Parent>> {
        None
    }

    /// Takes in what the kernel half reports a process.
    fn learn(&self, _program: &Program) {}

    /// The stack in which a socket was made; `None` where it has not been looked up.
    fn stack(&self, _maker: &Creator) -> Option<Arc<Stack>> {
        None
    }

    /// What the pod with a UID is called; `None` where that is not asked for, or not known.
    fn pod_name(&self, _uid: &str) -> Option<PodName> {
        None
    }

    /// Whether no process is left in the container or unit of a control group, as far as is known.
    fn is_over(&self, _group: &Cgroup) -> bool {
        false
    }

    /// Whether what happens to a socket is to be reported, or what is found of the host (`None`).
    fn is_in_scope(&self, _subject: Option<&Subject>) -> bool {
        true
    }
}

/// What an event is told with, borrowed for as long as that takes: sinks and formats keep what they
/// need of it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// By which its times are shown.
    pub clock: WallClock,
    /// What is known of its sockets and processes.
    pub enricher: &'a dyn Enricher,
}

/// Where nothing else is known.
impl From<WallClock> for Context<'_> {
    fn from(clock: WallClock) -> Self {
        Self { clock, enricher: &Unknown }
    }
}

/// A host of which nothing is known, for what concerns no socket.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

impl Enricher for Unknown {
    fn cgroup(&self, _: &Subject) -> Option<Arc<Cgroup>> {
        None
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        None
    }
}
