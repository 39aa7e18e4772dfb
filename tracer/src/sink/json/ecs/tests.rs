//! The names are those of the mapping.

use std::{net::IpAddr, sync::Arc};

use rstest::rstest;
use serde_json::Value;

use super::MAPPING;
use crate::{
    model::{
        close::Reason,
        endpoint::{Endpoint, Tuple},
        owner::{Evidence, Owner, Process},
        state::State,
        update::{Close, Role, Source, Story, Subject, Transition, Update},
    },
    sink::{
        Format as _,
        json::{Json, JsonNames},
        surroundings::Unknown,
        wall_clock::WallClock,
    },
};

fn subject(role: Role) -> Subject {
    let end = |address: &str, port| Endpoint::new(address.parse::<IpAddr>().unwrap(), port);
    let process = Process { pid: 7, comm: *b"curl\0\0\0\0\0\0\0\0\0\0\0\0", start_ns: 0 };
    Subject {
        cookie: Some(9),
        ordinal: 1,
        tuple: Tuple { local: end("10.0.0.1", 40_000), peer: end("10.0.0.2", 443), netns: 5 },
        uid: Some(1_000),
        inode: None,
        cgroup: 0,
        owner: Some(Owner { process, evidence: Evidence::Connect, fd: Some(3), others: 0 }),
        role: Some(role),
    }
}

fn written(update: &Update<'_>, names: JsonNames) -> Value {
    let mut out = Vec::new();
    let clock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
    Json::named(names, Arc::new(Unknown)).update(update, clock, &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn story(role: Role) -> Story {
    Story {
        time: 9,
        subject: subject(role),
        state: State::Closed,
        began: Some(4),
        spent: [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        at_least: false,
        handshake: None,
        bytes_sent: Some(11),
        bytes_received: Some(22),
        retransmits: None,
        close: Some(Close::new(Reason::Refused, None)),
        source: Source::Tracepoint,
    }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, field| &value[field])
}

#[test]
fn what_a_client_tells_has_the_names_of_the_mapping() {
    let story = story(Role::Client);
    let [ours, theirs] =
        [JsonNames::Otel, JsonNames::Ecs].map(|names| written(&Update::Story(&story), names));
    let mut compared = 0;
    for (name, elastic) in MAPPING {
        let value = at(&ours, name);
        let other = at(&theirs, elastic);
        match *name {
            "kind" => assert_eq!(other, "tracer.connection"),
            "tcp.role" => assert_eq!(other, "egress"),
            "socket.uid" => assert_eq!(other, "1000"),
            _ if value.is_null() => continue,
            _ => assert_eq!(other, value, "{name}"),
        }
        compared += 1;
    }
    assert!(compared >= 15, "{compared}");
    assert_eq!(theirs["event"]["duration"], 5);
    assert_eq!(theirs["event"]["outcome"], "failure");
    assert_eq!(theirs["tracer"]["socket"]["cookie"], 9);
    assert_eq!(theirs["tracer"]["tcp"]["close"]["reason"], "refused");
}

#[test]
fn a_server_is_the_destination() {
    let told = written(&Update::Story(&story(Role::Server)), JsonNames::Ecs);
    assert_eq!(at(&told, "source.ip"), "10.0.0.2");
    assert_eq!(at(&told, "source.bytes"), 22);
    assert_eq!(at(&told, "destination.port"), 40_000);
    assert_eq!(at(&told, "network.direction"), "ingress");
}

#[rstest]
#[case(State::Established, "start")]
#[case(State::Closed, "end")]
#[case(State::CloseWait, "info")]
fn transitions_are_events_of_a_connection(#[case] to: State, #[case] kind: &str) {
    let told = Transition {
        time: 1,
        subject: subject(Role::Client),
        from: State::SynSent,
        to,
        kernel: None,
        source: Source::Tracepoint,
        elapsed: Some(77),
        handshake: None,
        sequence: None,
        sent: None,
        close: None,
        orphaned: false,
    };
    let told = written(&Update::Transition(&told), JsonNames::Ecs);
    assert_eq!(told["event"]["action"], to.name());
    assert_eq!(told["event"]["type"], serde_json::json!(["connection", kind]));
    assert_eq!(told["event"]["duration"], 77);
}
