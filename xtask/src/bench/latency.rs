//! How soon a single event is told on an idle host.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::figures::{Figures, Unit};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::Tool;
use super::watch::{Watched, listen};

const EVENTS: u8 = 25;
/// Long enough for a tool to fall asleep.
const BETWEEN_EVENTS: Duration = Duration::from_millis(40);

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let namespace = Namespace::new()?;
    let inode = namespace.inode.to_string();
    let tools = [
        Tool::tracer(&bench.tracer, "tracer, text", &["--netns", &inode]),
        Tool::tracer(&bench.tracer, "tracer, JSON", &["--format", "json", "--netns", &inode]),
        Tool::tcpstates(),
        Tool::bpftrace(),
    ];
    let rows = tools.iter().map(|tool| {
        let delays = delays(bench, &namespace, tool);
        let figures: Figures = delays.map_err(|error| format!("{error:#}"));
        Row::new("state change to line", &tool.label, Unit::Nanoseconds, &figures)
    });
    Ok(rows.collect())
}

fn delays(bench: &Bench, namespace: &Namespace, tool: &Tool) -> Result<Vec<f64>> {
    let mut watched = Watched::start(tool, &bench.directory)?;
    watched.running.wait_until_attached()?;
    let delays = namespace.inside(|| {
        let delay = |event: u8| {
            thread::sleep(BETWEEN_EVENTS);
            // All have three digits, so that none is the beginning of another.
            let address = Ipv4Addr::new(127, 77, 1, 100 + event);
            let begun = Instant::now();
            listen(address);
            let told = watched.wait_for(&address.to_string())?;
            Ok(told.saturating_duration_since(begun).as_nanos() as f64)
        };
        (0..EVENTS).map(delay).collect::<Result<Vec<f64>>>()
    })??;
    watched.running.finish()?;
    Ok(delays)
}
