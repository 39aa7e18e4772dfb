//! Network namespaces of the benchmarks' own, in which all that is measured happens.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process;

/// Settings under which a hundred thousand short connections fit and leave their TIME_WAIT.
const SETTINGS: &str = "ip link set lo up && cd /proc/sys/net/ipv4 && \
    echo '1024 65535' > ip_local_port_range && echo 1000000 > tcp_max_tw_buckets";

/// A namespace with `lo` up; deleted, with what is left in it, when dropped.
pub(crate) struct Namespace {
    name: String,
    /// Its inode number, by which tracer knows it.
    pub(crate) inode: u64,
}

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id());
        process::silently(Command::new("ip").args(["netns", "add", &name]), None)?;
        let mut namespace = Self { name, inode: 0 };
        let path = namespace.path();
        namespace.inode = fs::metadata(&path).context("a new namespace is not there")?.ino();
        process::silently(namespace.command("sh").args(["-c", SETTINGS]), None)?;
        Ok(namespace)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run in it. Unlike with `ip netns exec`, /sys stays what it is.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Does something in a thread that is in it.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path()).context("cannot open a namespace")?;
        let enter = || -> Result<T> {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter a namespace")?;
            Ok(work())
        };
        let ended = thread::scope(|scope| scope.spawn(enter).join());
        ended.map_err(|_| anyhow!("a thread in a namespace has failed"))?
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Should this fail, the namespace ends with the benchmark: only its mounts know the name.
        let _ = process::silently(Command::new("ip").args(["netns", "delete", &self.name]), None);
    }
}
