//! A file of whole lines: appended to, never torn, rotated by size and age, opened anew on demand.
//!
//! Own code: the kept libraries for rotation can neither open a file anew (logrotate) nor tell how
//! much of a write has succeeded (a full disk), and print what fails in the background.

mod archive;
mod survivor;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use self::archive::Archive;
pub use self::{archive::Keep, survivor::Survivor};
use crate::sink::escape::without_numbers;

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
    file: File,
    rotation: Option<Rotation>,
    archive: Archive,
    /// Pipes and devices can neither be cut nor renamed.
    regular: bool,
    /// When it began, as far as the file system knows.
    begun: SystemTime,
    /// The last line has no end: written by somebody who was killed in the middle of it.
    torn: bool,
    survivor: Option<Survivor>,
}

impl LogFile {
    /// Opens or creates it.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses it.
    pub fn open(path: &Path, rotation: Option<Rotation>) -> io::Result<Self> {
        let file = open(path)?;
        let status = file.metadata()?;
        let regular = status.is_file();
        Ok(Self {
            torn: regular && is_torn(&file, status.len()),
            begun: status.created().unwrap_or_else(|_| SystemTime::now()),
            archive: Archive::new(path, rotation.map(|rotation| rotation.keep)),
            path: path.to_owned(),
            file,
            rotation,
            regular,
            survivor: None,
        })
    }

    /// Has the half of a line taken back that `kill -9` would leave, by a process that `start`
    /// makes. Of what is no regular file nothing can be taken back.
    pub fn outlive(&mut self, start: impl FnOnce() -> io::Result<Survivor>) {
        if !self.regular {
            return;
        }
        match start() {
            Ok(survivor) => self.survivor = Some(survivor),
            Err(error) => {
                let error = without_numbers(&error.to_string());
                tracing::warn!("kill -9 may leave half a line: cannot start a process: {error}");
            }
        }
        self.show_survivor();
    }

    /// What cannot be locked, on a file system that has no locks, is not cut either.
    fn show_survivor(&self) {
        if let Some(survivor) = &self.survivor
            && let Err(error) = survivor.watch(&self.file)
        {
            let error = without_numbers(&error.to_string());
            tracing::info!("kill -9 may leave half a line of {}: {error}", self.path.display());
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing has been written to it, or somebody has cut it.
    pub fn is_empty(&self) -> bool {
        self.regular && self.len() == 0
    }

    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |status| status.len())
    }

    /// Appends whole lines. Where not all can be written, whole lines are: a partial one is taken
    /// back.
    ///
    /// # Errors
    ///
    /// Says how much has not been written.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        self.end_torn_line().map_err(|error| Unwritten { error, rest: lines.len() })?;
        let begun = if self.regular { self.len() } else { 0 };
        let Err((error, written)) = self.write(lines) else { return Ok(()) };
        let whole = lines[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if self.regular && whole < written {
            self.torn = self.file.set_len(begun + whole as u64).is_err();
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
        let result = self.write(bytes);
        result.map_err(|(error, written)| Unwritten { error, rest: bytes.len() - written })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), written)),
                Ok(some) => written += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((error, written)),
            }
        }
        Ok(())
    }

    /// Readers then see one line that makes no sense instead of two joined ones.
    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
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
        if !self.regular || !self.archive.is_ready() {
            return false;
        }
        let len = self.len();
        let too_large = size.is_some_and(|size| len + coming > size);
        let too_old = age.is_some_and(|age| self.begun.elapsed().is_ok_and(|passed| passed >= age));
        len > 0 && (too_large || too_old)
    }

    /// Sets the file aside and begins a new one.
    ///
    /// # Errors
    ///
    /// Where files cannot be renamed or created; what follows then goes to the file as it is.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.archive.make_room()?;
        let permissions = self.file.metadata()?.permissions();
        self.replace()?;
        // Somebody may have restricted who reads it.
        self.file.set_permissions(permissions)?;
        self.archive.compress();
        Ok(())
    }

    /// Opens whatever has the path now: somebody else may have set the file aside.
    ///
    /// # Errors
    ///
    /// Where that cannot be opened; what follows then goes to the file as it is.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.is_in_place() { Ok(()) } else { self.replace() }
    }

    /// The path leads to this file still.
    pub fn is_in_place(&self) -> bool {
        let identity = |status: std::fs::Metadata| (status.dev(), status.ino());
        let named = std::fs::metadata(&self.path).map(identity);
        let ours = self.file.metadata().map(identity);
        matches!((named, ours), (Ok(named), Ok(ours)) if named == ours)
    }

    fn replace(&mut self) -> io::Result<()> {
        let Self { file, regular, begun, torn, .. } = Self::open(&self.path, None)?;
        (self.file, self.regular, self.begun, self.torn) = (file, regular, begun, torn);
        self.show_survivor();
        Ok(())
    }
}

/// For appending (`O_APPEND`), so that whoever cuts the file (logrotate's copytruncate) leaves no
/// hole; where it may be read, also for that, to find where its last line ends.
fn open(path: &Path) -> io::Result<File> {
    let options = |read| OpenOptions::new().read(read).append(true).create(true).open(path);
    // A pipe opened for both would wait for no reader and miss that there is none.
    if std::fs::metadata(path).is_ok_and(|status| !status.is_file()) {
        return options(false);
    }
    options(true).or_else(|_| options(false))
}

/// Whether a file's last line has no end. Of one that we may not read we think the best.
fn is_torn(file: &File, len: u64) -> bool {
    let mut last = [b'\n'];
    let Some(at) = len.checked_sub(1) else { return false };
    file.read_exact_at(&mut last, at).is_ok() && last != [b'\n']
}

#[cfg(test)]
mod tests;
