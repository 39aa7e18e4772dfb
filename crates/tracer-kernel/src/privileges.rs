//! Capabilities: what they are for, what is missing without them, and giving up those that are no
//! longer needed.
//!
//! On Linux each thread has its own; a new one gets those of the thread that starts it.

use std::{fs, io, os::fd::AsFd as _, path::Path, thread};

use rustix::{
    io::Errno,
    process::{DumpableBehavior, set_dumpable_behavior, setpriority_process},
    thread::{
        CapabilitySet, CapabilitySets, LinkNameSpaceType, capabilities, move_into_link_name_space,
        set_capabilities, set_no_new_privs,
    },
};

use super::{
    feature::{self, Feature},
    namespaces::namespace,
    process,
};
use tracer_event::{escape::without_numbers, header::Degraded};

/// To load and attach the programs.
pub const TRACE: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);
/// To name programs and containers: links of processes with other users or capabilities, and
/// control groups by their number. `CAP_BPF`, because before 5.19 a host where
/// `unprivileged_bpf_disabled` is set asks for it at each use of a map.
pub const READ: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::SYS_PTRACE).union(CapabilitySet::DAC_READ_SEARCH);
/// To look into other network namespaces.
pub const NAMESPACES: CapabilitySet = CapabilitySet::SYS_ADMIN;
/// To read what other processes have mapped and to open the files, in a process of its own.
pub const STACKS: CapabilitySet = CapabilitySet::CHECKPOINT_RESTORE
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);
/// To run before others.
pub const PRECEDENCE: CapabilitySet = CapabilitySet::SYS_NICE;
/// What is needed after the programs are attached, by one thread or another.
pub const RUN: CapabilitySet = READ.union(NAMESPACES).union(PRECEDENCE);

/// Nice value of the reading thread.
const NICE: i32 = -10;
/// Processes that are asked.
const FIRST: usize = 64;

/// Those of the calling thread; all where that cannot be asked, so that the kernel itself decides.
pub fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective)
}

/// Gives up all capabilities of the calling thread but `kept`, for good.
///
/// # Errors
///
/// Where the kernel refuses, which it has no reason to.
pub fn keep(kept: CapabilitySet) -> io::Result<()> {
    let permitted = capabilities(None)?.permitted & kept;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?;
    Ok(set_no_new_privs(true)?)
}

/// [`keep`], which is not worth ending for: what is kept too much is logged.
pub fn keep_only(kept: CapabilitySet) {
    if let Err(error) = keep(kept) {
        tracing::warn!("cannot give up privileges: {error}");
    }
}

/// Keeps other processes of the same user out of this one: they may not trace it, nor look into its
/// memory and descriptors. The kernel compares users and capabilities of the thread that is traced,
/// and threads without capabilities share their memory with those that have some.
///
/// To be called before anything is held that others must not have. Whoever is traced by root
/// knows it; cores are not dumped any more.
pub fn keep_others_out() {
    // Fails on no kernel.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Lets the calling thread run before others: it has little to do, but on a busy host what it does
/// not do in time is lost. Without `CAP_SYS_NICE` it waits for its turn.
///
/// # Errors
///
/// Without that capability.
pub fn take_precedence() -> Result<(), Errno> {
    // On Linux each thread has its own.
    setpriority_process(None, NICE)
}

/// Does what takes a privilege.
type Attempt = fn() -> io::Result<()>;

/// What is missing for lack of capabilities, found out by trying, and what it takes.
pub fn missing() -> Vec<(Degraded, CapabilitySet)> {
    let looks: [(Feature, CapabilitySet, Attempt, &str); 3] = [
        (feature::NAMESPACES, NAMESPACES, enter_own, "run as root, or add CAP_SYS_ADMIN"),
        (
            feature::PROCESSES,
            CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH),
            look_at_others,
            "run as root, or add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        ),
        (feature::PRECEDENCE, PRECEDENCE, precede, "run as root, or add CAP_SYS_NICE"),
    ];
    let tried = looks.into_iter().filter_map(|(feature, takes, attempt, remedy)| {
        // In a thread of its own, which takes with it what the attempt changes.
        let tried = thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, attempt)?;
            thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        let error = tried.err()?;
        Some((feature.missing(without_numbers(&error.to_string()), remedy), takes))
    });
    tried.collect()
}

fn enter_own() -> io::Result<()> {
    let own = fs::File::open("/proc/thread-self/ns/net")?;
    Ok(move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn precede() -> io::Result<()> {
    Ok(take_precedence()?)
}

/// The links of the first processes: as those may be followed, so may most others. A host may
/// protect a few of its own from everybody.
fn look_at_others() -> io::Result<()> {
    let processes = process::all().take(FIRST);
    let links: Vec<_> = processes.map(|process| namespace(&process.join("ns/net"))).collect();
    let read = links.iter().filter(|link| link.is_ok()).count();
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let mut denied: Vec<_> = links.into_iter().filter_map(Result::err).filter(is_denied).collect();
    denied.pop().filter(|_| denied.len() >= read).map_or(Ok(()), Err)
}

/// As `CAP_BPF`.
pub fn names(set: CapabilitySet) -> Vec<String> {
    set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The command that gives a program these.
pub fn setcap(set: CapabilitySet, program: &Path) -> String {
    let names = names(set).join(",").to_lowercase();
    format!("sudo setcap {names}=ep {}", shell_word(&program.to_string_lossy()))
}

/// As a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied() {
        let command = |program| setcap(TRACE, Path::new(program));
        assert_eq!(command("/bin/tracer"), "sudo setcap cap_perfmon,cap_bpf=ep /bin/tracer");
        assert!(command("/tmp/a b'c").ends_with(r" '/tmp/a b'\''c'"));
    }

    #[test]
    fn what_is_given_up_is_gone() {
        let before = effective();
        let after = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                keep(READ).unwrap();
                (effective(), take_precedence().is_ok() || enter_own().is_ok())
            });
            thread.join().unwrap()
        });
        assert_eq!(after, (before & READ, false));
        assert_eq!(effective(), before, "that of another thread alone");
    }

    #[test]
    fn sets_are_named_as_the_kernel_does() {
        assert_eq!(names(TRACE), ["CAP_PERFMON", "CAP_BPF"]);
        assert!(names(CapabilitySet::empty()).is_empty());
    }
}
