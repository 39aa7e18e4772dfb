//! The terms that are explained, and what is the same in each language: the source, and which
//! scenario shows it.

use super::{Language, Texts};

/// A part of the list of terms; its heading is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Questions of textbooks and interviews.
    Questions,
    /// Handshake and teardown.
    Flows,
    /// The states.
    States,
    /// Segments, their flags and numbers.
    Segments,
    /// Why connections end.
    Reasons,
    /// What `tracer diagnose` finds.
    Findings,
    /// Timers.
    Timers,
}

impl Section {
    /// All, in the order of the list.
    pub const ALL: [Self; 7] = [
        Self::Questions,
        Self::Flows,
        Self::States,
        Self::Segments,
        Self::Reasons,
        Self::Findings,
        Self::Timers,
    ];

    /// The name of the text that is its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Questions => "section-questions",
            Self::Flows => "section-flows",
            Self::States => "section-states",
            Self::Segments => "section-segments",
            Self::Reasons => "section-reasons",
            Self::Findings => "section-findings",
            Self::Timers => "section-timers",
        }
    }
}

/// A term.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// By which it is asked for; also the name of its text.
    pub name: &'static str,
    /// Where it is listed.
    pub section: Section,
    /// Where it is specified, beside what the text itself names.
    pub source: &'static str,
    /// Scenarios of `tracer demo` that show it.
    pub demos: &'static [&'static str],
}

const fn term(
    section: Section,
    name: &'static str,
    source: &'static str,
    demos: &'static [&'static str],
) -> Term {
    Term { name, section, source, demos }
}

use Section::{Findings, Flows, Questions, Reasons, Segments, States, Timers};

const OPEN: &str = "RFC 9293, 3.5";
const CLOSE: &str = "RFC 9293, 3.6";
const STATE: &str = "RFC 9293, 3.3.2";
const HEADER: &str = "RFC 9293, 3.1";
const NUMBERS: &str = "RFC 9293, 3.4";

