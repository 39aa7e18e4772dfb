//! What tracing costs where nothing happens.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Figures, Unit};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::{Running, Tool};
use super::{Bench, accounts};

/// The first look at the sockets that are there belongs to the start.
const STARTING: Duration = Duration::from_secs(1);

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    let inode = namespace.inode.to_string();
    let arguments = ["--format", "json", "--netns", &inode];
    let tools = [
        Tool::tracer(&bench.tracer, "tracer, JSON, its namespace idle", &arguments),
        Tool::tracer(&bench.tracer, "tracer, JSON, the host as it is", &arguments[..2]),
    ];
    let rows = tools.iter().map(|tool| {
        let share = share(bench, tool);
        let figures: Figures = share.map(|share| vec![share]).map_err(|error| format!("{error:#}"));
        Row::new("idle: share of a core", &tool.label, Unit::Percent, &figures)
    });
    Ok(rows.collect())
}

/// Percent of a core.
pub(crate) fn share(bench: &Bench, tool: &Tool) -> Result<f64> {
    let mut running = Running::start(tool, Stdio::null(), &bench.directory)?;
    running.wait_until_attached()?;
    thread::sleep(STARTING);
    let begun = Instant::now();
    let before = accounts::cpu(running.pid())?;
    thread::sleep(bench.scale.idle);
    let spent = accounts::cpu(running.pid())? - before;
    let took = begun.elapsed();
    running.finish()?;
    Ok(100.0 * spent as f64 / took.as_nanos() as f64)
}
