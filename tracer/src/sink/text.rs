//! The live view: one line a transition, for people.
//!
//! Columns keep their place: a column that meets something longer grows and stays wide. On a
//! terminal a line is cut at its width rather than wrapped; what a transition means stands last,
//! so that it is cut first. Pipes get whole lines without colour.

mod columns;
mod findings;
mod lingering;
mod meaning;
mod palette;
mod segments;
mod stories;
mod summary;
mod tag;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::palette::Palette;
#[cfg(feature = "otlp")]
pub(super) use self::summary::word;
pub(super) use self::{
    columns::Line,
    findings::severity,
    lingering::{holder, sentence},
    meaning::meaning,
    segments::REFUSED_HERE,
    stories::{bytes, life},
    summary::{closing, word as reason},
};
use self::{columns::Widths, tag::Tags};
pub(crate) use self::{
    lingering::flag,
    segments::{broken_off, sent_again},
};
use super::{
    Degraded, Format, Hello, Moment,
    escape::escape,
    names::Names,
    stamps::Times,
    status::{StatusLine, nothing},
    summary::Summary,
    surroundings::Surroundings,
    wall_clock::WallClock,
};

use crate::model::{
    container,
    owner::{Evidence, Owner},
    stack::Stack,
    state::State,
    update::{Loss, LossPlace, Subject, Transition, Update},
};

/// The text format.
pub struct Text {
    palette: Palette,
    /// Width of the terminal, columns; `None` for pipes.
    width: Option<usize>,
    times: Times,
    stories: Stories,
    widths: Widths,
    names: Option<Names>,
    status: StatusLine,
    surroundings: Arc<dyn Surroundings>,
    /// The stack told last.
    last_stack: Option<Arc<Stack>>,
    tags: Tags,
}

/// Nothing has been told for so long when the status line comes, nanoseconds.
const QUIET: u64 = 5_000_000_000;

/// Whether the lives of connections are told step by step or as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stories {
    /// A line each transition.
    Steps,
    /// A line each connection, when it is over.
    Only,
}

impl Text {
    /// For a terminal of `width` columns, or for a pipe.
    pub fn new(
        palette: Palette,
        width: Option<usize>,
        times: Times,
        stories: Stories,
        surroundings: Arc<dyn Surroundings>,
    ) -> Self {
        Self {
            palette,
            width,
            times,
            stories,
            widths: Widths::new(width),
            names: None,
            status: StatusLine::new(width, QUIET),
            surroundings,
            last_stack: None,
            tags: Tags::default(),
        }
    }

    /// Without the line that says that all is quiet: of what is not live it would not be true.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: StatusLine::new(None, QUIET), ..self }
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(self, names: Option<Names>) -> Self {
        Self { names, ..self }
    }

    fn who(&self, subject: &Subject) -> String {
        who(subject, &*self.surroundings)
    }

    /// A line that is no transition: a mark, then words.
    fn note(
        &mut self,
        style: anstyle::Style,
        time: u64,
        words: &str,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let mut line = Line::new(self.width, self.palette, out);
        let time = self.times.write(clock, time);
        line.push(self.palette.dim, if self.widths.is_narrow() { &time[..12] } else { time });
        line.space();
        line.push(style, words);
        line.finish();
    }

    /// Time and ends: what every line about a socket begins with.
    fn begin<'a>(
        &mut self,
        time: u64,
        subject: &Subject,
        clock: WallClock,
        out: &'a mut Vec<u8>,
    ) -> Line<'a> {
        let mut line = Line::new(self.width, self.palette, out);
        let time = self.times.write(clock, time);
        line.push(self.palette.dim, if self.widths.is_narrow() { &time[..12] } else { time });
        line.space();
        line.push(self.palette.plain, self.tags.of(subject).as_str());
        line.space();
        self.widths.endpoints(&mut line, subject, self.names.as_ref());
        line.space();
        line
    }

    /// A line about something that happened to a socket. A narrow terminal gets when, where, what
    /// and who; the rest as far as there is room.
    fn event(&mut self, event: &Event<'_>, clock: WallClock, out: &mut Vec<u8>) {
        if self.stories == Stories::Only {
            return;
        }
        let Event { time, subject, from, arrow, to, style, after, words } = *event;
        let plain = self.palette.plain;
        let process = self.who(subject);
        let mut line = self.begin(time, subject, clock, out);
        if self.widths.is_narrow() {
            line.left(style, to, 11);
            line.space();
            self.widths.process(&mut line, &process);
        } else {
            self.widths.process(&mut line, &process);
            line.space();
            line.left(self.palette.dim, from.name(), 11);
            line.push(self.palette.dim, arrow);
            line.left(style, to, 11);
            line.space();
            line.right(plain, after, 8);
        }
        line.space();
        line.push(plain, words);
        line.finish();
    }

    fn transition(&mut self, transition: &Transition, clock: WallClock, out: &mut Vec<u8>) {
        if self.stories == Stories::Only {
            return;
        }
        let Transition { time, ref subject, from, to, elapsed, .. } = *transition;
        let event = Event {
            time,
            subject,
            from,
            arrow: " → ",
            to: to.name(),
            style: self.palette.of(transition),
            after: &elapsed.map_or_else(|| "-".to_owned(), duration),
            words: &meaning(transition),
        };
        self.event(&event, clock, out);
    }

    fn loss(&mut self, told: &Loss, clock: WallClock, out: &mut Vec<u8>) {
        let style = if told.healed { self.palette.dim } else { self.palette.bad };
        self.note(style, told.time, &loss(told), clock, out);
    }
}

