//! What a row of the table is, and what is reported of it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use tracer_tests::{
    netns::Namespace,
    record::{Record, listing},
    segment::{Segment, flag},
    shown::shown,
    slowness::{self, allowed},
    sockets::End,
    tracer::Trace,
};

use crate::stage::{Driven, Stage, Subject};

/// How long the tracer may take to tell all of a row.
const PATIENCE: Duration = Duration::from_secs(12);

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) done: &'static str,
    pub(crate) drive: fn(&Stage<'_>) -> Driven,
    /// What must be told of each socket.
    pub(crate) lives: &'static [Told<&'static str>],
}

/// What is reported of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told<T> {
    /// Its role.
    pub(crate) role: T,
    /// Its transitions.
    pub(crate) story: T,
    /// Why it ended and by whom; empty where it has not ended.
    pub(crate) end: T,
    /// Resets and retransmissions.
    pub(crate) segments: T,
}

/// Rows, each with its name, what is done, and the function that does it; then what must be told of
/// each socket, in the order of [`Told`].
macro_rules! rows {
    ($(
        $name:expr, $done:expr, $drive:expr
        $(, [$role:expr, $story:expr, $end:expr, $segments:expr])*;
    )+) => {
        &[$(Row {
            name: $name,
            done: $done,
            drive: $drive,
            lives: &[$($crate::table::Told {
                role: $role,
                story: $story,
                end: $end,
                segments: $segments,
            }),*],
        }),+]
    };
}
pub(crate) use rows;

/// What has come of a row.
pub(crate) enum Outcome {
    /// What must be is told.
    Told(Vec<Told<String>>),
    /// It cannot be driven here.
    Impossible(String),
    /// Something else is told, or it has failed otherwise.
    Failed(String),
}

/// The two sources that may tell of the end of a minisocket, whichever is first.
const EITHER: &str = "(timer, snapshot)";

/// Plays a row, again where it is not right because the kernel has not shown all of it.
pub(crate) fn play(row: &Row) -> Outcome {
    caught(|| shown(|namespace| once(row, namespace))).unwrap_or_else(Outcome::Failed)
}

/// Plays it once, and panics where it is not right.
fn once(row: &Row, namespace: &Namespace) -> Outcome {
    let stage = Stage::new(namespace);
    let driven = caught(|| {
        let subjects = (row.drive)(&stage)?;
        assert_eq!(subjects.len(), row.lives.len(), "sockets of the row {}", row.name);
        wait(&stage, row, &subjects);
        Ok(subjects)
    });
    let driven = match driven {
        Ok(Err(reason)) => return Outcome::Impossible(reason),
        Ok(Ok(subjects)) => Ok(subjects),
        Err(message) => Err(message),
    };
    let sent = stage.sent();
    let Stage { tracer, .. } = stage;
    let trace = tracer.finish();
    let told = driven.and_then(|subjects| {
        caught(|| {
            let told = tell(&trace, row, &subjects);
            if let Some(sent) = sent.filter(|_| is_right(row, &told)) {
                agree(&told, &sent);
            }
            told
        })
    });
    match told {
        Ok(told) if is_right(row, &told) => Outcome::Told(told),
        otherwise => {
            println!("{}: all records:{}", row.name, listing(&trace.records));
            println!("{}", trace.summary);
            panic!("{}", otherwise.map_or_else(|message| message, |told| difference(row, &told)))
        }
    }
}

fn difference(row: &Row, told: &[Told<String>]) -> String {
    let pairs = told.iter().zip(row.lives).filter(|(told, must)| **told != must.own());
    pairs.map(|(told, must)| format!("\n  told {told:?}\n  must {must:?}")).collect()
}

/// What it comes to, or what it says when it panics.
fn caught<T>(what: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(what)).map_err(|panic| message(&*panic))
}

