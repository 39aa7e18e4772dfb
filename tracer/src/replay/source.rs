//! Recorded lines from files, one after another: plain, gzip, zstd or the binary form, told apart by
//! their first bytes, and standard input. Never more than a line is held. Whatever is in them, and where nothing
//! comes, the request to stop is looked at.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};

use super::{
    anonymize::Anonymizer,
    decode::{Decoder, Item, Wrong},
};
use tracer_event::escape::{escape, harmless, without_numbers};
use tracer_output::packed::{MAGIC, Unpacker};

/// No line of ours comes near it: the descriptors of a million leaked sockets take less.
const LONGEST: usize = 16 << 20;
/// Read from a file at once.
const CHUNK: usize = 256 << 10;
/// Between two looks whether to stop while nothing comes from a pipe.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Characters of a reason that are shown: it may quote the line.
const SHOWN: usize = 300;

/// Why a recording cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read {name}: {reason}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// A line is not one of a recording.
    #[error("{name}, line {line}: {reason}")]
    Line {
        /// The file.
        name: String,
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a header nor an event.
    #[error(
        "{0}: no trace begins in it: a recording is made by tracer record, or by --format json"
    )]
    NoTrace(String),
    /// The file breaks off before a trace begins.
    #[error("{0}: truncated before a trace begins: copy or record it again")]
    Truncated(String),
}

/// The files of a recording.
pub struct Source {
    files: std::vec::IntoIter<PathBuf>,
    /// Of the files that have been opened.
    names: Vec<String>,
    open: Option<Open>,
    line: Vec<u8>,
    /// Bytes read so far, as they lie on the disk.
    progress: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    cut: Vec<String>,
    /// The last line is half of one. Where the next one begins a trace, the one before was killed,
    /// and this one has ended its line.
    torn: Option<Error>,
    anonymizer: Option<Anonymizer>,
}

struct Open {
    name: String,
    lines: Box<dyn BufRead + Send>,
    number: u64,
}

/// What the next line is.
enum Next {
    Line { ends: bool },
    TooLong,
    End,
}

impl From<Vec<PathBuf>> for Source {
    fn from(files: Vec<PathBuf>) -> Self {
        Self::new(files)
    }
}

impl Source {
    /// Of these files in this order; `-` is standard input.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self {
            files: files.into_iter(),
            names: Vec::new(),
            open: None,
            line: Vec::new(),
            progress: Arc::default(),
            stop: Arc::default(),
            cut: Vec::new(),
            torn: None,
            anonymizer: None,
        }
    }

    /// Without the addresses and names that are in the files.
    pub fn anonymized(self, anonymizer: Option<Anonymizer>) -> Self {
        Self { anonymizer, ..self }
    }

    /// Ends when this is set, wherever it is.
    pub(super) fn stops_with(&mut self, stop: &Arc<AtomicBool>) {
        self.stop = Arc::clone(stop);
    }

    /// Of bytes, as if they were this file.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut source = Self::new(Vec::new());
        let file = io::Cursor::new(bytes.to_vec());
        source.begin(Open::of(name.to_owned(), file, &source.progress)?);
        Ok(source)
    }

    fn begin(&mut self, open: Open) {
        self.names.push(open.name.clone());
        self.open = Some(open);
    }

    /// Counts the bytes that have been read.
    pub fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }

    /// Where files broke off in the middle of a line.
    pub fn take_cut(&mut self) -> Vec<String> {
        std::mem::take(&mut self.cut)
    }

    /// Why there was neither a header nor an event.
    pub fn no_trace(&mut self) -> Error {
        match self.take_cut().into_iter().next() {
            Some(place) => Error::Truncated(place),
            None => Error::NoTrace(self.names.join(", ")),
        }
    }

    /// What the next line tells; `None` at the end of the last file, or where it is to stop.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, and for a line that is none of a recording.
    pub fn next(&mut self, decoder: &mut Decoder) -> Result<Option<Item>, Error> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                self.begin(Open::new(&path, &self.progress, &self.stop)?);
                continue;
            };
            self.line.clear();
            let read = open.read(&mut self.line);
            // Also where that is why there is no more.
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let ends = match read? {
                Next::End => {
                    if let Some(torn) = self.torn.take() {
                        return Err(torn);
                    }
                    self.open = None;
                    continue;
                }
                Next::TooLong => {
                    let reason = format!("longer than {} MiB", LONGEST >> 20);
                    return Err(open.wrong(reason));
                }
                Next::Line { ends } => ends,
            };
            let line = self.line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let read = decoded(line, self.anonymizer.as_ref(), decoder);
            if let Some(item) = Self::kept(read, open, ends, &mut self.torn, &mut self.cut)? {
                return Ok(Some(item));
            }
        }
    }

    /// What a line was decoded to; `None` where it is one that was cut in the middle.
    fn kept(
        read: Result<Item, Unread>,
        open: &Open,
        ends: bool,
        torn: &mut Option<Error>,
        cut: &mut Vec<String>,
    ) -> Result<Option<Item>, Error> {
        let wrong = |reason| open.wrong(reason);
        match (read, torn.take()) {
            (Ok(item), None) => return Ok(Some(item)),
            (Ok(item @ Item::Header(_)), Some(torn)) => {
                cut.push(torn.place());
                return Ok(Some(item));
            }
            (_, Some(torn)) => return Err(torn),
            // What is no recording at all is not the end of one.
            (Err(unread), None) if !ends && (unread.is_half || open.number > 1) => {
                cut.push(wrong(unread.reason).place());
            }
            (Err(Unread { reason, is_half: true }), None) => *torn = Some(wrong(reason)),
            (Err(unread), None) => return Err(wrong(unread.reason)),
        }
        Ok(None)
    }
}

