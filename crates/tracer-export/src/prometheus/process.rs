//! What the tracer itself takes, by the names that Prometheus's client libraries have for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Reads them when it is asked; what cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        let help = "Processor time of the tracer";
        encoder
            .encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, f64, u64>(&cpu, None)?;
        for (name, help, value) in gauges() {
            if let Some(value) = value {
                let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                metric.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

fn gauges() -> [(&'static str, &'static str, Option<f64>); 5] {
    let (size, resident) = memory().unzip();
    let limit = getrlimit(Resource::Nofile).current;
    [
        ("process_resident_memory_bytes", "Memory of the tracer that is in use", resident),
        ("process_virtual_memory_bytes", "Address space of the tracer", size),
        ("process_open_fds", "Open file descriptors of the tracer", descriptors()),
        ("process_max_fds", "Limit of open file descriptors", limit.map(|limit| limit as f64)),
        ("process_start_time_seconds", "When the tracer started, since 1970", started()),
    ]
}

fn memory() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').map(|pages| pages.parse::<f64>().ok());
    let mut next = || Some(pages.next()?? * page_size() as f64);
    Some((next()?, next()?))
}

fn descriptors() -> Option<f64> {
    // Without the one that reads them.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

/// `starttime` of proc_pid_stat(5), and `btime` of proc_stat(5).
fn started() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = own.rsplit_once(") ")?;
    let ticks: f64 = behind_name.split(' ').nth(19)?.parse().ok()?;
    let host = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = host.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + ticks / clock_ticks_per_second() as f64)
}
