//! More lines than a person can read: a terminal gets a summary of each second instead.

use std::{cmp::Reverse, fmt::Display};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::phrases::{said, worded};
use tracer_texts::Texts;

use super::{columns::Stories, summary::reason};
use tracer_event::{
    close::Reason,
    duration::{count, grouped},
    endpoint::Endpoint,
    escape::escape,
    state::State,
    update::{Role, Subject, Update},
};

/// Lines a second that a person may still follow.
const READABLE: u64 = 200;
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// Processes, services and outcomes that a summary names.
const NAMED: usize = 3;
/// Different ones that are counted; all others are counted together.
const COUNTED: usize = 1 << 12;

/// Counts the lines of each second.
#[derive(Debug, Default)]
pub(super) struct Rates {
    begun: u64,
    lines: u64,
    /// What would have been lines, where they are too many.
    tally: Option<Tally>,
    /// Whether it has been said where all lines can be had.
    explained: bool,
}

/// What happened within a second.
#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    opened: u64,
    outcomes: HashMap<Reason, u64, RandomState>,
    processes: HashMap<String, u64, RandomState>,
    services: HashMap<String, u64, RandomState>,
}

impl Rates {
    /// Whether there may be a line for an update. Flags, findings and losses always have one.
    pub(super) fn admit(&mut self, update: &Update<'_>, stories: Stories) -> bool {
        let steps = stories == Stories::Steps;
        let subject = match *update {
            Update::Transition(step) if steps => &step.subject,
            Update::Retransmit(segment) if steps => &segment.subject,
            Update::Reset(segment) if steps => &segment.subject,
            Update::Connection(connection) if !steps => &connection.subject,
            _ => return true,
        };
        self.lines += 1;
        if self.lines > READABLE {
            self.tally.get_or_insert_default();
        }
        let Some(tally) = &mut self.tally else { return true };
        tally.add(update, subject);
        false
    }

    /// The summary of the second that is over at `now`, nanoseconds of `CLOCK_MONOTONIC`, where
    /// lines were left out.
    pub(super) fn turn(&mut self, now: u64, texts: Option<&Texts>) -> Option<String> {
        if now < self.begun.saturating_add(SECOND) {
            return None;
        }
        let is_next = now < self.begun.saturating_add(2 * SECOND);
        let busy = is_next && std::mem::take(&mut self.lines) > READABLE;
        self.lines = 0;
        self.begun = now;
        let tally = std::mem::replace(&mut self.tally, busy.then(Tally::default))?;
        if tally.lines == 0 {
            return None;
        }
        let mut words = tally.words(texts);
        if !std::mem::replace(&mut self.explained, true) {
            let all = said(texts, "to see each: tracer | less, or --output FILE, or a filter");
            words.push_str(&format!("; {all}"));
        }
        Some(words)
    }

    /// When to ask again, where lines are being left out.
    pub(super) fn due(&self) -> Option<u64> {
        self.tally.as_ref().map(|_| self.begun.saturating_add(SECOND))
    }
}

impl Tally {
    fn add(&mut self, update: &Update<'_>, subject: &Subject) {
        self.lines += 1;
        match update {
            Update::Transition(step) => {
                self.opened += u64::from(step.to == State::Established);
                if let Some(close) = step.close.filter(|_| step.to == State::Closed) {
                    *self.outcomes.entry(close.reason).or_default() += 1;
                }
            }
            Update::Connection(connection) => {
                if let Some(close) = connection.close {
                    *self.outcomes.entry(close.reason).or_default() += 1;
                }
            }
            _ => {}
        }
        if let Some(owner) = subject.owner {
            add(&mut self.processes, escape(owner.process.name()).into_owned());
        }
        if subject.role != Some(Role::Listener) {
            add(&mut self.services, service(subject));
        }
    }

