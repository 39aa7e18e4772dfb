//! The stacks that the programs have recorded, with the names of their functions.
//!
//! Names come from files of strangers. A process of its own reads them ([`reader`]), whose workers
//! may be lost (`worker`): that costs names, and a stack says so. Snapshots are where names are
//! asked for, away from the reader of events; what does not come in time is shown
//! without names. What has been looked up is remembered.

mod handshake;
mod link;
pub mod maps;
mod perf_map;
mod prologue;
mod protocol;
mod quota;
pub mod reader;
mod worker;

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aya::maps::{MapData, StackTraceMap};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

pub use self::link::COMMAND;
use self::{
    link::Link,
    maps::{Maps, bounded},
    protocol::{Answer, Function, Job, Names},
    quota::{Chance, Quota},
};
use super::{
    bounded::Bounded,
    process::{ProcessKey, is_same, key},
};
use tracer_event::{
    process::Process,
    stack::{Creator, Frame, Gap, Stack, StackId, Stacks},
};
use tracer_health as health;

/// More than this is not remembered: starting over costs little.
const REMEMBERED: usize = 1 << 12;
/// A stack of no more calls than this has been cut: whoever starts a thread, and the function that
/// the thread runs, come before the code that calls connect() or accept().
const TOO_SHORT: usize = 2;
/// Stacks of a process that are asked for at once.
const AT_ONCE: usize = 16;
/// Functions shown for one address: the compiler inlines them into each other.
const INLINED: usize = 16;
/// How often it is looked whether there is a hurry, while names are waited for.
const STEP: Duration = Duration::from_millis(100);
/// Unanswered jobs from which on nothing is asked in advance: each takes a process.
const NOTED: usize = 16;
/// Jobs that may be unanswered.
const UNANSWERED: usize = 64;

type StackKey = (ProcessKey, StackId);
/// Stacks of a process.
type Addresses = Vec<(StackId, Vec<u64>)>;

/// Who created sockets with a recorded stack.
#[derive(Clone, Debug, Default)]
pub struct Creators {
    /// All of them.
    pub processes: Vec<Process>,
    /// Those whose stacks are about to be shown.
    pub told: Vec<Creator>,
    /// How long that may wait for the names of their functions.
    pub patience: Duration,
}

/// What has been looked up.
#[derive(Debug, Default)]
pub struct Resolved(Mutex<Bounded<StackKey, Arc<Stack>, REMEMBERED>>);

impl Resolved {
    fn known(&self) -> MutexGuard<'_, Bounded<StackKey, Arc<Stack>, REMEMBERED>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stacks for Resolved {
    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>> {
        self.known().get(&(key(&creator.process), creator.stack?)).cloned()
    }
}

/// The kernel's map of stacks, and who finds names for what is in it.
pub struct Source {
    /// Addresses by number.
    map: StackTraceMap<MapData>,
    link: Link,
}

impl Source {
    /// Starts the process that reads symbols. The calling thread must have the privileges that it
    /// takes ([`super::privileges::STACKS`]), and not have been forbidden to execute.
    ///
    /// # Errors
    ///
    /// Where no process can be started.
    pub fn start(map: StackTraceMap<MapData>) -> io::Result<Self> {
        Ok(Self { map, link: Link::start()? })
    }
}

/// Stacks as the programs record them and where to put what is looked up.
pub struct Recorded {
    /// Where they come from.
    pub map: Source,
    /// What has been looked up.
    pub resolved: Arc<Resolved>,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").finish_non_exhaustive()
    }
}

/// Looks names up. It stays in the thread that made it.
pub(super) struct Resolver {
    source: Source,
    resolved: Arc<Resolved>,
    /// Of processes that have made sockets, while they lived.
    maps: Bounded<ProcessKey, Maps, REMEMBERED>,
    /// Jobs without an answer, by their numbers.
    asked: HashMap<u32, Asked, RandomState>,
    next: u32,
    quota: Quota,
}

/// What was asked for with a job.
struct Asked {
    process: ProcessKey,
    owner: u64,
    stacks: Addresses,
}

