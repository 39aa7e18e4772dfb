//! What the recording says, as the views take it that do not replay it, and as they are judged by.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, LazyLock},
};

use tracer::{
    replay::{
        decode::{Decoder, Item, OwnedUpdate},
        enricher::Recorded,
    },
    sockets::{self, Order},
};
use tracer_event::{
    close::Reason, diagnosis::Diagnosis, finding::Finding, socket::Socket, state::State,
    update::Transition,
};

pub(crate) const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/views.jsonl");

pub(crate) static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::read);

pub(crate) struct Sample {
    /// Those that are open at the end.
    pub(crate) sockets: Vec<Socket>,
    pub(crate) findings: Vec<Finding>,
    /// Why each socket was closed, in order; a listener has no reason.
    pub(crate) closed: Vec<Option<Reason>>,
    /// How many transitions enter each state.
    pub(crate) entered: BTreeMap<State, usize>,
}

/// A socket as it is after its last step.
fn socket(step: &Transition, now: u64) -> Socket {
    Socket {
        time: now,
        state: step.to,
        subject: step.subject,
        age: Some(now - step.time),
        at_least: false,
        idle: Some(now - step.time),
        keepalive: None,
        user_timeout: None,
        holders: step.subject.owner.into_iter().collect(),
        timer: None,
        receive_queue: 1,
        send_queue: 0,
        rtt: Some(34_000),
        orphaned: step.orphaned,
        unaccepted: false,
    }
}

impl Sample {
    fn read() -> Self {
        let mut decoder = Decoder::new(Arc::new(Recorded::default()));
        let mut sample = Self {
            sockets: Vec::new(),
            findings: Vec::new(),
            closed: Vec::new(),
            entered: BTreeMap::new(),
        };
        let mut latest = BTreeMap::new();
        let mut end = 0;
        for line in fs::read_to_string(RECORDING).unwrap().lines() {
            let Item::Update(update) = decoder.decode(line).unwrap() else { continue };
            end = update.time().max(end);
            match update {
                OwnedUpdate::Transition(step) => {
                    *sample.entered.entry(step.to).or_default() += 1;
                    if step.to == State::Closed {
                        sample.closed.push(step.close.map(|close| close.reason));
                    }
                    latest.insert(step.subject.cookie, step);
                }
                OwnedUpdate::Finding(finding) => sample.findings.push(*finding),
                _ => {}
            }
        }
        let open = latest.values().filter(|step| step.to != State::Closed);
        sample.sockets = open.map(|step| socket(step, end)).collect();
        sockets::sort(&mut sample.sockets, Order::Attention);
        sample.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        sample
    }

    pub(crate) fn diagnosis(&self) -> Diagnosis {
        let mut states = BTreeMap::new();
        for socket in &self.sockets {
            *states.entry(socket.state).or_default() += 1;
        }
        Diagnosis {
            findings: self.findings.clone(),
            states,
            namespaces: 1,
            observed: 5_000_000_000,
            sending: 1,
            lost: 0,
            refused: 1,
            ports: Arc::new([]),
        }
    }
}