/// All terms.
pub const TERMS: &[Term] = &[
    term(Questions, "why-three", OPEN, &["handshake", "syn-ack-lost"]),
    term(Questions, "why-random", "RFC 9293, 3.4.1", &["handshake", "late-segment"]),
    term(Questions, "why-four", CLOSE, &["teardown", "teardown-three"]),
    term(Questions, "why-time-wait", CLOSE, &["last-ack-lost", "late-segment", "time-wait"]),
    term(Questions, "which-end", CLOSE, &["teardown", "close-wait"]),
    term(Questions, "what-half-close-is-for", CLOSE, &["half-close", "rst-after-close"]),
    term(Questions, "graceful-and-abrupt", CLOSE, &["teardown", "rst-linger"]),
    term(Questions, "which-timeout", "", &["connect-timeout", "read-timeout"]),
    term(Questions, "what-a-late-segment-does", "RFC 9293, 3.4.3", &["late-segment"]),
    term(Questions, "when-ack-is-set", HEADER, &["handshake"]),
    term(Flows, "handshake", OPEN, &["handshake", "syn-lost", "syn-ack-lost"]),
    term(Flows, "teardown", CLOSE, &["teardown", "teardown-three"]),
    term(Flows, "half-close", CLOSE, &["half-close"]),
    term(Flows, "simultaneous-open", OPEN, &["simultaneous-open", "self-connect"]),
    term(Flows, "simultaneous-close", CLOSE, &["simultaneous-close"]),
    term(Flows, "retransmission", "RFC 9293, 3.8", &["data-lost", "retransmit-timeout"]),
    term(Flows, "fast-open", "RFC 7413", &["fast-open"]),
    term(Flows, "syn-cookies", "RFC 4987, 3.6", &["syn-cookies"]),
    term(States, "closed", STATE, &["refused"]),
    term(States, "listen", STATE, &["handshake", "backlog-full"]),
    term(States, "syn-sent", STATE, &["syn-lost", "connect-timeout"]),
    term(States, "syn-recv", STATE, &["syn-ack-lost", "simultaneous-open"]),
    term(States, "established", STATE, &["data"]),
    term(States, "fin-wait1", STATE, &["teardown"]),
    term(States, "fin-wait2", STATE, &["half-close", "orphan"]),
    term(States, "close-wait", STATE, &["close-wait", "half-close"]),
    term(States, "closing", STATE, &["simultaneous-close"]),
    term(States, "last-ack", STATE, &["last-ack-lost"]),
    term(States, "time-wait", STATE, &["time-wait", "last-ack-lost", "time-wait-reuse"]),
    term(Segments, "syn", HEADER, &["handshake"]),
    term(Segments, "syn-ack", OPEN, &["handshake"]),
    term(Segments, "ack", HEADER, &["handshake"]),
    term(Segments, "fin", HEADER, &["teardown"]),
    term(Segments, "rst", "RFC 9293, 3.5.2", &["refused", "rst-nobody", "rst-unread"]),
    term(Segments, "psh", "RFC 9293, 3.9.1", &["data"]),
    term(Segments, "urg", "RFC 9293, 3.8.5", &[]),
    term(Segments, "sequence-number", NUMBERS, &["data"]),
    term(Segments, "acknowledgement-number", NUMBERS, &["handshake", "data"]),
    term(Segments, "initial-sequence-number", "RFC 9293, 3.4.1", &["handshake"]),
    term(Segments, "window", "RFC 9293, 3.8.6", &["zero-window"]),
    term(Reasons, "graceful", CLOSE, &["teardown"]),
    term(Reasons, "reset_received", "", &["rst-peer"]),
    term(Reasons, "reset_sent_unread_data", "", &["rst-unread"]),
    term(Reasons, "reset_sent_linger0", "", &["rst-linger"]),
    term(Reasons, "reset_sent_data_after_close", "", &["rst-after-close"]),
    term(Reasons, "reset_sent_unaccepted", "", &[]),
    term(Reasons, "refused", "", &["refused"]),
    term(Reasons, "unreachable", "", &["unreachable"]),
    term(Reasons, "connect_timeout", "", &["connect-timeout"]),
    term(Reasons, "retransmit_timeout", "", &["retransmit-timeout"]),
    term(Reasons, "keepalive_timeout", "", &["keepalive-timeout"]),
    term(Reasons, "zero_window_timeout", "", &["zero-window"]),
    term(Reasons, "fin_wait2_timeout", "", &["orphan"]),
    term(Reasons, "aborted_locally", "", &[]),
    term(Reasons, "killed", "", &[]),
    term(Reasons, "no_local_port", "", &["port-exhaustion"]),
    term(Reasons, "disconnected", "", &[]),
    term(Reasons, "unknown", "", &[]),
    term(Findings, "close_wait_leak", "", &["close-wait"]),
    term(Findings, "ephemeral_ports", "", &["port-exhaustion"]),
    term(Findings, "accept_queue_full", "", &["backlog-full"]),
    term(Findings, "syn_backlog", "", &["syn-cookies"]),
    term(Findings, "time_wait_overflow", "", &[]),
    term(Findings, "descriptors", "", &[]),
    term(Findings, "stuck_handshake", "", &["connect-timeout"]),
    term(Findings, "dead_peer", "", &["retransmit-timeout"]),
    term(Findings, "peer_not_reading", "", &["zero-window"]),
    term(Findings, "not_reading", "", &[]),
    term(Findings, "stuck_state", "", &["orphan"]),
    term(Findings, "retransmissions", "", &["data-lost"]),
    term(Findings, "no_keepalive", "", &["keepalive-timeout"]),
    term(Findings, "churn", "", &[]),
    term(Findings, "process_ended", "", &[]),
    term(Findings, "accept_wait", "", &[]),
    term(Findings, "deferred_accept", "", &[]),
    term(Findings, "closed_but_held", "", &[]),
    term(Findings, "left_open", "", &[]),
    term(Findings, "self_connect", "", &["self-connect"]),
    term(Findings, "connect_failures", "", &["refused", "connect-timeout"]),
    term(Findings, "listens_elsewhere", "", &["refused"]),
    term(Findings, "connection_resets", "", &["rst-peer"]),
    term(Findings, "keepalive_race", "", &[]),
    term(Timers, "retransmission-timer", "RFC 6298", &["data-lost", "syn-lost"]),
    term(Timers, "delayed-ack", "RFC 9293, 3.8.6.3", &["teardown", "teardown-three"]),
    term(Timers, "keepalive-timer", "RFC 9293, 3.8.4", &["keepalive-timeout"]),
    term(Timers, "persist-timer", "RFC 9293, 3.8.6.1", &["zero-window"]),
    term(Timers, "time-wait-timer", CLOSE, &["time-wait"]),
    term(Timers, "fin-wait2-timer", "", &["orphan"]),
];

