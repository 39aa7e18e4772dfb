//! The sink behind the screens: counts on the reading thread, and copies what the screen needs.
//!
//! Counts are always up to date. What costs time in proportion to the number of sockets (their
//! list) is made less often, the more it costs.

mod counting;
mod past;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use self::{counting::Counting, past::Recent};
use super::{
    rows::{Before, Row, before},
    ui_snapshot::{self, Chosen, Shared, UiSnapshot, ViewRequest},
};
use tracer_event::{
    diagnosis::Diagnosis,
    enricher::Context,
    finding::{Finding, Status},
    header::Header,
    initial::InitialNumbers,
    state::State,
    summary::Summary,
    update::{Linger, OwnedUpdate, Update},
    wall_clock::WallClock,
};
use tracer_health as health;
use tracer_model::{connection::Connection, diagnosis::HostSnapshot, filter::Filter, table::Table};
use tracer_output::{Live, LiveSink, Sink};

const SECOND: u64 = 1_000_000_000;
/// Time between two pictures.
const PERIOD: u64 = SECOND / 2;
/// Shortest time between two copies of the list.
const ROWS: u64 = SECOND;
/// Copying the list takes at most one part in this many of a CPU's time.
const SHARE: u64 = 40;

/// The screen's thread ends within this time, unless the terminal accepts no output.
const PATIENCE: Duration = Duration::from_secs(2);

/// Feeds the screen.
pub struct Feed {
    /// Which sockets to list; updates come filtered.
    filter: Filter,
    /// The filter passes all of the table's sockets.
    all: bool,
    screen: Screen,
    counting: Counting,
    recent: Recent,
    /// What the first snapshot has shown, once there has been one.
    before: Option<Before>,
    ui_snapshot: UiSnapshot,
    /// When the next picture is due.
    next: u64,
    /// When the list was copied, and how long that took.
    copied: (u64, u64),
}

/// The screen's side of what is shared; dropping it ends the screen and waits for its thread.
struct Screen {
    shared: Arc<Shared>,
    thread: Option<health::Thread>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        let deadline = Instant::now() + PATIENCE;
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // A thread that still writes to a terminal which accepts nothing is left behind; the hook
        // has reported a panic.
        if thread.is_finished() {
            thread.join();
        }
    }
}

impl Feed {
    /// For a screen that runs in `thread`.
    pub fn new(filter: Filter, shared: Arc<Shared>, thread: Option<health::Thread>) -> Self {
        let all = filter == filter.of_namespace();
        Self {
            filter,
            all,
            screen: Screen { shared, thread },
            counting: Counting::default(),
            recent: Recent::default(),
            before: None,
            ui_snapshot: UiSnapshot::default(),
            next: 0,
            copied: (0, 0),
        }
    }

    fn lingers(&mut self, lingers: &[Linger]) {
        for linger in lingers {
            counting::linger(linger, &mut self.ui_snapshot);
            self.recent.add(OwnedUpdate::Linger(vec![linger.clone()]));
        }
    }

    /// What has changed since the last snapshot.
    fn finding(&mut self, finding: &Finding) {
        let findings = Arc::make_mut(&mut self.ui_snapshot.findings);
        findings.retain(|known| known.key() != finding.key());
        if finding.status != Status::Cleared {
            findings.push(finding.clone());
        }
    }

    /// Copies the list if it is needed and due, and the counts.
    fn copy(&mut self, live: &Live<'_>, context: Context<'_>, view_request: ViewRequest) {
        let Live { now, table, .. } = *live;
        let (made, cost) = self.copied;
        let due =
            now >= made.saturating_add(ROWS.max((cost + view_request.cost).saturating_mul(SHARE)));
        if due && (view_request.rows || !self.all) {
            let wants =
                |row: &Row| self.all || self.filter.may_want(&row.facts(now), context.enricher);
            let rows = table.connections().map(|life| self.row(life, context));
            let rows: Vec<Row> = rows.filter(wants).collect();
            if !self.all {
                self.ui_snapshot.counts = [0; State::COUNT];
                for row in &rows {
                    self.ui_snapshot.counts[row.state.index()] += 1;
                }
            }
            self.ui_snapshot.rows = Arc::new(rows);
            self.copied = (now, tracer_kernel::time::monotonic().saturating_sub(now));
        }
        if self.all {
            self.ui_snapshot.counts = State::ALL.map(|state| table.count(state));
        }
    }

    fn row(&self, life: &Connection, context: Context<'_>) -> Row {
        Row::of(life, self.before.as_ref().unwrap_or(&Before::default()), context)
    }