impl Resolver {
    pub(super) fn new(Recorded { map: source, resolved }: Recorded) -> Self {
        let (maps, asked) = (Bounded::default(), HashMap::default());
        Self { source, resolved, maps, asked, next: 0, quota: Quota::default() }
    }

    /// Asks for what is not known yet, and waits for what is about to be shown, unless `hurry` is
    /// set.
    pub(super) fn look_up(&mut self, creators: &Creators, hurry: &AtomicBool) {
        self.take_answers(Duration::ZERO);
        let mut open = self.ask(&creators.told);
        self.note(&creators.processes);
        let until = Instant::now() + creators.patience;
        while !self.source.link.is_cut() {
            health::alive();
            open.retain(|key| !self.is_settled(*key));
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero()
                || hurry.load(Ordering::Relaxed)
                || !open.iter().any(|(process, id)| self.is_asked(*process, *id))
            {
                break;
            }
            self.take_answers(rest.min(STEP));
        }
        if self.source.link.is_cut() {
            self.asked.clear();
        }
        let gap = if self.source.link.is_cut() { Gap::NoReader } else { Gap::Late };
        for (process, id) in open {
            let addresses = self.addresses(id).unwrap_or_default();
            self.put(process, id, &addresses, Names::default(), Some(gap));
        }
    }

    /// Asks what processes have mapped: once they have ended, nobody can find out.
    fn note(&mut self, processes: &[Process]) {
        for process in processes {
            if self.asked.len() >= NOTED {
                return;
            }
            let key = key(process);
            let is_asked = self.asked.values().any(|asked| asked.process == key);
            if self.maps.get(&key).is_none() && !is_asked && is_same(process) {
                let owner = owner(process.pid);
                if self.quota.chance(key, owner, Instant::now()) == Chance::Now {
                    self.send(process, owner, Vec::new());
                }
            }
        }
    }

    /// Asks for stacks; those that may have names soon. What has been asked for before has been
    /// waited for.
    fn ask(&mut self, told: &[Creator]) -> Vec<StackKey> {
        let mut wanted: HashMap<ProcessKey, (Process, Addresses), RandomState> = HashMap::default();
        for creator in told {
            let (Some(id), process) = (creator.stack, key(&creator.process)) else { continue };
            if self.is_settled((process, id)) || self.is_asked(process, id) {
                continue;
            }
            let Some(addresses) = self.addresses(id) else {
                self.put(process, id, &[], Names::default(), Some(Gap::Lost));
                continue;
            };
            if !is_same(&creator.process) {
                self.put(process, id, &addresses, Names::default(), Some(Gap::Ended));
                continue;
            }
            let new = || (creator.process, Vec::new());
            let (_, stacks) = wanted.entry(process).or_insert_with(new);
            if !stacks.iter().any(|(known, _)| *known == id) {
                stacks.push((id, addresses));
            }
        }
        let mut open = Vec::new();
        for (process, stacks) in wanted.into_values() {
            self.ask_of(&process, stacks, &mut open);
        }
        open
    }

    fn ask_of(&mut self, process: &Process, stacks: Addresses, open: &mut Vec<StackKey>) {
        let (key, owner) = (key(process), owner(process.pid));
        match self.quota.chance(key, owner, Instant::now()) {
            Chance::Now => {
                open.extend(stacks.iter().map(|(id, _)| (key, *id)));
                for some in stacks.chunks(AT_ONCE) {
                    self.send(process, owner, some.to_vec());
                }
            }
            chance => {
                let gap = if chance == Chance::Never { Gap::Died } else { Gap::Refused };
                for (id, addresses) in stacks {
                    self.put(key, id, &addresses, Names::default(), Some(gap));
                }
            }
        }
    }

    fn send(&mut self, process: &Process, owner: u64, stacks: Addresses) {
        // Where there are so many, the next snapshot asks again.
        if self.asked.len() >= UNANSWERED || self.source.link.is_cut() {
            return;
        }
        let Process { pid, start_ns, .. } = *process;
        self.next = self.next.wrapping_add(1);
        let id = self.next;
        let addresses = stacks.iter().map(|(_, addresses)| addresses.clone()).collect();
        self.source.link.send(&Job { id, owner, pid, start_ns, stacks: addresses });
        self.asked.insert(id, Asked { process: key(process), owner, stacks });
    }

