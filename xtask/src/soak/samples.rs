//! What the tracer takes, looked at now and then, and what is to be thought of it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::lives::Lives;
use crate::bench::{accounts, command};

/// Memory that a tracked socket accounts for, bytes.
const SOCKET: f64 = 450.0;
/// The middle of the samples may rise by so much over their last half: allocators keep what the
/// largest burst has taken.
const RISE: f64 = 8e6;
/// Descriptors and threads that may be there for a moment: a look at the sockets has some.
const PASSING: usize = 4;

/// The tracer at one moment.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    at: Duration,
    /// Resident memory, bytes.
    memory: u64,
    descriptors: usize,
    /// Of them network namespaces.
    namespaces: usize,
    threads: usize,
    /// Programs, maps and links.
    objects: usize,
    sockets: usize,
    lines: u64,
    lost: u64,
    cpu: Duration,
}

impl Sample {
    pub(super) const HEADER: &str = "   time  memory  sockets  descriptors  namespaces  threads  \
                                     bpf objects       lines    lost  processor";

    pub(super) fn take(pid: u32, lives: &Lives, at: Duration) -> Result<Self> {
        let (sockets, lines, lost) = lives.counts();
        let links = links(pid)?;
        let is_namespace = |link: &&String| link.starts_with("net:[");
        Ok(Self {
            at,
            memory: accounts::memory(pid, "VmRSS")?,
            descriptors: links.len(),
            namespaces: links.iter().filter(is_namespace).count(),
            threads: fs::read_dir(format!("/proc/{pid}/task"))?.count(),
            objects: held(pid).len(),
            sockets,
            lines,
            lost,
            cpu: Duration::from_nanos(accounts::cpu(pid)?),
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory, descriptors, namespaces, threads, objects, sockets, lines, lost, ..
        } = self;
        let (at, cpu) = (self.at.as_secs(), self.cpu.as_secs_f64());
        write!(
            formatter,
            "{at:>5} s {:>4} MiB {sockets:>8} {descriptors:>12} {namespaces:>11} {threads:>8} \
             {objects:>12} {lines:>11} {lost:>7} {cpu:>8.1} s",
            memory >> 20
        )
    }
}

/// Where its descriptors lead.
fn links(pid: u32) -> Result<Vec<String>> {
    let directory = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&directory).with_context(|| directory.clone())?.flatten();
    // One may be closed meanwhile.
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    Ok(links.map(|link| link.to_string_lossy().into_owned()).collect())
}

/// An object of the kernel's: a command of bpftool that lists such, and a number.
type Object = (&'static str, u64);

/// Names in fdinfo, and what bpftool calls them.
const OBJECTS: [(&str, &str); 3] = [("prog_id:", "prog"), ("map_id:", "map"), ("link_id:", "link")];

/// The objects that a process has descriptors of.
pub(super) fn held(pid: u32) -> BTreeSet<Object> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.flat_map(|text| objects(&text)).collect()
}

fn objects(fdinfo: &str) -> Vec<Object> {
    let object = |&(field, kind): &(&str, &'static str)| {
        let number = fdinfo.lines().find_map(|line| line.strip_prefix(field))?;
        Some((kind, number.trim().parse().ok()?))
    };
    OBJECTS.iter().filter_map(object).collect()
}

/// A promise, and whether it was kept.
pub(super) struct Verdict {
    promise: &'static str,
    pub(super) kept: bool,
    seen: String,
}

impl Verdict {
    pub(super) fn new(promise: &'static str, kept: bool, seen: String) -> Self {
        Self { promise, kept, seen }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, kept, seen } = self;
        write!(formatter, "{} {promise}: {seen}", if *kept { "kept  " } else { "BROKEN" })
    }
}

/// Nothing of these is left in the kernel.
pub(super) fn left(held: &BTreeSet<Object>) -> Verdict {
    const PROMISE: &str = "nothing is left in the kernel";
    match existing() {
        Ok(existing) => {
            let left: Vec<_> = held.intersection(&existing).collect();
            let seen = format!("{} objects held, {} left: {left:?}", held.len(), left.len());
            Verdict::new(PROMISE, !held.is_empty() && left.is_empty(), seen)
        }
        Err(error) => Verdict::new(PROMISE, false, format!("{error:#}")),
    }
}

