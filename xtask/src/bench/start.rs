//! How long a tool takes from its start until it reports an event, and tracer until all of its programs
//! are attached.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::figures::{Figures, Unit, alternate};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::Tool;
use super::watch::{Watched, listen};

const BUDGET: Duration = Duration::from_secs(15);
/// Sockets of this address listen, one a millisecond, until one is reported of.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
const BETWEEN_EVENTS: Duration = Duration::from_millis(1);

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let tools = [
        Tool::tracer(&bench.tracer, "tracer, JSON", &["--format", "json"]),
        Tool::tcpstates(),
        Tool::bpftrace(),
    ];
    let namespace = Namespace::new()?;
    let samples =
        alternate(2 * bench.scale.rounds, BUDGET, &tools, |tool| run(bench, &namespace, tool));
    let row = |what, tool: &Tool, figures: &Figures| {
        Row::new(what, &tool.label, Unit::Nanoseconds, figures).verdict()
    };
    let attached = samples[0].figures(|started| started.attached.as_nanos() as f64);
    let rows = tools.iter().zip(&samples).map(|(tool, samples)| {
        let figures = samples.figures(|started| started.told.as_nanos() as f64);
        row("start to first event told", tool, &figures)
    });
    let attached = row("start to all attached", &tools[0], &attached);
    Ok([attached].into_iter().chain(rows).collect())
}

/// What happened so long after the start.
struct Started {
    /// The first line was written: tracer's header, when all is attached.
    attached: Duration,
    /// An event was.
    told: Duration,
}

fn run(bench: &Bench, namespace: &Namespace, tool: &Tool) -> Result<Started> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let events = scope.spawn(|| {
            namespace.inside(|| {
                while !over.load(Ordering::Relaxed) {
                    listen(ADDRESS);
                    thread::sleep(BETWEEN_EVENTS);
                }
            })
        });
        let told = first_event(bench, tool);
        over.store(true, Ordering::Relaxed);
        let _ = events.join();
        told
    })
}

fn first_event(bench: &Bench, tool: &Tool) -> Result<Started> {
    let begun = Instant::now();
    let mut watched = Watched::start(tool, &bench.directory)?;
    let attached = watched.wait_for("")?.duration_since(begun);
    let told = watched.wait_for(&ADDRESS.to_string())?.duration_since(begun);
    watched.running.finish()?;
    Ok(Started { attached, told })
}
