//! Two recordings, metric by metric: what changed, and whether that is beyond noise.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{
    observed::Observed,
    statistics::{FEWEST, Rate, Series, corrected, rates, shares, shift, tail},
};
use crate::exec::{
    fault::Fault,
    tally::{Place, Traffic},
};
use tracer_event::{
    close::Reason,
    diff::{Unit, Verdict},
    finding::Finding,
};
use tracer_output::{phrase, phrases::said};
use tracer_texts::Texts;

/// A change is beyond noise where chance brings it about less often than this, after Holm's
/// correction.
pub const LEVEL: f64 = 0.01;
/// And where the larger value is so many times the smaller one: with many connections, chance
/// explains less and less of what does not matter.
pub const FACTOR: f64 = 1.2;
/// And, of times, where the difference is as long, nanoseconds: below, a busy processor decides.
pub const LEAST: f64 = 1_000_000.0;
/// Nanoseconds.
const SECOND: f64 = 1e9;
/// Of places, the most frequent ones are compared: each comparison costs all others power.
const COMPARED: usize = 50;

/// Which part of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// p50.
    Median,
    /// p99.
    Tail,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Connections opened and accepted, a second.
    Connections,
    /// The same of one place.
    Place(Place),
    /// Connections that entered TIME_WAIT on this host, a second. Beyond noise only where they are
    /// more for the same payload too: neither a faster machine nor smaller messages are churn.
    Churn,
    /// Share of the connections that ended so.
    Outcome(Reason),
    /// Time of the handshakes.
    Handshake(Quantile),
    /// Time from beginning to end of the connections that ended.
    Lifetime(Quantile),
    /// Share of the connections that had to retransmit.
    Retransmits,
    /// Share of the connections that their application has not closed.
    Leaks,
}

impl Metric {
    /// In what it is counted.
    pub fn unit(self) -> Unit {
        match self {
            Self::Connections | Self::Place(_) | Self::Churn => Unit::PerSecond,
            Self::Outcome(_) | Self::Retransmits | Self::Leaks => Unit::Share,
            Self::Handshake(_) | Self::Lifetime(_) => Unit::Time,
        }
    }

