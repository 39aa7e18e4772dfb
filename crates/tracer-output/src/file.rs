//! A file of whole lines: appended to, rotated by size and age, reopened on demand. Whatever
//! fails leaves all files as they are.
//!
//! Own code: the kept libraries for rotation can neither reopen a file (logrotate) nor say how
//! much of a write has succeeded (a full disk), and print what fails in the background.

mod archive;
mod lock;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use self::archive::{Archive, Successor};
pub use self::{archive::Keep, lock::Sharing};
use super::trouble::Retry;
use tracer_event::{duration::count, escape::without_numbers};

/// When a file is full or old enough to be set aside.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Not larger than this, bytes.
    pub size: Option<u64>,
    /// Not older than this.
    pub age: Option<Duration>,
    /// What becomes of the files set aside.
    pub keep: Keep,
}

/// What could not be written, and why.
#[derive(Debug)]
pub struct Unwritten {
    /// What the kernel says.
    pub error: io::Error,
    /// Bytes at the end that are not in the file.
    pub rest: usize,
}

/// An output file, or another thing that has a path: a pipe, a device.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Opened,
    rotation: Option<Rotation>,
    archive: Archive,
    sharing: Sharing,
    rotating: Retry,
}

impl LogFile {
    /// Opens or creates it. Who sets it aside is alone with it in any case.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses it, or another process writes to it that must not.
    pub fn open(path: &Path, rotation: Option<Rotation>, sharing: Sharing) -> io::Result<Self> {
        let sharing = if rotation.is_some() { Sharing::Alone } else { sharing };
        let archive = Archive::new(path, rotation.map(|rotation| rotation.keep));
        let open = open_locked(path, sharing, true)?;
        let (path, rotating) = (path.to_owned(), Retry::default());
        Ok(Self { path, open, rotation, archive, sharing, rotating })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of lines, not a pipe or a device.
    pub fn is_regular(&self) -> bool {
        self.open.regular
    }

    /// Somebody has deleted it: what is written goes nowhere.
    pub fn is_deleted(&self) -> bool {
        self.open.regular
            && self.open.file.metadata().is_ok_and(|status| status.nlink() == 0)
            && !self.is_in_place()
    }

    /// Nothing has been written to it, or somebody has cut it.
    pub fn is_empty(&self) -> bool {
        self.open.regular && self.len() == 0
    }

    fn len(&self) -> u64 {
        self.open.file.metadata().map_or(0, |status| status.len())
    }

    /// Appends whole lines. Where not all can be written, whole lines are: a partial one is taken
    /// back.
    ///
    /// # Errors
    ///
    /// Says how much has not been written.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        let ready = self.unless_deleted().and_then(|()| self.end_torn_line());
        ready.map_err(|error| Unwritten { error, rest: lines.len() })?;
        let begun = if self.open.regular { self.len() } else { 0 };
        let Err(Unwritten { error, rest }) = write(&mut self.open.file, lines) else {
            return Ok(());
        };
        let written = lines.len() - rest;
        let whole = lines[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if self.open.regular && whole < written {
            // What somebody else has written behind it is theirs.
            let is_last = self.len() == begun + written as u64;
            let is_whole = is_last && self.open.file.set_len(begun + whole as u64).is_ok();
            self.open.torn = !is_whole;
        }
        Err(Unwritten { error, rest: lines.len() - whole })
    }

    /// Appends bytes that only mean something together: what cannot be written now is to be
    /// offered again.
    ///
    /// # Errors
    ///
    /// Says how much has not been written.
    #[cfg(feature = "parquet")]
    pub fn continue_with(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        self.unless_deleted().map_err(|error| Unwritten { error, rest: bytes.len() })?;
        write(&mut self.open.file, bytes)
    }

    /// # Errors
    ///
    /// Where it has been deleted.
    pub fn unless_deleted(&self) -> io::Result<()> {
        if self.is_deleted() {
            return Err(io::Error::other("it has been deleted; SIGHUP makes it anew"));
        }
        Ok(())
    }

    /// Readers then see one line that makes no sense instead of two joined ones.
    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.open.torn {
            self.open.file.write_all(b"\n")?;
            self.open.torn = false;
        }
        Ok(())
    }

    /// Whether it is ever set aside.
    #[cfg(feature = "parquet")]
    pub fn rotates(&self) -> bool {
        self.rotation.is_some()
    }

    /// Whether it should be set aside before so many bytes are added.
    pub fn is_due(&self, coming: u64) -> bool {
        let Some(Rotation { size, age, .. }) = self.rotation else { return false };
        if !self.open.regular || !self.archive.is_ready() {
            return false;
        }
        let len = self.len();
        let too_large = size.is_some_and(|size| len + coming > size);
        let too_old =
            age.is_some_and(|age| self.open.begun.elapsed().is_ok_and(|passed| passed >= age));
        len > 0 && (too_large || too_old)
    }

    /// Sets the file aside and begins a new one; the old one, into which nothing more goes by
    /// itself. Where that fails all is as it was.
    ///
    /// # Errors
    ///
    /// Where files cannot be created or renamed; what follows then goes to the file as it is.
    pub fn rotate(&mut self) -> io::Result<File> {
        if !self.is_in_place() {
            // Somebody else has set it aside.
            return self.replace();
        }
        let Successor { file, name } = self.archive.successor(&self.open.file)?;
        lock::lock(&file, self.sharing)?;
        self.archive.shift(&name)?;
        name.placed();
        let open = Opened { file, begun: SystemTime::now(), torn: false, ..self.open };
        Ok(std::mem::replace(&mut self.open, open).file)
    }

