//! The way out: a thread that writes, so that a slow reader of our output slows nothing else.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::escape::without_numbers;

/// Bytes that may wait to be written: a quarter of a second of the busiest host.
const LIMIT: usize = 64 << 20;
/// Written buffers that are kept for use.
const SPARE: usize = 16;
/// How long the end of the trace waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where lines go.
#[derive(Debug)]
pub struct Destination {
    file: File,
    name: String,
}

impl Destination {
    /// A new file, or standard output.
    ///
    /// # Errors
    ///
    /// Where the file cannot be created.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        Ok(match path {
            Some(path) => Self { file: File::create(path)?, name: path.display().to_string() },
            // Not through `io::stdout`, whose line buffer would copy everything once more.
            None => Self {
                file: io::stdout().as_fd().try_clone_to_owned()?.into(),
                name: "standard output".into(),
            },
        })
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    /// Nobody reads any more.
    closed: AtomicBool,
    /// Lines that could not be written.
    failed: AtomicU64,
}

/// Hands buffers to the writing thread.
#[derive(Debug)]
pub struct Output {
    sender: Option<Sender<Chunk>>,
    /// Buffers that have been written, to be filled again: fresh ones cost page faults.
    written: Receiver<Vec<u8>>,
    writer: Option<JoinHandle<()>>,
    done: Receiver<()>,
    shared: Arc<Shared>,
}

/// Whole lines.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
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
        let (sender, receiver) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let (empty, written) = mpsc::sync_channel(SPARE);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new().name("tracer-output".into()).spawn(move || {
            write_all(destination, &receiver, &theirs, &empty, closed);
            // The other end may have given up waiting.
            let _ = finished.send(());
        })?;
        Ok(Self { sender: Some(sender), written, writer: Some(writer), done, shared })
    }

    /// Queues whole lines; false (and nothing is queued) where too much waits already.
    pub fn push(&self, bytes: &mut Vec<u8>, lines: u64) -> bool {
        let Some(sender) = &self.sender else {
            return false;
        };
        let len = bytes.len();
        if self.shared.waiting.load(Ordering::Relaxed) + len > LIMIT {
            bytes.clear();
            return false;
        }
        self.shared.waiting.fetch_add(len, Ordering::Relaxed);
        let spare = self.written.try_recv().unwrap_or_else(|_| Vec::with_capacity(len));
        let bytes = std::mem::replace(bytes, spare);
        sender.send(Chunk { bytes, lines }).is_ok()
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    /// How full the queue is, from 0.0 to 1.0.
    pub fn backlog(&self) -> f64 {
        self.shared.waiting.load(Ordering::Relaxed) as f64 / LIMIT as f64
    }

    /// Takes the count of lines that could not be written.
    pub fn take_failed(&self) -> u64 {
        self.shared.failed.swap(0, Ordering::Relaxed)
    }

    /// Writes what waits; false where the reader took too long.
    pub fn finish(mut self) -> bool {
        drop(self.sender.take());
        match self.done.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                if let Some(writer) = self.writer.take() {
                    // A panic there has been printed already.
                    let _ = writer.join();
                }
                true
            }
        }
    }
}

fn write_all(
    mut destination: Destination,
    receiver: &Receiver<Chunk>,
    shared: &Shared,
    empty: &SyncSender<Vec<u8>>,
    closed: impl FnOnce(),
) {
    let mut closed = Some(closed);
    let mut failing = false;
    for Chunk { mut bytes, lines } in receiver {
        let written = destination.file.write_all(&bytes);
        shared.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        bytes.clear();
        // Where there are enough, it goes.
        let _ = empty.try_send(bytes);
        match written {
            Ok(()) => failing = false,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                shared.closed.store(true, Ordering::Relaxed);
                if let Some(closed) = closed.take() {
                    closed();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let error = without_numbers(&error.to_string());
                    tracing::error!("cannot write to {}: {error}", destination.name);
                }
                shared.failed.fetch_add(lines, Ordering::Relaxed);
            }
        }
    }
}