    /// What it is worth when it grows.
    fn growth(self) -> Verdict {
        match self {
            Self::Connections | Self::Place(_) | Self::Lifetime(_) => Verdict::Neither,
            Self::Outcome(Reason::Unknown | Reason::Disconnected | Reason::AbortedLocally) => {
                Verdict::Neither
            }
            Self::Outcome(Reason::Graceful) => Verdict::Better,
            Self::Churn
            | Self::Outcome(_)
            | Self::Handshake(_)
            | Self::Retransmits
            | Self::Leaks => Verdict::Worse,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Of what.
    pub metric: Metric,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
    /// How probable the difference is by chance, corrected.
    pub p: f64,
}

impl Row {
    /// By how much it changed; the unit is the metric's.
    pub fn change(&self) -> f64 {
        self.after - self.before
    }

    /// Whether the change is beyond noise.
    pub fn is_changed(&self) -> bool {
        let Self { metric, before, after, p } = self;
        let is_large = before.max(*after) >= FACTOR * before.min(*after)
            && (metric.unit() != Unit::Time || self.change().abs() >= LEAST);
        *p < LEVEL && is_large
    }

    /// What the change is worth, if it is one.
    pub fn verdict(&self) -> Verdict {
        let growth = self.metric.growth();
        match growth {
            _ if !self.is_changed() => Verdict::Neither,
            Verdict::Worse if self.change() < 0.0 => Verdict::Better,
            Verdict::Better if self.change() < 0.0 => Verdict::Worse,
            growth => growth,
        }
    }
}

/// What could not be judged.
#[derive(Clone, Debug, PartialEq)]
pub enum NotJudged {
    /// Times of which there were too few, before and after.
    Few(&'static str, [u64; 2]),
    /// More destinations than are compared.
    Destinations(usize),
}

impl NotJudged {
    /// In words; without texts in English.
    pub fn say(&self, texts: Option<&Texts>) -> String {
        match *self {
            Self::Few(name, [before, after]) => {
                let name = said(texts, name);
                phrase!(
                    texts,
                    "diff-few",
                    [name, before, after, FEWEST],
                    "{name}: {before} before and {after} after; {FEWEST} are needed"
                )
            }
            Self::Destinations(more) => phrase!(
                texts,
                "diff-destinations",
                [more],
                "{more} destinations with the fewest connections"
            ),
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Each comparison, those beyond noise and the others.
    pub rows: Vec<Row>,
    /// Findings of the second recording that the first one does not have: the first of each kind.
    pub new_findings: Vec<Finding>,
    /// And the other way round.
    pub gone_findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub not_judged: Vec<NotJudged>,
}

impl Comparison {
    /// Compares two recordings that have a duration.
    pub fn of(before: &Observed, after: &Observed) -> Self {
        let mut all = Self::default();
        let both = [before, after];
        all.rate(Metric::Connections, both, both.map(|one| &one.opened));
        all.churn(both);
        all.outcomes(both);
        let handshakes = both.map(|one| &one.account.handshakes);
        all.times(Metric::Handshake, "handshakes", handshakes);
        all.times(Metric::Lifetime, "lifetimes", both.map(|one| &one.lifetimes));
        for (metric, fault) in
            [(Metric::Retransmits, Fault::Retransmit), (Metric::Leaks, Fault::Leak)]
        {
            // Of a recording of problems alone (`--problems`) there are fewer ends than incidents.
            let share = |one: &Observed| {
                let count = one.account.incidents(fault).1;
                (count, one.connections().1.max(count))
            };
            all.share(metric, both.map(share));
        }
        all.places(both);
        let chances: Vec<f64> = all.rows.iter().map(|row| row.p).collect();
        for (row, p) in all.rows.iter_mut().zip(corrected(&chances)) {
            row.p = p;
        }
        all.new_findings = missing(before, after);
        all.gone_findings = missing(after, before);
        all
    }

    /// Whether something is worse.
    pub fn is_regression(&self) -> bool {
        !self.new_findings.is_empty() || self.rows.iter().any(|row| row.verdict() == Verdict::Worse)
    }

    fn rate(&mut self, metric: Metric, both: [&Observed; 2], series: [&Series; 2]) {
        let [before, after] = [0, 1].map(|index| by_time(both[index], series[index]));
        let p = rates(before, after);
        let [before, after] = [before, after].map(|rate| rate.value() * SECOND);
        self.rows.push(Row { metric, before, after, p });
    }

    fn churn(&mut self, both: [&Observed; 2]) {
        let [before, after] = both.map(|one| by_time(one, &one.time_waits));
        let payload = |one: &Observed| one.account.traffic()[..2].iter().sum();
        let by_payload = |one| Rate { exposure: payload(one), ..by_time(one, &one.time_waits) };
        let [less, more] = both.map(by_payload);
        let grows = |one: f64, other: f64| other >= FACTOR * one && other > one;
        let (by_time, by_payload) =
            ([before, after].map(|rate| rate.value()), [less, more].map(|rate| rate.value()));
        let agree = grows(by_time[0], by_time[1]) && grows(by_payload[0], by_payload[1])
            || grows(by_time[1], by_time[0]) && grows(by_payload[1], by_payload[0]);
        let p = if agree { rates(before, after).max(rates(less, more)) } else { 1.0 };
        let [before, after] = by_time.map(|rate| rate * SECOND);
        self.rows.push(Row { metric: Metric::Churn, before, after, p });
    }

    fn share(&mut self, metric: Metric, counts: [(u64, u64); 2]) {
        let share = |(count, all): (u64, u64)| count as f64 / all.max(1) as f64;
        if counts.iter().any(|(count, _)| *count > 0) {
            let [before, after] = counts.map(share);
            self.rows.push(Row { metric, before, after, p: shares(counts[0], counts[1]) });
        }
    }

    fn outcomes(&mut self, both: [&Observed; 2]) {
        let totals = both.map(|one| one.connections().0);
        let ends = both.map(|one| ends(&one.account.places()));
        for (_, reason) in Reason::NAMES {
            let count = |index: usize| {
                let ends: &BTreeMap<_, u64> = &ends[index];
                (ends.get(reason.name()).copied().unwrap_or_default(), totals[index])
            };
            self.share(Metric::Outcome(reason), [count(0), count(1)]);
        }
    }

    fn times(
        &mut self,
        metric: fn(Quantile) -> Metric,
        name: &'static str,
        [before, after]: [&Histogram<u64>; 2],
    ) {
        if before.len().min(after.len()) < FEWEST {
            let counts = [before, after].map(Histogram::len);
            if counts != [0, 0] {
                self.not_judged.push(NotJudged::Few(name, counts));
            }
            return;
        }
        let test = [(Quantile::Median, 0.5, shift(before, after))];
        let tests = test.into_iter().chain([(Quantile::Tail, 0.99, tail(before, after))]);
        for (quantile, at, p) in tests {
            let [before, after] = [before, after].map(|times| times.value_at_quantile(at) as f64);
            self.rows.push(Row { metric: metric(quantile), before, after, p });
        }
    }

    fn places(&mut self, both: [&Observed; 2]) {
        let mut totals: BTreeMap<String, (Place, u64)> = BTreeMap::new();
        for (place, series) in both.iter().flat_map(|one| &one.by_place) {
            totals.entry(format!("{place:?}")).or_insert((*place, 0)).1 += series.total();
        }
        let mut places: Vec<(Place, u64)> = totals.into_values().collect();
        places.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
        if let Some(more) = places.len().checked_sub(COMPARED).filter(|more| *more > 0) {
            self.not_judged.push(NotJudged::Destinations(more));
        }
        let none = Series::default();
        for (place, _) in places.into_iter().take(COMPARED) {
            let series = both.map(|one| one.by_place.get(&place).unwrap_or(&none));
            self.rate(Metric::Place(place), both, series);
        }
    }
}

fn by_time<'a>(one: &Observed, events: &'a Series) -> Rate<'a> {
    let duration = one.duration.unwrap_or_default();
    Rate { events, duration, exposure: duration }
}

fn ends(places: &[(Place, Traffic)]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (reason, count) in places.iter().flat_map(|(_, traffic)| &traffic.ends) {
        *counts.entry(reason.name()).or_default() += count;
    }
    counts
}

/// Findings of the second that the first one does not have.
fn missing(one: &Observed, other: &Observed) -> Vec<Finding> {
    let of_other = other.findings.iter().filter(|(code, _)| !one.findings.contains_key(*code));
    of_other.map(|(_, finding)| finding.clone()).collect()
}
