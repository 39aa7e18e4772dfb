//! From updates to numbers, and the documents that name them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use tracer_event::fixtures::{connection, finding, linger, no_local_port, subject, transition};
use tracer_event::update::Observer;
use tracer_event::wall_clock::WallClock;
use tracer_event::{
    finding::Problem,
    update::{Close, Handshake, Loss, Reset, Retransmit, Retransmitted, Rst},
};
use tracer_model::table::{self, Snapshot, Table};
use tracer_wire::{Record, kind, state};

/// One of everything.
#[expect(clippy::too_many_lines, reason = "one of everything")]
pub fn all(metrics: &mut Metrics) {
    let handshake = Handshake {
        duration_ns: Some(3_000_000),
        rtt_ns: None,
        syn_retransmits: None,
        local_isn: None,
        peer_isn: None,
    };
    let established =
        Transition { handshake: Some(handshake), ..transition(State::SynSent, State::Established) };
    metrics.set_kernel("6.1.0");
    metrics.count(&Update::Transition(&established), WallClock::default().into());
    let close = Some(Close::new(Reason::Graceful, Some(Initiator::Local)));
    let ended = ConnectionSummary { close, ..connection(subject(1), 9, Reason::Graceful) };
    metrics.count(&Update::Connection(&ended), WallClock::default().into());
    metrics.count(&Update::Linger(&[linger(1, State::CloseWait)]), WallClock::default().into());
    let (subject, state) = (subject(1), State::SynSent);
    let syn = Segment::Syn;
    let again = Retransmit { time: 1, subject, state, segment: Retransmitted::new(syn, 1, None) };
    metrics.count(&Update::Retransmit(&again), WallClock::default().into());
    let direction = Direction::Received;
    let reset = Reset { time: 1, subject, state, segment: Rst::new(direction) };
    metrics.count(&Update::Reset(&reset), WallClock::default().into());
    let loss = Loss::final_loss(1, LossPlace::Otlp, 4);
    metrics.count(&Update::Loss(&loss), WallClock::default().into());
    let peer = subject.tuple.peer;
    let finding = finding(1, Severity::Critical, no_local_port(peer, 1));
    metrics.count(&Update::Finding(&finding), WallClock::default().into());
    let ports = Arc::new([PortUse {
        netns: 7,
        scope: Scope::Destination { local: subject.tuple.local.with_port(0), peer },
        size: 10,
        used: 6,
        reusable: 1,
        states: BTreeMap::new(),
        destinations: 1,
        processes: Vec::new(),
        growth: 0.0,
        rate: 0.0,
        minutes_left: None,
    }]);
    let table = accepting();
    metrics.stand(&Live { now: 1, table: &table, ports: &(ports as _) });
}

