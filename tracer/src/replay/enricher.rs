//! What a recording says of containers, programs and stacks, as formats ask for it.
//!
//! Each line says all that is known of its sockets, so that nothing has to be remembered from one
//! line to another: what a line says gets numbers of its own, by which the updates made of it
//! refer to it. Equal things have equal numbers as long as they are remembered.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{
    container::{Cgroup, PodName},
    enricher::Enricher,
    escape::harmless,
    process::{Executable, Parent, Process},
    stack::{Creator, Frame, Stack, StackId},
    subject::Subject,
};

/// More than these are forgotten between two updates.
const REMEMBERED: usize = 1 << 14;
/// So are longer texts than these together, bytes: no line is longer, and a recording may consist
/// of such lines.
const LENGTH: usize = 32 << 20;

/// The number of what is not known.
const UNKNOWN: u64 = 0;

/// What the lines have told.
#[derive(Debug, Default)]
pub struct Recorded(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The number given last.
    last: u64,
    groups: Numbered<GroupKey, Cgroup>,
    programs: Numbered<ProgramKey, Program>,
    stacks: HashMap<u64, Arc<Stack>, RandomState>,
    /// Of all texts, bytes.
    length: usize,
}

/// Path and container of a control group, and the name of its pod.
type GroupKey = (Option<Box<str>>, Option<Box<str>>, Option<PodName>);

/// A program's path, and who has started the process.
type ProgramKey = (Option<Executable>, Option<Arc<Parent>>);

#[derive(Debug)]
struct Program {
    path: Option<Arc<str>>,
    parent: Option<Arc<Parent>>,
}

/// Things and their numbers.
#[derive(Debug)]
struct Numbered<K, T: ?Sized> {
    numbers: HashMap<K, u64, RandomState>,
    things: HashMap<u64, Arc<T>, RandomState>,
}

impl<K, T: ?Sized> Default for Numbered<K, T> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), things: HashMap::default() }
    }
}

impl<K: std::hash::Hash + Eq, T: ?Sized> Numbered<K, T> {
    fn number(&mut self, key: K, last: &mut u64, make: impl FnOnce() -> Arc<T>) -> u64 {
        *self.numbers.entry(key).or_insert_with(|| {
            *last += 1;
            self.things.insert(*last, make());
            *last
        })
    }

    fn is_full(&self) -> bool {
        self.numbers.len() > REMEMBERED
    }
}

impl Recorded {
    /// Forgets what has become much. Not to be called while an update refers to it.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        if known.is_full() {
            // Numbers are not given twice.
            *known = Known { last: known.last, ..Known::default() };
        }
    }

    /// Whether what there is to forget has become much.
    pub(super) fn is_full(&self) -> bool {
        self.known().is_full()
    }

    /// The number of a control group by its path and container, whose pod may have a name.
    pub(super) fn group(
        &self,
        path: Option<&str>,
        container: Option<&str>,
        pod: Option<PodName>,
    ) -> u64 {
        if path.is_none() && container.is_none() {
            return UNKNOWN;
        }
        let text = |text: Option<&str>| text.map(|text| Box::<str>::from(harmless(text)));
        let (path, container) = (text(path), text(container));
        let pod = pod.map(|PodName { namespace, name }| PodName {
            namespace: harmless(&namespace).into(),
            name: harmless(&name).into(),
        });
        let Known { groups, last, length, .. } = &mut *self.known();
        groups.number((path.clone(), container.clone(), pod.clone()), last, || {
            let texts = [&path, &container].into_iter().flatten().map(|text| text.len());
            let of_pod = pod.iter().map(|pod| pod.namespace.len() + pod.name.len());
            *length += texts.chain(of_pod).sum::<usize>();
            let group = Cgroup::new(path.unwrap_or_default().into(), container.map(Into::into));
            Arc::new(group.named(|_| pod))
        })
    }

    /// The number of a program by its path and the process that has started it.
    pub(super) fn program(&self, path: Option<Executable>, parent: Option<Arc<Parent>>) -> u64 {
        if path.is_none() && parent.is_none() {
            return UNKNOWN;
        }
        let Known { programs, last, length, .. } = &mut *self.known();
        programs.number((path.clone(), parent.clone()), last, || {
            *length += path.as_ref().map_or(0, |Executable(path)| path.len());
            *length += parent.as_ref().map_or(0, |parent| parent.name.len());
            Arc::new(Program { path: path.map(|Executable(path)| path), parent })
        })
    }

    /// Who made a socket, in these calls where they are known.
    pub(super) fn creator(
        &self,
        subject: &Subject,
        frames: Option<Vec<Frame>>,
        gap: Option<&str>,
    ) -> Creator {
        let mut known = self.known();
        let number = frames.map_or(UNKNOWN, |frames| {
            known.last += 1;
            let number = known.last;
            known.length += frames.iter().map(weight).sum::<usize>();
            known.stacks.insert(number, Arc::new(Stack::read(frames, gap)));
            number
        });
        let nobody = Process { pid: 0, comm: [0; 16], start_ns: 0 };
        let process = subject.owner.map_or(nobody, |owner| owner.process);
        Creator { process, stack: Some(StackId(number as u32)) }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_full(&self) -> bool {
        self.groups.is_full()
            || self.programs.is_full()
            || self.stacks.len() > REMEMBERED
            || self.length > LENGTH
    }
}

/// What a frame takes, bytes.
fn weight(frame: &Frame) -> usize {
    let texts = [&frame.function, &frame.module, &frame.file];
    let texts = texts.into_iter().flatten().map(|text| text.len());
    size_of::<Frame>() + texts.sum::<usize>()
}

impl Enricher for Recorded {
    fn cgroup(&self, subject: &Subject) -> Option<Arc<Cgroup>> {
        self.known().groups.things.get(&subject.cgroup).cloned()
    }

    fn executable(&self, process: &Process) -> Option<Arc<str>> {
        self.known().programs.things.get(&process.start_ns)?.path.clone()
    }

    fn parent(&self, process: &Process) -> Option<Arc<Parent>> {
        self.known().programs.things.get(&process.start_ns)?.parent.clone()
    }

    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>> {
        let StackId(number) = creator.stack?;
        self.known().stacks.get(&u64::from(number)).cloned()
    }
}