/// Why a line tells nothing.
struct Unread {
    reason: String,
    /// It may be the beginning of one that would.
    is_half: bool,
}

fn decoded(
    line: &[u8],
    anonymizer: Option<&Anonymizer>,
    decoder: &mut Decoder,
) -> Result<Item, Unread> {
    let line = str::from_utf8(line).map_err(|error| Unread {
        reason: "damaged, or not written by tracer (not UTF-8)".into(),
        is_half: error.error_len().is_none(),
    })?;
    let line = anonymizer.map_or(Ok(Cow::Borrowed(line)), |one| one.line(line).map(Cow::Owned));
    let item = line.map_err(Wrong::Json).and_then(|line| decoder.decode(&line));
    item.map_err(|wrong| Unread {
        reason: reason(&wrong),
        is_half: matches!(&wrong, Wrong::Json(error) if error.is_eof()),
    })
}

impl Error {
    /// Where it is.
    fn place(self) -> String {
        match self {
            Self::Line { name, line, .. } => format!("{name}, line {line}"),
            Self::Read { name, .. } | Self::NoTrace(name) | Self::Truncated(name) => name,
        }
    }
}

/// In words for a terminal: it may quote what is in the file.
fn reason(wrong: &Wrong) -> String {
    let text = match wrong {
        Wrong::Json(error) => {
            // In terms of Rust.
            tracing::debug!("{error}");
            format!("damaged, or not written by tracer (column {})", error.column())
        }
        other => other.to_string(),
    };
    harmless(&text).chars().take(SHOWN).collect()
}

impl Open {
    fn new(path: &Path, progress: &Arc<AtomicU64>, stop: &Arc<AtomicBool>) -> Result<Self, Error> {
        let (name, file) = if path == Path::new("-") {
            ("standard input".into(), io::stdin().as_fd().try_clone_to_owned().map(File::from))
        } else {
            // A pipe that nobody writes to is waited for, but not here.
            let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
            (escape(path.as_os_str().as_encoded_bytes()), file)
        };
        match file {
            Ok(file) => {
                Self::of(name.into_owned(), Waiting { file, stop: Arc::clone(stop) }, progress)
            }
            Err(error) => Err(unreadable(&name, &error)),
        }
    }

    fn of(
        name: String,
        file: impl Read + Send + 'static,
        progress: &Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let counted = Counted { file, read: Arc::clone(progress) };
        let mut raw = BufReader::with_capacity(CHUNK, counted);
        let begin = raw.fill_buf().map_err(|error| unreadable(&name, &error))?;
        let mut lines: Box<dyn BufRead + Send> = if begin.starts_with(&[0x1f, 0x8b]) {
            let plain = flate2::bufread::MultiGzDecoder::new(raw);
            Box::new(BufReader::with_capacity(CHUNK, plain))
        } else if begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let plain = zstd::stream::read::Decoder::with_buffer(raw);
            let plain = plain.map_err(|error| unreadable(&name, &error))?;
            Box::new(BufReader::with_capacity(CHUNK, plain))
        } else {
            Box::new(raw)
        };
        // Where compression is damaged, whoever reads lines will say so.
        if lines.fill_buf().is_ok_and(|begin| begin.first() == Some(&MAGIC[0])) {
            lines = Box::new(BufReader::with_capacity(CHUNK, Unpacker::new(lines)));
        }
        Ok(Self { name, lines, number: 0 })
    }

    fn read(&mut self, line: &mut Vec<u8>) -> Result<Next, Error> {
        let mut bounded = (&mut self.lines).take(LONGEST as u64 + 1);
        match bounded.read_until(b'\n', line) {
            // Compression that was not finished: what was there has been read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.lines = Box::new(io::empty());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::debug!("{error:?}");
                self.number += 1;
                return Err(self.wrong(harmless(&error.to_string()).into_owned()));
            }
            Err(error) => return Err(unreadable(&self.name, &error)),
            Ok(0) => return Ok(Next::End),
            Ok(_) => {}
        }
        self.number += 1;
        let ends = line.last() == Some(&b'\n');
        if !ends && line.len() > LONGEST {
            return Ok(Next::TooLong);
        }
        Ok(Next::Line { ends })
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Line { name: self.name.clone(), line: self.number, reason }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    let reason = without_numbers(&harmless(&error.to_string()));
    Error::Read { name: name.to_owned(), reason }
}

/// Waits for what comes, and ends where it is to stop.
struct Waiting {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut readable = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut readable, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match self.file.read(buffer) {
                // Another reader of the pipe was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
        Ok(0)
    }
}

/// Counts what is read.
struct Counted<R> {
    file: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
