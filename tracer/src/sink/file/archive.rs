//! Files that were set aside: `FILE.1` is the latest, each with `.gz` where it is compressed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use flate2::{Compression, write::GzEncoder};

use crate::sink::escape::without_numbers;

/// What becomes of files that are set aside.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// How many are kept, at least one.
    pub count: u32,
    /// Compress them with gzip.
    pub compress: bool,
}

/// The files beside a file.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    keep: Keep,
    compressing: Option<JoinHandle<()>>,
}

const COMPRESSED: &str = ".gz";

impl Archive {
    pub(super) fn new(path: &Path, keep: Option<Keep>) -> Self {
        let keep = keep.unwrap_or(Keep { count: 1, compress: false });
        Self { path: path.to_owned(), keep, compressing: None }
    }

    /// Whether the last file has been compressed. Until then none is set aside, however large it
    /// gets: waiting for it would lose lines.
    pub(super) fn is_ready(&self) -> bool {
        self.compressing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn numbered(&self, number: u32, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}{suffix}"));
        name.into()
    }

    /// Renames the file to the first one, that to the second, and so on; the last is removed.
    pub(super) fn make_room(&self) -> io::Result<()> {
        for suffix in ["", COMPRESSED] {
            unless_missing(fs::remove_file(self.numbered(self.keep.count, suffix)))?;
            for number in (1..self.keep.count).rev() {
                let (from, to) = (self.numbered(number, suffix), self.numbered(number + 1, suffix));
                unless_missing(fs::rename(from, to))?;
            }
        }
        // Missing where only opening the new one has failed the last time.
        unless_missing(fs::rename(&self.path, self.numbered(1, "")))
    }

    /// Compresses the latest, in a thread of its own.
    pub(super) fn compress(&mut self) {
        if !self.keep.compress {
            return;
        }
        let (from, to) = (self.numbered(1, ""), self.numbered(1, COMPRESSED));
        let work = move || {
            if let Err(error) = compress(&from, &to) {
                let error = without_numbers(&error.to_string());
                tracing::warn!("cannot compress {}, it stays as it is: {error}", from.display());
            }
        };
        match thread::Builder::new().name("tracer-compress".into()).spawn(work) {
            Ok(thread) => self.compressing = Some(thread),
            Err(error) => {
                tracing::warn!("cannot compress: {}", without_numbers(&error.to_string()));
            }
        }
    }

    pub(super) fn finish(&mut self) {
        // A panic there has been printed already.
        self.compressing.take().map(JoinHandle::join);
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.finish();
    }
}

fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut partial = OsString::from(to);
    partial.push(".partial");
    let written = write_compressed(from, Path::new(&partial));
    if written.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_file(&partial);
        return written;
    }
    fs::rename(&partial, to)?;
    fs::remove_file(from)
}

fn write_compressed(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let new = File::create(to)?;
    new.set_permissions(file.metadata()?.permissions())?;
    let mut encoder = GzEncoder::new(new, Compression::fast());
    io::copy(&mut file, &mut encoder)?;
    encoder.finish().map(drop)
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    result
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
