//! Snapshots of all sockets and of who holds them, by the kernel's iterators.
//!
//! `iter/tcp` shows one network namespace: that of the thread which opens it. A thread of its own
//! therefore enters each namespace, reads, and leaves it again; it keeps none alive.
//! `iter/task_file` shows all.

mod subflows;

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use aya::{
    Ebpf,
    programs::{Iter, ProgramError},
};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};
use tracer_wire::{Holder, Plain, Record, kind};

pub use super::stacks::Creators;
use super::{
    host,
    load::{HOLDERS, SOCKETS},
    namespaces::Namespaces,
    privileges, ring,
    stacks::{Recorded, Resolver},
    time,
};
use tracer_event::{
    host::{Host, NetFacts},
    zone,
};
use tracer_health as health;
use tracer_model::{diagnosis::HostSnapshot, table::Snapshot};

/// What a snapshot is to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All sockets.
    pub sockets: bool,
    /// Who holds them.
    pub holders: bool,
    /// Settings and counters of the namespaces, with the sockets.
    pub settings: bool,
    /// Facts of the processes that hold what is stuck, with the sockets and the holders.
    pub processes: bool,
}

impl Wanted {
    /// All of it, as a diagnosis needs it.
    pub const ALL: Self = Self { sockets: true, holders: true, settings: true, processes: true };

    /// Whether it is all that a diagnosis needs.
    pub fn is_complete(self) -> bool {
        self == Self::ALL
    }
}

/// A finished snapshot.
#[derive(Debug)]
pub struct Taken {
    /// What was seen.
    pub look: HostSnapshot,
    /// What was asked for.
    pub wanted: Wanted,
    /// Processor time that it took, nanoseconds.
    pub cost: u64,
    /// Namespaces that could not be entered, with the reason.
    pub refused: Vec<(u32, String)>,
}

/// Takes snapshots.
pub struct Snapshotter {
    ebpf: Ebpf,
    namespaces: Namespaces,
    buffer: Box<[u8]>,
}

/// The kernel hands out at most 32 KiB at a time (`bpf_seq_read`).
const BUFFER: usize = 64 << 10;

impl Snapshotter {
    /// With the loaded iterators; of one namespace or of all.
    pub fn new(ebpf: Ebpf, only: Option<u32>) -> Self {
        Self { ebpf, namespaces: Namespaces::new(only), buffer: vec![0; BUFFER].into() }
    }

    /// What it takes to look: more than to read where there are other namespaces.
    fn capabilities(&self) -> CapabilitySet {
        let own = self.namespaces.home_inode();
        let enters = self.namespaces.only().is_none_or(|only| only != own);
        privileges::READ | if enters { privileges::NAMESPACES } else { CapabilitySet::empty() }
    }

    /// Takes one now; `seen` are namespaces that events came from. Moves the calling thread
    /// through the namespaces.
    pub fn take(&mut self, wanted: Wanted, seen: &[u32]) -> Taken {
        let begun = time::monotonic();
        let cpu = time::thread_cpu();
        let mut taken = Taken {
            look: HostSnapshot {
                snapshot: Snapshot { begun, ..Snapshot::default() },
                host: Host { home: self.namespaces.home_inode(), ..Host::default() },
            },
            wanted,
            cost: 0,
            refused: Vec::new(),
        };
        // First, because it also gives every open socket its cookie.
        if wanted.holders {
            let holders = &mut taken.look.snapshot.holders;
            match self.read(HOLDERS, |holder: Holder| holders.push(holder)) {
                Ok(()) => {
                    subflows::deduplicate(holders);
                    taken.look.snapshot.held_at = Some(begun);
                }
                Err(error) => tracing::debug!("iter/task_file: {error}"),
            }
        }
        if wanted.sockets {
            // A namespace may have no process of its own, only threads with sockets.
            let held = taken.look.snapshot.holders.iter().map(|holder| holder.netns);
            let mut seen: Vec<u32> = seen.iter().copied().chain(held).collect();
            seen.sort_unstable();
            seen.dedup();
            self.sockets(&mut taken, &seen);
            let Snapshot { holders, records, .. } = &mut taken.look.snapshot;
            subflows::complete(holders, records);
            taken.look.snapshot.ended = time::monotonic();
        }
        if wanted.processes {
            taken.look.host.processes = host::processes_of(&taken.look.snapshot);
        }
        taken.cost = time::thread_cpu().saturating_sub(cpu);
        taken
    }

