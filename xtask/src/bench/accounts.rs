//! What the kernel's accounts say of a process: processor time, memory, its eBPF programs.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::command;

/// Processor time of a process's living threads, nanoseconds.
pub(crate) fn cpu(pid: u32) -> Result<u64> {
    let directory = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&directory).with_context(|| directory.clone())?;
    let mut sum = 0;
    for thread in threads.flatten() {
        // A thread may have ended since.
        if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
            sum += on_cpu(&text).context("the kernel keeps no schedstat (CONFIG_SCHED_INFO)")?;
        }
    }
    Ok(sum)
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/PID/status`, such as `VmHWM`, bytes.
pub(crate) fn memory(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    kibibytes(&text, field).with_context(|| format!("{path} has no {field}"))
}

/// A field of a file such as `/proc/meminfo`, bytes.
pub(crate) fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

/// What the kernel counted of an eBPF program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Time in it, nanoseconds; counted only while [`Statistics`] live.
    pub(crate) time: u64,
    pub(crate) count: u64,
    /// Times that it was skipped because it was running on that processor already.
    pub(crate) missed: u64,
}

impl Runs {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            time: self.time - earlier.time,
            count: self.count - earlier.count,
            missed: self.missed - earlier.missed,
        }
    }
}

/// The eBPF programs of which a process has descriptors, by id.
pub(crate) fn programs(pid: u32) -> BTreeMap<u32, Runs> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    let texts = files.into_iter().flatten().flatten();
    texts.filter_map(|file| program(&fs::read_to_string(file.path()).ok()?)).collect()
}

fn program(fdinfo: &str) -> Option<(u32, Runs)> {
    let field = |name: &str| {
        let line = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse::<u64>().ok()
    };
    // A link's has a prog_id as well.
    let runs = Runs {
        time: field("run_time_ns")?,
        count: field("run_cnt")?,
        missed: field("recursion_misses").unwrap_or(0),
    };
    Some((u32::try_from(field("prog_id")?).ok()?, runs))
}

/// Names of all eBPF programs by id, as `bpftool` knows them.
pub(crate) fn names() -> Result<BTreeMap<u32, String>> {
    let said = command::output(Command::new("bpftool").args(["--json", "prog", "show"]))?;
    parse_names(&said)
}

fn parse_names(json: &str) -> Result<BTreeMap<u32, String>> {
    let programs: Vec<serde_json::Value> =
        serde_json::from_str(json).context("bpftool does not write a list")?;
    let named = |program: &serde_json::Value| {
        let id = u32::try_from(program["id"].as_u64()?).ok()?;
        Some((id, program["name"].as_str()?.to_owned()))
    };
    Ok(programs.iter().filter_map(named).collect())
}

/// As `sysctl kernel.bpf_stats_enabled=1`, but only while this lives: nothing to restore.
pub(crate) struct Statistics {
    _descriptor: OwnedFd,
}

impl Statistics {
    pub(crate) fn enable() -> Result<Self> {
        // enum bpf_cmd BPF_ENABLE_STATS; its attribute is BPF_STATS_RUN_TIME (Linux 5.8).
        const ENABLE_STATS: libc::c_int = 32;
        let run_time: u32 = 0;
        let size = size_of_val(&run_time);
        // SAFETY: the attribute is a readable u32 of the size that is given; the kernel writes
        // nothing to it.
        let result = unsafe { libc::syscall(libc::SYS_bpf, ENABLE_STATS, &run_time, size) };
        let descriptor = i32::try_from(result).unwrap_or(-1);
        ensure!(descriptor >= 0, "no eBPF statistics: {}", std::io::Error::last_os_error());
        // SAFETY: a new descriptor that nobody else knows.
        Ok(Self { _descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_a_processor_is_the_first_number() {
        assert_eq!(on_cpu("133241707 109846824 53\n"), Some(133_241_707));
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn memory_is_found_by_its_field() {
        let status = "Name:\tVmHWM\nVmPeak:\t  9 kB\nVmHWM:\t   45116 kB\nVmHWMx:\t1 kB\n";
        assert_eq!(kibibytes(status, "VmHWM"), Some(45_116 * 1024));
        assert_eq!(kibibytes(status, "VmRSS"), None);
    }

    #[test]
    fn a_program_is_told_from_a_link_and_a_map() {
        let program_info = "pos:\t0\nprog_type:\t26\nprog_id:\t22675\nrun_time_ns:\t280\n\
                            run_cnt:\t2\nrecursion_misses:\t1\n";
        let runs = Runs { time: 280, count: 2, missed: 1 };
        assert_eq!(program(program_info), Some((22_675, runs)));
        assert_eq!(program("link_type:\ttracing\nlink_id:\t9\nprog_id:\t22675\n"), None);
        assert_eq!(program("map_type:\t27\nmap_id:\t3\n"), None);
    }

    #[test]
    fn runs_are_counted_from_a_moment_on() {
        let earlier = Runs { time: 100, count: 1, missed: 0 };
        let later = Runs { time: 400, count: 3, missed: 2 };
        assert_eq!(later.since(earlier), Runs { time: 300, count: 2, missed: 2 });
    }

    #[test]
    fn names_are_read_from_bpftool() {
        let json = r#"[{"id":7,"name":"set_state","tag":"1c"},{"id":8,"type":"cgroup_skb"}]"#;
        assert_eq!(parse_names(json).unwrap(), BTreeMap::from([(7, "set_state".to_owned())]));
        assert!(parse_names(r#"{"error":"no"}"#).is_err());
    }
}
