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
    Beginning, Opening,
    file::{LogFile, Rotation, Sharing, Unwritten},
    queue::{Lost, Worker},
    trouble::Retry,
};
use tracer_event::{duration::count, escape::without_numbers, header::OfFile};

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
}

/// What the writing thread is given.
pub enum Item {
    /// What makes the beginning of each file; what the first file is, where that was recorded: it
    /// is written as it was.
    Begin(Opening, Option<Option<OfFile>>),
    /// Whole lines.
    Lines(Vec<u8>),
}

impl Item {
    /// How many lines it is.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Begin(..) => 0,
            Self::Lines(lines) => lines_in(lines),
        }
    }
}

/// How many lines end in these bytes.
fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

pub(super) struct Writer<F> {
    destination: Destination,
    opening: Option<Opening>,
    /// The number of the latest file.
    sequence: u64,
    /// Takes buffers that have been written.
    empty: SyncSender<Vec<u8>>,
    /// To be called when nobody reads any more.
    on_close: Option<F>,
    /// SIGHUP has come, and the file could not be opened again yet.
    reopening: Option<Retry>,
    /// Why the last lines could not be written.
    failure: Option<io::Error>,
    /// Lines that could not be written.
    lost: u64,
}

impl<F: FnOnce() + Send> Worker<Item> for Writer<F> {
    fn name(&self) -> String {
        match &self.destination {
            Destination::File(file) => file.path().display().to_string(),
            Destination::Stream(_) => "standard output".to_owned(),
        }
    }

    fn deliver(&mut self, item: &mut Item) -> io::Result<()> {
        match item {
            Item::Begin(opening, first) => {
                self.opening = Some(std::mem::replace(opening, Box::new(|_| Beginning::default())));
                self.sequence = first.flatten().map_or(0, |first| first.sequence);
                let of_file = first.unwrap_or_else(|| self.next_file());
                self.begin_file(of_file);
            }
            Item::Lines(lines) => {
                let mut lines = std::mem::take(lines);
                self.lines(&lines);
                lines.clear();
                // Where there are enough, it is freed.
                let _ = self.empty.try_send(lines);
            }
        }
        Ok(())
    }

    fn lost(&mut self) -> Option<Lost> {
        let (count, error) = (std::mem::take(&mut self.lost), self.failure.as_ref()?);
        Some(Lost { count, error: io::Error::new(error.kind(), error.to_string()) })
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.reopening.get_or_insert_default().hurry();
        if let Some(file) = self.destination.file() {
            file.hurry();
        }
        self.try_to_reopen();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(file) = self.destination.file() {
            let reopening = self.reopening.take().map_or(0, |mut retry| retry.over());
            for (what, failures) in [("set aside", file.failures()), ("opened anew", reopening)] {
                if failures > 1 {
                    tracing::warn!("{} was not {what}: {failures} failures", file.path().display());
                }
            }
            if self.failure.is_none() {
                file.unless_deleted()?;
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl<F: FnOnce() + Send> Writer<F> {
    pub(super) fn new(destination: Destination, empty: SyncSender<Vec<u8>>, on_close: F) -> Self {
        Self {
            destination,
            opening: None,
            sequence: 0,
            empty,
            on_close: Some(on_close),
            reopening: None,
            failure: None,
            lost: 0,
        }
    }

    /// What the file is that is begun now, if it is one.
    fn next_file(&mut self) -> Option<OfFile> {
        let (sequence, opened) = (self.sequence.saturating_add(1), Timestamp::now());
        self.destination.file()?.is_regular().then_some(OfFile { sequence, opened })
    }

    fn begin_file(&mut self, of_file: Option<OfFile>) {
        let Some(opening) = &mut self.opening else { return };
        let mut beginning = opening(of_file);
        if self.destination.file().is_some_and(|file| !file.is_empty()) {
            beginning.columns.clear();
        }
        self.write(&[beginning.columns, beginning.header].concat());
        if self.failure.is_none() {
            self.sequence = of_file.map_or(self.sequence, |file| file.sequence);
        }
    }

    /// It is new, or somebody has cut it.
    fn begin_if_empty(&mut self) {
        if self.destination.file().is_some_and(|file| file.is_empty()) {
            let of_file = self.next_file();
            self.begin_file(of_file);
        }
    }

    fn lines(&mut self, lines: &[u8]) {
        self.try_to_reopen();
        if let Some(file) = self.destination.file()
            && file.rotate_if_due(lines.len() as u64).is_some()
        {
            file.compress();
        }
        self.begin_if_empty();
        self.write(lines);
    }

    fn try_to_reopen(&mut self) {
        let Some(file) = self.destination.file() else { return };
        let Some(retry) = self.reopening.as_mut().filter(|retry| retry.is_due()) else { return };
        let reopened = file.reopen();
        let path = file.path().display();
        match reopened {
            Ok(_) => {
                let failures = retry.over();
                if failures > 0 {
                    tracing::warn!("{path} is opened anew, after {}", count(failures, "failure"));
                }
                self.reopening = None;
                self.begin_if_empty();
            }
            Err(error) => {
                if retry.failed() {
                    let error = without_numbers(&error.to_string());
                    let more = "(the old one goes on; tried again)";
                    tracing::error!("cannot open anew {path}: {error} {more}");
                }
            }
        }
    }

    fn write(&mut self, lines: &[u8]) {
        let written = match &mut self.destination {
            Destination::File(file) => file.append(lines),
            Destination::Stream(stream) => {
                stream.write_all(lines).map_err(|error| Unwritten { error, rest: lines.len() })
            }
        };
        match written {
            Ok(()) => self.failure = None,
            Err(Unwritten { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => {
                if let Some(on_close) = self.on_close.take() {
                    on_close();
                }
            }
            Err(Unwritten { error, rest }) => {
                self.failure = Some(error);
                self.lost += lines_in(&lines[lines.len() - rest..]);
            }
        }
    }
}
