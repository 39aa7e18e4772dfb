//! When to look at the kernel's own list of sockets.
//!
//! Once at the start; then as often as something may have happened without an event (minisockets
//! end and advance silently), after losses, and where only a look can tell (a port that is being
//! waited for, the holder of a lingering socket). A look costs time in proportion to the number of
//! sockets, so the more it costs the rarer it becomes.

use std::time::Duration;

use tracer_event::{process::Process, state::State, update::Observer};
use tracer_kernel::{
    snapshot::{Creators, Snapshots, Taken, Wanted},
    time,
};
use tracer_model::{
    diagnosis::{HostSnapshot, explain},
    linger::LOOK_LEAD,
    table::{Merged, Table},
};

const MILLISECOND: u64 = 1_000_000;
/// While something may happen silently.
const OFTEN: u64 = 700 * MILLISECOND;
/// Otherwise.
const SELDOM: u64 = 30_000 * MILLISECOND;
/// How full ports and queues are is judged this often at most.
const JUDGE: u64 = 3_000 * MILLISECOND;
/// And this often after the last event: what waits, or has no answer, does so without events, and takes
/// some seconds to be a finding.
const STILL: u64 = 5;
/// A look for that alone takes at most one part in this many.
const JUDGE_SHARE: u64 = 200;
/// But so many judgements, at the start and when something happens after a rest, may take a larger
/// part: what was wrong before shows by comparison, and who has started a trace waits for it.
const PROMPT: u64 = 3;
/// Of so many sockets at most: with a hundred thousand each takes some tenths of a second of a core.
const PROMPT_SOCKETS: usize = 10_000;
/// A look takes at most one part in this many of a processor's time (the reader, which merges it,
/// takes another).
const SHARE: u64 = 100;
/// A look for what a flag has to tell may take a larger part.
const RAISE_SHARE: u64 = 10;
/// A look for a port may take a larger part.
const PORT_SHARE: u64 = 5;
/// A SYN_SENT waits this long for its next event before a look is taken for its port.
const PORT_WAIT: u64 = 10 * MILLISECOND;

/// Who holds a socket, and whether data still moves on it, is asked this long before it is flagged.
const RAISE_LEAD: u64 = LOOK_LEAD / 2;

/// How long a look may wait for the names of functions (`--stacks`): looks show more than these.
const NAMES_PATIENCE: Duration = Duration::from_secs(3);

/// Decides when, and merges what was seen.
pub(super) struct Resync {
    snapshots: Snapshots,
    /// The programs record stacks.
    stacks: bool,
    /// What is wrong is to be judged also while nothing happens.
    diagnoses: bool,
    /// When the last look was asked for; `None` where one is due.
    asked: Option<u64>,
    /// When the last look at the sockets themselves was.
    looked: u64,
    /// How many events there had been then.
    looked_events: u64,
    /// When the last look at their holders was.
    held: u64,
    cost: u64,
    /// When the namespaces' settings were last asked for.
    judged: u64,
    /// How many events there had been then.
    judged_events: u64,
    /// How often they were since something happened.
    still: u64,
    /// Judgements that may take a larger part.
    prompt: u64,
    /// The namespaces that could not be entered.
    refused: Vec<u32>,
    /// That none can be entered has been told.
    told: bool,
}

impl Resync {
    pub(super) fn new(snapshots: Snapshots, stacks: bool, diagnoses: bool, told: bool) -> Self {
        Self {
            snapshots,
            stacks,
            diagnoses,
            asked: None,
            looked: 0,
            looked_events: 0,
            held: 0,
            cost: 0,
            judged: 0,
            judged_events: 0,
            still: 0,
            prompt: PROMPT,
            refused: Vec::new(),
            told,
        }
    }

    /// Asks for a look where it is time, or where none was taken since `report`, which has come;
    /// when to call again at the latest.
    pub(super) fn ask(&mut self, now: u64, report: u64, table: &mut Table) -> u64 {
        let Some(asked) = self.asked else {
            return self.request(now, table, true);
        };
        let rest = asked + self.cost * SHARE;
        let raise = table.next_raise().map_or(u64::MAX, |raise| raise.saturating_sub(RAISE_LEAD));
        let raises = raise <= now;
        let ports = table.wants_ports(now.saturating_sub(PORT_WAIT));
        let judge = self.judge_at(asked, table);
        let due = (self.looked + if is_passing(table) { OFTEN } else { SELDOM }).max(rest);
        let report = if report > self.looked { report } else { u64::MAX };
        let due = due.min(judge).min(report);
        let port_rest = asked + self.cost * PORT_SHARE;
        let raise_rest = asked + self.cost * RAISE_SHARE;
        if now >= due || raises && now >= raise_rest || ports && now >= port_rest {
            // Descriptors pass from process to process without an event.
            let unknown = table.wants_holders() || now.saturating_sub(self.held) >= SELDOM;
            let holders = raises || unknown;
            return self.request(now, table, holders);
        }
        let next = due.min(raise.max(raise_rest));
        if table.wants_ports(now) { next.min((now + PORT_WAIT).max(port_rest)) } else { next }
    }

