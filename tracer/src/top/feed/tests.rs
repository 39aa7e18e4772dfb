//! What the screen is given, as far as only this thread can know it.

use tracer_wire::{Record, flag, kind};

use super::*;
use crate::top::rows::{Grouping, Selection};
use tracer_event::{
    container::Cgroup, enricher::Enricher, process::Process, subject::Subject, update::Observer,
};
use tracer_model::table::{Options, Snapshot};

/// All is in one container, and runs one program.
struct Contained;

impl Enricher for Contained {
    fn cgroup(&self, _: &Subject) -> Option<Arc<Cgroup>> {
        Some(Arc::new(Cgroup::of("/lxc/web", |_| None)))
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        Some("/usr/bin/load".into())
    }
}

struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _: Update<'_>) {}
}

#[test]
fn the_list_has_containers_and_the_chosen_socket_its_program() {
    let mut table = Table::new(Options::default());
    let record = Record {
        kind: kind::STATE,
        time_ns: 1_000_000_000,
        cookie: 1,
        local_port: 40_000,
        peer_port: 80,
        netns: 7,
        pid: 812,
        comm: *b"load\0\0\0\0\0\0\0\0\0\0\0\0",
        old_state: State::Closed as u8,
        new_state: State::SynSent as u8,
        flags: flag::HAS_SOCKET,
        ..Record::EMPTY
    };
    table.ingest(&record, &mut Nobody);
    let shared = Arc::<Shared>::default();
    let mut feed = Feed::new(Filter::default(), Arc::clone(&shared), None);
    let context = Context { clock: WallClock::default(), enricher: &Contained };
    let ports = Arc::default();
    let mut seen = |now| {
        feed.observe(&Live { now, table: &table, ports: &ports }, context);
        shared.lock().ui_snapshot.clone().unwrap()
    };
    shared.lock().view_request.rows = true;
    let rows = seen(60 * SECOND).rows;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row.container.as_deref(), Some("web"));
    shared.lock().view_request.chosen = Some(row.key());
    let chosen = seen(120 * SECOND).chosen.unwrap();
    assert_eq!(chosen.row.container.as_deref(), Some("web"));
    assert_eq!(chosen.executable.as_deref(), Some("/usr/bin/load"));
}

/// A socket in CLOSE_WAIT at second 1000, which was acknowledged last at second 700.
fn half_closed() -> Record {
    let ticks = tracer_kernel::time::ticks();
    Record {
        kind: kind::SOCKET,
        time_ns: 1_000 * SECOND,
        cookie: 1,
        local_port: 80,
        peer_port: 40_000,
        netns: 7,
        new_state: State::CloseWait as u8,
        flags: flag::HAS_SOCKET,
        jiffies: 1_000 * ticks.hz,
        last_ack: (700 * ticks.hz) as u32,
        ..Record::EMPTY
    }
}

/// As `tracer sockets` has it: by the kernel's timers, not since the trace began.
#[test]
fn a_socket_from_before_is_as_old_as_the_kernel_says_at_least() {
    let record = half_closed();
    let (now, records) = (record.time_ns, vec![record]);
    let snapshot = Snapshot { begun: now, ended: now, records, ..Snapshot::default() };
    let mut table = Table::new(Options::default());
    table.merge(&snapshot, &mut Nobody);
    let shared = Arc::<Shared>::default();
    let mut feed = Feed::new("age > 200s".parse().unwrap(), Arc::clone(&shared), None);
    feed.look(&HostSnapshot { snapshot, ..HostSnapshot::default() });
    shared.lock().view_request.rows = true;
    let ports = Arc::default();
    let mut seen = |table: &Table, now| {
        let context = Context { clock: WallClock::default(), enricher: &Contained };
        feed.observe(&Live { now, table, ports: &ports }, context);
        shared.lock().ui_snapshot.clone().unwrap()
    };
    let rows = seen(&table, now + SECOND).rows;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.since, row.at_least), (700 * SECOND, true));
    let groups = Selection::default().groups(&rows, &[0], Grouping::State);
    assert_eq!((groups[0].since, groups[0].at_least), (700 * SECOND, true));
    shared.lock().view_request.chosen = Some(row.key());
    let chosen = seen(&table, now + 2 * SECOND).chosen.unwrap();
    assert_eq!(chosen.spent[State::CloseWait.index()], 302 * SECOND);
    // The next state is seen from its beginning.
    let closes = Record {
        kind: kind::STATE,
        time_ns: now + 3 * SECOND,
        old_state: State::CloseWait as u8,
        new_state: State::LastAck as u8,
        ..record
    };
    table.ingest(&closes, &mut Nobody);
    let row = &seen(&table, now + 5 * SECOND).chosen.unwrap().row;
    assert_eq!((row.state, row.since, row.at_least), (State::LastAck, closes.time_ns, false));
}
