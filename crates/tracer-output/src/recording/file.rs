//! A recording as a file: `tracer record`.

use std::{
    fs::File,
    io::{self, ErrorKind, Seek as _, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::batches::{Batch, Batches};
use crate::{
    Sink, Tick, Undelivered,
    file::{Unwritten, write},
    packed::MAGIC,
    queue::{Limit, Outlet, Worker},
};
use tracer_event::{
    enricher::Context,
    header::Header,
    summary::Summary,
    update::{LossPlace, Update},
    wall_clock::WallClock,
};

/// Bytes that may wait to be written.
const LIMIT: usize = 64 << 20;
/// How long the end of the trace waits for a disk that does not take it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes all that happens to a file.
pub struct Recording {
    batches: Batches,
    outlet: Outlet<Batch>,
    /// Nobody reads any more.
    closed: Arc<AtomicBool>,
}

impl Recording {
    /// Starts the thread that writes to `file`, which is `name`, and compresses if asked to; it calls
    /// `on_close` when that is a pipe and nobody reads it any more.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        file: File,
        name: String,
        compress: bool,
        on_close: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let closed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closed);
        let on_close = Box::new(move || {
            flag.store(true, Ordering::Relaxed);
            on_close();
        });
        let writer =
            Writer { file, name, compress, on_close, end: None, torn: false, failed: None };
        let outlet = Outlet::start("tracer-record", Limit::Bytes(LIMIT), writer)?;
        Ok(Self { batches: Batches::default(), outlet, closed })
    }

    /// Says afterwards why the end of the trace is not in the file, if it is not. A reader that has
    /// closed it does not want it.
    pub fn ending(&self) -> impl Fn() -> Option<String> + Send + use<> {
        let closed = Arc::clone(&self.closed);
        let missing = self.outlet.ending("the disk is too slow");
        move || if closed.load(Ordering::Relaxed) { None } else { missing() }
    }

    fn push(&mut self) {
        // Where there is no room they are counted.
        let _ = self.outlet.push(self.batches.take().into_iter().collect());
    }
}

impl Sink for Recording {
    fn header(&mut self, header: &Header, clock: WallClock) {
        self.batches.line(clock.now, |json, packer| json.tell_hello(header, clock, packer));
        self.push();
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        if self.batches.update(update, context) {
            self.push();
        }
    }

    fn pause(&mut self, moment: &Tick, _: Context<'_>) -> Option<u64> {
        if self.batches.due().is_some_and(|due| moment.now >= due) {
            self.push();
        }
        self.batches.due()
    }

    fn flush(&mut self) -> Option<Undelivered> {
        Undelivered::new(LossPlace::Output, self.outlet.take_lost())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn backlog(&self) -> f64 {
        self.outlet.fill()
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Output, self.outlet.take_all_lost(PATIENCE))
    }

    fn finish(self: Box<Self>, summary: &Summary, context: Context<'_>) {
        let Self { mut batches, outlet, .. } = *self;
        let clock = context.clock;
        batches.line(clock.now, |json, packer| json.tell_summary(summary, clock, packer));
        outlet.finish(batches.take().into_iter().collect(), PATIENCE, None);
    }
}

struct Writer {
    file: File,
    name: String,
    compress: bool,
    on_close: Box<dyn Fn() + Send>,
    /// Where the last whole block ends; `None` before the first.
    end: Option<u64>,
    /// The last block is there in part: of a pipe nothing can be taken back.
    torn: bool,
    /// Why the last block is not in the file.
    failed: Option<ErrorKind>,
}

impl Writer {
    /// Writes it all, or nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end.unwrap_or(0);
        if let Err(Unwritten { error, rest }) = write(&mut self.file, bytes) {
            let taken_back =
                self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
            self.torn |= taken_back.is_err() && rest < bytes.len();
            return Err(error);
        }
        self.end = Some(end + bytes.len() as u64);
        Ok(())
    }

    fn store(&mut self, batch: &Batch) -> io::Result<()> {
        if self.torn {
            // Behind a part of a block nobody could read another one.
            return Err(ErrorKind::WriteZero.into());
        }
        if self.end.is_none() {
            self.write(&MAGIC)?;
        }
        let stored = batch.block.stored(self.compress)?;
        self.write(stored.bytes())
    }
}

impl Worker<Batch> for Writer {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        let stored = self.store(batch);
        self.failed = stored.as_ref().err().map(io::Error::kind);
        if self.failed == Some(ErrorKind::BrokenPipe) {
            (self.on_close)();
            self.failed = None;
            return Ok(());
        }
        stored
    }

    /// Fails where the end of the trace is not in the file.
    fn finish(&mut self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }
}
