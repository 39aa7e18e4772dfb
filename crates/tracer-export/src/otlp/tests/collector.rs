//! The configurations of deploy/ are for what is really sent. No collector runs here: its
//! conditions are evaluated on real records, by as much of OTTL as they use.

use std::{collections::BTreeSet, fs, path::Path};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_yaml_ng::Value;

use super::{
    super::{attributes::DEFINED, resource::Identity},
    *,
};
use tracer_event::{
    fixtures::subject,
    update::{Direction, Reset, Retransmit, Retransmitted, Rst, Segment},
};

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_sequence().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A record and the attributes of its resource.
struct Sent<'a> {
    record: &'a LogRecord,
    resource: &'a [(String, Value)],
}

impl Sent<'_> {
    /// What a path of OTTL leads to; nil where there is none. In `log_record` the context `log` is
    /// not named.
    fn path(&self, path: &str) -> Option<String> {
        let key = |context: &str| path.strip_prefix(context)?.strip_suffix("\"]");
        let attribute = key("log.attributes[\"").or_else(|| key("attributes[\""));
        if let Some(key) = key("resource.attributes[\"") {
            let found = self.resource.iter().find(|(known, _)| known == key);
            return found.and_then(|(_, value)| value.as_str().map(str::to_owned));
        }
        if let Some(key) = attribute {
            let told = told(self.record.attributes.clone());
            let found = told.into_iter().find(|(known, _)| known == key);
            return found.and_then(|(_, value)| value.as_str().map(str::to_owned));
        }
        match path {
            "log.event_name" | "event_name" => Some(self.record.event_name.clone()),
            other => panic!("{other}: no path that this test knows"),
        }
    }

    fn operand(&self, text: &str) -> Option<String> {
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(literal) => Some(literal.to_owned()),
            None => self.path(text),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        condition.split(" and ").all(|comparison| {
            let (left, right, equal) = match comparison.split_once(" == ") {
                Some((left, right)) => (left, right, true),
                None => {
                    let (left, right) = comparison.split_once(" != ").expect("a comparison");
                    (left, right, false)
                }
            };
            (self.operand(left) == self.operand(right)) == equal
        })
    }
}

/// The conditions by which a pipeline drops records.
fn conditions(configuration: &Value) -> Vec<String> {
    let processors = names(&configuration["service"]["pipelines"]["logs"]["processors"]);
    let filters = processors.into_iter().filter(|name| name.starts_with("filter"));
    filters
        .flat_map(|name| {
            let filter = &configuration["processors"][name];
            [names(&filter["log_conditions"]), names(&filter["logs"]["log_record"])].concat()
        })
        .map(str::to_owned)
        .collect()
}

/// The names of the events of one of everything that a gateway lets pass.
fn passing(resource: &[(String, Value)]) -> BTreeSet<String> {
    let step = transition(State::SynSent, State::Established);
    let lingers = [linger(1, State::CloseWait)];
    let loss = Loss::final_loss(7, LossPlace::Otlp, 3);
    let (subject, state) = (subject(1), State::SynSent);
    let again =
        Retransmit { time: 1, subject, state, segment: Retransmitted::new(Segment::Syn, 1, None) };
    let direction = Direction::Sent;
    let reset = Reset { time: 1, subject, state, segment: Rst::new(direction) };
    let records = records(&[
        Update::Transition(&step),
        Update::Linger(&lingers),
        Update::Loss(&loss),
        Update::Retransmit(&again),
        Update::Reset(&reset),
    ]);
    let conditions = conditions(&yaml("otel-collector/gateway.yaml"));
    assert!(!conditions.is_empty(), "nothing is dropped by anything");
    let dropped = |record: &LogRecord| {
        conditions.iter().any(|condition| Sent { record, resource }.holds(condition))
    };
    records.iter().filter(|one| !dropped(one)).map(|record| record.event_name.clone()).collect()
}

#[test]
fn a_gateway_drops_single_steps_and_nothing_else() {
    let rest = ["tcp.linger", "tcp.retransmit", "tcp.reset", "tracer.loss"];
    assert_eq!(passing(&[]), rest.map(str::to_owned).into());
    let asked = [("tracer.keep_steps".to_owned(), Value::from("true"))];
    assert!(passing(&asked).contains("tcp.transition"), "a host asks for them");
}

#[test]
fn an_agent_speaks_tls_where_its_gateway_does() {
    let (agent, gateway) = (yaml("otel-collector/agent.yaml"), yaml("otel-collector/gateway.yaml"));
    let is_plain = agent["exporters"]["otlp"]["tls"]["insecure"].as_bool() == Some(true);
    let listens_plainly = gateway["receivers"]["otlp"]["protocols"]["grpc"]["tls"].is_null();
    assert_eq!(is_plain, listens_plainly);
}

#[test]
fn collectors_find_all_that_their_pipelines_name() {
    for path in ["otel-collector/agent.yaml", "otel-collector/gateway.yaml"] {
        let configuration = yaml(path);
        for (signal, pipeline) in configuration["service"]["pipelines"].as_mapping().unwrap() {
            for kind in ["receivers", "processors", "exporters"] {
                for name in names(&pipeline[kind]) {
                    let is_there = !configuration[kind][name].is_null();
                    assert!(is_there, "{path}: {signal:?} has no {kind} {name}");
                }
            }
        }
        for name in names(&configuration["service"]["extensions"]) {
            assert!(!configuration["extensions"][name].is_null(), "{path}: no {name}");
        }
        let storage = &configuration["extensions"]["file_storage"];
        // The collector does not start where the directory is missing.
        assert!(storage.is_null() || storage["create_directory"].as_bool() == Some(true), "{path}");
    }
}

/// The alert rules and the dashboard ask for the labels of `/metrics`.
#[test]
fn a_gateway_names_labels_as_the_endpoint_does() {
    let gateway = yaml("otel-collector/gateway.yaml");
    let statements = &gateway["processors"]["transform/labels"]["metric_statements"];
    let statement = statements[0].as_str().unwrap();
    let (_, changed) = statement.split_once("^tracer[.](").unwrap();
    let changed: Vec<&str> = changed.split_once(')').unwrap().0.split('|').collect();
    let page = text("../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let labels = rows.filter_map(|row| row.split('|').nth(3)).flat_map(|cell| cell.split('`'));
    let is_label = |word: &&str| word.contains('_') && !word.contains(['=', ' ', '-']);
    let mut compared = 0;
    for label in labels.filter(is_label) {
        let is_defined = DEFINED.iter().any(|name| name.replace('.', "_") == label);
        let is_changed = changed.iter().any(|name| label.starts_with(name));
        let keeps_its_name = is_defined || label.starts_with("tracer_");
        assert_ne!(is_changed, keeps_its_name, "{label}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn a_gateway_can_tell_hosts_apart() {
    let identity = Identity { machine_id: "abc".to_owned(), ..Identity::default() };
    let keys: Vec<String> = told(Resource::new(&identity, |_| None).message().attributes)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    // Prometheus's `instance`, without which all are one series.
    assert!(keys.contains(&"service.instance.id".to_owned()), "{keys:?}");
    // An agent's own detection must not put its container in place of the host.
    let agent = yaml("otel-collector/agent.yaml");
    assert_eq!(agent["processors"]["resourcedetection"]["override"].as_bool(), Some(false));
}
