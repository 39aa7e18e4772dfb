//! Options that several commands have.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::signals::interruptible;
use tracer_event::header::Degraded;
use tracer_kernel::pods::Pods;
use tracer_model::selection::{Records, Selection};

/// Which records to write. Metrics count everything all the same.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Records")]
pub(super) struct RecordArguments {
    /// Write only these kinds of records: transition, retransmit, reset, connection, linger (stuck
    /// sockets), finding; finding=warning for findings of at least that severity. Losses are always
    /// written
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    records: Vec<Records>,
    /// Write only one in N connections, chosen by addresses and ports: the same on both hosts.
    /// Stuck sockets and findings are always written
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>, allow_negative_numbers = true)]
    sample: Option<NonZeroU32>,
}

impl RecordArguments {
    /// What they say.
    pub(super) fn selection(&self) -> Selection {
        let (records, sample) = (self.records.clone(), self.sample);
        Selection { records, sample, ..Selection::default() }
    }
}

/// Whether to record the code that creates a socket.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct StacksArgument {
    /// Show which code created a stuck socket: the stack of its connect() or accept(). Needs
    /// programs with frame pointers; java, node and Python also need a perf map in /tmp. tracer exec
    /// shows lines of Python without it
    #[arg(long, help_heading = "Kernel")]
    pub(super) stacks: bool,
}

/// Whether pods are named.
#[derive(Args, Clone, Debug)]
pub(super) struct PodsArgument {
    /// Name the pods of a Kubernetes node, by the directory in which its kubelet keeps their logs,
    /// such as /var/log/pods
    #[arg(long, value_name = "DIR")]
    pub(super) pod_logs: Option<PathBuf>,
}

impl PodsArgument {
    /// Opens what names pods; with what is missing of it.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub(super) fn open(&self) -> anyhow::Result<Option<(Pods, Option<Degraded>)>> {
        let Some(path) = self.pod_logs.clone() else { return Ok(None) };
        let opened = path.clone();
        // It may be on a file system that does not answer.
        let pods = interruptible(move || Pods::open(&opened))?;
        let failed = || {
            let path = path.display();
            format!("cannot read the directory {path} (--pod-logs; the kubelet's is /var/log/pods)")
        };
        Ok(Some(pods.with_context(failed)?))
    }
}

/// The formats of what is not a stream of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatName {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// A number that is not zero.
pub(super) fn positive<T: From<NonZeroU32>>(text: &str) -> Result<T, &'static str> {
    let number = text.parse::<NonZeroU32>();
    number.map(T::from).map_err(|_| "not a whole number from 1 to 4294967295")
}

/// A time, as humantime reads it; a number alone is in seconds.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .map_err(|_| "not a time such as 500ms, 10s or 5m")
}

/// A time between reports. If it were shorter, most of the output would be reports.
pub(super) fn interval(text: &str) -> Result<Duration, &'static str> {
    let interval = duration(text)?;
    if interval >= Duration::from_secs(1) { Ok(interval) } else { Err("shorter than a second") }
}
