//! Files whose content commands the tracer: nobody else may be able to write them.
//!
//! Tracing takes privileges, and a configuration says what is done with them: which files are
//! written, where records are sent. So the file and all that leads to it, directories and links,
//! must belong to root or to the user of the tracer, and nobody else may write there, as sshd
//! demands of its files (`StrictModes`). Where everybody may (`/tmp`), the sticky bit keeps others
//! from what is not theirs; on a file system that is mounted read-only, as Kubernetes mounts a
//! ConfigMap, modes mean nothing. What is read is the descriptor that was looked at, not the path.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, Metadata},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::StatVfsMountFlags;

use tracer_event::escape::escape;

/// As many links as the kernel follows (`MAXSYMLINKS`).
const LINKS: usize = 40;
/// Writable by the group or by all. An access control list shows as the group's.
const OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Opens a file that nobody but root and the user of this process can have written.
///
/// # Errors
///
/// Where it cannot be read, and where somebody else could write it.
pub(super) fn open(path: &Path) -> anyhow::Result<File> {
    // A FIFO would be waited for.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    ensure!(found.is_file(), "it is {}", kind(&found));
    belongs(path, &found)?;
    ensure!(
        is_guarded(&found) || is_read_only(rustix::fs::fstatvfs(&file)),
        "others can write it (mode {:04o}): chmod go-w {}",
        found.mode() & 0o7777,
        shown(path)
    );
    let led = follow(&env::current_dir().unwrap_or_default().join(path))?;
    ensure!((led.dev(), led.ino()) == (found.dev(), found.ino()), "it was changed meanwhile");
    Ok(file)
}

fn kind(file: &Metadata) -> &'static str {
    match file.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe, and must be a file",
        _ => "a device, and must be a file",
    }
}

/// Goes the way of the kernel through directories and links; what is at its end.
fn follow(path: &Path) -> anyhow::Result<Metadata> {
    let mut place = PathBuf::from("/");
    let mut directory = look(&place)?;
    let mut rest = reversed(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            place.pop();
            directory = look(&place)?;
            continue;
        }
        let next = place.join(&name);
        let entry = look(&next)?;
        keeps(&place, &directory, &entry)?;
        if entry.is_symlink() {
            links += 1;
            ensure!(links <= LINKS, "{}: too many links", shown(&next));
            let target = fs::read_link(&next).with_context(|| shown(&next))?;
            rest.extend(reversed(&target));
            if target.is_absolute() {
                place = PathBuf::from("/");
                directory = look(&place)?;
            }
        } else if rest.is_empty() {
            return Ok(entry);
        } else {
            (place, directory) = (next, entry);
        }
    }
    Ok(directory)
}

/// The names on a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

fn look(path: &Path) -> anyhow::Result<Metadata> {
    fs::symlink_metadata(path).with_context(|| shown(path))
}

/// Whether a directory keeps its entry from being replaced by others.
fn keeps(path: &Path, directory: &Metadata, entry: &Metadata) -> anyhow::Result<()> {
    belongs(path, directory)?;
    let is_kept = is_guarded(directory)
        || directory.mode() & STICKY != 0 && is_ours(entry)
        || is_read_only(rustix::fs::statvfs(path));
    if !is_kept {
        let mode = directory.mode() & 0o7777;
        bail!("others can write in {0} (mode {mode:04o}): chmod go-w {0}", shown(path));
    }
    Ok(())
}

fn belongs(path: &Path, to: &Metadata) -> anyhow::Result<()> {
    if !is_ours(to) {
        bail!(
            "{0} belongs to user {1}, who is neither root nor the one that tracer runs as: \
             chown root {0}",
            shown(path),
            to.uid()
        );
    }
    Ok(())
}

fn is_ours(file: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&file.uid())
}

fn is_guarded(file: &Metadata) -> bool {
    file.mode() & OTHERS == 0
}

fn is_read_only(found: rustix::io::Result<rustix::fs::StatVfs>) -> bool {
    found.is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}
