//! Flags on lingering sockets: a line for each socket while they are few, or for each group.

use std::{collections::BTreeMap, sync::Arc};

use super::{columns::columns, who::holder};
use tracer_event::{
    duration::{duration, grouped},
    enricher::Enricher,
    linger::LingerCause,
    stack::{self, Stack},
    state::State,
    update::{Linger, LingerStatus},
};

/// More sockets of one group than this share a line.
const FEW: usize = 3;

/// What the sockets of a group have in common: status, state, process, peer and cause. The clients
/// of a server differ in their ports, so that the peers of a server's sockets are addresses.
type Key = (u8, State, String, String, &'static str);

/// Sockets that are reported together.
pub(super) struct Group<'a> {
    holder: String,
    peer: String,
    members: Vec<&'a Linger>,
}

/// The sockets in groups; `who` names an owner. Those that have left their state come first.
pub(super) fn groups<'a>(
    lingers: &'a [Linger],
    who: impl Fn(&Linger) -> String,
) -> impl Iterator<Item = Group<'a>> {
    let mut groups: BTreeMap<Key, Group<'a>> = BTreeMap::new();
    for linger in lingers {
        let holder = holder(linger, who(linger));
        let peer = linger.subject.tuple.peer;
        let ephemeral = peer.port >= linger.subject.tuple.local.port;
        let peer = if ephemeral { peer.with_port(0) } else { peer }.to_string();
        let rank = (linger.status as u8 + 1) % 3;
        let cause = linger.why.as_ref().map_or("", LingerCause::code);
        let key = (rank, linger.state, holder.clone(), peer.clone(), cause);
        let group = groups.entry(key).or_insert(Group { holder, peer, members: Vec::new() });
        group.members.push(linger);
    }
    groups.into_values()
}

impl<'a> Group<'a> {
    /// The lines of the group, each with the socket that it is about, or the oldest. Where there is
    /// not enough `room`, columns, addresses are left out.
    pub(super) fn lines(&self, room: Option<usize>) -> Vec<(&'a Linger, String)> {
        let Self { holder, peer, members } = self;
        if members.len() <= FEW {
            let line = |linger: &Linger| {
                let whole = sentence(linger, holder);
                let fits = room.is_none_or(|room| columns(&whole) <= room);
                if fits { whole } else { without_ends(linger, holder) }
            };
            return members.iter().map(|linger| (*linger, line(linger))).collect();
        }
        let oldest = members.iter().max_by_key(|linger| linger.age);
        let line = oldest.map(|oldest| {
            let words = format!(
                "⚑ {} sockets {} {}{}, {holder}: peer {peer}{}",
                grouped(members.len() as u64),
                stay(oldest),
                if oldest.at_least { "≥" } else { "up to " },
                duration(oldest.age),
                advice(oldest),
            );
            (*oldest, words)
        });
        line.into_iter().collect()
    }

    /// When the group was noticed.
    pub(super) fn time(&self) -> u64 {
        self.members.first().map_or(0, |linger| linger.time)
    }

    /// The stacks that created those sockets of the group that have just been flagged; `last` is the
    /// last one that was shown.
    pub(super) fn stacks(
        &self,
        enricher: &dyn Enricher,
        last: &mut Option<Arc<Stack>>,
    ) -> Vec<String> {
        let raised = self.members.iter().filter(|linger| linger.status == LingerStatus::Raised);
        let mut stacks: Vec<(Arc<Stack>, u64)> = Vec::new();
        for stack in raised.filter_map(|linger| enricher.stack(&linger.creator?)) {
            match stacks.iter_mut().find(|(known, _)| *known == stack) {
                Some((_, sockets)) => *sockets += 1,
                None => stacks.push((stack, 1)),
            }
        }
        let mut lines = Vec::new();
        for (stack, sockets) in stacks {
            if last.as_ref() == Some(&stack) {
                lines.push("    (the same stack)".into());
                continue;
            }
            if self.members.len() > 1 {
                lines.push(format!("  {} created at:", grouped(sockets)));
            }
            lines.extend(stack::lines(&stack).into_iter().map(|call| format!("    {call}")));
            *last = Some(stack);
        }
        lines
    }
}

/// `stuck in CLOSE_WAIT for`, or `left CLOSE_WAIT after`: a duration follows.
fn stay(linger: &Linger) -> String {
    match linger.status {
        LingerStatus::Raised => format!("stuck in {} for", linger.state),
        LingerStatus::Continues => format!("still stuck in {} for", linger.state),
        LingerStatus::Cleared => format!("left {} after", linger.state),
    }
}

/// The flag on a socket that is named elsewhere.
pub fn flag(linger: &Linger) -> String {
    let sign = if linger.at_least { "≥" } else { "" };
    let idle = linger.idle.map(|idle| format!(" ({} without data)", duration(idle)));
    let idle = idle.unwrap_or_default();
    format!("⚑ {} {sign}{}{idle}", stay(linger), duration(linger.age))
}

/// The flag on a socket, with the name of who holds it.
pub(crate) fn sentence(linger: &Linger, who: &str) -> String {
    let tuple = linger.subject.tuple;
    format!("{}: {} ↔ {}{}", held(linger, who), tuple.local, tuple.peer, advice(linger))
}

/// The same without addresses.
fn without_ends(linger: &Linger, who: &str) -> String {
    held(linger, who) + &advice(linger)
}

/// `⚑ stuck in CLOSE_WAIT for 10.0s, nginx[900] fd 7`
fn held(linger: &Linger, who: &str) -> String {
    let fd = linger.subject.owner.and_then(|owner| owner.fd).filter(|_| !linger.orphaned);
    let fd = match (fd, linger.holders.len()) {
        (None, _) => String::new(),
        (Some(fd), 0..=1) => format!(" fd {fd}"),
        (Some(fd), several) => format!(" fd {fd} and {} more", several - 1),
    };
    format!("{}, {who}{fd}", flag(linger))
}

/// What has to happen before the state ends.
fn advice(linger: &Linger) -> String {
    let words = linger.explanation().filter(|_| linger.status != LingerStatus::Cleared);
    words.map_or_else(String::new, |words| format!(": {words}"))
}
