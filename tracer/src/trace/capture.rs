//! What the kernel half reports, read into a table, and what it could not report.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aya::Ebpf;
use tracer_wire::Program;

use super::losses::Losses;
use tracer_event::update::Observer;
use tracer_health as health;
use tracer_kernel::{
    load::Tracer,
    ring::{self, Batch, Item, Reader},
    snapshot::{Snapshots, Snapshotter},
    stacks::{self, Recorded, Resolved},
    time,
};
use tracer_model::table::{self, Table};

/// The thread that reads events.
pub(crate) const READER: &str = "tracer-reader";

/// Events on their way from the kernel to a table.
pub(crate) struct Capture {
    pub(crate) table: Table,
    pub(super) losses: Losses,
    reader: Reader,
    stop: Arc<Stop>,
    /// Everything that happened before this time has been read.
    pub(crate) read_until: u64,
}

/// The attached programs, of use for snapshots as well.
pub(crate) struct Programs {
    ebpf: Ebpf,
    stacks: Option<stacks::Source>,
}

/// Ends a trace from another thread.
#[derive(Debug)]
pub struct Stop {
    asked: AtomicBool,
    waker: OwnedFd,
}

impl Stop {
    /// Asks the trace to end in order.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        health::owe(READER);
        self.wake();
    }

    /// Wakes the reader, which then finds out whether anybody still reads its output.
    pub fn wake(&self) {
        ring::wake(&self.waker);
    }
}

impl Capture {
    /// Sets up reading. The programs stay attached as long as the second of what is returned lives.
    ///
    /// # Errors
    ///
    /// Where descriptors have run out.
    pub(crate) fn new(tracer: Tracer, options: table::Options) -> io::Result<(Self, Programs)> {
        let Tracer { ebpf, main, others, rings, reader, counters, stacks, .. } = tracer;
        let reader = Reader::new(rings, reader)?;
        let capture = Self {
            table: Table::new(options),
            losses: Losses::new(main, others, counters),
            stop: Arc::new(Stop { asked: AtomicBool::new(false), waker: reader.waker()? }),
            reader,
            read_until: 0,
        };
        Ok((capture, Programs { ebpf, stacks }))
    }

    /// Starts the thread that takes snapshots, of one network namespace or of all. Stacks, if the
    /// programs record them, are looked up and put into `resolved`.
    ///
    /// # Errors
    ///
    /// Where descriptors or threads have run out.
    pub(crate) fn snapshots(
        &self,
        programs: Programs,
        netns: Option<u32>,
        resolved: Arc<Resolved>,
    ) -> io::Result<Snapshots> {
        let Programs { ebpf, stacks } = programs;
        let recorded = stacks.map(|map| Recorded { map, resolved });
        Snapshots::start(Snapshotter::new(ebpf, netns), recorded, self.reader.waker()?)
    }

    /// Ends it from elsewhere.
    pub(crate) fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }

    /// Whether it is to end.
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.stop.asked.load(Ordering::Relaxed)
    }

    /// Reads a batch; with the time of its first event.
    pub(crate) fn read<O: Observer>(
        &mut self,
        out: &mut O,
        learn: impl Fn(&mut O, &Program),
    ) -> (Batch, Option<u64>) {
        let Self { reader, table, losses, read_until, .. } = self;
        let mut oldest = None;
        let batch = reader.read(|item| match item {
            Item::Record(record) => {
                oldest.get_or_insert(record.time_ns);
                table.ingest(record, out);
            }
            Item::Program(program) => learn(out, program),
        });
        *read_until = batch.complete_until;
        losses.damaged(batch.damaged);
        (batch, oldest)
    }

    /// Does what may take long with the table, while events go on being taken from the kernel.
    pub(super) fn meanwhile<T>(&mut self, work: impl FnOnce(&mut Table) -> T) -> T {
        let Self { reader, table, .. } = self;
        reader.meanwhile(|| work(table))
    }

    /// Waits for records: not for long if some have just come (`busy`), and not longer than this.
    pub(crate) fn wait(&mut self, busy: bool, timeout: Option<Duration>) {
        self.reader.wait(busy, timeout);
    }

    /// Reports what the kernel half could not; whether there was anything. To be called before the
    /// table reports what was not seen: what is counted here is not counted there again.
    pub(crate) fn count_losses(&mut self, out: &mut impl Observer) -> bool {
        self.losses.look(time::monotonic(), &mut self.table, out)
    }
}
