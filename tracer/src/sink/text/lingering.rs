//! Flags on lingering sockets: a line a socket while they are few, a line a group when they are
//! many.

use std::{collections::BTreeMap, sync::Arc};

use super::{Text, WallClock, duration, grouped};
use crate::{
    model::{
        cause::Why,
        stack::Stack,
        state::State,
        update::{Linger, LingerStatus},
    },
    sink::{finding::why, stack},
};

/// More than this many sockets of one group are told in one line.
const FEW: usize = 3;

/// Those that a person would name in one breath: process, far end, state, cause. Clients of one server
/// differ in their ports, so a server's sockets are grouped by the client's address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    status: &'static str,
    state: State,
    process: String,
    peer: String,
    cause: &'static str,
}

impl Group {
    fn of(linger: &Linger, process: String) -> Self {
        let peer = linger.subject.tuple.peer;
        let ephemeral = peer.port >= linger.subject.tuple.local.port;
        let peer = if ephemeral { peer.with_port(0) } else { peer };
        Self {
            status: word(linger.status),
            state: linger.state,
            process,
            peer: peer.to_string(),
            cause: linger.why.as_ref().map_or("", Why::code),
        }
    }
}

/// `stuck in CLOSE_WAIT for`, or `left CLOSE_WAIT after`: what a duration follows.
fn stay(linger: &Linger) -> String {
    let before_age = if linger.status == LingerStatus::Cleared { "after" } else { "for" };
    format!("{} {} {before_age}", word(linger.status), linger.state)
}

fn word(status: LingerStatus) -> &'static str {
    match status {
        LingerStatus::Raised => "stuck in",
        LingerStatus::Continues => "still stuck in",
        LingerStatus::Cleared => "left",
    }
}

/// The descriptor, and how many others hold the socket too.
fn descriptor(linger: &Linger) -> String {
    let fd = linger.subject.owner.and_then(|owner| owner.fd).filter(|_| !linger.orphaned);
    match (fd, linger.holders.len()) {
        (None, _) => String::new(),
        (Some(fd), 0..=1) => format!(" fd {fd}"),
        (Some(fd), several) => format!(" fd {fd} and {} more", several - 1),
    }
}

impl Text {
    pub(super) fn lingers(&mut self, lingers: &[Linger], clock: WallClock, out: &mut Vec<u8>) {
        let mut groups: BTreeMap<Group, Vec<&Linger>> = BTreeMap::new();
        for linger in lingers {
            let group = Group::of(linger, holder(linger, self.who(&linger.subject)));
            groups.entry(group).or_default().push(linger);
        }
        for (group, members) in groups {
            if members.len() <= FEW {
                for linger in &members {
                    self.linger(linger, &group.process, clock, out);
                }
            } else {
                self.group(&group, &members, clock, out);
            }
            self.stacks(&members, clock, out);
        }
    }

    fn linger(&mut self, linger: &Linger, who: &str, clock: WallClock, out: &mut Vec<u8>) {
        let words = sentence(linger, who);
        self.flag(linger, &words, clock, out);
    }

    fn group(&mut self, group: &Group, members: &[&Linger], clock: WallClock, out: &mut Vec<u8>) {
        let Some(oldest) = members.iter().max_by_key(|linger| linger.age) else {
            return;
        };
        let words = format!(
            "⚑ {} sockets {} {}{}, {}: peer {}{}",
            grouped(members.len() as u64),
            stay(oldest),
            if oldest.at_least { "≥" } else { "up to " },
            duration(oldest.age),
            group.process,
            group.peer,
            advice(oldest),
        );
        self.flag(oldest, &words, clock, out);
    }

    /// The code that made those that have just been flagged.
    fn stacks(&mut self, lingers: &[&Linger], clock: WallClock, out: &mut Vec<u8>) {
        let mut stacks: Vec<(Arc<Stack>, u64)> = Vec::new();
        for linger in lingers.iter().filter(|linger| linger.status == LingerStatus::Raised) {
            let Some(stack) = linger.maker.and_then(|maker| self.surroundings.stack(&maker)) else {
                continue;
            };
            match stacks.iter_mut().find(|(known, _)| *known == stack) {
                Some((_, sockets)) => *sockets += 1,
                None => stacks.push((stack, 1)),
            }
        }
        let Some(time) = lingers.first().map(|linger| linger.time) else { return };
        let dim = self.palette.dim;
        for (stack, sockets) in stacks {
            if self.last_stack.as_ref() == Some(&stack) {
                self.note(dim, time, "    (the same stack)", clock, out);
                continue;
            }
            if lingers.len() > 1 {
                let head = format!("  {} created at:", grouped(sockets));
                self.note(dim, time, &head, clock, out);
            }
            self.last_stack = Some(Arc::clone(&stack));
            for call in stack::lines(&stack) {
                self.note(dim, time, &format!("    {call}"), clock, out);
            }
        }
    }

    fn flag(&mut self, linger: &Linger, words: &str, clock: WallClock, out: &mut Vec<u8>) {
        let style = match linger.status {
            LingerStatus::Cleared => self.palette.dim,
            _ if linger.state == State::TimeWait => self.palette.warning,
            _ => self.palette.bad,
        };
        self.note(style, linger.time, words, clock, out);
    }
}

/// What is to be said of one lingering socket, with the name of who holds it.
pub(in crate::sink) fn sentence(linger: &Linger, who: &str) -> String {
    let tuple = linger.subject.tuple;
    format!(
        "⚑ {} {}{}{}, {who}{}: {} ↔ {}{}",
        stay(linger),
        if linger.at_least { "≥" } else { "" },
        duration(linger.age),
        idle(linger),
        descriptor(linger),
        tuple.local,
        tuple.peer,
        advice(linger),
    )
}

/// The holder, `who`; for an orphan the former one.
pub(in crate::sink) fn holder(linger: &Linger, who: String) -> String {
    match (linger.subject.owner, linger.orphaned) {
        (None, true) => "held by the kernel".into(),
        (None, false) => "owner unknown".into(),
        (Some(_), true) => format!("was {who}"),
        (Some(_), false) => who,
    }
}

/// The flag on a socket that is named elsewhere.
pub(crate) fn flag(linger: &Linger) -> String {
    let sign = if linger.at_least { "≥" } else { "" };
    format!("⚑ {} {sign}{}{}", stay(linger), duration(linger.age), idle(linger))
}

/// How long no data has moved, where some did after one end had closed.
fn idle(linger: &Linger) -> String {
    if linger.idle == linger.age {
        return String::new();
    }
    format!(" ({} without data)", duration(linger.idle))
}

/// What the state waits for.
fn advice(linger: &Linger) -> String {
    let words = why(linger).filter(|_| linger.status != LingerStatus::Cleared);
    words.map_or_else(String::new, |words| format!(": {words}"))
}
