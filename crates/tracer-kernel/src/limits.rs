//! Limits under which the program was started: descriptors, memory and the stack.
//!
//! They are looked at before anything is loaded. What runs out later fails somewhere in the middle,
//! or ends the process.

use std::{borrow::Cow, ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, ptr};

use aya::util::online_cpus;
use bytesize::ByteSize;
use rustix::{
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::{
    cgroup,
    mounts::{self, Mount},
};
use tracer_event::header::Degraded;

/// Descriptors that a trace opens besides its ring buffers: some 50 for programs, maps and links, the
/// rest for outputs and the files of `/proc`.
const DESCRIPTORS: u64 = 62;
/// Stack of the first thread; others have their own, of a size that nobody limits.
const STACK: u64 = 512 << 10;
/// Memory that a trace takes besides its ring buffers, most of it while programs are loaded.
const BASE: u64 = 24 << 20;
/// The same with outputs at work.
const AT_WORK: u64 = 64 << 20;
/// For each tracked socket (`cargo bench --bench memory`, with room for indexes).
const SOCKET: u64 = 450;

const SMALLER: &str = ", or lower --buffer-size";

/// A limit under which nothing can be done.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Scarce {
    /// Of descriptors.
    #[error(
        "too few file descriptors: {needed} are needed besides the {open} that are open, and \
         {limit} are allowed; raise the limit (ulimit -n 1024, or LimitNOFILE= of the service)"
    )]
    Descriptors {
        /// What is needed.
        needed: u64,
        /// What the starting program has left open.
        open: u64,
        /// `RLIMIT_NOFILE`.
        limit: u64,
    },
    /// Of stack.
    #[error(
        "too little stack: {needed} are needed, and {limit} are allowed; raise the limit (ulimit -s \
         8192, or LimitSTACK= of the service)"
    )]
    Stack {
        /// What is needed.
        needed: ByteSize,
        /// `RLIMIT_STACK`.
        limit: ByteSize,
    },
    /// Of memory.
    #[error(
        "too little memory: {needed} are needed, and the control group may use {limit}; raise its \
         limit (MemoryMax= of the service){smaller}"
    )]
    Memory {
        /// What is needed.
        needed: ByteSize,
        /// What is allowed.
        limit: ByteSize,
        /// What else can be done.
        smaller: &'static str,
    },
    /// Of address space.
    #[error(
        "too little address space: {needed} more are needed; raise the limit (ulimit -v and ulimit \
         -d, or LimitAS= and LimitDATA= of the service; vm.overcommit_ratio where \
         vm.overcommit_memory is 2){smaller}"
    )]
    AddressSpace {
        /// What is needed.
        needed: ByteSize,
        /// What else can be done.
        smaller: &'static str,
    },
}

/// Allows this process as many descriptors as it may have.
///
/// # Errors
///
/// Where these are too few.
pub fn descriptors() -> Result<(), Scarce> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it is refused, what there was is what there is.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let Some(limit) = (if raised { maximum } else { current }) else { return Ok(()) };
    // Without one left the directory cannot be opened; without /proc none but the usual are known.
    let open = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => (entries.count() as u64).saturating_sub(1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 3,
        Err(_) => limit,
    };
    // Each CPU may have a ring buffer of its own.
    enough(open, limit, online_cpus().map_or(1, |cpus| cpus.len() as u64))
}

/// Allows the first thread the stack that it takes: the kernel looks at the limit when it grows.
///
/// # Errors
///
/// Where that is more than it may have.
pub fn stack() -> Result<(), Scarce> {
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    let Some(limit) = current.filter(|limit| *limit < STACK) else { return Ok(()) };
    // Root may have more than it may have.
    let raised = Rlimit { current: Some(STACK), maximum: maximum.map(|most| most.max(STACK)) };
    let too_little = |_| Scarce::Stack { needed: ByteSize(STACK), limit: ByteSize(limit) };
    setrlimit(Resource::Stack, raised).map_err(too_little)
}

/// Whether there is the address space that outputs at work take.
///
/// It is asked for before any thread is started: glibc aborts where one gets no memory for its
/// thread-local data (`__cxa_thread_atexit_impl`), and the standard library panics where there is
/// none for its signal stack.
///
/// # Errors
///
/// Where it cannot be had.
pub fn address_space() -> Result<(), Scarce> {
    if getrlimit(Resource::As).current.is_some() {
        // Of 64 MiB that glibc sets aside for each thread, most would never be used.
        // SAFETY: it changes a number in the allocator; where it is refused, nothing changes.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
    mappable(AT_WORK, ProtFlags::READ | ProtFlags::WRITE, "")
}

/// Whether so many bytes more can be mapped now.
fn mappable(bytes: u64, protection: ProtFlags, smaller: &'static str) -> Result<(), Scarce> {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    // SAFETY: the mapping is new, wherever it is, and nothing of it is used before it is gone.
    let tried = unsafe {
        mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE)
            .and_then(|start| munmap(start, length))
    };
    tried.map_err(|_| Scarce::AddressSpace { needed: ByteSize(bytes), smaller })
}

fn enough(open: u64, limit: u64, cpus: u64) -> Result<(), Scarce> {
    let needed = DESCRIPTORS + cpus;
    if limit.saturating_sub(open) >= needed {
        return Ok(());
    }
    Err(Scarce::Descriptors { needed, open, limit })
}

/// Whether the programs can be loaded with ring buffers of this many bytes.
///
/// # Errors
///
/// Where the kernel would end the process, or cannot map them.
pub(super) fn memory(buffer_size: u32) -> Result<(), Scarce> {
    allowed().map_or(Ok(()), |limit| suffices(limit, buffer_size))?;
    // They are mapped twice (kernel/bpf/ringbuf.c).
    mappable(2 * u64::from(buffer_size), ProtFlags::READ, SMALLER)
}

