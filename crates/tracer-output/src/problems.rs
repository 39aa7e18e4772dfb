//! The live view of problems: connections that end badly have one line a group, of a process, a
//! service and a reason. The line comes again, with the count, as the group grows.
//!
//! What two lines would say twice has one: an RST of which both ends are on this host, and what
//! findings of mere information say of these ends.

use std::{cmp::Reverse, collections::VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    Format, Tick,
    phrases::{said, worded},
    text::{Palette, Stories, Text, of_reset, reason},
};
use tracer_event::{
    close::Reason,
    duration::grouped,
    endpoint::{Endpoint, Tuple},
    enricher::Context,
    escape::escape,
    finding::{Finding, Problem, Severity},
    header::Header,
    reset::Reset,
    segment::Answered,
    subject::{Role, Subject},
    summary::Summary,
    update::Update,
    wall_clock::WallClock,
};
use tracer_texts::Texts;

const SECOND: u64 = 1_000_000_000;
/// A group comes again at each tenfold, or after this time, then after twice as long.
const AGAIN: u64 = 5 * SECOND;
const TENFOLD: u64 = 10;
/// What ends in the same way after this time is something new.
const FORGOTTEN: u64 = 60 * SECOND;
/// Groups that are kept; all are forgotten when there are more.
const MOST: usize = 1 << 12;
/// Both ends of a connection are reset within this time.
const TOGETHER: u64 = SECOND;
/// Resets that are remembered for that.
const RECENT: usize = 256;
/// Groups that the end names.
const NAMED: usize = 5;

/// What ends of one line have in common: namespace, name of the process, service, and what happened.
type Key = (u32, Option<[u8; 16]>, Service, &'static str);

/// The end of a connection that others share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Service {
    Here(Endpoint),
    There(Endpoint),
}

#[derive(Clone, Copy)]
struct Group {
    count: u64,
    /// When the last of them was, and when the last line.
    last: u64,
    said_at: u64,
    /// How many there were then.
    said: u64,
    wait: u64,
}

/// Text, of problems alone.
pub struct Problems {
    text: Text,
    palette: Palette,
    steps: bool,
    groups: HashMap<Key, Group, RandomState>,
    /// The ends that were reset lately, and when: the other end of one has no line.
    resets: VecDeque<(u64, Tuple)>,
    /// An RST to a SYN, which the connecting end may say as well.
    refusal: Option<(Reset, WallClock)>,
}

impl Problems {
    /// Of connections as `stories` shows them.
    pub fn new(text: Text, palette: Palette, stories: Stories) -> Self {
        let steps = stories != Stories::Only;
        Self {
            text,
            palette,
            steps,
            groups: HashMap::default(),
            resets: VecDeque::new(),
            refusal: None,
        }
    }

    /// Shows an update, or counts it with its like.
    fn take(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        let Some((time, key)) = self.end(update) else {
            return self.text.update(update, context, out);
        };
        if self.groups.len() > MOST {
            self.groups.clear();
        }
        let known = self.groups.get_mut(&key);
        match known.filter(|group| time < group.last.saturating_add(FORGOTTEN)) {
            Some(group) => {
                group.count += 1;
                group.last = time;
                if group.count >= group.said.saturating_mul(TENFOLD) {
                    let words = say(&key, group, time, self.text.texts().as_deref());
                    self.text.paragraph(self.palette.bad, time, &words, context.clock, out);
                }
            }
            None => {
                let group = Group { count: 1, last: time, said_at: time, said: 1, wait: AGAIN };
                self.groups.insert(key, group);
                self.text.update(update, context, out);
            }
        }
    }

    /// Whether the other end of a reset connection has had its line.
    fn is_other_end(&mut self, update: &Update<'_>) -> bool {
        let (time, tuple, close) = match *update {
            Update::Transition(one) if self.steps => (one.time, one.subject.tuple, one.close),
            Update::Connection(one) if !self.steps => (one.time, one.subject.tuple, one.close),
            _ => return false,
        };
        if !close.is_some_and(|close| is_reset(close.reason)) {
            return false;
        }
        let is_recent = |(then, _): &(u64, Tuple)| time <= then.saturating_add(TOGETHER);
        let known = self.resets.iter().filter(|reset| is_recent(reset));
        let has_line = known.rev().any(|(_, other)| are_ends(*other, tuple));
        self.resets.push_back((time, tuple));
        if self.resets.len() > RECENT {
            self.resets.pop_front();
        }
        has_line
    }