/// A listener with two connections that wait, and one that was accepted after three milliseconds.
fn accepting() -> Table {
    struct Nobody;
    impl Observer for Nobody {
        fn observe(&mut self, _: Update<'_>) {}
    }
    let server =
        Record { netns: 7, local_port: 80, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0", ..Record::EMPTY };
    let listener = Record {
        kind: kind::SOCKET,
        cookie: 1,
        new_state: state::LISTEN,
        accept_queue: 2,
        accept_backlog: 128,
        ..server
    };
    let event = |old_state, new_state, time_ns| Record {
        kind: kind::STATE,
        cookie: 2,
        peer_port: 9,
        old_state,
        new_state,
        time_ns,
        ..server
    };
    let mut table = Table::new(table::Options::default());
    let snapshot = Snapshot { records: vec![listener], namespaces: vec![7], ..Snapshot::default() };
    table.merge(&snapshot, &mut Nobody);
    table.ingest(&event(state::LISTEN, state::SYN_RECV, 1_000_000), &mut Nobody);
    table.ingest(&event(state::SYN_RECV, state::ESTABLISHED, 2_000_000), &mut Nobody);
    let accepted = event(state::ESTABLISHED, state::ESTABLISHED, 5_000_000);
    table.ingest(&Record { kind: kind::ACCEPTED, ..accepted }, &mut Nobody);
    table
}

fn text() -> String {
    let mut metrics = Metrics::default();
    all(&mut metrics);
    crate::prometheus::tests::written(metrics.families())
}

#[test]
fn each_update_is_counted_where_it_belongs() {
    let text = text();
    for line in [
        "tracer_build_info{version=\"0.1.0\",kernel_release=\"6.1.0\"} 1.0",
        "tracer_transitions_total{tcp_from=\"SYN_SENT\",tcp_to=\"ESTABLISHED\",tcp_source=\"tracepoint\"} 1",
        "tracer_handshake_duration_seconds_bucket{le=\"0.0025\",tcp_role=\"client\"} 0",
        "tracer_handshake_duration_seconds_bucket{le=\"0.005\",tcp_role=\"client\"} 1",
        "tracer_handshake_duration_seconds_count{tcp_role=\"server\"} 0",
        "tracer_state_duration_seconds_sum{network_connection_state=\"syn_sent\"} 0.003",
        "tracer_closes_total{tcp_close_reason=\"graceful\",tcp_close_initiator=\"local\"} 1",
        "tracer_workload_closes_total{tcp_close_reason=\"graceful\"} 1",
        "tracer_lingering{network_connection_state=\"close_wait\",process_name=\"unknown\"} 1.0",
        "tracer_accept_queue_length{network_local_address=\"::\",network_local_port=\"80\",process_name=\"unknown\",socket_netns=\"7\"} 2.0",
        "tracer_accept_queue_backlog{network_local_address=\"::\",network_local_port=\"80\",process_name=\"unknown\",socket_netns=\"7\"} 128.0",
        "tracer_accept_wait_seconds_bucket{le=\"0.001\",network_local_address=\"::\",network_local_port=\"80\",process_name=\"nginx\",socket_netns=\"7\"} 0",
        "tracer_accept_wait_seconds_bucket{le=\"0.005\",network_local_address=\"::\",network_local_port=\"80\",process_name=\"nginx\",socket_netns=\"7\"} 1",
        "tracer_retransmits_total{tcp_segment_type=\"SYN\"} 1",
        "tracer_resets_total{tcp_segment_direction=\"received\"} 1",
        "tracer_resets_total{tcp_segment_direction=\"sent\"} 0",
        "tracer_findings_total{finding_code=\"no_local_port\",finding_severity=\"critical\"} 1",
        "tracer_lost_total{tracer_loss_where=\"otlp\"} 4",
        "tracer_lost_total{tracer_loss_where=\"ring_buffer\"} 0",
        "tracer_ephemeral_ports_use_ratio{network_local_address=\"10.0.0.1\",network_peer_address=\"10.0.0.1\",network_peer_port=\"80\",socket_netns=\"7\"} 0.5",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} not in:\n{text}");
    }
}

#[test]
fn all_states_are_told_zero_or_not() {
    let text = text();
    let counts = text.lines().filter(|line| line.starts_with("system_network_connection_count{"));
    assert_eq!(counts.count(), State::COUNT);
}

#[test]
fn a_replay_does_not_tell_of_sockets_that_it_does_not_know() {
    let metrics = Metrics::default();
    let text = crate::prometheus::tests::written(metrics.families());
    assert!(!text.contains("system_network_connection_count{"), "{text}");
}

/// Words of `text` that are names of metrics.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let base = |name: &str| {
        let name =
            ["_bucket", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let is_histogram = name.ends_with("_seconds_count");
        name.strip_suffix("_count").filter(|_| is_histogram).unwrap_or(name).to_owned()
    };
    text.split(|c| !is_name(c))
        .filter(|word| ["tracer_", "system_network_"].iter().any(|own| word.starts_with(own)))
        .map(base)
        // Labels of our own.
        .filter(|word| word != "tracer_loss_where")
        .collect()
}

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_documents_name_what_the_endpoint_tells() {
    let told: BTreeSet<String> = text()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| names(line.split(['{', ' ']).next().unwrap_or_default()))
        .collect();
    assert_eq!(names(&repository("docs/metrics.md")), told);
    for path in ["deploy/grafana/dashboard.json", "deploy/prometheus/alerts.yml"] {
        let named = names(&repository(path));
        assert!(!named.is_empty(), "{path} names no metric");
        assert!(named.is_subset(&told), "{path}: {:?}", named.difference(&told));
    }
}

/// A series that begins at 1 has not increased: an alert would not see the first of anything.
#[test]
fn whatever_can_be_counted_is_told_from_zero() {
    let fresh = crate::prometheus::tests::written(Metrics::default().families());
    let series = |text: &str| -> BTreeMap<String, String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let split = |line: &str| line.rsplit_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
        let is_known = |name: &str| name.contains("_total{") && !name.contains("_workload_");
        samples.filter_map(split).filter(|(name, _)| is_known(name)).collect()
    };
    let (before, after) = (series(&fresh), series(&text()));
    for name in after.keys() {
        assert_eq!(before.get(name).map(String::as_str), Some("0"), "{name}");
    }
    let of = |name: &str| before.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(of("tracer_findings_total"), Problem::CODES.len() * 3, "codes, severities");
    assert_eq!(of("tracer_lost_total"), every::<LossPlace>().count());
    assert_eq!(of("tracer_closes_total"), every::<Reason>().count() * 5, "initiators, unknown");
    let places = every::<LossPlace>().collect::<Vec<_>>();
    assert!(places.contains(&LossPlace::Syslog) && places.contains(&LossPlace::Table));
}

#[test]
fn the_codes_of_findings_are_those_of_the_schema() {
    let schema = schemars::schema_for!(Problem).to_value();
    let kinds = schema["oneOf"].as_array().unwrap();
    let codes = kinds.iter().map(|kind| kind["properties"]["code"]["const"].as_str().unwrap());
    assert_eq!(codes.collect::<BTreeSet<_>>(), BTreeSet::from(Problem::CODES));
}

/// What promtool runs the alert rules on has to begin as the tracer does.
#[test]
fn the_alert_rules_are_tested_with_series_that_begin_as_the_tracers_do() {
    let fresh = crate::prometheus::tests::written(Metrics::default().families());
    let tests = repository("deploy/prometheus/alerts_test.yml");
    let mut counters = 0;
    let mut lines = tests.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(series) = line.strip_prefix("- series: ") else { continue };
        // An instance is what Prometheus adds; the second one was scraped too late.
        let Some((series, _)) = series.trim_matches('\'').split_once(",instance=\"a\"") else {
            continue;
        };
        if series.contains("_total{") {
            let values = lines.next().and_then(|values| values.strip_prefix("values: '"));
            assert!(values.is_some_and(|values| values.starts_with('0')), "{series}: {values:?}");
            assert!(fresh.lines().any(|known| known == format!("{series}}} 0")), "{series}");
            counters += 1;
        }
    }
    assert!(counters >= 6, "{counters} counters");
}