    /// `1,234 lines: 100 opened, 98 closed normally, 2 refused; by curl 60%, nginx 40%; …`
    fn words(&self, texts: Option<&Texts>) -> String {
        let mut outcomes: Vec<(&Reason, &u64)> = self.outcomes.iter().collect();
        outcomes.sort_unstable_by_key(|(why, count)| (Reverse(**count), reason(**why)));
        let outcomes = outcomes.into_iter().take(NAMED);
        let outcomes = outcomes.map(|(why, number)| {
            let (number, reason) = (grouped(*number), said(texts, reason(*why)));
            let values: [(&str, &dyn Display); 2] = [("count", &number), ("what", &reason)];
            format!(", {}", worded(texts, "view-count", &values, format_args!("{number} {reason}")))
        });
        let outcomes = outcomes.collect::<String>();
        let processes = shares("by", &self.processes, texts);
        let services = shares("of", &self.services, texts);
        let (lines, opened) = (grouped(self.lines), grouped(self.opened));
        let values: [(&str, &dyn Display); 2] = [("lines", &lines), ("opened", &opened)];
        let changes = count(self.lines, "change");
        let english = format_args!("… {changes} in a second: {opened} opened");
        let words = worded(texts, "view-second", &values, english);
        format!("{words}{outcomes}{processes}{services}")
    }
}

fn add(counts: &mut HashMap<String, u64, RandomState>, name: String) {
    let name =
        if counts.len() < COUNTED || counts.contains_key(&name) { name } else { "others".into() };
    *counts.entry(name).or_default() += 1;
}

/// The end that stays the same: the server's.
fn service(subject: &Subject) -> String {
    let (local, peer) = (subject.tuple.local, subject.tuple.peer);
    let of_server = |end: Endpoint| end.to_string();
    match subject.role {
        Some(Role::Client) => of_server(peer),
        Some(Role::Server) => of_server(local),
        _ if peer.port < local.port => of_server(peer),
        _ => of_server(local),
    }
}

/// The largest ones, with their share.
fn shares(by: &str, counts: &HashMap<String, u64, RandomState>, texts: Option<&Texts>) -> String {
    let total: u64 = counts.values().sum();
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_unstable_by_key(|(name, count)| (Reverse(**count), *name));
    let shown = counts.iter().take(NAMED);
    let mut shown: Vec<String> =
        shown.map(|(name, count)| format!("{name} {}%", **count * 100 / total.max(1))).collect();
    if counts.len() > NAMED {
        let more = grouped((counts.len() - NAMED) as u64);
        shown.push(worded(texts, "view-more", &[("more", &more)], format_args!("{more} more")));
    }
    match shown.join(", ") {
        shown if shown.is_empty() => shown,
        shown => format!("; {} {shown}", said(texts, by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_event::{close::Close, fixtures::transition};

    /// As many lines in a second as people can read are shown, and a second later those again.
    #[test]
    fn a_busy_second_is_a_summary_and_a_quiet_one_is_lines() {
        let mut step = transition(State::LastAck, State::Closed);
        let close = |reason| Some(Close::new(reason, None));
        let mut rates = Rates::default();
        let mut lines = |lines: u64, second: u64| {
            let words = rates.turn(second * SECOND, None);
            let shown = (0..lines).filter(|line| {
                step.close = close(if line % 4 == 0 { Reason::Refused } else { Reason::Graceful });
                rates.admit(&Update::Transition(&step), Stories::Steps)
            });
            (shown.count() as u64, words)
        };
        assert_eq!(lines(READABLE, 1), (READABLE, None));
        let (shown, words) = lines(1_200, 2);
        assert_eq!((shown, words), (READABLE, None));
        let (shown, words) = lines(10, 3);
        let words = words.unwrap();
        assert_eq!(shown, 0, "the second after a busy one is summarized from its beginning");
        assert!(
            words.starts_with(
                "… 1,000 changes in a second: 0 opened, 750 closed normally, 250 refused"
            ),
            "{words}"
        );
        assert!(words.contains("--output FILE"), "{words}");
        let (shown, words) = lines(10, 4);
        assert_eq!(shown, 10);
        assert!(words.is_some_and(|words| !words.contains("--output")));
        assert_eq!(lines(1, 60), (1, None));
        assert_eq!(rates.due(), None);
    }
}
