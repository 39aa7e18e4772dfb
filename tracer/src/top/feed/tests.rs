//! What the screen is given, as far as only this thread can know it.

use tracer_wire::{Record, flag, kind};

use super::*;
use tracer_event::{
    container::Cgroup, enricher::Enricher, process::Process, subject::Subject, update::Observer,
};
use tracer_model::table::Options;

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
