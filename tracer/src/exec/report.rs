//! The end of `tracer exec`: how the command ended and what it did on the network, for people and
//! for machines.

use std::{
    borrow::Cow,
    ffi::{CStr, OsString},
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
};

use super::{
    assertion::{Verdict, Violation, junit},
    command::{Ending, Outcome},
    fault::What,
    group::Survivor,
    tally::{Account, Open, Place, Traffic},
};
use tracer_event::{
    duration::{count, duration, grouped},
    escape::escape,
    exec::{self, Exec},
    state::State,
    subject::Subject,
};
use tracer_output::{
    json::Bare,
    phrase,
    phrases::said,
    text::{bytes, process, reason},
};
use tracer_texts::Texts;

/// Of open sockets, no more are listed for people.
const LISTED: usize = 10;

/// What is reported.
pub struct Report<'a> {
    /// The command line.
    pub command: &'a [OsString],
    /// How it ended, and what has outlived it.
    pub outcome: &'a Outcome,
    /// What it did.
    pub account: &'a Account,
    /// What was asserted of it.
    pub verdicts: &'a [Verdict],
    /// In which language people are spoken to; without texts in English.
    pub texts: Option<&'a Texts>,
}

impl Report<'_> {
    /// Lines for people.
    pub fn text(&self) -> String {
        let ending = ending(&self.outcome.ending, self.texts);
        let mut text = format!("= {} {ending}\n", self.program());
        let places = self.account.places();
        self.totals(&places, &mut text);
        for (place, traffic) in &places {
            let _ = writeln!(text, "=   {}", place_line(place, traffic, self.texts));
        }
        self.open(&mut text);
        self.survivors(&mut text);
        self.verdicts(&mut text);
        text
    }

    /// Writes what was asserted as JUnit's XML.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn junit(&self, mut file: File) -> io::Result<()> {
        let time = match &self.outcome.ending {
            Ending::Ended(_, time) => time.as_secs_f64(),
            _ => 0.0,
        };
        file.write_all(junit(&self.program(), self.verdicts, time).as_bytes())
    }

    fn program(&self) -> String {
        self.command.first().map_or_else(String::new, |name| escape(name.as_bytes()).into_owned())
    }

    fn totals(&self, places: &[(Place, Traffic)], text: &mut String) {
        let texts = self.texts;
        let count: u64 = places.iter().map(|(_, traffic)| traffic.connections).sum();
        let mut facts = vec![connections(count, texts)];
        let handshakes = &self.account.handshakes;
        if !handshakes.is_empty() {
            let at = |quantile| duration(handshakes.value_at_quantile(quantile));
            let name = said(texts, "handshake");
            facts.push(format!("{name} p50 {}, p99 {}", at(0.5), at(0.99)));
        }
        if count > 0 {
            let [sent, received, number] = self.account.traffic();
            let (sent, received) = (bytes(sent), bytes(received));
            facts.push(phrase!(
                texts,
                "view-bytes",
                [sent, received],
                "{sent} sent, {received} received"
            ));
            facts.push(What::Retransmitted(number).say(texts));
        }
        let _ = writeln!(text, "= {}", facts.join("; "));
    }

    fn open(&self, text: &mut String) {
        let (open, still) = (self.sorted(), said(self.texts, "still open"));
        for one in open.iter().take(LISTED) {
            let Open { subject, state, age, .. } = one;
            let ends = match state {
                State::Listen => subject.tuple.local.to_string(),
                _ => format!("{} → {}", subject.tuple.local, subject.tuple.peer),
            };
            let after = |age| {
                let age = duration(age);
                phrase!(self.texts, "exec-after", [age], " after {age}")
            };
            let age = age.map_or_else(String::new, after);
            let _ = writeln!(text, "= {still}: {ends} {state}{age}, {}", process(subject.owner));
        }
        if let Some(more) = open.len().checked_sub(LISTED).filter(|more| *more > 0) {
            let _ = writeln!(text, "= {still}: {}", self.more(more as u64));
        }
    }

    fn more(&self, count: u64) -> String {
        let count = grouped(count);
        phrase!(self.texts, "view-more", [count], "{count} more")
    }

    fn sorted(&self) -> Vec<&Open> {
        let mut open: Vec<&Open> = self.account.open.values().collect();
        open.sort_by_key(|one| (std::cmp::Reverse(one.age), one.subject.cookie));
        open
    }

    fn survivors(&self, text: &mut String) {
        let survivors = &self.outcome.survivors;
        if survivors.is_empty() {
            return;
        }
        let names: Vec<String> = survivors
            .iter()
            .take(LISTED)
            .map(|one| format!("{} (pid {})", one.name, one.pid))
            .collect();
        let (number, names) = (grouped(survivors.len() as u64), names.join(", "));
        let processes = if survivors.len() == 1 { "process" } else { "processes" };
        let words = phrase!(
            self.texts,
            "exec-survivors",
            [number, names],
            "still running, no longer traced: {number} {processes}: {names}"
        );
        let more = if survivors.len() > LISTED { ", …" } else { "" };
        let _ = writeln!(text, "= {words}{more}");
    }

    fn verdicts(&self, text: &mut String) {
        let violated = said(self.texts, "violated");
        for verdict in self.verdicts.iter().filter(|verdict| !verdict.holds()) {
            let assertion = verdict.assertion;
            for violation in verdict.violations.iter().take(LISTED) {
                let _ = writeln!(text, "! {assertion} {violated}: {}", violation.say(self.texts));
            }
            if let Some(more) = verdict.count.checked_sub(LISTED as u64).filter(|more| *more > 0) {
                let _ = writeln!(text, "! {assertion} {violated}: {}", self.more(more));
            }
        }
        let (number, all) = (self.verdicts.len() as u64, self.verdicts.iter().all(Verdict::holds));
        if all && number > 0 {
            let hold = if number == 1 { "holds" } else { "hold" };
            let assertions = count(number, "assertion");
            let words = phrase!(self.texts, "exec-hold", [number], "{assertions} {hold}");
            let _ = writeln!(text, "= {words}");
        }
    }

    /// One object, on a line.
    pub fn json(&self) -> String {
        let time = Cow::Owned(format!("{:.9}", jiff::Timestamp::now()));
        let line = serde_json::to_string(&Bare::new("exec", time, self.line()));
        format!("{}\n", line.unwrap_or_default())
    }

    fn line(&self) -> Exec {
        let Outcome { ending, survivors } = self.outcome;
        let (duration_ns, error) = match ending {
            Ending::Ended(_, time) => (u64::try_from(time.as_nanos()).ok(), None),
            Ending::NotExecuted(error) => (None, Some(error.to_string())),
            Ending::NotStarted(reason) => (None, Some(reason.clone())),
            Ending::Stopped(_) => (None, None),
        };
        let [sent, received, retransmits] = self.account.traffic();
        let times = &self.account.handshakes;
        let at = |quantile| (!times.is_empty()).then(|| times.value_at_quantile(quantile));
        let survivor =
            |Survivor { pid, name }: &Survivor| exec::Survivor { pid: *pid, name: name.clone() };
        let escaped = |word: &OsString| escape(word.as_bytes()).into_owned();
        Exec {
            command: self.command.iter().map(escaped).collect(),
            exit_code: ending.code(),
            signal: ending.signal(),
            error,
            duration_ns,
            destinations: self.account.places().iter().map(destination).collect(),
            handshake: exec::Handshakes { count: times.len(), p50_ns: at(0.5), p99_ns: at(0.99) },
            bytes: exec::Bytes { sent, received },
            retransmits,
            open: self.sorted().into_iter().map(open).collect(),
            survivors: survivors.iter().map(survivor).collect(),
            assertions: self.verdicts.iter().map(assertion).collect(),
            complete: self.account.summary.as_ref().is_some_and(|summary| summary.complete),
        }
    }
}