    fn sockets(&mut self, taken: &mut Taken, seen: &[u32]) {
        // One after the other: there may be more of them than descriptors.
        for inode in self.namespaces.all(seen) {
            health::alive();
            let Some(file) = self.namespaces.open(inode) else { continue };
            let read = file.and_then(|file| {
                // Entering takes CAP_SYS_ADMIN even where one already is.
                if !self.namespaces.is_home(inode) {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                }
                zone::learn(inode, host::interfaces());
                if taken.wanted.settings {
                    let entry = self.namespaces.entry(inode);
                    let facts = NetFacts { entry, ..host::net_facts() };
                    taken.look.host.namespaces.insert(inode, facts);
                }
                let records = &mut taken.look.snapshot.records;
                self.read(SOCKETS, |record: Record| {
                    if record.kind != kind::END {
                        records.push(record);
                    }
                })
            });
            match read {
                Ok(()) => taken.look.snapshot.namespaces.push(inode),
                Err(error) => taken.refused.push((inode, error.to_string())),
            }
            // Paths by which the next one is found may lead elsewhere from here.
            self.namespaces.go_home();
        }
    }

    /// Hands over all that an iterator writes.
    fn read<T: Plain>(&mut self, program: &str, mut each: impl FnMut(T)) -> io::Result<()> {
        let mut file = self.open(program)?;
        let mut filled = 0;
        loop {
            health::alive();
            let count = match file.read(&mut self.buffer[filled..]) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += count;
            let whole = filled - filled % size_of::<T>();
            let records = self.buffer[..whole].chunks_exact(size_of::<T>());
            records.filter_map(T::copied_from).for_each(&mut each);
            self.buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
    }

    fn open(&mut self, program: &str) -> io::Result<File> {
        let link = self
            .ebpf
            .program_mut(program)
            .ok_or(ProgramError::NotLoaded)
            .and_then(<&mut Iter>::try_from)
            .and_then(|iter| {
                let link = iter.attach()?;
                iter.take_link(link)
            })
            .map_err(io::Error::other)?;
        link.into_file().map_err(io::Error::other)
    }
}

/// A request to the snapshotting thread.
#[derive(Debug)]
struct Request {
    wanted: Wanted,
    seen: Vec<u32>,
    creators: Creators,
}

/// Takes snapshots in a thread of its own.
#[derive(Debug)]
pub struct Snapshots {
    thread: health::Thread,
    requests: Sender<Request>,
    taken: Receiver<Taken>,
    /// The snapshot that is being taken does not wait for names any more.
    hurry: Arc<AtomicBool>,
    pending: bool,
}

impl Snapshots {
    /// Starts the thread; it wakes the reader by `waker` when a snapshot is ready. `stacks` are
    /// those that the programs record.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn start(
        mut snapshotter: Snapshotter,
        stacks: Option<Recorded>,
        waker: OwnedFd,
    ) -> io::Result<Self> {
        let (requests, asked) = mpsc::channel::<Request>();
        let (ready, taken) = mpsc::channel();
        let kept = snapshotter.capabilities();
        let hurry = Arc::new(AtomicBool::new(false));
        let hurried = Arc::clone(&hurry);
        let thread = health::spawn("tracer-snapshot", move || {
            privileges::keep_only(kept);
            let mut resolver = stacks.map(Resolver::new);
            while let Ok(Request { wanted, seen, creators }) = health::idle(|| asked.recv()) {
                hurried.store(false, Ordering::Relaxed);
                let taken = snapshotter.take(wanted, &seen);
                // Before it is handed over: what it raises is shown with its stack.
                if let Some(resolver) = &mut resolver {
                    resolver.look_up(&creators, &hurried);
                }
                if ready.send(taken).is_err() {
                    return;
                }
                ring::wake(&waker);
            }
        })?;
        Ok(Self { thread, requests, taken, hurry, pending: false })
    }

    /// Asks for a snapshot, and for stacks by the way, unless one is being taken; whether it was
    /// asked for.
    pub fn request(&mut self, wanted: Wanted, seen: Vec<u32>, creators: Creators) -> bool {
        if self.pending {
            return false;
        }
        self.thread.owes();
        self.pending = self.requests.send(Request { wanted, seen, creators }).is_ok();
        self.pending
    }

    /// Whether one is being taken: another one cannot be asked for.
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// Has the snapshot that is being taken wait for no names.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// The snapshot that was asked for, when it is ready.
    pub fn ready(&mut self) -> Option<Taken> {
        let taken = self.taken.try_recv().ok()?;
        self.pending = false;
        Some(taken)
    }
}
