//! The stacks that the programs have recorded, with the names of their functions.
//!
//! Names are looked up where snapshots are taken, away from the reader of events: a large program's
//! debug information takes time. What is looked up is remembered, and told from memory.

pub(crate) mod maps;
mod prologue;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use aya::maps::{MapData, StackTraceMap};
use blazesym::{
    Pid,
    symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer, source},
};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::maps::Maps;
use super::surroundings::is_same;
use crate::{
    model::{
        owner::Process,
        stack::{Frame, Gap, Maker, Stack, StackId, Stacks},
    },
    sink::escape::escape,
};

/// More than this is not remembered: starting over costs little.
const REMEMBERED: usize = 1 << 12;
/// A stack of no more calls than this has been cut: whoever starts a thread, and the function that
/// the thread runs, come before the code that calls connect() or accept().
const TOO_SHORT: usize = 2;

type ProcessKey = (u32, u64);

fn key(process: &Process) -> ProcessKey {
    (process.pid, process.start_ns)
}

/// What has been looked up.
#[derive(Debug, Default)]
pub struct Resolved(Mutex<HashMap<(ProcessKey, StackId), Arc<Stack>, RandomState>>);

impl Resolved {
    fn with<T>(
        &self,
        work: impl FnOnce(&mut HashMap<(ProcessKey, StackId), Arc<Stack>, RandomState>) -> T,
    ) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stacks for Resolved {
    fn stack(&self, maker: &Maker) -> Option<Arc<Stack>> {
        let key = (key(&maker.process), maker.stack?);
        self.with(|known| known.get(&key).cloned())
    }
}

/// The kernel's map of stacks and where to put what is looked up.
pub struct Recorded {
    /// Addresses by number.
    pub map: StackTraceMap<MapData>,
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
    recorded: Recorded,
    symbolizer: Symbolizer,
    /// Of processes that have made sockets, while they lived.
    maps: HashMap<ProcessKey, Maps, RandomState>,
}

impl Resolver {
    pub(super) fn new(recorded: Recorded) -> Self {
        Self { recorded, symbolizer: Symbolizer::new(), maps: HashMap::default() }
    }

    /// Notes what a process has mapped, which nobody can tell any more when it has ended.
    pub(super) fn note(&mut self, process: &Process) {
        if self.maps.contains_key(&key(process)) {
            return;
        }
        if let Some(maps) = maps_of(process) {
            if self.maps.len() >= REMEMBERED {
                self.maps.clear();
            }
            self.maps.insert(key(process), maps);
        }
    }

    /// Looks a stack up, unless it is known.
    pub(super) fn resolve(&mut self, maker: &Maker) {
        let Some(id) = maker.stack else { return };
        let key = (key(&maker.process), id);
        if self.recorded.resolved.with(|known| known.contains_key(&key)) {
            return;
        }
        let stack = Arc::new(self.look_up(&maker.process, id));
        self.recorded.resolved.with(|known| {
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(key, stack);
        });
    }

    fn look_up(&mut self, process: &Process, id: StackId) -> Stack {
        let Ok(trace) = self.recorded.map.get(&id.0, 0) else {
            return Stack { frames: Vec::new(), gap: Some(Gap::Lost) };
        };
        let addresses: Vec<u64> = trace.frames().iter().map(|frame| frame.ip).collect();
        // It may have loaded libraries since it was noted.
        let fresh = maps_of(process);
        let lives = fresh.is_some();
        if let Some(maps) = fresh {
            self.maps.insert(key(process), maps);
        }
        let maps = self.maps.get(&key(process));
        let names = if lives { self.names(process.pid, &addresses) } else { Vec::new() };
        let mut names = names.into_iter();
        let mut frames = Vec::new();
        let mut skips_caller = false;
        for (index, &address) in addresses.iter().enumerate() {
            let place = place(maps, address);
            match names.next() {
                Some(Symbolized::Sym(symbol)) => {
                    skips_caller |=
                        index == 0 && !prologue::keeps_frame(process.pid, &place, &symbol);
                    push_all(&mut frames, &place, &symbol);
                }
                _ => frames.push(place),
            }
        }
        let gap = match (lives, addresses.len()) {
            (false, _) => Some(Gap::Ended),
            (true, ..=TOO_SHORT) => Some(Gap::Cut),
            (true, _) => skips_caller.then_some(Gap::Caller),
        };
        Stack { frames, gap }
    }

    /// By the files that the process has mapped, wherever its root is; without the capability that
    /// this takes, by their paths.
    fn names(&self, pid: u32, addresses: &[u64]) -> Vec<Symbolized<'_>> {
        // But for the first these are addresses of the instruction after a call.
        let calls: Vec<u64> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| address.saturating_sub(u64::from(index > 0)))
            .collect();
        let by = |map_files| {
            let mut process = source::Process::new(Pid::from(pid));
            process.map_files = map_files;
            // Of a file in /tmp that anybody can have written.
            process.perf_map = false;
            let source = source::Source::Process(process);
            self.symbolizer.symbolize(&source, Input::AbsAddr(&calls))
        };
        let named = by(true).or_else(|error| {
            tracing::debug!("symbols of process {pid}: {error}");
            by(false)
        });
        named
            .inspect_err(|error| tracing::debug!("symbols of process {pid}: {error}"))
            .unwrap_or_default()
    }
}

fn maps_of(process: &Process) -> Option<Maps> {
    let text = is_same(process).then(|| std::fs::read(format!("/proc/{}/maps", process.pid)).ok());
    let maps = Maps::parse(&text??);
    // Another process may have got the number meanwhile.
    is_same(process).then_some(maps)
}

fn place(maps: Option<&Maps>, address: u64) -> Frame {
    let (module, offset) = maps
        .and_then(|maps| maps.find(address))
        .map_or((None, address), |(path, offset)| (Some(path), offset));
    Frame { function: None, module, offset, file: None, line: None }
}

/// A function and those that the compiler has put into it, the innermost first.
fn push_all(frames: &mut Vec<Frame>, place: &Frame, symbol: &Sym<'_>) {
    let inlined = symbol.inlined.iter().rev();
    let inlined = inlined.map(|function| (&function.name, function.code_info.as_ref()));
    let outermost = (&symbol.name, symbol.code_info.as_deref());
    for (name, code) in inlined.chain([outermost]) {
        let file = code.map(path).map(|path| escape(path.as_os_str().as_encoded_bytes()).into());
        let function = Some(escape(name.as_bytes()).into());
        frames.push(Frame {
            function,
            file,
            line: code.and_then(|code| code.line),
            ..place.clone()
        });
    }
}

fn path(code: &CodeInfo<'_>) -> std::path::PathBuf {
    code.dir.as_deref().unwrap_or(Path::new("")).join(&code.file)
}