    /// When an end was, and what it has in common with others; `None` where it is no bad end.
    fn end(&self, update: &Update<'_>) -> Option<(u64, Key)> {
        let (time, subject, close) = match *update {
            Update::Transition(one) if self.steps => (one.time, &one.subject, one.close?),
            Update::Connection(one) if !self.steps => (one.time, &one.subject, one.close?),
            Update::Reset(one) if self.steps => {
                let local = Service::Here(one.subject.tuple.local);
                return Some((one.time, key(&one.subject, local, of_reset(one))));
            }
            _ => return None,
        };
        let tuple = subject.tuple;
        let service = match subject.role {
            Some(Role::Client) => Service::There(tuple.peer),
            Some(_) => Service::Here(tuple.local),
            None if tuple.local.port < tuple.peer.port => Service::Here(tuple.local),
            None => Service::There(tuple.peer),
        };
        (close.reason != Reason::Graceful)
            .then(|| (time, key(subject, service, reason(close.reason))))
    }

    /// Shows an RST that nobody else says.
    fn settle(&mut self, next: Option<&Update<'_>>, context: Context<'_>, out: &mut Vec<u8>) {
        let Some((reset, clock)) = self.refusal.take() else { return };
        let is_same = next.is_some_and(|next| {
            let (Update::Transition(_) | Update::Connection(_)) = next else { return false };
            next.subject().is_some_and(|subject| are_ends(subject.tuple, reset.subject.tuple))
        });
        if !is_same {
            self.take(&Update::Reset(&reset), Context { clock, ..context }, out);
        }
    }

    /// The groups that have grown, and have waited long enough; when the next one will have.
    fn again(&mut self, now: u64, clock: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let mut next: Option<u64> = None;
        for (key, group) in self.groups.iter_mut().filter(|(_, group)| group.count > group.said) {
            let due = group.said_at.saturating_add(group.wait);
            if due <= now {
                let words = say(key, group, now, self.text.texts().as_deref());
                self.text.paragraph(self.palette.bad, now, &words, clock, out);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        next
    }
}

fn key(subject: &Subject, service: Service, what: &'static str) -> Key {
    let process = subject.owner.map(|owner| owner.process.comm);
    (subject.tuple.netns, process, service, what)
}

/// The words of a group, which it has now said.
fn say(
    (_, process, service, what): &Key,
    group: &mut Group,
    now: u64,
    texts: Option<&Texts>,
) -> String {
    (group.said, group.said_at, group.wait) = (group.count, now, 2 * group.wait);
    let who = process.as_ref().map_or_else(String::new, |comm| {
        let name = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        format!("{} ", escape(name))
    });
    let service = match service {
        Service::Here(local) => {
            let english = format_args!("to {local} here");
            worded(texts, "here", &[("address", local)], english)
        }
        Service::There(peer) => {
            worded(texts, "view-to", &[("address", peer)], format_args!("to {peer}"))
        }
    };
    format!("✗ {who}{service}: {} × {}", grouped(group.count), said(texts, what))
}

/// Whether these are the two ends of a connection, wherever they are on this host.
fn are_ends(one: Tuple, other: Tuple) -> bool {
    (one.local, one.peer) == (other.peer, other.local)
}

fn is_reset(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ResetReceived
            | Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentDataAfterClose
            | Reason::ResetSentUnaccepted
    )
}

/// Whether a finding says no more than the ends that have lines.
fn is_known(finding: &Finding) -> bool {
    finding.severity == Severity::Info
        && matches!(finding.problem, Problem::ConnectFailures(_) | Problem::ConnectionResets(_))
}

impl Format for Problems {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.text.header(header, clock, out);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        self.settle(Some(update), context, out);
        match update {
            Update::Finding(finding) if is_known(finding) => {}
            Update::Reset(reset) if self.steps && reset.segment.answers == Some(Answered::Syn) => {
                self.refusal = Some((**reset, context.clock));
            }
            _ if self.is_other_end(update) => {}
            _ => self.take(update, context, out),
        }
    }

    fn pause(&mut self, moment: &Tick, context: Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        self.settle(None, context, out);
        let again = self.again(moment.now, context.clock, out);
        self.text.pause(moment, context, out).into_iter().chain(again).min()
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        self.settle(None, context, out);
        let mut grown: Vec<(&Key, &mut Group)> =
            self.groups.iter_mut().filter(|(_, group)| group.count > group.said).collect();
        grown.sort_by_key(|(_, group)| Reverse(group.count));
        for (key, group) in grown.into_iter().take(NAMED) {
            let words = say(key, group, group.last, self.text.texts().as_deref());
            self.text.paragraph(self.palette.bad, group.said_at, &words, context.clock, out);
        }
        self.text.summary(summary, context, out);
    }
}

#[cfg(test)]
mod tests;
