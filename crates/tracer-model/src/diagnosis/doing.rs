//! What a process does instead, and whom it waits for.

use std::collections::BTreeMap;

use super::{
    Input,
    comparison::{Comparison, Seen},
};
use tracer_event::{
    activity::{Activity, Awaited, Doing, Throttled, Wait, WaitKind},
    host::ProcessFacts,
    process::Owner,
    state::State,
};

/// Who waits for a processor for more of the time is kept from working, percent.
const MUCH: u32 = 50;

impl Comparison<'_> {
    /// What a process does, where that could be seen.
    pub(super) fn doing(&self, pid: u32) -> Option<Doing> {
        let Input { first, last, .. } = self.input;
        let facts = last.host.processes.get(&pid)?;
        let Activity { running, blocked, waits, cpu, delayed, calls, .. } = &facts.activity;
        if waits.is_empty() && running + blocked == 0 {
            return None;
        }
        let before = first.look.host.processes.get(&pid).filter(|_| self.elapsed() > 0);
        let percent =
            |now: u64, before: u64| (now.saturating_sub(before) * 100 / self.elapsed()) as u32;
        let cpu_percent = before.map(|before| percent(*cpu, before.activity.cpu));
        let ready = before.and_then(|before| Some(percent((*delayed)?, before.activity.delayed?)));
        let throttled = before.and_then(|before| throttled(facts, before));
        let throttled = throttled.filter(|_| ready >= Some(MUCH));
        let waits: Vec<Wait> = waits.iter().filter(|wait| wait.is_known()).cloned().collect();
        let doing = Doing {
            cpu_percent,
            ready_percent: ready,
            throttled,
            blocked: *blocked,
            waits,
            on: None,
        };
        let is_of_peer = |wait: &&Wait| {
            matches!(WaitKind::of(&wait.function), WaitKind::Receive | WaitKind::Connect)
        };
        let on = doing.cause().filter(is_of_peer).and_then(|_| self.awaited(pid, calls));
        Some(Doing { on, ..doing })
    }

    /// Whom a process waits for: of several, who takes nothing of what it sends.
    fn awaited(&self, pid: u32, calls: &BTreeMap<u32, bool>) -> Option<Awaited> {
        let call = |seen: &Seen<'_>| {
            let mut holders = self.holders(seen.record).iter();
            let fd = |one: &Owner| one.fd.filter(|_| one.process.pid == pid);
            holders.find_map(|one| calls.get(&fd(one)?)).map(|sends| (*sends, seen.tuple()))
        };
        let states = [State::Established, State::CloseWait, State::SynSent];
        let open = states.into_iter().flat_map(|state| self.seen_in(state));
        let (takes_nothing, tuple) = open.filter_map(call).max_by_key(|(sends, _)| *sends)?;
        let is_peer = |seen: &&Seen<'_>| {
            let other = seen.tuple();
            (other.local, other.peer) == (tuple.peer, tuple.local)
        };
        let there = self.seen.iter().find(is_peer);
        let process = there.and_then(|seen| self.holders(seen.record).first());
        Some(Awaited { takes_nothing, peer: tuple.peer, process: process.map(|one| one.process) })
    }
}

/// The quota that a process has used up in most periods since.
fn throttled(now: &ProcessFacts, before: &ProcessFacts) -> Option<Throttled> {
    let since = |(group, now): (_, &[u64; 2])| {
        let before = before.quotas.get(group)?;
        let [periods, throttled] = [0, 1].map(|one| now[one].checked_sub(before[one]));
        let (periods, throttled) = (periods?, throttled?);
        let is_much = throttled > 0 && throttled.saturating_mul(100) >= periods * u64::from(MUCH);
        is_much.then(|| Throttled { group: Box::clone(group), periods, throttled })
    };
    now.quotas.iter().filter_map(since).max_by_key(|one| one.throttled)
}
