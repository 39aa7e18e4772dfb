//! What must be told of a socket: its story, to the last record.

use serde_json::Value;

use crate::{
    netns::Namespace,
    record::{Record, listing},
    sockets::End,
    tracer::Trace,
};

/// What of the contract may be told of a socket beside its transitions and lingering.
const OTHER_KINDS: [&str; 4] = ["connection", "retransmit", "reset", "finding"];

/// All transitions of one connection of one socket.
#[derive(Debug)]
pub struct Life<'a> {
    steps: Vec<&'a Record>,
}

impl Trace {
    /// What was told of a socket. Checks that every record names the same socket by the same
    /// addresses, and that none is missing from, or strange to, the chain of states.
    pub fn life(&self, end: &End) -> Life<'_> {
        let about = |record: &&Record| {
            end.is_told_by(record)
                || record.local() == Some(end.local) && record.peer() == Some(end.peer)
        };
        let told: Vec<&Record> = self.records.iter().filter(about).collect();
        let has_cookies = self.hello.at("/mode") == "btf" && !self.lacks("socket cookies");
        for record in &told {
            check_identity(record, end, has_cookies);
        }
        let steps: Vec<&Record> = told.into_iter().filter(|r| r.is_transition()).collect();
        assert!(!steps.is_empty(), "nothing told of {end:?}, but:{}", listing(&self.records));
        let times: Vec<_> = steps.iter().map(|record| record.text("/time")).collect();
        assert!(times.is_sorted(), "not in the order of time:{}", listing(steps));
        Life { steps }
    }

    /// Whether the tracer has said at its start that it does without something.
    pub fn lacks(&self, feature: &str) -> bool {
        let degraded = self.hello.at("/degraded").as_array().expect("a list");
        degraded.iter().any(|missing| missing["feature"] == feature)
    }

    /// Checks that no other connection's transitions were told, and nothing lingered or was lost.
    pub fn tells_only(&self, lives: &[&Life<'_>]) {
        let known = lives.iter().flat_map(|life| &life.steps);
        let known: Vec<*const Record> = known.map(|&record| std::ptr::from_ref(record)).collect();
        let others: Vec<&Record> = self
            .records
            .iter()
            .filter(|record| !OTHER_KINDS.contains(&record.kind()))
            .filter(|record| !known.contains(&std::ptr::from_ref(*record)))
            .collect();
        assert!(others.is_empty(), "told beside what was expected:{}", listing(others));
    }

    /// Checks that every record is about a socket of this namespace.
    pub fn stays_in(&self, namespace: &Namespace) -> &Self {
        for record in self.transitions() {
            assert_eq!(record.number("/socket/netns"), Some(namespace.inode), "{record}");
        }
        self
    }

    /// Records on lingering of a socket.
    pub fn lingering(&self, end: &End) -> Vec<&Record> {
        let about = |record: &&Record| record.kind() == "linger" && end.is_told_by(record);
        self.records.iter().filter(about).collect()
    }
}

fn check_identity(record: &Record, end: &End, has_cookies: bool) {
    if has_cookies {
        assert_eq!(record.cookie(), Some(end.cookie), "another socket: {record}");
        assert_eq!(record.number("/socket/ordinal"), Some(end.ordinal), "{record}");
    }
    assert_eq!(record.local(), Some(end.local), "local address: {record}");
    assert_eq!(record.peer(), Some(end.peer), "peer's address: {record}");
    assert_eq!(record.at("/network/transport"), "tcp", "{record}");
    let version = if end.local.is_ipv4() { "ipv4" } else { "ipv6" };
    assert_eq!(record.at("/network/type"), version, "{record}");
}

impl<'a> Life<'a> {
    /// The states in order, with what is not an ordinary observation in brackets:
    /// `CLOSED SYN_SENT … FIN_WAIT2 TIME_WAIT(inferred)`.
    ///
    /// A transition that the kernel names otherwise shows the kernel's name after its own:
    /// `FIN_WAIT2 TIME_WAIT(CLOSED)`. A state that is left without having been entered begins a
    /// new chain after `|`.
    pub fn story(&self) -> String {
        let mut story = String::new();
        let mut state = None;
        for step in &self.steps {
            let [from, to, source] = ["/tcp/from", "/tcp/to", "/tcp/source"]
                .map(|field| step.text(field).unwrap_or_else(|| panic!("no {field}: {step}")));
            if state != Some(from) {
                let gap = if state.is_some() { " | " } else { "" };
                story += &format!("{gap}{from}");
            }
            story += &format!(" {to}");
            if source != "tracepoint" {
                story += &format!("({source})");
            }
            if let Some(kernel) = step.text("/tcp/kernel/to") {
                assert_eq!(step.at("/tcp/kernel/from"), from, "{step}");
                story += &format!("({kernel})");
            }
            state = Some(to);
        }
        story
    }

    /// Checks the whole story.
    #[track_caller]
    pub fn is(&self, role: &str, story: &str) -> &Self {
        self.is_one_of(role, &[story])
    }

    /// Checks the whole story, where chance decides which of several it is.
    #[track_caller]
    pub fn is_one_of(&self, role: &str, stories: &[&str]) -> &Self {
        let told = self.story();
        let all = || listing(self.steps.iter().copied());
        assert!(stories.contains(&told.as_str()), "told {told:?}, not {stories:?}:{}", all());
        for step in &self.steps {
            assert_eq!(step.at("/tcp/role"), role, "{step}");
        }
        self.has_times()
    }

    /// Every state whose beginning was seen has a duration, the first one has none.
    fn has_times(&self) -> &Self {
        for (index, step) in self.steps.iter().enumerate() {
            let elapsed = step.at("/tcp/elapsed_ns");
            assert_eq!(elapsed.is_u64(), index > 0, "elapsed_ns: {step}");
        }
        self
    }

    /// Checks how it ended: the last transition says so, and no other.
    #[track_caller]
    pub fn closed(&self, reason: &str, initiator: &str) -> &Self {
        let last = self.last();
        assert_eq!(last.at("/tcp/to"), "CLOSED", "{last}");
        assert_eq!(last.at("/tcp/close/reason"), reason, "{last}");
        assert_eq!(last.at("/tcp/close/initiator"), initiator, "{last}");
        let closes = self.steps.iter().filter(|step| !step.at("/tcp/close").is_null());
        assert_eq!(closes.count(), 1, "{}", listing(self.steps.iter().copied()));
        self
    }

    /// What is reported of the handshake, which only the transition to ESTABLISHED tells.
    pub fn handshake(&self) -> &'a Value {
        for step in &self.steps {
            let told = !step.at("/tcp/handshake").is_null();
            assert_eq!(told, step.at("/tcp/to") == "ESTABLISHED", "handshake: {step}");
        }
        let step = self.steps.iter().find(|step| step.at("/tcp/to") == "ESTABLISHED");
        step.expect("a handshake").at("/tcp/handshake")
    }

    /// The only transition between two states.
    #[track_caller]
    pub fn step(&self, from: &str, to: &str) -> &'a Record {
        let found: Vec<_> = self.steps.iter().filter(|step| step.is_step(from, to)).collect();
        assert_eq!(found.len(), 1, "{from} → {to} in {}", self.story());
        found[0]
    }

    /// The last transition.
    pub fn last(&self) -> &'a Record {
        self.steps.last().expect("a life has steps")
    }

    /// All transitions.
    pub fn steps(&self) -> &[&'a Record] {
        &self.steps
    }
}
