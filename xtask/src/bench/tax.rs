//! What a tracer that has nothing to do costs every other system call of the host: where accept() is
//! seen at the exit of system calls, all of them take a longer way out.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::figures::{Figures, Unit, alternate};
use super::table::Row;
use super::tool::{Running, Tool};
use super::{Bench, command};

const BUDGET: Duration = Duration::from_secs(20);
/// Calls of the shortest kind; a second, or less.
const CALLS: usize = 5_000_000;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    const WHAT: &str = "getppid()";
    let tools = [
        None,
        Some(Tool::tracer(&bench.tracer, "tracer", &["--format", "json"])),
        Some(Tool::tracer(&bench.tracer, "tracer --no-accept", &["--no-accept"])),
    ];
    let samples = alternate(bench.scale.rounds, BUDGET, &tools, |tool| with(bench, tool.as_ref()));
    let all: Vec<Figures> = samples.iter().map(|samples| samples.figures(|call| *call)).collect();
    let mut rows = vec![Row::new(WHAT, "untraced", Unit::Nanoseconds, &all[0])];
    for (tool, figures) in tools.iter().zip(&all) {
        let Some(tool) = tool else { continue };
        let row = Row::new(WHAT, &tool.label, Unit::Nanoseconds, figures);
        rows.push(row.compared(figures, &all[0], "untraced"));
    }
    for (tool, figures) in tools.iter().zip(&all) {
        let Some(tool) = tool else { continue };
        let tax = more(figures, &all[0]);
        rows.push(Row::new("on each system call", &tool.label, Unit::Nanoseconds, &tax).verdict());
    }
    Ok(rows)
}

/// Nanoseconds a call, with a tool at work or without.
fn with(bench: &Bench, tool: Option<&Tool>) -> Result<f64> {
    let running = tool.map(|tool| -> Result<Running> {
        let mut running = Running::start(tool, Stdio::null(), &bench.directory)?;
        running.wait_until_attached()?;
        Ok(running)
    });
    let running = running.transpose()?;
    let mut load = Command::new("taskset");
    load.args(command::ONE_CORE).arg(&bench.load).args(["calls", &CALLS.to_string()]);
    let said = command::output(&mut load)?;
    if let Some(running) = running {
        running.finish()?;
    }
    said.trim().parse().with_context(|| format!("the load generator says: {said}"))
}

/// How much more one took than the other, round by round.
fn more(figures: &Figures, than: &Figures) -> Figures {
    let (ours, theirs) = (figures.clone()?, than.clone()?);
    Ok(ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tax_is_the_difference_of_each_round() {
        let (with, without) = (Ok(vec![110.0, 95.0]), Ok(vec![100.0, 90.0]));
        assert_eq!(more(&with, &without), Ok(vec![10.0, 5.0]));
        assert!(more(&with, &Err("no".into())).is_err());
    }
}
