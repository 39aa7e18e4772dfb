//! The control group of a command: made below the one in which tracer runs, so that its limits
//! hold, and removed afterwards. A socket belongs to the group of the process that makes it, for
//! ever; so does what a listener accepts, whatever runs on the CPU then.

use std::{
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tracer_event::escape::escape;
use tracer_kernel::mounts;

/// What the groups are called, with the pid of the tracer.
const PREFIX: &str = "tracer-exec-";
/// Processes that end take a moment to leave.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// A group of our own.
#[derive(Debug)]
pub struct Group {
    directory: PathBuf,
    /// Where its processes would have been.
    home: PathBuf,
    /// Path in the hierarchy, made harmless as [`tracer_event::container::Cgroup::path`] is.
    pub path: String,
    /// By this number the kernel names it.
    pub id: u64,
}

/// A process that was still there when the group was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its number.
    pub pid: u32,
    /// Its name, made harmless for output.
    pub name: String,
}

impl Group {
    /// Makes one below the group of this process, or else below the root.
    ///
    /// # Errors
    ///
    /// Why none can be had, in words.
    pub fn make() -> Result<Self, String> {
        let mounts = mounts::read();
        let mount = mounts::parse(&mounts).find(|mount| mount.kind == b"cgroup2");
        let root = mount.ok_or("cgroup2 is not mounted")?.path();
        let own = own_path().ok_or("/proc/self/cgroup names no group of cgroup2")?;
        let home = root.join(own.strip_prefix("/").unwrap_or(&own));
        let below = |parent: &Path| Self::below(parent, &home, &root);
        below(&home).or_else(|error| below(&root).map_err(|_| error))
    }

    fn below(parent: &Path, home: &Path, root: &Path) -> Result<Self, String> {
        sweep(parent);
        let directory = parent.join(format!("{PREFIX}{}", std::process::id()));
        let failed = |error: io::Error| format!("{}: {error}", directory.display());
        fs::create_dir(&directory).map_err(failed)?;
        let inner = directory.strip_prefix(root).unwrap_or(&directory);
        let group = Self {
            path: escape(Path::new("/").join(inner).as_os_str().as_bytes()).into_owned(),
            id: fs::metadata(&directory).map_err(failed)?.ino(),
            home: home.to_owned(),
            directory: directory.clone(),
        };
        // A group among threaded ones takes no processes.
        let kind = fs::read_to_string(directory.join("cgroup.type")).unwrap_or_default();
        let movable = rustix::fs::access(home.join(PROCESSES), rustix::fs::Access::WRITE_OK);
        if kind.trim_end() == "domain invalid" || movable.is_err() {
            group.remove();
            return Err(format!("{}: processes cannot be moved into it", directory.display()));
        }
        Ok(group)
    }

    /// Where a process writes 0 to get in.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened.
    pub fn processes(&self) -> io::Result<File> {
        File::options().write(true).open(self.directory.join(PROCESSES))
    }

    /// Whether a process is in it or below.
    pub fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// Removes it; processes that are still in it are moved to where they would have been, and
    /// told. Groups that they have made in it are theirs: with these it stays.
    pub fn remove(self) -> Vec<Survivor> {
        let deadline = Instant::now() + PATIENCE;
        let mut survivors = Vec::new();
        while fs::remove_dir(&self.directory).is_err() && Instant::now() < deadline {
            for pid in processes(&self.directory) {
                if fs::write(self.home.join(PROCESSES), pid.to_string()).is_ok()
                    && let Some(name) = name(pid)
                {
                    survivors.push(Survivor { pid, name });
                }
            }
            remove_empty(&self.directory);
            thread::sleep(PAUSE);
        }
        survivors.extend(below(&self.directory));
        survivors
    }
}

const PROCESSES: &str = "cgroup.procs";

/// The group of this process in cgroup2.
fn own_path() -> Option<PathBuf> {
    let groups = fs::read("/proc/self/cgroup").ok()?;
    let path = groups.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
    // What lies above the root of a cgroup namespace cannot be reached by its name.
    (!path.starts_with("/..")).then_some(path)
}

/// Removes what tracers have left that were killed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Fails where a process is still in it.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn directories(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// Removes the groups below that have no processes.
fn remove_empty(directory: &Path) {
    for inner in directories(directory) {
        remove_empty(&inner);
        // Fails where a process is in it.
        let _ = fs::remove_dir(inner);
    }
}

/// The processes of the groups that are left.
fn below(directory: &Path) -> Vec<Survivor> {
    let own = processes(directory).into_iter();
    let mut found: Vec<Survivor> =
        own.filter_map(|pid| Some(Survivor { pid, name: name(pid)? })).collect();
    found.extend(directories(directory).flat_map(|inner| below(&inner)));
    found
}

fn processes(directory: &Path) -> Vec<u32> {
    let list = fs::read_to_string(directory.join(PROCESSES)).unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Of a process that has not ended.
fn name(pid: u32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let begin = stat.iter().position(|&byte| byte == b'(')?;
    let is_zombie = stat.get(end + 2).is_none_or(|state| matches!(state, b'Z' | b'X'));
    (!is_zombie).then(|| escape(stat.get(begin + 1..end).unwrap_or_default()).into_owned())
}
