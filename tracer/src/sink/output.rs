//! The way out: a thread that writes, so that a slow reader of our output slows nothing else.

mod writer;

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use self::writer::Writer;
use super::{
    OfFile,
    file::{LogFile, Rotation, Sharing},
};
use crate::health;

/// Bytes that may wait to be written: a quarter of a second of the busiest host.
const LIMIT: usize = 64 << 20;
/// The same for a terminal: who looks at it does not want to see what was long ago.
const TERMINAL_LIMIT: usize = 1 << 20;
/// Written buffers that are kept for use.
const SPARE: usize = 16;
/// How long the end of the trace waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// A file of our own.
    File(Box<LogFile>),
    /// Standard output.
    Stream(File),
}

impl Destination {
    /// A file, made if it is missing, or standard output.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened.
    pub fn open(
        path: Option<&Path>,
        rotation: Option<Rotation>,
        sharing: Sharing,
    ) -> io::Result<Self> {
        Ok(match path {
            Some(path) => Self::File(Box::new(LogFile::open(path, rotation, sharing)?)),
            // Not through `io::stdout`, whose line buffer would copy everything once more.
            None => Self::Stream(io::stdout().as_fd().try_clone_to_owned()?.into()),
        })
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    /// Nobody reads any more.
    closed: AtomicBool,
    /// The last write has failed.
    failing: AtomicBool,
    /// Lines that could not be written.
    failed: AtomicU64,
    /// There was no room for the last lines.
    cut: AtomicBool,
    /// All has been written, to where it can be found.
    ended: AtomicBool,
}

/// How many lines end in these bytes: what is lost when they are.
pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Hands buffers to the writing thread.
#[derive(Debug)]
pub struct Output {
    sender: Sender<Message>,
    /// Buffers that have been written, to be filled again: fresh ones cost page faults.
    written: Receiver<Vec<u8>>,
    writer: health::Thread,
    done: Receiver<()>,
    shared: Arc<Shared>,
    limit: usize,
}

/// What a file begins with.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Only the first line of a file may be so: the names of columns.
    pub header: Vec<u8>,
    /// What a trace begins with; again in each of its files, so that each can be read alone.
    pub hello: Vec<u8>,
}

/// Makes what each file begins with: each another one, since many who read files know them by
/// their first bytes.
pub type Opening = Box<dyn FnMut(Option<OfFile>) -> Beginning + Send>;

/// What the files of a trace begin with.
pub struct Beginnings {
    /// Makes them.
    pub opening: Opening,
    /// What the first of them is, where that was recorded: it is told again as it was.
    pub first: Option<Option<OfFile>>,
}

enum Message {
    Begin(Beginnings),
    /// Whole lines.
    Lines(Vec<u8>),
    Reopen,
    End,
}

/// Opens the output's file anew, in order with what is written.
#[derive(Clone, Debug)]
pub struct Reopen(Sender<Message>);

impl Reopen {
    /// Asks for it.
    pub fn ask(&self) {
        // At the end of the trace nobody needs it any more.
        let _ = self.0.send(Message::Reopen);
    }
}

/// Tells whether all that was given to an output at the end of the trace has been written.
#[derive(Clone, Debug)]
pub struct Ending(Arc<Shared>);

impl Ending {
    /// Why the last lines are not where they should be; a reader that has closed the output does
    /// not want them.
    pub fn missing(&self) -> Option<&'static str> {
        let is = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        if is(&self.0.closed) || is(&self.0.ended) && !is(&self.0.cut) {
            return None;
        }
        Some(if is(&self.0.failing) { "see above" } else { "its reader does not read" })
    }
}

impl Output {
    /// Starts the writing thread; it calls `closed` when nobody reads any more.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        destination: Destination,
        closed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let limit = match &destination {
            Destination::Stream(stream) if stream.is_terminal() => TERMINAL_LIMIT,
            _ => LIMIT,
        };
        let (sender, receiver) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let (empty, written) = mpsc::sync_channel(SPARE);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(destination, Arc::clone(&shared), closed);
        let writer =
            health::spawn("tracer-output", move || writer.run(&receiver, &empty, &finished))?;
        Ok(Self { sender, written, writer, done, shared, limit })
    }

    /// For whoever is to open the file anew.
    pub fn reopen(&self) -> Reopen {
        Reopen(self.sender.clone())
    }

    /// For whoever wants to know how it ended.
    pub fn ending(&self) -> Ending {
        Ending(Arc::clone(&self.shared))
    }

    /// What the trace, and each of its files, begins with.
    pub fn begin(&self, beginnings: Beginnings) {
        // Without the thread, nothing is written.
        let _ = self.sender.send(Message::Begin(beginnings));
    }

    /// Queues whole lines, and empties the buffer; false, and nothing of it, where too much waits
    /// already.
    pub fn push(&self, bytes: &mut Vec<u8>) -> bool {
        let len = bytes.len();
        if self.shared.waiting.load(Ordering::Relaxed) + len > self.limit {
            return false;
        }
        self.shared.waiting.fetch_add(len, Ordering::Relaxed);
        let spare = self.written.try_recv().unwrap_or_else(|_| Vec::with_capacity(len));
        let bytes = std::mem::replace(bytes, spare);
        self.writer.owes();
        self.sender.send(Message::Lines(bytes)).is_ok()
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    /// Whether what is written now fails.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// How full the queue is, from 0.0 to 1.0.
    pub fn backlog(&self) -> f64 {
        self.shared.waiting.load(Ordering::Relaxed) as f64 / self.limit as f64
    }

    /// Takes the count of lines that could not be written.
    pub fn take_failed(&self) -> u64 {
        self.shared.failed.swap(0, Ordering::Relaxed)
    }

    /// Waits until all that was pushed has been written or has failed, but not for ever.
    pub fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.waiting.load(Ordering::Relaxed) > 0
            && Instant::now() < deadline
            && !self.writer.is_finished()
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes what waits, and these last lines; gives up where the reader takes too long, of which
    /// [`Ending`] tells.
    pub fn finish(self, mut last: Vec<u8>) {
        if !last.is_empty() && !self.push(&mut last) {
            self.shared.cut.store(true, Ordering::Release);
        }
        let _ = self.sender.send(Message::End);
        if self.done.recv_timeout(PATIENCE) != Err(mpsc::RecvTimeoutError::Timeout) {
            self.writer.join();
        }
    }
}