    fn choose(
        &self,
        table: &Table,
        context: Context<'_>,
        view_request: ViewRequest,
    ) -> Option<Arc<Chosen>> {
        let (id, ordinal) = view_request.chosen?;
        let life = table.connections().find(|life| (life.id, life.ordinal) == (id, ordinal));
        if let Some(life) = life {
            return Some(Arc::new(self.chosen(table, life, context)));
        }
        let before = self.ui_snapshot.chosen.as_ref().filter(|chosen| chosen.row.id == id)?;
        let mut gone = Chosen::clone(before);
        let numbers = gone.handshake.as_ref().and_then(InitialNumbers::of);
        let tuple = gone.row.subject.tuple;
        gone.events = self.recent.of(&tuple, numbers, None);
        let end = gone.events.iter().rev().find(|event| ui_snapshot::tuple(event) == Some(tuple));
        if gone.row.state != State::Closed {
            gone.row.state = State::Closed;
            gone.row.since = end.map_or(self.ui_snapshot.clock.now, OwnedUpdate::time);
            gone.row.at_least = false;
            gone.holders.clear();
        }
        Some(Arc::new(gone))
    }

    fn chosen(&self, table: &Table, life: &Connection, context: Context<'_>) -> Chosen {
        let numbers = |life: &Connection| life.handshake().as_ref().and_then(InitialNumbers::of);
        let own = numbers(life);
        let by_numbers = |other: &&Connection| {
            own.is_some() && numbers(other).map(InitialNumbers::mirrored) == own
        };
        let by_addresses = |other: &&Connection| other.tuple == life.tuple.reversed();
        let peer = table.connections().find(by_numbers);
        let peer = peer.or_else(|| table.connections().find(by_addresses));
        let mut events = self.recent.of(&life.tuple, own, peer.map(|peer| peer.tuple));
        for life in [life].into_iter().chain(peer) {
            events.extend(past::before(life, &events));
        }
        events.sort_by_key(OwnedUpdate::time);
        let row = self.row(life, context);
        let owner = row.subject.owner;
        let mut spent = life.spent(self.ui_snapshot.clock.now);
        spent[row.state.index()] += life.since.saturating_sub(row.since);
        Chosen {
            executable: owner.and_then(|owner| context.enricher.executable(&owner.process)),
            row,
            spent,
            at_least: life.spent_at_least(),
            handshake: life.handshake(),
            holders: life.holding(),
            events,
        }
    }
}

impl Sink for Feed {
    fn header(&mut self, header: &Header, clock: WallClock) {
        self.ui_snapshot.header = Some(Arc::new(header.clone()));
        self.ui_snapshot.clock = clock;
        self.screen.shared.lock().ui_snapshot = Some(self.ui_snapshot.clone());
    }

    fn update(&mut self, update: &Update<'_>, _: Context<'_>) {
        match *update {
            Update::Linger(lingers) => self.lingers(lingers),
            Update::Finding(finding) => self.finding(finding),
            Update::Loss(loss) if !loss.healed => self.ui_snapshot.lost += loss.count,
            Update::Transition(one) => {
                self.counting.transition(one, &mut self.ui_snapshot);
                self.recent.add(OwnedUpdate::Transition(*one));
            }
            Update::Retransmit(one) => self.recent.add(OwnedUpdate::Retransmit(*one)),
            Update::Reset(one) => self.recent.add(OwnedUpdate::Reset(*one)),
            _ => {}
        }
    }

    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        Some(self)
    }

    fn finish(self: Box<Self>, _: &Summary, _: Context<'_>) {}
}

impl LiveSink for Feed {
    fn observe(&mut self, live: &Live<'_>, context: Context<'_>) -> Option<u64> {
        let Live { now, table, .. } = *live;
        if now >= self.next {
            self.next = now + PERIOD;
            let view_request = self.screen.shared.lock().view_request;
            self.ui_snapshot.clock =
                self.ui_snapshot.clock.renewed(WallClock { now, ..context.clock });
            self.copy(live, context, view_request);
            self.ui_snapshot.chosen = self.choose(table, context, view_request);
            self.counting.show(now, &mut self.ui_snapshot);
            self.screen.shared.lock().ui_snapshot = Some(self.ui_snapshot.clone());
        }
        Some(self.next)
    }

    fn diagnoses(&self) -> bool {
        true
    }

    fn look(&mut self, look: &HostSnapshot) {
        if self.before.is_none() {
            self.before = Some(before(&look.snapshot.records, tracer_kernel::time::ticks()));
            self.counting.begin();
            // The list that is copied next is the first complete one.
            self.copied = (0, 0);
        }
    }

    fn diagnose(&mut self, diagnosis: &Diagnosis) {
        self.ui_snapshot.findings = Arc::new(diagnosis.findings.clone());
        self.ui_snapshot.observed = Some(diagnosis.observed);
    }
}

#[cfg(test)]
mod tests;
