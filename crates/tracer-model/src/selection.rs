//! Which records are written: kinds of them, findings from a severity on, problems only, a sample of
//! the connections. Metrics count all the same.
//!
//! A [`Filter`] says which sockets are of interest; this says how much is
//! to be known of each. A sample is drawn by addresses and ports, by which both hosts of a
//! connection draw the same ones without asking each other.

use std::{num::NonZeroU32, str::FromStr};

use tracer_event::{finding::Severity, header::Partial, update::Update};

use crate::filter::{Filter, is_problem};

/// A kind of record that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transition,
    Retransmit,
    Reset,
    Connection,
    Linger,
    Finding,
}

/// Their names, as JSON lines have them.
const KINDS: [(&str, Kind); 6] = [
    ("transition", Kind::Transition),
    ("retransmit", Kind::Retransmit),
    ("reset", Kind::Reset),
    ("connection", Kind::Connection),
    ("linger", Kind::Linger),
    ("finding", Kind::Finding),
];

impl Kind {
    /// Losses are of none: they are always written.
    fn of(update: &Update<'_>) -> Option<Self> {
        Some(match update {
            Update::Transition(_) => Self::Transition,
            Update::Retransmit(_) => Self::Retransmit,
            Update::Reset(_) => Self::Reset,
            Update::Connection(_) => Self::Connection,
            Update::Linger(_) => Self::Linger,
            Update::Finding(_) => Self::Finding,
            Update::Loss(_) => return None,
        })
    }
}

/// Records that are to be written: `connection`, or `finding=warning` for those that are at least
/// that severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    kind: Kind,
    severity: Severity,
}

impl FromStr for Records {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, severity) = match text.split_once('=') {
            Some((name @ "finding", severity)) => (name, severity),
            Some(_) => return Err("only findings have a severity: finding=warning"),
            None => (text, Severity::Info.name()),
        };
        let kind = KINDS.into_iter().find(|(known, _)| *known == name);
        let (_, kind) = kind.ok_or(
            "no kind of record: transition, retransmit, reset, connection, linger, finding",
        )?;
        let severity = Severity::ALL.into_iter().find(|known| known.name() == severity);
        let severity = severity.ok_or("a finding is info, warning or critical")?;
        Ok(Self { kind, severity })
    }
}

impl Records {
    fn has(self, update: &Update<'_>) -> bool {
        Kind::of(update) == Some(self.kind)
            && match update {
                Update::Finding(finding) => finding.severity >= self.severity,
                _ => true,
            }
    }
}

/// Which records are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Kinds; where there are none, all.
    pub records: Vec<Records>,
    /// Of so many connections one.
    pub sample: Option<NonZeroU32>,
    /// Only what fails, is retried or is stuck.
    pub problems: bool,
}

impl Selection {
    /// Whether a record is written.
    pub fn wants(&self, update: &Update<'_>) -> bool {
        self.wants_kind(update) && self.draws(update) && (!self.problems || is_problem(update))
    }

    /// What is left out of the life of a connection that `filter` wants.
    pub fn partial(&self, filter: &Filter) -> Option<Partial> {
        let chosen = (*self != Self::default()).then_some(Partial::Records);
        filter.partial().or(chosen)
    }

    fn wants_kind(&self, update: &Update<'_>) -> bool {
        self.records.is_empty()
            || matches!(update, Update::Loss(_))
            || self.records.iter().any(|records| records.has(update))
    }

    /// Whether the connection is in the sample. Listeners, what is stuck and what is wrong always
    /// are: they are few, and what one looks for.
    fn draws(&self, update: &Update<'_>) -> bool {
        let (Some(sample), Some(subject)) = (self.sample, update.subject()) else { return true };
        let tuple = &subject.tuple;
        tuple.peer.port == 0 || tuple.digest() % sample == 0
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use tracer_event::{
        close::{Close, Reason},
        endpoint::{Endpoint, Tuple},
        fixtures::transition,
        state::State,
        update::{Direction, Loss, LossPlace, Reset, Rst, Subject, Transition},
    };

    fn selection(records: &[&str], sample: u32) -> Selection {
        let records = records.iter().map(|one| one.parse().unwrap()).collect();
        Selection { records, sample: NonZeroU32::new(sample), problems: false }
    }

    fn reset(tuple: Tuple) -> Reset {
        let (subject, segment) = (Subject::of_addresses(tuple), Rst::new(Direction::Sent));
        Reset { time: 1, subject, state: State::Established, segment }
    }

    fn tuple(port: u16) -> Tuple {
        let end = |last, port| Endpoint::new([10, 0, 0, last].into(), port);
        Tuple { local: end(1, port), peer: end(2, 443), netns: 7 }
    }

    #[rstest]
    #[case("connections", "no kind of record")]
    #[case("", "no kind of record")]
    #[case("reset=warning", "only findings")]
    #[case("finding=bad", "a finding is info")]
    fn what_is_no_kind_is_said(#[case] text: &str, #[case] message: &str) {
        assert!(text.parse::<Records>().unwrap_err().starts_with(message));
    }

    #[test]
    fn kinds_that_are_not_named_are_left_out_but_never_losses() {
        let (reset, loss) = (reset(tuple(1)), Loss::final_loss(1, LossPlace::Otlp, 1));
        let (reset, loss) = (Update::Reset(&reset), Update::Loss(&loss));
        assert!(selection(&[], 0).wants(&reset));
        assert!(selection(&["reset", "linger"], 0).wants(&reset));
        assert!(!selection(&["connection"], 0).wants(&reset));
        assert!(selection(&["connection"], 0).wants(&loss));
    }

    #[test]
    fn of_problems_alone_losses_are_told_too() {
        let problems = Selection { problems: true, ..Selection::default() };
        let open = transition(State::SynSent, State::Established);
        assert!(!problems.wants(&Update::Transition(&open)));
        let refused = Close::new(Reason::Refused, None);
        let refused =
            Transition { close: Some(refused), ..transition(State::SynSent, State::Closed) };
        assert!(problems.wants(&Update::Transition(&refused)));
        assert!(problems.wants(&Update::Loss(&Loss::final_loss(1, LossPlace::Otlp, 1))));
    }

    #[test]
    fn both_ends_draw_the_same_connections_and_the_share_that_was_asked_for() {
        let one_in_ten = selection(&[], 10);
        let mut drawn = 0;
        for port in 1..=20_000 {
            let here = tuple(port);
            let there = Tuple { local: here.peer, peer: here.local, netns: 8 };
            let of = |tuple| one_in_ten.wants(&Update::Reset(&reset(tuple)));
            assert_eq!(of(here), of(there), "{here:?}");
            drawn += u32::from(of(here));
        }
        assert!((1_800..2_200).contains(&drawn), "{drawn} of 20,000");
    }
}
