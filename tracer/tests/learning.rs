//! `docs/learning.md`: what textbooks say of TCP connections, and what shows it here. Each row is
//! checked: a scenario against what it has drawn (`tests/golden`, which the live tests compare with
//! this kernel), a term against its text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

use tracer::demo::quiz::COURSE;
use tracer_lab::scenario;
use tracer_texts::{Language, Texts, terms};

/// What shows a statement.
enum Shown {
    /// A scenario, whose ladder has these words, in this order.
    Demo(&'static str, &'static [&'static str]),
    /// A term, whose text has these words.
    Text(&'static str, &'static str),
}

use Shown::{Demo, Text};

macro_rules! statements {
    ($($said:literal: $($shown:expr),+;)+) => { &[$(($said, &[$($shown),+])),+] };
}

/// What is said, by what it is shown.
const STATEMENTS: &[(&str, &[Shown])] = statements![
    "The client opens with SYN and its own sequence number.": Demo("handshake", &["─ SYN seq=0 ─"]);
    "The server answers with SYN and ACK; ack is the client's number plus one.":
        Demo("handshake", &["─ SYN seq=0 ─", "─ SYN+ACK seq=0 ack=1 ─"]);
    "The client's ACK, the server's number plus one, completes the handshake.":
        Demo("handshake", &["SYN+ACK", "─ ACK ack=1 ─", "│ ESTABLISHED"]);
    "Client: CLOSED, SYN_SENT, ESTABLISHED.":
        Demo("handshake", &["CLOSED │", "SYN_SENT │", "ESTABLISHED │"]);
    "Server: LISTEN, SYN_RECV, ESTABLISHED.":
        Demo("handshake", &["│ LISTEN", "│ SYN_RECV", "│ ESTABLISHED"]);
    "Two segments are not enough.": Text("why-three", "would not know whether its own number");
    "The initial number is random.":
        Text("why-random", "guess"), Text("initial-sequence-number", "at random");
    "Each byte has a number; SYN and FIN take one each.":
        Demo("data", &["data: 7B ▷   ◁ 13B", "FIN seq=8", "FIN seq=14"]),
        Text("sequence-number", "take a number");
    "The acknowledgement number is the next byte expected.":
        Demo("data", &["FIN seq=8", "ACK ack=9"]), Text("acknowledgement-number", "next byte");
    "ACK is set on all segments but the first.": Text("when-ack-is-set", "all but the first");
    "The flags are URG, ACK, PSH, RST, SYN, FIN.":
        Text("urg", "urgent"), Text("ack", "valid"), Text("psh", "without waiting"),
        Text("rst", "at once"), Text("syn", "Opens"), Text("fin", "no more data");
    "A connection is closed by four segments: FIN, ACK, FIN, ACK.":
        Demo("teardown", &["─ FIN seq=1 ack=1 ─", "─ ACK ack=2 ─", "─ FIN seq=1 ack=2 ─", "─ ACK ack=2 ─"]);
    "Three are enough if the other end closes at once.":
        Demo("teardown-three", &["─ FIN seq=1", "─ FIN+ACK ", "─ ACK "]);
    "Why four.": Text("why-four", "two directions");
    "The end that closes first: FIN_WAIT1, FIN_WAIT2, TIME_WAIT.":
        Demo("teardown", &["FIN_WAIT1 │", "FIN_WAIT2 │", "TIME_WAIT │"]);
    "The other end: CLOSE_WAIT, LAST_ACK, CLOSED.":
        Demo("teardown", &["│ CLOSE_WAIT", "│ LAST_ACK", "│ CLOSED"]);
    "CLOSE_WAIT waits for the application. (Many notes say TIME_WAIT of it.)":
        Demo("close-wait", &["stuck in CLOSE_WAIT"]), Text("which-end", "have it wrong");
    "TIME_WAIT ends after 60 seconds on Linux.":
        Demo("time-wait", &["TIME_WAIT │", "CLOSED │"]), Text("time-wait", "60 s");
    "TIME_WAIT is there for the last ACK, which may be lost.":
        Demo("last-ack-lost", &["TIME_WAIT │", "↻1 FIN", "│ CLOSED"]),
        Text("why-time-wait", "last ACK may be lost");
    "TIME_WAIT is there for late segments.":
        Demo("late-segment", &["TIME_WAIT"]), Text("what-a-late-segment-does", "new data");
    "A half-closed connection still carries data in the other direction.":
        Demo("half-close", &["FIN_WAIT2 │", "data: ◁", "TIME_WAIT │"]),
        Text("what-half-close-is-for", "still reads");
    "Both may open at once.":
        Demo("simultaneous-open", &["▶", "│ SYN_SENT", "│ SYN_RECV", "ESTABLISHED"]);
    "Both may close at once: CLOSING.":
        Demo("simultaneous-close", &["│ FIN_WAIT1", "│ CLOSING", "CLOSING │"]);
    "A release is graceful or abrupt.": Text("graceful-and-abrupt", "no TIME_WAIT");
    "RST answers a SYN to a port on which nobody listens.": Demo("refused", &["─ RST "]);
    "RST is sent if data is left unread.": Demo("rst-unread", &["data: 7B ▷", "─ RST "]);
    "RST is sent with SO_LINGER 0, and no TIME_WAIT follows.":
        Demo("rst-linger", &["─ RST ", "CLOSED"]);
    "RST answers data for a socket that is closed.":
        Demo("rst-after-close", &["data: ◁", "─ RST "]);
    "RST by the peer ends the connection at once.": Demo("rst-peer", &["─ RST "]);
    "RST answers a segment of a connection that is not there.": Demo("rst-nobody", &["─ RST "]);
    "A router may say that there is no way.":
        Demo("unreachable", &["SYN", "ICMP host unreachable"]);
    "A lost SYN is retransmitted.": Demo("syn-lost", &["↻1 SYN"]);
    "A lost SYN+ACK is retransmitted, as is the SYN.":
        Demo("syn-ack-lost", &["SYN_SENT", "↻1 SYN", "│ ESTABLISHED"]);
    "What is not acknowledged is retransmitted.":
        Demo("data-lost", &["data: 7B ▷", "FIN seq=8"]), Text("retransmission", "sends it again");
    "Connection timeout, read timeout and keepalive are three things.":
        Demo("connect-timeout", &["↻1 SYN", "timed out"]),
        Demo("read-timeout", &["ESTABLISHED", "FIN_WAIT1"]),
        Demo("keepalive-timeout", &["ESTABLISHED", "CLOSED │"]),
        Text("which-timeout", "application's alone");
    "A receiver that does not read closes its window.":
        Demo("zero-window", &["window stayed closed"]), Text("window", "room");
    "The ports of a TIME_WAIT can be used again.":
        Demo("time-wait-reuse", &["TIME_WAIT │", "#2", "ESTABLISHED"]);
    "After close() the kernel waits for the peer's FIN, not for ever.":
        Demo("orphan", &["orphaned", "the peer never closed"]);
    "A full accept queue drops SYNs.": Demo("backlog-full", &["#2", "↻1 SYN"]);
    "SYN cookies keep a listener open in a flood.":
        Demo("syn-cookies", &["│ ESTABLISHED"]), Text("syn-cookies", "keeps nothing");
    "Local ports can run out.": Demo("port-exhaustion", &["no free local port"]);
    "TCP Fast Open sends data with the SYN.":
        Demo("fast-open", &["ESTABLISHED"]), Text("fast-open", "Data in the SYN");
    "A socket can be its own peer.": Demo("self-connect", &["SYN_RECV"]);
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn drawn(name: &str) -> String {
    fs::read_to_string(root().join(format!("tests/golden/demo/{name}.txt"))).unwrap_or_default()
}

/// Whether it is shown, and the command that shows it.
fn check(shown: &Shown, texts: &Texts) -> (bool, String) {
    match shown {
        Demo(name, words) => {
            let text = drawn(name);
            let mut rest = text.as_str();
            let mut follows = |word: &&str| {
                let at = rest.find(*word);
                rest = at.map_or("", |at| &rest[at + word.len()..]);
                at.is_some()
            };
            (words.iter().all(&mut follows), format!("`tracer demo {name}`"))
        }
        Text(name, words) => {
            let parts = ["what", "linux"].map(|part| texts.attribute(name, part));
            let text: String = parts.into_iter().flatten().collect();
            (
                terms::find(name).is_some() && text.contains(words),
                format!("`tracer explain {name}`"),
            )
        }
    }
}

fn document() -> String {
    let texts = Texts::of(Language::ENGLISH);
    let mut text = String::from(
        "# TCP by demonstration\n\nGenerated by `UPDATE_DOCS=1 cargo test -p tracer --test learning`, \
         which checks each row: a scenario by what it draws on this kernel (`tests/golden/demo`, \
         compared by the live test `demo`), a term by its text.\n\n## An hour in ten demos\n\n\
         `sudo tracer demo --step` plays them one after the other and asks before each step what \
         comes next (`--lang ko`: in Korean). `tracer explain` has the state machine and all terms.\n\n",
    );
    for (number, name) in COURSE.iter().enumerate() {
        let title = texts.attribute(&format!("demo-{name}"), "title").unwrap();
        text += &format!("{}. `tracer demo {name}`: {title}\n", number + 1);
    }
    text += "\n## Statement by statement\n\n| statement | shown by | |\n|---|---|---|\n";
    for (statement, by) in STATEMENTS {
        let checked: Vec<(bool, String)> = by.iter().map(|shown| check(shown, &texts)).collect();
        let result =
            if checked.iter().all(|(is_shown, _)| *is_shown) { "shown" } else { "**missing**" };
        let commands: Vec<&str> = checked.iter().map(|(_, command)| command.as_str()).collect();
        text += &format!("| {statement} | {} | {result} |\n", commands.join(", "));
    }
    text
}

#[test]
fn every_statement_is_shown_and_the_document_says_by_what() {
    let document = document();
    let missing: Vec<&str> = document.lines().filter(|line| line.contains("**missing**")).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let path = root().join("docs/learning.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(there, document, "UPDATE_DOCS=1 writes it");
}

#[test]
fn every_scenario_shows_a_statement() {
    let shows = |name: &str| {
        STATEMENTS
            .iter()
            .flat_map(|(_, by)| *by)
            .any(|shown| matches!(shown, Demo(other, _) if *other == name))
    };
    let idle: Vec<&str> = scenario::all().map(|one| one.name).filter(|name| !shows(name)).collect();
    assert_eq!(idle, ["retransmit-timeout"], "the same as what is not acknowledged, with an end");
}
