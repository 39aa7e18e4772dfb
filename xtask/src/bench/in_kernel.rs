//! What an event costs in the kernel, by its own count (`kernel.bpf_stats_enabled`).

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::accounts::{self, Runs, Statistics};
use super::figures::{Figures, Unit, alternate};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::{Running, Tool};
use super::{Bench, TRANSITIONS, throughput};

const BUDGET: Duration = Duration::from_secs(25);
const MOST_ROUNDS: usize = 3;
/// The programs of tracer that every event runs.
const MAIN: [&str; 2] = ["set_state", "set_state_guard"];

/// Time and misses of each program of a tool, by name, for each event.
struct Costs {
    programs: BTreeMap<String, Runs>,
    events: f64,
}

impl Costs {
    fn time(&self, wanted: impl Fn(&str) -> bool) -> f64 {
        let programs = self.programs.iter().filter(|(name, _)| wanted(name));
        programs.map(|(_, runs)| runs.time as f64).sum::<f64>() / self.events
    }

    fn missed(&self) -> f64 {
        1e6 * self.programs.values().map(|runs| runs.missed as f64).sum::<f64>() / self.events
    }
}

/// The lines, and each tool's time in the kernel for each event.
pub(crate) struct InKernel {
    pub(crate) rows: Vec<Row>,
    pub(crate) time: Vec<(String, Figures)>,
}

pub(crate) fn measure(bench: &Bench) -> Result<InKernel> {
    const WHAT: &str = "time per event in the kernel";
    let tools = [
        Tool::tracer(&bench.tracer, "tracer, JSON", &["--format", "json"]),
        Tool::tracer(&bench.tracer, "tracer, another port", &["--port", "9"]),
        Tool::tcpstates(),
        Tool::bpftrace(),
    ];
    let statistics = Statistics::enable()?;
    let rounds = bench.scale.rounds.min(MOST_ROUNDS);
    let samples = alternate(rounds, BUDGET, &tools, |tool| run(bench, tool));
    drop(statistics);
    let all: Vec<Figures> = samples.iter().map(|s| s.figures(|c| c.time(|_| true))).collect();
    let mut rows = Vec::new();
    for name in MAIN {
        let figures = samples[0].figures(|costs| costs.time(|program| program == name));
        rows.push(Row::new(WHAT, &format!("tracer, JSON, {name}"), Unit::Nanoseconds, &figures));
    }
    for (tool, samples) in tools.iter().zip(&samples).take(2) {
        let main = samples.figures(|costs| costs.time(|program| MAIN.contains(&program)));
        let row = Row::new(WHAT, &format!("{}, these two", tool.label), Unit::Nanoseconds, &main);
        rows.push(row.compared(&main, &all[2], "tcpstates"));
    }
    for (tool, figures) in tools.iter().zip(&all) {
        let label = format!("{}, all programs", tool.label);
        let row = Row::new(WHAT, &label, Unit::Nanoseconds, figures);
        rows.push(row.compared(figures, &all[2], "tcpstates"));
    }
    for (tool, samples) in tools.iter().zip(&samples) {
        let figures = samples.figures(Costs::missed);
        rows.push(Row::new("recursion misses", &tool.label, Unit::PerMillion, &figures));
    }
    Ok(InKernel { rows, time: tools.map(|tool| tool.label).into_iter().zip(all).collect() })
}

fn run(bench: &Bench, tool: &Tool) -> Result<Costs> {
    let namespace = Namespace::new()?;
    let mut running = Running::start(tool, Stdio::null(), &bench.directory)?;
    running.wait_until_attached()?;
    let before = accounts::programs(running.pid());
    let names = accounts::names().unwrap_or_default();
    let connections = bench.scale.connections / 4;
    throughput::load(bench, &namespace, connections)?;
    let after = accounts::programs(running.pid());
    running.finish()?;
    ensure!(after.values().any(|runs| runs.count > 0), "the kernel has counted nothing");
    let mut programs: BTreeMap<String, Runs> = BTreeMap::new();
    for (id, runs) in after {
        let name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        let runs = runs.since(before.get(&id).copied().unwrap_or_default());
        let sum = programs.entry(name).or_default();
        *sum = Runs {
            time: sum.time + runs.time,
            count: sum.count + runs.count,
            missed: sum.missed + runs.missed,
        };
    }
    Ok(Costs { programs, events: (connections * TRANSITIONS) as f64 })
}
