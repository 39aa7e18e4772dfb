//! Processes as `/proc` shows them. A pid alone names none: the kernel reuses it, so that each is
//! known by its pid and its start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::time;
use tracer_event::{
    escape::escape,
    process::{Parent, Process},
};

/// Pid and start of a process, nanoseconds of `CLOCK_BOOTTIME`.
pub(super) type ProcessKey = (u32, u64);

/// What names a process and not the next one with its pid.
pub(super) fn key(process: &Process) -> ProcessKey {
    (process.pid, process.start_ns)
}

/// From `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// A letter: `T` is stopped, `t` traced.
    pub state: u8,
    /// The parent's pid.
    pub parent: u32,
    /// Its process group: the pid of the process that leads it, or led it.
    pub group: u32,
    /// Processor time used, ticks of `USER_HZ`.
    pub cpu_ticks: u64,
    /// Start of the process, ticks of `USER_HZ` since boot.
    pub start_ticks: u64,
}

/// `USER_HZ` is 100 on all architectures that matter here.
pub(super) const NANOSECONDS_PER_TICK: u64 = 10_000_000;

impl Stat {
    /// `None` where there is no such process.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in brackets may hold anything, brackets too: the fields begin after the last one.
    pub fn parse(stat: &[u8]) -> Option<Self> {
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = str::from_utf8(&stat[after_name..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // Fields 14, 15 and 22; the group is field 5.
        let user: u64 = fields.nth(8)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let start_ticks = fields.nth(6)?.parse().ok()?;
        Some(Self { state, parent, group, cpu_ticks: user.saturating_add(system), start_ticks })
    }

    /// Whether the process started at this time of the kernel's `CLOCK_BOOTTIME`.
    pub(super) fn started_at(&self, start_ns: u64) -> bool {
        self.start_ticks == time::shown_since_boot(start_ns) / NANOSECONDS_PER_TICK
    }
}

/// Whether the process that has the pid now is still the same; false where that is not known.
pub(super) fn is_same(process: &Process) -> bool {
    Stat::of(process.pid).is_some_and(|stat| stat.started_at(process.start_ns))
}

/// The parent of a running process.
pub(super) fn parent(pid: u32) -> Option<Parent> {
    let pid = Stat::of(pid)?.parent;
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(Parent { pid, name: escape(name.strip_suffix(b"\n").unwrap_or(&name)).into() })
}

/// The directories of all processes.
pub(super) fn all() -> impl Iterator<Item = PathBuf> {
    numbered(Path::new("/proc"))
}

/// The entries of a directory that are numbers, such as the processes in `/proc`.
pub(super) fn numbered(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_number =
        |name: std::ffi::OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries.filter(move |entry| is_number(entry.file_name())).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"7 (a b) S 1 7 7 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 4711 1", b'S', 1, 13, 4711)]
    #[case(b"7 (x) T 9) t 12 7 7 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 5 1", b't', 12, 13, 5)]
    #[case(b"7 (\xff)) T 3 7 7 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 5 1", b'T', 3, 13, 5)]
    #[case(
        b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 0\n",
        b'S',
        1,
        0,
        4711
    )]
    fn a_name_cannot_pass_for_the_state(
        #[case] stat: &[u8],
        #[case] state: u8,
        #[case] parent: u32,
        #[case] cpu_ticks: u64,
        #[case] start_ticks: u64,
    ) {
        assert_eq!(
            Stat::parse(stat),
            Some(Stat { state, parent, group: 7, cpu_ticks, start_ticks })
        );
    }

    #[rstest]
    #[case(b"")]
    #[case(b"7 (a")]
    #[case(b"7 (a) S 1 2")]
    #[case(b"7 (cut")]
    #[case(b"7 (cut) S 1")]
    fn what_is_cut_off_is_no_status(#[case] stat: &[u8]) {
        assert_eq!(Stat::parse(stat), None);
    }
}