/// What was lost, where.
pub(crate) fn loss(loss: &Loss) -> String {
    let what = match loss.place {
        LossPlace::RingBuffer => "events lost: the ring buffer was full (--buffer-size)",
        LossPlace::Recursion => "events lost: the kernel skipped the program",
        LossPlace::Decode => "records lost: damaged or of another version",
        LossPlace::Unseen => "transitions were not seen and are inferred from what followed",
        LossPlace::Table => "sockets no longer tracked: there are too many (--max-sockets)",
        LossPlace::Output => "lines not shown: the output is too slow or full",
        LossPlace::Journal => "records not in the journal: journald is too slow or gone",
        LossPlace::Syslog => "records not sent to syslog: the receiver is too slow or gone",
        LossPlace::Otlp => "log records not sent: the OTLP receiver did not accept them",
    };
    let least = if loss.at_least { "at least " } else { "" };
    format!("! {least}{} {what}", grouped(loss.count))
}

/// What cannot be had here.
pub(crate) fn not_available(degraded: &Degraded) -> String {
    let Degraded { feature, lost, reason, remedy } = degraded;
    format!("! {feature} not available ({reason}): {lost}; {remedy}")
}

/// What the columns of a line are to hold.
struct Event<'a> {
    time: u64,
    subject: &'a Subject,
    from: State,
    arrow: &'a str,
    to: &'a str,
    style: anstyle::Style,
    after: &'a str,
    words: &'a str,
}

/// `curl[1234]`; `nginx[900]?` where it is only the listener's, `nginx[1 of 3]?` where several
/// processes hold that; `-` where it is not known.
pub(crate) fn process(owner: Option<Owner>) -> String {
    let Some(Owner { process, evidence, others, fd: _ }) = owner else { return "-".to_owned() };
    let name = escape(process.name());
    match (evidence, others) {
        (Evidence::Listener, 0) => format!("{name}[{}]?", process.pid),
        (Evidence::Listener, others) => format!("{name}[1 of {}]?", others.saturating_add(1)),
        _ => format!("{name}[{}]", process.pid),
    }
}

/// The owner and the container of a socket.
pub(super) fn who(subject: &Subject, surroundings: &dyn Surroundings) -> String {
    let mut who = process(subject.owner);
    who.push_str(&in_container(subject, surroundings));
    who
}

/// `@3f2a9c1b04de`, or nothing outside of containers.
pub(super) fn in_container(subject: &Subject, surroundings: &dyn Surroundings) -> String {
    let group = surroundings.cgroup(subject);
    let container = group.as_deref().and_then(|group| group.container.as_deref());
    container.map_or_else(String::new, |id| format!("@{}", container::short(id)))
}

/// Three significant digits and a unit: `950ns`, `1.23ms`, `4.5s`, `2m05s`, `3h12m`.
pub(crate) fn duration(ns: u64) -> String {
    // In whole numbers: floats take ten times as long to write.
    let scaled = |unit: u64, name: &str| {
        let decimals = match ns / unit {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let scale = 10_u64.pow(decimals);
        let value = (u128::from(ns) * u128::from(scale) + u128::from(unit / 2)) as u64 / unit;
        let mut text = String::with_capacity(12);
        let mut numbers = itoa::Buffer::new();
        text.push_str(numbers.format(value / scale));
        if decimals > 0 {
            // With the leading zeros.
            text.push('.');
            text.push_str(&numbers.format(scale + value % scale)[1..]);
        }
        text.push_str(name);
        text
    };
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..999_500 => scaled(1_000, "µs"),
        999_500..999_500_000 => scaled(1_000_000, "ms"),
        999_500_000..60_000_000_000 => scaled(1_000_000_000, "s"),
        _ => {
            let seconds = ns / 1_000_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
                (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
            }
        }
    }
}

/// `1,234,567`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Format for Text {
    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>) {
        self.times.begin(clock.now);
        for degraded in &hello.degraded {
            let mut line = Line::new(None, self.palette, out);
            line.push(self.palette.warning, &not_available(degraded));
            line.finish();
        }
        let title = self.times.title();
        self.widths.header(title, self.width, self.palette, self.stories, out);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        if self.tags.holds(update, clock) {
            return;
        }
        self.status.erase(out);
        self.birth_before(update, out);
        match update {
            Update::Transition(transition) => self.transition(transition, clock, out),
            Update::Linger(lingers) => self.lingers(lingers, clock, out),
            Update::Retransmit(retransmit) => self.retransmit(retransmit, clock, out),
            Update::Reset(reset) => self.reset(reset, clock, out),
            Update::Story(story) => self.story(story, clock, out),
            Update::Loss(loss) => self.loss(loss, clock, out),
            Update::Finding(finding) => self.finding(finding, clock, out),
        }
    }

    fn pause(&mut self, moment: &Moment, _: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let birth = self.births(moment.now, out);
        let quiet = self.status.pause(moment.now, |quiet| Some(nothing(moment, quiet)), out);
        birth.into_iter().chain(quiet).min()
    }

    fn summary(&mut self, summary: &Summary, _: WallClock, out: &mut Vec<u8>) {
        self.births(u64::MAX, out);
        self.status.erase(out);
        let style = if summary.complete { self.palette.dim } else { self.palette.bad };
        closing(summary, |words| {
            // Whole: the last words are the ones that count.
            let mut line = Line::new(None, self.palette, out);
            line.push(style, words);
            line.finish();
        });
    }
}

/// `42 s`, `2m05s`
pub(crate) fn whole_seconds(ns: u64) -> String {
    match ns / 1_000_000_000 {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => duration(ns),
    }
}