    /// Whether there is nothing more to find out about a stack.
    fn is_settled(&self, key: StackKey) -> bool {
        let gap = self.resolved.known().get(&key).map(|stack| stack.gap);
        match gap {
            None => false,
            Some(Some(Gap::Died | Gap::TooLong)) => !self.quota.has_chance(key.0),
            Some(gap) => !gap.is_some_and(Gap::is_passing),
        }
    }

    fn is_asked(&self, process: ProcessKey, id: StackId) -> bool {
        let mut asked = self.asked.values().filter(|asked| asked.process == process);
        asked.any(|asked| asked.stacks.iter().any(|(one, _)| *one == id))
    }

    fn addresses(&self, id: StackId) -> Option<Vec<u64>> {
        let trace = self.source.map.get(&id.0, 0).ok()?;
        Some(trace.frames().iter().map(|frame| frame.ip).collect())
    }

    /// Takes the answers that there are; waits for the first one.
    fn take_answers(&mut self, mut patience: Duration) {
        while !self.asked.is_empty()
            && let Some(answer) = self.source.link.receive(patience)
        {
            self.take(&answer);
            patience = Duration::ZERO;
        }
    }

    fn take(&mut self, answer: &Answer) {
        let Some(Asked { process, owner, stacks }) = self.asked.remove(&answer.id) else { return };
        let findings = answer.findings();
        let mut gap = None;
        if findings.is_whole {
            self.quota.worked(owner);
        } else {
            self.quota.failed(process, owner, Instant::now());
            gap = Some(if answer.is_late { Gap::TooLong } else { Gap::Died });
        }
        match findings.maps {
            Some(maps) => self.maps.insert(process, maps),
            None => gap = gap.or(Some(Gap::Ended)),
        }
        let mut names = findings.names.into_iter();
        for (id, addresses) in stacks {
            // What was read before the worker died stands.
            let (names, gap) = match names.next() {
                Some(names) => (names, None),
                None => (Names::default(), gap),
            };
            self.put(process, id, &addresses, names, gap);
        }
    }

    /// Remembers a stack.
    fn put(
        &mut self,
        process: ProcessKey,
        id: StackId,
        addresses: &[u64],
        names: Names,
        gap: Option<Gap>,
    ) {
        let maps = self.maps.get(&process);
        let Names { functions, skips_caller, gap: missing } = names;
        let mut functions = functions.into_iter();
        let mut frames = Vec::new();
        for &address in addresses {
            let place = place(maps, address);
            let named = functions.next().unwrap_or_default();
            if named.is_empty() {
                frames.push(place);
            } else {
                let named = named.into_iter().take(INLINED);
                frames.extend(named.map(|function| frame(&place, function)));
            }
        }
        let cut = (addresses.len() <= TOO_SHORT).then_some(Gap::Cut);
        let gap = gap.or(missing).or(cut).or(skips_caller.then_some(Gap::Caller));
        self.resolved.known().insert((process, id), Arc::new(Stack { frames, gap }));
    }
}

/// Whose failures are one's own: the user, and of root's processes those of one container.
fn owner(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let user = ids.and_then(|ids| ids.split_ascii_whitespace().next()?.parse::<u32>().ok());
    match user {
        Some(user @ 1..) => user.into(),
        _ => {
            let mounts = fs::metadata(format!("/proc/{pid}/ns/mnt"));
            mounts.map_or(0, |mounts| mounts.ino() << 32)
        }
    }
}

fn place(maps: Option<&Maps>, address: u64) -> Frame {
    let (module, offset) = maps
        .and_then(|maps| maps.find(address))
        .map_or((None, address), |(path, offset)| (Some(path), offset));
    Frame { function: None, module, offset, file: None, line: None }
}

fn frame(place: &Frame, Function { name, file, line }: Function) -> Frame {
    Frame {
        function: Some(bounded(&name).into()),
        file: file.map(|file| bounded(&file).into()),
        line,
        ..place.clone()
    }
}
