//! What is written by hand is what the protocol's own library reads.

mod collector;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::{Limit, Otlp, Settings, attributes, records::Records, resource::Resource};
use crate::{metrics::measuring::Shared, otlp::resource::Identity};
use tracer_event::{
    fixtures::{linger, transition},
    state::State,
    update::{Loss, LossPlace, Update},
    wall_clock::WallClock,
};
use tracer_output::{Format as _, Sink as _, flatten::Memory, json::Json};

const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 90 };

fn records(updates: &[Update<'_>]) -> Vec<LogRecord> {
    let mut records = Records::new();
    updates.iter().for_each(|update| records.add(update, CLOCK.into()));
    let chunks = records.take_chunk().map(|(chunk, _)| chunk).into_iter().collect();
    let batch = super::batches::Batch { chunks, ..super::batches::Batch::default() };
    let resource = Resource::new(&Identity::default(), |_| None);
    let request = super::export::Envelope::new(&resource).around(batch);
    let mut request = ExportLogsServiceRequest::decode(request.as_slice()).unwrap();
    let mut of_resource = request.resource_logs.pop().unwrap();
    let names = of_resource.resource.unwrap().attributes;
    assert!(names.iter().any(|attribute| attribute.key == "service.name"));
    of_resource.scope_logs.pop().unwrap().log_records
}

fn plain(any: Any) -> Value {
    let value = |value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>| {
        value.and_then(|any| any.value).map_or(Value::Null, plain)
    };
    match any {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(value) => json!(value),
        Any::IntValue(number) => json!(number),
        Any::DoubleValue(number) => json!(number),
        Any::ArrayValue(array) => array.values.into_iter().map(|item| value(Some(item))).collect(),
        Any::KvlistValue(list) => {
            list.values.into_iter().map(|field| (field.key, value(field.value))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn told(attributes: Vec<KeyValue>) -> Vec<(String, Value)> {
    let value =
        |attribute: KeyValue| (attribute.key, plain(attribute.value.unwrap().value.unwrap()));
    attributes.into_iter().map(value).collect()
}

/// As the attributes must be.
fn flat(value: &Value, key: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let under = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                if under != "time" {
                    flat(value, &under, out);
                }
            }
        }
        other => {
            if let ("tcp.to" | "tcp.state", Some(state)) = (key, other.as_str()) {
                let state = state.to_lowercase().into();
                out.push(("network.connection.state".into(), state));
            }
            let key = key.replace("process.parent.pid", "process.parent_pid");
            let defined = [
                "network.",
                "process.pid",
                "process.parent_pid",
                "container.id",
                "k8s.",
                "systemd.",
            ];
            let of_no_convention = ["network.netns", "network.community_id"].contains(&&*key);
            let own = of_no_convention || !defined.iter().any(|name| key.starts_with(name));
            out.push((format!("{}{key}", if own { "tracer." } else { "" }), other.clone()));
        }
    }
}

fn sorted(mut attributes: Vec<(String, Value)>) -> Vec<(String, Value)> {
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    attributes
}

#[test]
fn a_record_says_what_the_line_of_json_says() {
    let step = transition(State::SynSent, State::Established);
    let lingers = [linger(1, State::CloseWait), linger(2, State::TimeWait)];
    let loss = Loss::final_loss(7, LossPlace::Otlp, 3);
    let updates = [Update::Transition(&step), Update::Linger(&lingers), Update::Loss(&loss)];
    let mut lines = Vec::new();
    let mut json = Json::default();
    updates.iter().for_each(|update| json.update(update, CLOCK.into(), &mut lines));
    let lines: Vec<Value> = String::from_utf8(lines)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let records = records(&updates);
    assert_eq!(records.len(), lines.len());
    for (record, line) in records.iter().zip(&lines) {
        let mut expected = Vec::new();
        flat(line, "", &mut expected);
        assert_eq!(sorted(told(record.attributes.clone())), sorted(expected));
    }
    let first = &records[0];
    assert_eq!(first.event_name, "tcp.transition");
    assert_eq!(first.time_unix_nano, 1_700_000_000_000_000_005);
    assert_eq!(first.observed_time_unix_nano, 1_700_000_000_000_000_090);
    assert_eq!((first.severity_number, first.severity_text.as_str()), (9, "INFO"));
    let body = first.body.clone().unwrap().value.unwrap();
    let step = "SYN_SENT → ESTABLISHED after 3.00ms: SYN+ACK received";
    assert_eq!(plain(body), json!(format!("- 10.0.0.1:40000 → 10.0.0.1:80 {step}")));
    let events: Vec<&str> = records.iter().map(|record| record.event_name.as_str()).collect();
    assert_eq!(events, ["tcp.transition", "tcp.linger", "tcp.linger", "tracer.loss"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        // Longer than a length of one byte can say.
        "[a-z]{120,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 30, 6, |inner| {
        prop_oneof![
            // OTLP's lists have no nulls that are told from what is missing.
            prop::collection::vec(
                inner.clone().prop_filter("no nulls", |value| !value.is_null()),
                0..4
            )
            .prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,9}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Nulls in objects within arrays are left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

proptest! {
    #[test]
    fn any_object_becomes_attributes(
        fields in prop::collection::btree_map("[a-z]{1,9}", any_json(), 0..6),
    ) {
        let object: Value = Value::Object(fields.into_iter().collect());
        let mut bytes = Vec::new();
        attributes::write(&object, 6, &mut Memory::default(), &mut bytes).unwrap();
        let record = LogRecord::decode(bytes.as_slice()).unwrap();
        let mut expected = Vec::new();
        flat(&object, "", &mut expected);
        let expected: Vec<_> =
            expected.into_iter().map(|(key, value)| (key, without_nulls(value))).collect();
        prop_assert_eq!(told(record.attributes), expected);
    }
}

/// A receiver that gives these answers, one to a connection; how many requests came.
fn scripted(answers: Vec<String>) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let mut requests = 0;
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !whole(&request) {
                let mut piece = [0; 4096];
                let len = stream.read(&mut piece).unwrap();
                assert!(len > 0, "the request is cut off");
                request.extend_from_slice(&piece[..len]);
            }
            requests += 1;
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    };
    (address, thread::spawn(serve))
}

/// Whether a request has come with all of its body.
fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    request.len() >= end + 4 + length.parse::<usize>().unwrap()
}

fn answer(status: &str, header: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{header}content-length: {len}\r\n\r\n{body}")
}

/// Sends these updates; what is said to be lost at the end.
fn send(address: SocketAddr, updates: usize) -> Option<u64> {
    let endpoint = format!("http://{address}/x");
    let settings = Settings::new(None, |name| {
        (name == "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT").then(|| endpoint.clone())
    });
    let resource = Resource::new(&Identity::default(), |_| None);
    let (limit, metrics) = (Limit::Records(1000), Shared::default());
    let mut sink = Otlp::start(settings.unwrap(), limit, &resource, metrics).unwrap();
    let step = transition(State::SynSent, State::Established);
    (0..updates).for_each(|_| sink.update(&Update::Transition(&step), CLOCK.into()));
    sink.last().map(|undelivered| undelivered.count)
}

/// `ExportLogsServiceResponse { partial_success: { rejected_log_records: 2 } }`
const TWO_REJECTED: &str = "\x0a\x02\x08\x02";

#[test]
fn the_receiver_says_when_to_come_again_and_what_it_rejects() {
    let (address, receiver) = scripted(vec![
        answer("503 Service Unavailable", "retry-after: 1\r\n", ""),
        answer("429 Too Many Requests", "", ""),
        answer("200 OK", "", TWO_REJECTED),
    ]);
    // The record that reports the loss is counted, for nobody can say that it would be taken.
    assert_eq!(send(address, 5), Some(2 + 1));
    assert_eq!(receiver.join().unwrap(), 3);
}

#[test]
fn what_is_refused_is_lost_at_once() {
    let (address, receiver) = scripted(vec![answer("400 Bad Request", "", "")]);
    assert_eq!(send(address, 5), Some(5 + 1));
    receiver.join().unwrap();
}

#[test]
fn a_receiver_that_is_silent_holds_the_end_up_for_seconds_only() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    assert_eq!(send(silent.local_addr().unwrap(), 5), Some(5 + 1));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}
