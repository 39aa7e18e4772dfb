//! The thread that writes lines, so that a slow reader of the output slows nothing else: to standard
//! output, or to a file, which it rotates and opens again.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
    sync::mpsc::SyncSender,
};

use jiff::Timestamp;

use super::{
    OfFile, Opening,
    escape::without_numbers,
    file::{LogFile, Rotation, Sharing, Unwritten},
    queue::{Queue, Size, Worker},
    trouble::{Retry, Seldom, again},
};

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// A file of our own.
    File(Box<LogFile>),
    /// Standard output.
    Stream(File),
}

impl Destination {
    /// A file, created if it is missing, or standard output.
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

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.is_terminal())
    }

    fn file(&mut self) -> Option<&mut LogFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Stream(_) => None,
        }
    }

    fn report(&self, what: &str, error: &io::Error, more: &str) {
        let error = without_numbers(&error.to_string());
        let name = match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Stream(_) => "standard output".to_owned(),
        };
        tracing::error!("cannot {what} {name}: {error}{more}");
    }
}

/// How many lines end in these bytes: what is lost when they are.
pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// What the writing thread is given.
pub enum Item {
    /// What makes the beginning of each file; what the first file is, where that was recorded: it
    /// is written as it was.
    Begin(Opening, Option<Option<OfFile>>),
    /// Whole lines.
    Lines(Vec<u8>),
}

pub(super) struct Writer<F> {
    destination: Destination,
    opening: Option<Opening>,
    /// The number of the latest file.
    sequence: u64,
    /// Takes buffers that have been written.
    empty: SyncSender<Vec<u8>>,
    /// To be called when nobody reads any more.
    closed: Option<F>,
    /// SIGHUP has come, and the file could not be opened again yet.
    reopening: Option<Retry>,
    failures: Seldom,
}

impl<F: FnOnce() + Send> Worker<Item> for Writer<F> {
    fn work(&mut self, item: Item, size: Size, queue: &Queue<Item>) {
        match item {
            Item::Begin(opening, first) => self.begin(opening, first, queue),
            Item::Lines(mut bytes) => {
                self.lines(&bytes, queue);
                bytes.clear();
                // Where there are enough, it is freed.
                let _ = self.empty.try_send(bytes);
            }
        }
        queue.release(size);
    }

    fn reopen(&mut self, queue: &Queue<Item>) {
        self.reopening.get_or_insert_default().hurry();
        if let Some(file) = self.destination.file() {
            file.hurry();
        }
        self.try_to_reopen(queue);
    }

    fn finish(&mut self, queue: &Queue<Item>) -> bool {
        let Self { destination, reopening, .. } = self;
        if let Some(file) = destination.file() {
            let reopening = reopening.take().map_or(0, |mut retry| retry.over());
            for (what, failures) in [("set aside", file.failures()), ("opened anew", reopening)] {
                if failures > 1 {
                    tracing::warn!("{} was not {what}: {failures} failures", file.path().display());
                }
            }
            if !queue.is_failing() && file.is_deleted() {
                queue.set_failing(true);
                let deleted = io::Error::other("it has been deleted");
                destination.report("keep what is written in", &deleted, "");
            }
        }
        !queue.is_failing()
    }
}

impl<F: FnOnce() + Send> Writer<F> {
    pub(super) fn new(destination: Destination, empty: SyncSender<Vec<u8>>, closed: F) -> Self {
        let closed = Some(closed);
        let (opening, reopening, failures) = (None, None, Seldom::default());
        Self { destination, opening, sequence: 0, empty, closed, reopening, failures }
    }

    fn begin(&mut self, opening: Opening, first: Option<Option<OfFile>>, queue: &Queue<Item>) {
        self.sequence = first.flatten().map_or(0, |first| first.sequence);
        self.opening = Some(opening);
        let of_file = first.unwrap_or_else(|| self.next_file());
        self.begin_file(of_file, queue);
    }

    /// What the file is that is begun now, if it is one.
    fn next_file(&mut self) -> Option<OfFile> {
        let (sequence, opened) = (self.sequence.saturating_add(1), Timestamp::now());
        self.destination.file()?.is_regular().then_some(OfFile { sequence, opened })
    }

    fn begin_file(&mut self, of_file: Option<OfFile>, queue: &Queue<Item>) {
        let Some(opening) = &mut self.opening else { return };
        let mut beginning = opening(of_file);
        if self.destination.file().is_some_and(|file| !file.is_empty()) {
            beginning.header.clear();
        }
        let both = [beginning.header, beginning.hello].concat();
        if self.write(&both, queue) {
            self.sequence = of_file.map_or(self.sequence, |file| file.sequence);
        }
    }

    /// It is new, or somebody has cut it.
    fn begin_if_empty(&mut self, queue: &Queue<Item>) {
        if self.destination.file().is_some_and(|file| file.is_empty()) {
            let of_file = self.next_file();
            self.begin_file(of_file, queue);
        }
    }

    fn lines(&mut self, lines: &[u8], queue: &Queue<Item>) {
        if lines.is_empty() {
            return;
        }
        self.try_to_reopen(queue);
        if let Some(file) = self.destination.file()
            && file.rotate_if_due(lines.len() as u64).is_some()
        {
            file.compress();
        }
        self.begin_if_empty(queue);
        self.write(lines, queue);
    }

    fn try_to_reopen(&mut self, queue: &Queue<Item>) {
        let Some(file) = self.destination.file() else { return };
        let Some(retry) = self.reopening.as_mut().filter(|retry| retry.is_due()) else { return };
        match file.reopen() {
            Ok(_) => {
                let failures = retry.over();
                if failures > 0 {
                    let path = file.path().display();
                    tracing::warn!("{path} is opened anew, after {failures} failures");
                }
                self.reopening = None;
                self.begin_if_empty(queue);
            }
            Err(error) => {
                if retry.failed() {
                    let more = " (the old one goes on; tried again)";
                    self.destination.report("open anew", &error, more);
                }
            }
        }
    }

    /// Whether it is written.
    fn write(&mut self, lines: &[u8], queue: &Queue<Item>) -> bool {
        let written = match &mut self.destination {
            Destination::File(file) => file.append(lines),
            Destination::Stream(stream) => {
                stream.write_all(lines).map_err(|error| Unwritten { error, rest: lines.len() })
            }
        };
        match written {
            Ok(()) => {
                queue.set_failing(false);
                return true;
            }
            Err(Unwritten { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => {
                queue.set_unread();
                if let Some(closed) = self.closed.take() {
                    closed();
                }
            }
            Err(Unwritten { error, rest }) => {
                if !queue.set_failing(true)
                    && let Some(held) = self.failures.say()
                {
                    self.destination.report("write to", &error, &again(held));
                }
                queue.lose(lines_in(&lines[lines.len() - rest..]));
            }
        }
        false
    }
}