fn existing() -> Result<BTreeSet<Object>> {
    let mut existing = BTreeSet::new();
    for (_, kind) in OBJECTS {
        let said = command::output(Command::new("bpftool").args(["--json", kind, "show"]))?;
        let list: Vec<serde_json::Value> =
            serde_json::from_str(&said).context("bpftool does not write a list")?;
        existing.extend(list.iter().filter_map(|one| Some((kind, one["id"].as_u64()?))));
    }
    Ok(existing)
}

/// What the samples say.
pub(super) fn judge(samples: &[Sample]) -> Vec<Verdict> {
    let half = &samples[samples.len() / 2..];
    let rise = rise(half);
    let memory = Verdict::new(
        "memory is flat",
        rise.abs() < RISE || rise < 0.0,
        format!("{:+.1} MB over the last half, sockets apart", rise / 1e6),
    );
    let steady = |promise, count: fn(&Sample) -> usize| {
        let [first, last] = [samples.first(), samples.last()].map(|one| one.map_or(0, count));
        let most = samples.iter().map(count).max().unwrap_or(0);
        let seen = format!("{first} at first, {last} at last, {most} at most");
        Verdict::new(promise, last <= first + PASSING && most <= first + 2 * PASSING, seen)
    };
    vec![
        memory,
        steady("descriptors do not grow", |one| one.descriptors),
        steady("namespaces are not kept", |one| one.namespaces),
        steady("threads do not grow", |one| one.threads),
        steady("programs, maps and links do not grow", |one| one.objects),
    ]
}

/// By how much memory rises from the first to the last of these, by the line that fits best, bytes;
/// what the sockets account for does not count.
fn rise(samples: &[Sample]) -> f64 {
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|one| (one.at.as_secs_f64(), one.memory as f64 - SOCKET * one.sockets as f64))
        .collect();
    let mean = |of: fn(&(f64, f64)) -> f64| {
        points.iter().map(of).sum::<f64>() / points.len().max(1) as f64
    };
    let (time, memory) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
    let common: f64 = points.iter().map(|point| (point.0 - time) * (point.1 - memory)).sum();
    match (points.first(), points.last()) {
        (Some(first), Some(last)) if spread > 0.0 => common / spread * (last.0 - first.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, memory: u64, sockets: usize) -> Sample {
        Sample {
            at: Duration::from_secs(second),
            memory,
            descriptors: 40,
            namespaces: 1,
            threads: 5,
            objects: 30,
            sockets,
            lines: 0,
            lost: 0,
            cpu: Duration::ZERO,
        }
    }

    fn kept(samples: &[Sample]) -> Vec<bool> {
        judge(samples).iter().map(|verdict| verdict.kept).collect()
    }

    #[test]
    fn growth_is_found_and_sockets_are_none() {
        let flat: Vec<_> = (0..12).map(|n| sample(60 * n, 50_000_000 + n % 3, 10)).collect();
        assert_eq!(kept(&flat), [true; 5]);
        let leaks: Vec<_> =
            (0..12).map(|n| sample(60 * n, 50_000_000 + n * 3_000_000, 10)).collect();
        assert_eq!(kept(&leaks), [false, true, true, true, true]);
        let sockets = |n: u64| sample(60 * n, 50_000_000 + 450 * n * 100_000, n as usize * 100_000);
        assert_eq!(kept(&(0..12).map(sockets).collect::<Vec<_>>()), [true; 5]);
        let descriptors = |n: u64| Sample { descriptors: 40 + n as usize, ..sample(n, 5, 1) };
        let descriptors: Vec<_> = (0..12).map(descriptors).collect();
        assert_eq!(kept(&descriptors), [true, false, true, true, true]);
    }

    #[test]
    fn objects_are_read_from_fdinfo() {
        let link = "pos:\t0\nlink_type:\ttracing\nlink_id:\t9\nprog_id:\t22675\n";
        assert_eq!(objects(link), [("prog", 22_675), ("link", 9)]);
        assert_eq!(objects("map_type:\t27\nmap_id:\t3\n"), [("map", 3)]);
    }
}