fn connections(number: u64, texts: Option<&Texts>) -> String {
    let (number, english) = (grouped(number), count(number, "connection"));
    phrase!(texts, "exec-connections", [number], "{english}")
}

/// How the command ended, in words.
pub fn ending(ending: &Ending, texts: Option<&Texts>) -> String {
    match ending {
        Ending::Ended(status, time) => {
            let time = duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            match (status.code(), ending.signal()) {
                (Some(code), _) => phrase!(
                    texts,
                    "exec-exited",
                    [code, time],
                    "exited with status {code} after {time}"
                ),
                (None, signal) => {
                    let number = signal.unwrap_or(0);
                    let name = name(number);
                    phrase!(
                        texts,
                        "exec-killed",
                        [number, time],
                        "was ended by {name} after {time}"
                    )
                }
            }
        }
        // What did not run is not reported, but an error.
        Ending::NotExecuted(error) => format!("could not be executed: {error}"),
        Ending::NotStarted(reason) => format!("did not run: {reason}"),
        Ending::Stopped(signal) => format!("did not run: {} came first", name(*signal)),
    }
}

fn name(signal: i32) -> String {
    // SAFETY: the text that it returns, if any, lives for ever and ends with NUL.
    let known = unsafe {
        let text = libc::strsignal(signal);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    known.map_or_else(|| format!("signal {signal}"), |name| format!("signal {signal} ({name})"))
}

fn place_line(place: &Place, traffic: &Traffic, texts: Option<&Texts>) -> String {
    let mut ends = traffic.ends.clone();
    ends.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counted = |count: u64, what: &str| {
        let (count, what) = (grouped(count), said(texts, what));
        phrase!(texts, "view-count", [what, count], "{count} {what}")
    };
    let mut facts: Vec<String> =
        ends.iter().map(|(ended, count)| counted(*count, reason(*ended))).collect();
    if traffic.open > 0 {
        facts.push(counted(traffic.open, "still open"));
    }
    let place = match place {
        Place::To(peer) => phrase!(texts, "exec-place-to", [peer], "to {peer}"),
        Place::At(local) => phrase!(texts, "exec-place-at", [local], "accepted at {local}"),
    };
    format!("{place}: {}: {}", connections(traffic.connections, texts), facts.join(", "))
}

fn destination((place, traffic): &(Place, Traffic)) -> exec::Destination {
    let Traffic { connections, ends, open } = traffic;
    let (direction, end) = match place {
        Place::To(peer) => (exec::Direction::Outgoing, *peer),
        Place::At(local) => (exec::Direction::Incoming, *local),
    };
    let outcomes = ends.iter().map(|(reason, count)| (reason.name(), *count)).collect();
    exec::Destination { direction, end, connections: *connections, outcomes, open: *open }
}

fn assertion(verdict: &Verdict) -> exec::Assertion {
    let violation = |violation: &Violation| {
        let subject = violation.incident().map(|incident| &incident.subject);
        exec::Violation {
            message: violation.say(None),
            socket: subject.map(socket),
            network: subject.map(network),
            process: subject.and_then(owner),
        }
    };
    exec::Assertion {
        name: verdict.assertion.to_string(),
        passed: verdict.holds(),
        count: verdict.count,
        violations: verdict.violations.iter().map(violation).collect(),
    }
}

fn socket(subject: &Subject) -> exec::Socket {
    exec::Socket { cookie: subject.cookie, netns: subject.tuple.netns }
}

fn network(subject: &Subject) -> exec::Network {
    exec::Network { local: subject.tuple.local, peer: subject.tuple.peer }
}

fn owner(subject: &Subject) -> Option<exec::Process> {
    subject.owner.map(|owner| {
        let name = escape(owner.process.name()).into_owned();
        exec::Process { pid: owner.process.pid, name, fd: owner.fd }
    })
}

fn open(Open { subject, state, age, .. }: &Open) -> exec::Open {
    exec::Open {
        socket: socket(subject),
        network: network(subject),
        process: owner(subject),
        tcp: exec::Standing { state: *state, age_ns: *age },
    }
}
