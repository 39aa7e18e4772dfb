//! Files that were set aside: `FILE.1` is the latest, each with `.gz` where it is compressed.
//!
//! Nothing is deleted or renamed before the new file is open, and a step that fails takes back
//! those before it. Killed in between, it leaves a number free, which the next rotation fills, and
//! at most one file more than are kept.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use flate2::{Compression, write::GzEncoder};

use crate::trouble::Retry;
use tracer_event::{duration::count, escape::without_numbers};

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
    compressing: Option<JoinHandle<io::Result<()>>>,
    retry: Retry,
}

const COMPRESSED: &str = ".gz";
const SUFFIXES: [&str; 2] = ["", COMPRESSED];

impl Archive {
    pub(super) fn new(path: &Path, keep: Option<Keep>) -> Self {
        let keep = keep.unwrap_or(Keep { count: 1, compress: false });
        Self { path: path.to_owned(), keep, compressing: None, retry: Retry::default() }
    }

    /// Whether the last file has been compressed. Until then none is set aside, however large it
    /// gets: waiting for it would lose lines.
    pub(super) fn is_ready(&self) -> bool {
        self.compressing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        name.into()
    }

    fn numbered(&self, number: u32, suffix: &str) -> PathBuf {
        self.beside(&format!(".{number}{suffix}"))
    }

    /// The file that is to follow, under a name of its own until [`Self::shift`] gives it its
    /// place.
    pub(super) fn successor(&self, of: &File) -> io::Result<Successor> {
        let path = self.beside(".new");
        let permissions = of.metadata()?.permissions();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            // Nobody may open it who could not open the one before it.
            .mode(permissions.mode() & 0o777)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
            .map_err(|error| about(&path, &error))?;
        let status = file.metadata()?;
        if !status.is_file() || status.len() > 0 {
            return Err(in_the_way(&path));
        }
        let name = Name(Some(path));
        file.set_permissions(permissions)?;
        Ok(Successor { file, name })
    }

    /// Renames the file to the first one, that to the second, and so on, up to the first number
    /// that is free; puts the new one into its place, and removes what is beyond those kept.
    pub(super) fn shift(&self, successor: &Name) -> io::Result<()> {
        let mut free = 1;
        while free <= self.keep.count && self.is_taken(free)? {
            free += 1;
        }
        let mut moves = Vec::new();
        for number in (1..free).rev() {
            for suffix in SUFFIXES {
                moves.push((self.numbered(number, suffix), self.numbered(number + 1, suffix)));
            }
        }
        moves.push((self.path.clone(), self.numbered(1, "")));
        moves.extend(successor.0.clone().map(|path| (path, self.path.clone())));
        let mut done = Vec::new();
        let beyond = self.keep.count.saturating_add(1);
        let moved = moves.into_iter().try_for_each(|(from, to)| match fs::rename(&from, &to) {
            Ok(()) => {
                done.push((from, to));
                Ok(())
            }
            Err(error) => unless_missing(Err(error)).map_err(|error| about(&from, &error)),
        });
        let removed = moved.and_then(|()| {
            SUFFIXES.iter().try_for_each(|suffix| {
                let path = self.numbered(beyond, suffix);
                unless_missing(fs::remove_file(&path)).map_err(|error| about(&path, &error))
            })
        });
        removed.inspect_err(|_| take_back(&done))
    }

    /// Whether there is a file of that number.
    ///
    /// # Errors
    ///
    /// Where it is something else, that somebody may have put there.
    fn is_taken(&self, number: u32) -> io::Result<bool> {
        let mut taken = false;
        for suffix in SUFFIXES {
            let path = self.numbered(number, suffix);
            match fs::symlink_metadata(&path) {
                Ok(status) if status.is_file() || status.is_symlink() => taken = true,
                Ok(_) => return Err(in_the_way(&path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Compresses what is not compressed yet, in a thread of its own.
    pub(super) fn compress(&mut self) {
        if !self.keep.compress || self.compressing.is_some() {
            return;
        }
        let files = (1..=self.keep.count).map_while(|number| {
            let plain = self.numbered(number, "");
            let there = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
            let compressed = self.numbered(number, COMPRESSED);
            (there(&plain) || there(&compressed)).then_some((plain, compressed))
        });
        let files: Vec<_> = files.filter(|(plain, _)| plain.exists()).collect();
        let partial = self.beside(".gz.partial");
        let work = move || {
            // One that fails does not keep the others from it.
            let done = files.iter().map(|(from, to)| compress(from, &partial, to));
            done.fold(Ok(()), io::Result::and)
        };
        match thread::Builder::new().name("tracer-compress".into()).spawn(work) {
            Ok(thread) => self.compressing = Some(thread),
            Err(error) => self.failed(&error),
        }
    }

    /// Takes note of how compressing went, and tries again what has failed.
    pub(super) fn tend(&mut self) {
        if self.compressing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish();
        } else if self.compressing.is_none() && self.retry.has_failed() && self.retry.is_due() {
            self.compress();
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if self.retry.failed() {
            let error = without_numbers(&error.to_string());
            tracing::warn!(
                "cannot compress what was set aside of {}, it stays as it is: {error}",
                self.path.display()
            );
        }
    }

    pub(super) fn finish(&mut self) {
        // A panic there has been printed already.
        match self.compressing.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) => {
                let failures = self.retry.over();
                if failures > 0 {
                    let path = self.path.display();
                    tracing::warn!(
                        "what was set aside of {path} is compressed, after {}",
                        count(failures, "failure")
                    );
                }
            }
            Some(Ok(Err(error))) => self.failed(&error),
            Some(Err(_)) | None => {}
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A file that is open and has no place yet.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) file: File,
    pub(super) name: Name,
}

/// The name under which a file waits for its place; what is still there at the end is removed.
#[derive(Debug)]
pub(super) struct Name(Option<PathBuf>);

impl Name {
    /// The file has its place.
    pub(super) fn placed(mut self) {
        self.0 = None;
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // It is empty: what is left of it does not matter.
        let _ = self.0.take().map(fs::remove_file);
    }
}

/// Renames in the reverse order what has been renamed.
fn take_back(moves: &[(PathBuf, PathBuf)]) {
    for (from, to) in moves.iter().rev() {
        if let Err(error) = fs::rename(to, from) {
            let error = without_numbers(&error.to_string());
            tracing::error!("{} has become {}: {error}", from.display(), to.display());
        }
    }
}

/// Says which file an error is about.
fn about(path: &Path, error: &io::Error) -> io::Error {
    let reason = without_numbers(&error.to_string());
    io::Error::new(error.kind(), format!("{}: {reason}", path.display()))
}

fn in_the_way(path: &Path) -> io::Error {
    io::Error::other(format!("{} is in the way: move it elsewhere", path.display()))
}

fn compress(from: &Path, partial: &Path, to: &Path) -> io::Result<()> {
    let written = write_compressed(from, partial).and_then(|()| fs::rename(partial, to));
    // The error that counts is the first one.
    written.inspect_err(|_| drop(fs::remove_file(partial)))?;
    fs::remove_file(from)
}

fn write_compressed(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let permissions = file.metadata()?.permissions();
    // What a killed process has left of it.
    unless_missing(fs::remove_file(to))?;
    let mode = permissions.mode() & 0o777;
    let new = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    new.set_permissions(permissions)?;
    let mut encoder = GzEncoder::new(new, Compression::fast());
    io::copy(&mut file, &mut encoder)?;
    // The other one is removed: a power failure must not leave neither.
    encoder.finish()?.sync_all()
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    result
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
