//! Sockets that are connected to themselves.

use super::{
    common::each_once,
    comparison::{Comparison, Detector},
};
use tracer_event::{
    finding::{Finding, Problem, SelfConnect, Severity},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[found];

/// One finding each: a port can be taken only once.
fn found(comparison: &Comparison<'_>) -> Vec<Finding> {
    let connected = comparison.seen_in(State::Established).filter(|seen| {
        let tuple = seen.tuple();
        tuple.local == tuple.peer
    });
    connected
        .filter(|seen| comparison.wants_seen(seen))
        .map(|seen| {
            let tuple = seen.tuple();
            let holders = comparison.holders(seen.record).iter().map(|holder| holder.process);
            let holders = each_once(holders);
            let programs = holders.into_iter().map(|process| comparison.program(process));
            let ports = comparison.facts(tuple.netns).and_then(|facts| facts.ports.as_ref());
            let problem = SelfConnect::new(tuple.local, programs.collect(), ports);
            comparison.finding(Severity::Warning, tuple.netns, Problem::SelfConnect(problem))
        })
        .collect()
}