    /// When to look for what is wrong again.
    fn judge_at(&self, asked: u64, table: &Table) -> u64 {
        if table.events() == self.judged_events && !self.diagnoses && self.still >= STILL {
            return u64::MAX;
        }
        let is_prompt = self.prompt > 0 && table.len() <= PROMPT_SOCKETS;
        let share = if is_prompt { RAISE_SHARE } else { JUDGE_SHARE };
        (self.judged + JUDGE).max(asked + self.cost * share)
    }

    /// Asks for a look at everything now, unless one is being taken; whether it was asked for.
    pub(super) fn ask_for_all(&mut self, now: u64, table: &mut Table) -> bool {
        self.judged = 0;
        self.request(now, table, true);
        let is_asked = self.judged == now;
        self.hurry_unless(is_asked)
    }

    /// Asks for a look at the sockets alone now, unless one is being taken; whether it was asked
    /// for.
    pub(super) fn ask_for_sockets(&mut self, now: u64, table: &mut Table) -> bool {
        // Settings are for judging, and nothing is judged any more; nothing is flagged, with or without
        // a stack.
        self.judged = now;
        self.stacks = false;
        self.request(now, table, false);
        let is_asked = self.looked == now;
        self.hurry_unless(is_asked)
    }

    /// Of the look that is being taken nothing more is needed but that it ends.
    fn hurry_unless(&self, is_asked: bool) -> bool {
        if !is_asked {
            self.snapshots.hurry();
        }
        is_asked
    }

    /// Whether something has happened since a look was asked for, or may have.
    pub(super) fn is_behind(&self, table: &Table) -> bool {
        table.events() != self.looked_events || is_passing(table)
    }

    fn request(&mut self, now: u64, table: &mut Table, holders: bool) -> u64 {
        // After losses this is asked at each turn, and what follows looks at all sockets.
        if self.snapshots.is_pending() {
            return now + OFTEN;
        }
        table.expect_snapshot();
        let mut seen: Vec<u32> =
            table.connections().map(|connection| connection.tuple.netns).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.retain(|netns| *netns != 0 && !self.refused.contains(netns));
        // Now and then with what it takes to judge them.
        // The host may have been started less than that ago.
        let settings = self.judged == 0 || now >= self.judged + JUDGE;
        let holders = holders || settings;
        // Whether they can run is part of why they do not close.
        let wanted = Wanted { sockets: true, holders, settings, processes: holders };
        let creators = self.creators(now, table);
        if self.snapshots.request(wanted, seen, creators) {
            self.asked = Some(now);
            self.looked = now;
            self.looked_events = table.events();
            if settings {
                self.judged = now;
                let is_still = table.events() == self.judged_events;
                let begins = !is_still && self.still >= STILL;
                self.prompt = if begins { PROMPT } else { self.prompt.saturating_sub(1) };
                self.still = if is_still { self.still + 1 } else { 0 };
                self.judged_events = table.events();
            }
            if holders {
                self.held = now;
            }
        }
        now + OFTEN
    }

    /// Those whose stacks may have to be told; none where no stacks are recorded.
    fn creators(&self, now: u64, table: &Table) -> Creators {
        if !self.stacks {
            return Creators::default();
        }
        let mut processes: Vec<Process> =
            table.creators(|_| true).into_iter().map(|creator| creator.process).collect();
        processes.dedup();
        let told = table.creators(|known| table.is_due(known, now));
        Creators { processes, told, patience: NAMES_PATIENCE }
    }

    /// Events have been lost: the next look is taken at once, whatever it costs.
    pub(super) fn hurry(&mut self) {
        self.asked = None;
    }

    /// The look that has been finished, if one has. What happened before its end must be read
    /// before it is merged.
    pub(super) fn ready(&mut self) -> Option<Taken> {
        self.snapshots.ready()
    }

    /// Merges a look and gives it back, with what it has changed. All events up to its end must have been read.
    pub(super) fn merge(
        &mut self,
        taken: Taken,
        table: &mut Table,
        out: &mut impl Observer,
    ) -> (HostSnapshot, Merged) {
        let Taken { look, cost, refused, wanted } = taken;
        let snapshot = &look.snapshot;
        self.cost = cost;
        for (netns, reason) in refused {
            if self.refused.contains(&netns) {
                continue;
            }
            self.refused.push(netns);
            if !self.told {
                tracing::warn!(
                    "cannot look into network namespace {netns}: {reason}; sockets from before \
                     are not known there (CAP_SYS_ADMIN)"
                );
            }
        }
        let merged = table.merge(snapshot, out);
        if wanted.processes && snapshot.held_at.is_some() {
            explain(&look, time::ticks(), table);
        }
        tracing::debug!(
            "snapshot of {} sockets in {} namespaces took {} µs: {merged:?}",
            snapshot.records.len(),
            snapshot.namespaces.len(),
            cost / 1_000,
        );
        (look, merged)
    }
}

/// Whether sockets are in states that end without an event, or that a lost event would leave them
/// in: nobody stays there for long.
fn is_passing(table: &Table) -> bool {
    [
        State::TimeWait,
        State::FinWait2,
        State::FinWait1,
        State::LastAck,
        State::Closing,
        State::SynRecv,
    ]
    .into_iter()
    .any(|state| table.count(state) > 0)
}