/// Settings that texts name: the placeholder, which is the last part of the name, and the file
/// under `/proc/sys`.
pub const SETTINGS: &[(&str, &str)] = &[
    ("ip_local_port_range", "net/ipv4/ip_local_port_range"),
    ("somaxconn", "net/core/somaxconn"),
    ("tcp_fastopen", "net/ipv4/tcp_fastopen"),
    ("tcp_fin_timeout", "net/ipv4/tcp_fin_timeout"),
    ("tcp_keepalive_intvl", "net/ipv4/tcp_keepalive_intvl"),
    ("tcp_keepalive_probes", "net/ipv4/tcp_keepalive_probes"),
    ("tcp_keepalive_time", "net/ipv4/tcp_keepalive_time"),
    ("tcp_max_syn_backlog", "net/ipv4/tcp_max_syn_backlog"),
    ("tcp_max_tw_buckets", "net/ipv4/tcp_max_tw_buckets"),
    ("tcp_orphan_retries", "net/ipv4/tcp_orphan_retries"),
    ("tcp_retries2", "net/ipv4/tcp_retries2"),
    ("tcp_rmem", "net/ipv4/tcp_rmem"),
    ("tcp_syn_retries", "net/ipv4/tcp_syn_retries"),
    ("tcp_synack_retries", "net/ipv4/tcp_synack_retries"),
    ("tcp_syncookies", "net/ipv4/tcp_syncookies"),
    ("tcp_tw_reuse", "net/ipv4/tcp_tw_reuse"),
];

/// The term of a name, however people write it: `TIME_WAIT`, `syn+ack`, `연결 설정`.
pub fn find(asked: &str) -> Option<&'static Term> {
    let asked = plain(asked);
    if asked.is_empty() {
        return None;
    }
    let by_name = TERMS.iter().find(|term| plain(term.name) == asked);
    by_name.or_else(|| {
        let all: Vec<Texts> = Language::all().map(Texts::of).collect();
        let is_titled = |term: &&Term| {
            let titles = all.iter().filter_map(|texts| texts.attribute(term.name, "title"));
            // What a question is about is a term of its own.
            let is_question = term.section == Questions;
            let of = |title: String| {
                if is_question { vec![plain(&title)] } else { spellings(&title) }
            };
            titles.flat_map(of).any(|title| title == asked)
        };
        TERMS.iter().find(is_titled)
    })
}

/// Terms whose name, title or else text has what is asked for, as `2MSL` and `SYN-RECEIVED`.
pub fn like(asked: &str) -> Vec<&'static Term> {
    let asked = words(asked);
    if asked.is_empty() {
        return Vec::new();
    }
    let all: Vec<Texts> = Language::all().map(Texts::of).collect();
    let has = |term: &Term, part: &str| {
        all.iter()
            .filter_map(|texts| texts.attribute(term.name, part))
            .any(|text| mentions(&text, &asked))
    };
    let is_named = |term: &&Term| plain(term.name).contains(&asked.concat()) || has(term, "title");
    let named: Vec<_> = TERMS.iter().filter(is_named).collect();
    let in_text = |term: &&Term| has(term, "what") || has(term, "linux");
    if named.is_empty() { TERMS.iter().filter(in_text).collect() } else { named }
}

/// A title, its parts before and behind a colon, and what stands before and in brackets.
fn spellings(title: &str) -> Vec<String> {
    let parts = title.split([':', '(', ')']).map(plain).filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.collect();
    parts.into_iter().chain([plain(title)]).collect()
}

/// Whether a text has these words, however they are divided: `2MSL`, `2 MSL`. Without the ends of
/// words, `nope` would be in `no peer`.
fn mentions(text: &str, asked: &[String]) -> bool {
    let text = words(text);
    let asked_whole = asked.concat();
    let begins = |from: &[String]| {
        let mut rest = asked_whole.as_str();
        from.iter()
            .map_while(|word| rest.strip_prefix(&**word).inspect(|left| rest = left))
            .any(str::is_empty)
    };
    text.join(" ").contains(&asked.join(" ")) || (0..text.len()).any(|at| begins(&text[at..]))
}

/// Letters and digits alone.
fn plain(name: &str) -> String {
    words(name).concat()
}

/// In lower case; an article in front does not count.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.enumerate().filter(|one| *one != (0, "the")).map(|(_, word)| word.to_owned()).collect()
}