    /// The file set aside last is complete and may be compressed.
    pub fn compress(&mut self) {
        self.archive.compress();
    }

    /// Sets the file aside where it should be before so many bytes are added: the old one. A
    /// failure is reported once and tried again later.
    pub fn rotate_if_due(&mut self, coming: u64) -> Option<File> {
        self.archive.tend();
        if !self.is_due(coming) || !self.rotating.is_due() {
            return None;
        }
        let rotated = self.rotate();
        let path = self.path.display();
        match rotated {
            Ok(old) => {
                let failures = self.rotating.over();
                if failures > 0 {
                    tracing::warn!("{path} is set aside, after {}", count(failures, "failure"));
                }
                Some(old)
            }
            Err(error) => {
                if self.rotating.failed() {
                    let error = without_numbers(&error.to_string());
                    tracing::error!("cannot set aside {path}: {error} (it goes on; tried again)");
                }
                None
            }
        }
    }

    /// How often it could not be set aside since that last worked.
    pub fn failures(&mut self) -> u64 {
        self.rotating.over()
    }

    /// The next attempt to set it aside does not wait.
    pub fn hurry(&mut self) {
        self.rotating.hurry();
    }

    /// Opens whatever has the path now: somebody else may have set the file aside. The old file,
    /// where it is another one.
    ///
    /// # Errors
    ///
    /// Where that cannot be opened; what follows then goes to the file as it is.
    pub fn reopen(&mut self) -> io::Result<Option<File>> {
        if self.is_in_place() { Ok(None) } else { self.replace().map(Some) }
    }

    /// The path leads to this file still.
    pub fn is_in_place(&self) -> bool {
        is_at(&self.open.file, &self.path)
    }

    /// The same for what cannot be appended to.
    ///
    /// # Errors
    ///
    /// Also where there is something in the new one.
    #[cfg(feature = "parquet")]
    pub fn reopen_empty(&mut self) -> io::Result<Option<File>> {
        if !self.is_in_place() && std::fs::metadata(&self.path).is_ok_and(|there| there.len() > 0) {
            return Err(io::Error::other("there is another file with something in it"));
        }
        self.reopen()
    }

    fn replace(&mut self) -> io::Result<File> {
        let open = open_locked(&self.path, self.sharing, false)?;
        Ok(std::mem::replace(&mut self.open, open).file)
    }
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Pipes and devices can neither be cut nor renamed.
    regular: bool,
    /// When it began, as far as the file system knows.
    begun: SystemTime,
    /// The last line has no end: its writer was killed while writing it.
    torn: bool,
}

/// Opens it and takes its lock. Where it is a pipe without a reader, waits for one if asked to.
fn open_locked(path: &Path, sharing: Sharing, wait: bool) -> io::Result<Opened> {
    loop {
        let file = open(path, wait)?;
        let status = file.metadata()?;
        let regular = status.is_file();
        if regular {
            lock::lock(&file, sharing)?;
            // Whoever had the lock may have set it aside in the meantime.
            if !is_at(&file, path) {
                continue;
            }
        }
        let torn = regular && is_torn(&file, status.len());
        let begun = status.created().unwrap_or_else(|_| SystemTime::now());
        return Ok(Opened { file, regular, begun, torn });
    }
}

/// Whether the path leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |status: std::fs::Metadata| (status.dev(), status.ino());
    let named = std::fs::metadata(path).map(identity);
    let ours = file.metadata().map(identity);
    matches!((named, ours), (Ok(named), Ok(ours)) if named == ours)
}

/// Writes all of it, or says what is wrong and how much has not been written.
pub(super) fn write(file: &mut File, mut bytes: &[u8]) -> Result<(), Unwritten> {
    while !bytes.is_empty() {
        let error = match file.write(bytes) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(some) => {
                bytes = &bytes[some..];
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return Err(Unwritten { error, rest: bytes.len() });
    }
    Ok(())
}

/// For appending (`O_APPEND`), so that whoever cuts the file (logrotate's copytruncate) leaves no
/// hole; where it may be read, also for that, to find where its last line ends.
fn open(path: &Path, wait: bool) -> io::Result<File> {
    let flags = if wait { 0 } else { libc::O_NONBLOCK };
    let options = |read| {
        OpenOptions::new().read(read).append(true).create(true).custom_flags(flags).open(path)
    };
    // A pipe opened for both would wait for no reader and miss that there is none.
    let special = std::fs::metadata(path).is_ok_and(|status| !status.is_file());
    let file = if special { options(false) } else { options(true).or_else(|_| options(false)) }?;
    if !wait {
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    }
    Ok(file)
}

/// Whether a file's last line has no end. Of one that we may not read we think the best.
fn is_torn(file: &File, len: u64) -> bool {
    let mut last = [b'\n'];
    let Some(at) = len.checked_sub(1) else { return false };
    file.read_exact_at(&mut last, at).is_ok() && last != [b'\n']
}

#[cfg(test)]
mod tests;
