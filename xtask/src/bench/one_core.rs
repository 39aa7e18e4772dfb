//! The same load with everything on one processor: what tracing takes is taken from the load there, so
//! that the ratio of the rates is that of the processor time, whatever else the machine does.

use std::time::Duration;

use super::Bench;
use super::figures::{Figures, Unit, alternate};
use super::table::Row;
use super::throughput::{Place, Variant, run};

const BUDGET: Duration = Duration::from_secs(60);
/// The third of the connections makes as many events as the ratio needs.
const SHARE: usize = 3;

pub(crate) fn measure(bench: &Bench) -> Vec<Row> {
    const WHAT: &str = "connections, all on one core";
    let variants: Vec<Option<Variant>> =
        [None].into_iter().chain(Variant::ours(bench).into_iter().map(Some)).collect();
    let connections = bench.scale.connections / SHARE;
    let samples = alternate(bench.scale.rounds, BUDGET, &variants, |variant| {
        run(bench, variant.as_ref(), connections, Place::OneCore)
    });
    let rates: Vec<Figures> = samples.iter().map(|s| s.figures(|run| run.rate)).collect();
    let rows = variants.iter().zip(&rates).map(|(variant, rate)| match variant {
        None => Row::new(WHAT, "untraced", Unit::PerSecond, rate),
        Some(variant) => Row::new(WHAT, &variant.tool.label, Unit::PerSecond, rate)
            .compared(rate, &rates[0], "untraced")
            .verdict(),
    });
    rows.collect()
}
