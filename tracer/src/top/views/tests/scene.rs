//! What the screens show in the tests: a server that leaks.

use std::{collections::VecDeque, sync::Arc};

use tracer_wire::Record;

use crate::top::{
    rows::Row,
    ui_snapshot::{Chosen, Durations, UiSnapshot},
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::{Cause, Descriptors, Finding, Leak, Problem, Program, Service, Severity, Status},
    header::{Degraded, Header, Mode},
    process::{Evidence, Executable, Owner, Process},
    state::State,
    update::{Handshake, OwnedUpdate, Role, Subject, Transition},
    wall_clock::WallClock,
};
use tracer_model::connection::SocketId;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000 * SECOND;

fn process() -> Process {
    let mut comm = [0; 16];
    comm[..7].copy_from_slice(b"hoarder");
    Process { pid: 812, comm, start_ns: 7 }
}

fn tuple(port: u16) -> Tuple {
    let end = |last, port| Endpoint::new([192, 0, 2, last].into(), port);
    Tuple { local: end(1, 8080), peer: end(7, port), netns: 4_026_531_840 }
}

pub(in crate::top) fn row(state: State, port: u16, age: u64) -> Row {
    let owner = Owner {
        process: process(),
        evidence: Evidence::TaskFile,
        fd: Some(u32::from(port % 100)),
        others: 0,
    };
    Row {
        id: SocketId::of(&Record { cookie: u64::from(port), ..Record::EMPTY }),
        subject: Subject {
            cookie: Some(u64::from(port)),
            ordinal: 1,
            tuple: tuple(port),
            uid: Some(1_000),
            inode: Some(4_711),
            cgroup: 0,
            owner: Some(owner),
            role: Some(if state == State::Listen { Role::Listener } else { Role::Server }),
        },
        container: None,
        state,
        since: NOW - age * SECOND,
        at_least: false,
        orphaned: state == State::TimeWait,
        lingers: state == State::CloseWait && age >= 30,
    }
}

fn leak() -> Finding {
    let program = Program {
        process: process(),
        executable: Some(Executable::of(b"/usr/bin/hoarder")),
        container: Some("lxc-shop".into()),
        pod: None,
        pod_name: None,
        unit: None,
        freezer: None,
    };
    let leak = Leak {
        cause: Cause::Held,
        holders: vec![program],
        heirs: Vec::new(),
        parent: None,
        fds: (4..416).collect(),
        sockets: 412,
        service: Service::Here(tuple(0).local),
        peers: vec![(tuple(0).peer, 412)],
        listener: None,
        oldest: 300 * SECOND,
        at_least: true,
        growth: 82.4,
        unread: 0,
        descriptors: Some(Descriptors::new(420, 1_024, 82.4)),
        peer_sockets: [(State::FinWait2, 412)].into(),
        peer_orphans: 412,
        other_side: None,
        made: None,
    };
    Finding {
        time: NOW,
        severity: Severity::Critical,
        status: Status::Raised,
        netns: 4_026_531_840,
        entry: None,
        problem: Problem::CloseWaitLeak(Box::new(leak)),
    }
}

fn header() -> Header {
    Header {
        version: "0".into(),
        kernel: "6.18".into(),
        mode: Mode::Btf,
        degraded: vec![Degraded {
            feature: "accept".into(),
            lost: "servers are named by their listener".into(),
            reason: "tracefs is not mounted".into(),
            remedy: "mount it".into(),
        }],
        options: vec!["top".into()],
        host: None,
        file: None,
        partial: None,
    }
}

fn step(from: State, to: State, time: u64) -> OwnedUpdate {
    let handshake = Handshake {
        duration_ns: Some(86_000),
        rtt_ns: Some(41_000),
        syn_retransmits: Some(0),
        local_isn: None,
        peer_isn: None,
    };
    OwnedUpdate::Transition(Transition {
        handshake: (to == State::Established).then_some(handshake),
        ..Transition::new(row(to, 40_001, 0).subject, time, from, to)
    })
}

fn chosen() -> Chosen {
    let row = row(State::CloseWait, 40_001, 300);
    let mut spent = [0; State::COUNT];
    spent[State::Established.index()] = 4 * SECOND;
    spent[State::CloseWait.index()] = 300 * SECOND;
    let begun = row.since - 4 * SECOND;
    Chosen {
        executable: None,
        spent,
        at_least: false,
        handshake: None,
        holders: row.subject.owner.into_iter().collect(),
        events: vec![
            step(State::Listen, State::SynRecv, begun - 86_000),
            step(State::SynRecv, State::Established, begun),
            step(State::Established, State::CloseWait, row.since),
        ],
        row,
    }
}

#[expect(clippy::too_many_lines, reason = "one of everything")]
pub(in crate::top) fn ui_snapshot() -> UiSnapshot {
    let clock = WallClock { lead: 1_700_000_000 * SECOND as i64, now: NOW };
    let mut ui_snapshot = UiSnapshot { clock, ..UiSnapshot::default() };
    let mut rows = vec![row(State::Listen, 0, 900)];
    rows.extend((0..30).map(|n| row(State::CloseWait, 40_001 + n, 300 - 9 * u64::from(n))));
    rows.extend((0..6).map(|n| row(State::Established, 50_001 + n, 2 + u64::from(n))));
    rows.extend((0..4).map(|n| row(State::TimeWait, 60_001 + n, 10 * u64::from(n))));
    let mut history = VecDeque::new();
    for second in 0..300_u32 {
        let mut sample = [0; State::COUNT];
        sample[State::CloseWait.index()] = second * 412 / 300;
        sample[State::Established.index()] = 6 + (second / 20) % 3;
        sample[State::Listen.index()] = 1;
        history.push_back(sample);
    }
    ui_snapshot.header = Some(Arc::new(header()));
    ui_snapshot.counts[State::Listen.index()] = 1;
    ui_snapshot.counts[State::CloseWait.index()] = 412;
    ui_snapshot.counts[State::Established.index()] = 6;
    ui_snapshot.counts[State::TimeWait.index()] = 12_345;
    ui_snapshot.lingering[State::CloseWait.index()] = 330;
    ui_snapshot.history = Arc::new(history);
    for (from, to, rate) in [
        (State::Listen, State::SynRecv, 1_234.0),
        (State::SynRecv, State::Established, 1_234.0),
        (State::Established, State::CloseWait, 1.4),
        (State::CloseWait, State::LastAck, 1_200.0),
        (State::LastAck, State::Closed, 1_200.0),
        (State::SynSent, State::Closed, 0.4),
    ] {
        ui_snapshot.rates[from.index()][to.index()] = rate;
    }
    let mut connected =
        Durations { quantiles: [86_000, 1_200_000, 3_000_000], ..Durations::default() };
    connected.classes[2..8].copy_from_slice(&[400, 90, 12, 5, 2, 1]);
    ui_snapshot.handshakes.connected = connected;
    ui_snapshot.handshakes.failed = 2;
    ui_snapshot.findings = Arc::new(vec![leak()]);
    ui_snapshot.observed = Some(20 * SECOND);
    ui_snapshot.rows = Arc::new(rows);
    ui_snapshot.chosen = Some(Arc::new(chosen()));
    ui_snapshot
}