/// Checks that what is reported of segments is what was on the wire.
fn agree(told: &[Told<String>], sent: &[Segment]) {
    let is_repeated = |index: usize, segment: &Segment| {
        let opens_or_ends = segment.flags & (flag::SYN | flag::FIN) != 0;
        let same = |other: &Segment| {
            let key = |s: &Segment| (s.source, s.target, s.sequence, s.length(), s.flags);
            key(other) == key(segment)
        };
        opens_or_ends && sent[..index].iter().any(same)
    };
    let repeated = sent.iter().enumerate().filter(|&(index, s)| is_repeated(index, s)).count();
    let resets = sent.iter().filter(|segment| segment.flags & flag::RST != 0).count();
    let count = |what| told.iter().map(|life| life.segments.matches(what).count()).sum::<usize>();
    let counts = (count("again"), count("RST sent"));
    assert_eq!(counts, (repeated, resets), "(repeated, resets) of {told:?}, but sent {sent:?}");
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// Waits until as much is told as must be.
fn wait(stage: &Stage<'_>, row: &Row, subjects: &[Subject]) {
    let deadline = Instant::now() + allowed(PATIENCE);
    let is_complete = |records: &[Record]| {
        subjects.iter().zip(row.lives).all(|(subject, life)| {
            let about: Vec<_> = records.iter().filter(|r| subject.is_told_by(r)).collect();
            let steps = about.iter().filter(|record| record.is_transition()).count();
            let segments = about.iter().filter(|record| is_segment(record)).count();
            let commas = life.segments.matches(", ").count();
            let expected = if life.segments.is_empty() { 0 } else { commas + 1 };
            steps >= count_steps(life.story) && segments >= expected
        })
    };
    while !is_complete(&stage.tracer.so_far()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
}

fn count_steps(story: &str) -> usize {
    let states = |chain: &str| chain.replace(EITHER, "").split_whitespace().count();
    story.split(" | ").map(|chain| states(chain).saturating_sub(1)).sum()
}

fn is_segment(record: &Record) -> bool {
    ["reset", "retransmit"].contains(&record.kind())
}

impl Subject {
    fn is_told_by(&self, record: &Record) -> bool {
        match self {
            Self::Known(end) => end.is_told_by(record),
            Self::Between(local, peer) => {
                record.local() == Some(*local) && record.peer() == Some(*peer)
            }
        }
    }

    /// With the cookie by which the tracer names it.
    fn end(&self, trace: &Trace) -> End {
        match *self {
            Self::Known(end) => end,
            Self::Between(local, peer) => {
                let about = trace.records.iter().filter(|record| self.is_told_by(record));
                let cookie = about.filter_map(Record::cookie).next().unwrap_or_default();
                End { cookie, ordinal: 1, local, peer }
            }
        }
    }
}

/// What is reported of the sockets; nothing may be told of others but listeners.
fn tell(trace: &Trace, row: &Row, subjects: &[Subject]) -> Vec<Told<String>> {
    let ends: Vec<End> = subjects.iter().map(|subject| subject.end(trace)).collect();
    let stray = |record: &&Record| {
        (record.is_transition() || is_segment(record))
            && record.at("/tcp/role") != "listener"
            && !ends.iter().any(|end| end.is_told_by(record))
    };
    let strays: Vec<_> = trace.records.iter().filter(stray).collect();
    assert!(strays.is_empty(), "told of other sockets:{}", listing(strays));
    ends.iter().zip(row.lives).map(|(end, life)| tell_one(trace, end, life)).collect()
}

fn tell_one(trace: &Trace, end: &End, expected: &Told<&str>) -> Told<String> {
    let about = |record: &&Record| end.is_told_by(record);
    let segments: Vec<_> = trace.records.iter().filter(about).filter_map(segment).collect();
    let segments = segments.join(", ");
    if !trace.transitions().any(|record| end.is_told_by(record)) {
        return Told { role: String::new(), story: String::new(), end: String::new(), segments };
    }
    let alone = alone(trace, end);
    let life = alone.life(end);
    let mut story = life.story();
    if expected.story.contains(EITHER) {
        story = story.replace("(timer)", EITHER).replace("(snapshot)", EITHER);
    }
    let last = life.last();
    for step in life.steps() {
        assert_eq!(step.at("/tcp/role"), last.at("/tcp/role"), "{step}");
    }
    let close = |record: &Record| {
        let [reason, initiator] = ["/tcp/close/reason", "/tcp/close/initiator"]
            .map(|field| record.text(field).unwrap_or("nobody").to_owned());
        format!("{reason}, {initiator}{}", network_error(record))
    };
    let role = last.text("/tcp/role").unwrap_or("none").to_owned();
    let is_over = last.at("/tcp/to") == "CLOSED" && role != "listener";
    let whole: Vec<_> =
        trace.records.iter().filter(about).filter(|r| r.kind() == "connection").collect();
    // Of a listener there is none.
    assert_eq!(whole.len(), usize::from(role != "listener"), "connections:{}", listing(whole));
    let mut end = if is_over { close(last) } else { String::new() };
    if let Some(whole) = whole.first().filter(|whole| is_over && close(whole) != end) {
        end += &format!(" but as a whole {}", close(whole));
    }
    // One in TIME_WAIT is over as well.
    let told_over = whole.first().is_some_and(|whole| whole.has("/tcp/close/reason"));
    if told_over != (is_over || last.at("/tcp/to") == "TIME_WAIT") {
        end += " but as a whole otherwise";
    }
    Told { role, story, end, segments }
}

/// What the network has said, and what the application was told: ` (icmp 3/3, ECONNREFUSED)`.
fn network_error(record: &Record) -> String {
    let number = |field: &str| record.number(&format!("/tcp/close/icmp/{field}"));
    let icmp = record.text("/tcp/close/icmp/origin").map(|origin| {
        let [kind, code] = ["type", "code"].map(|field| number(field).unwrap_or_default());
        format!("{origin} {kind}/{code}")
    });
    let error = record.text("/tcp/close/error").map(str::to_owned);
    let said: Vec<String> = icmp.into_iter().chain(error).collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

/// The trace of one socket: another may have had the same addresses.
fn alone(trace: &Trace, end: &End) -> Trace {
    let records = trace.records.iter().filter(|record| end.is_told_by(record));
    let [hello, summary] = [&trace.hello, &trace.summary].map(Clone::clone);
    Trace { hello, records: records.cloned().collect(), summary }
}

/// `SYN again 1`, `RST sent in ESTABLISHED`.
fn segment(record: &Record) -> Option<String> {
    let segment = record.text("/tcp/segment/type")?;
    match record.number("/tcp/segment/retransmit") {
        Some(ordinal) => Some(format!("{segment} again {ordinal}")),
        None => {
            let direction = record.text("/tcp/segment/direction")?;
            Some(format!("{segment} {direction} in {}", record.text("/tcp/state")?))
        }
    }
}

/// Whether what is told is what must be.
///
/// On a slow machine the ICMP error may come when connect() has let go of the socket: it ends then
/// at once, and no second SYN is sent.
fn is_right(row: &Row, told: &[Told<String>]) -> bool {
    let must: Vec<_> = row.lives.iter().map(Told::own).collect();
    let at_once = |must: &Told<String>| Told { segments: String::new(), ..must.clone() };
    let may_be_at_once = row.name.contains(" reject, ") && !slowness::is_usual();
    told == must || may_be_at_once && must.iter().map(at_once).eq(told.iter().cloned())
}

impl Told<&str> {
    pub(crate) fn own(&self) -> Told<String> {
        Told {
            role: self.role.to_owned(),
            story: self.story.to_owned(),
            end: self.end.to_owned(),
            segments: self.segments.to_owned(),
        }
    }
}