fn suffices(limit: u64, buffer_size: u32) -> Result<(), Scarce> {
    let needed = BASE + u64::from(buffer_size);
    if limit >= needed {
        return Ok(());
    }
    let smaller = if limit > BASE { SMALLER } else { "" };
    let [needed, limit] = [needed, limit].map(ByteSize);
    Err(Scarce::Memory { needed, limit, smaller })
}

/// What is at risk where `max_sockets` may be tracked.
pub fn sockets_at_risk(buffer_size: u32, max_sockets: usize) -> Option<Degraded> {
    at_risk(allowed()?, buffer_size, max_sockets)
}

fn at_risk(limit: u64, buffer_size: u32, max_sockets: usize) -> Option<Degraded> {
    let others = AT_WORK + u64::from(buffer_size);
    let needed = others + SOCKET * max_sockets as u64;
    let fit = limit.saturating_sub(others) / SOCKET;
    (limit < needed).then(|| Degraded {
        feature: "memory".into(),
        lost: Cow::from(format!("with more than some {fit} sockets the kernel may end the trace")),
        reason: format!("the control group may use {}", ByteSize(limit)),
        remedy: Cow::from(if fit > 0 {
            format!("--max-sockets {fit}, or allow {}", ByteSize(needed))
        } else {
            format!("allow {}", ByteSize(needed))
        }),
    })
}

/// Memory that the control group of this process may use, bytes.
fn allowed() -> Option<u64> {
    least(&mounts::read(), &fs::read("/proc/self/cgroup").ok()?)
}

/// The least of all limits from the process's group up to the root, of both versions.
fn least(mounts: &[u8], groups: &[u8]) -> Option<u64> {
    mounts::parse(mounts).filter_map(|mount| limit_in(&mount, groups)).min()
}

fn limit_in(mount: &Mount<'_>, groups: &[u8]) -> Option<u64> {
    const FILES: [(&[u8], &str); 2] = [(b"", "memory.max"), (b"memory", "memory.limit_in_bytes")];
    let (controller, file) =
        FILES.into_iter().find(|(controller, _)| cgroup::is_of(mount, controller))?;
    let top = mount.path();
    let own = Path::new(OsStr::from_bytes(cgroup::path_in(groups, controller)?));
    // Of a container only its own part may be mounted.
    let group = top.join(own.strip_prefix(mount.root_path()).unwrap_or(Path::new("")));
    let number = |group: &Path| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    group.ancestors().take_while(|group| group.starts_with(&top)).filter_map(number).min()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual(3, 1024, 2, true)]
    #[case::just(10, 74, 2, true)]
    #[case::taken(1000, 1024, 1, false)]
    #[case::many_cpus(3, 256, 240, false)]
    #[case::none(8, 8, 1, false)]
    fn descriptors_that_are_taken_count(
        #[case] open: u64,
        #[case] limit: u64,
        #[case] cpus: u64,
        #[case] fine: bool,
    ) {
        assert_eq!(enough(open, limit, cpus).is_ok(), fine);
    }

    #[rstest]
    #[case(16 << 20, 8 << 20, "too little memory: 32.0 MiB are needed, and the control group may use 16.0 MiB; raise its limit (MemoryMax= of the service)")]
    #[case(48 << 20, 64 << 20, "too little memory: 88.0 MiB are needed, and the control group may use 48.0 MiB; raise its limit (MemoryMax= of the service), or lower --buffer-size")]
    fn what_is_too_little_is_said(#[case] limit: u64, #[case] buffer: u32, #[case] said: &str) {
        assert_eq!(suffices(limit, buffer).unwrap_err().to_string(), said);
        assert_eq!(suffices(limit + (64 << 20), buffer), Ok(()));
    }

    #[test]
    fn sockets_that_do_not_fit_are_counted() {
        let risk = at_risk((72 << 20) + 450_000, 8 << 20, 1 << 20).unwrap();
        assert!(risk.lost.contains("more than some 1000 sockets"), "{risk:?}");
        assert!(risk.remedy.starts_with("--max-sockets 1000, or allow 522"), "{risk:?}");
        assert_eq!(at_risk(1 << 30, 8 << 20, 1 << 20), None);
    }

    #[test]
    fn the_least_limit_on_the_way_to_the_root_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        for (group, limit) in [("new/a", "3000\n"), ("new/a/b", "max\n"), ("new", "5000\n")] {
            fs::create_dir_all(directory.path().join(group)).unwrap();
            fs::write(directory.path().join(group).join("memory.max"), limit).unwrap();
        }
        fs::create_dir_all(directory.path().join("old/c")).unwrap();
        fs::write(directory.path().join("old/c/memory.limit_in_bytes"), "4000\n").unwrap();
        let mounts = format!(
            "1 2 3 / {root}/new rw - cgroup2 cgroup2 rw\n\
             4 5 6 /docker/7 {root}/old rw - cgroup cgroup rw,memory\n"
        );
        let allowed = |groups: &str| least(mounts.as_bytes(), groups.as_bytes());
        assert_eq!(allowed("4:cpu,memory:/docker/7/c\n0::/a/b\n"), Some(3000));
        assert_eq!(allowed("4:cpu,memory:/docker/7/c\n0::/\n"), Some(4000));
        assert_eq!(allowed("4:cpu:/x\n0::/elsewhere\n"), Some(5000));
        assert_eq!(allowed(""), None);
    }
}
