//! The live view: one line a transition, for people.
//!
//! Columns keep their place: a column that meets something longer grows and stays wide. On a
//! terminal a line is cut at its width rather than wrapped; what a transition means stands last,
//! so that it is cut first. Pipes get whole lines without colour.

mod columns;
mod findings;
mod lingering;
mod palette;
mod segments;
mod stories;

use std::{borrow::Cow, sync::Arc};

use jiff::tz::TimeZone;

use self::columns::{Line, Widths};
pub use self::palette::Palette;
use super::{
    Format, Hello, escape::escape, stamps::Stamps, step, summary::Summary,
    surroundings::Surroundings, wall_clock::WallClock,
};
use crate::model::{
    container,
    owner::{Evidence, Owner},
    stack::Stack,
    state::State,
    update::{Loss, LossPlace, Role, Source, Subject, Transition, Update},
};

/// The text format.
pub struct Text {
    palette: Palette,
    /// Width of the terminal, columns; `None` for pipes.
    width: Option<usize>,
    stamps: Stamps,
    stories: Stories,
    widths: Widths,
    surroundings: Arc<dyn Surroundings>,
    /// The stack told last.
    last_stack: Option<Arc<Stack>>,
}

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
        zone: TimeZone,
        stories: Stories,
        surroundings: Arc<dyn Surroundings>,
    ) -> Self {
        Self {
            palette,
            width,
            stamps: Stamps::of_day(zone),
            stories,
            widths: Widths::new(width),
            surroundings,
            last_stack: None,
        }
    }

    /// The owner and the container of a socket.
    fn who(&self, subject: &Subject) -> String {
        let mut who = process(subject.owner);
        who.push_str(&in_container(subject, &*self.surroundings));
        who
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
        line.push(self.palette.dim, self.stamps.write(clock.at(time)));
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
        let time = self.stamps.write(clock.at(time));
        line.push(self.palette.dim, if self.widths.is_narrow() { &time[..12] } else { time });
        line.space();
        self.widths.endpoints(&mut line, subject);
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

    fn loss(&mut self, loss: &Loss, clock: WallClock, out: &mut Vec<u8>) {
        let Loss { time, place, count, healed } = *loss;
        let what = match place {
            LossPlace::RingBuffer => "events lost: the ring buffer was full (--buffer-size)",
            LossPlace::Recursion => "events lost: the kernel skipped the program",
            LossPlace::Decode => "records lost: damaged or of another version",
            LossPlace::Unseen => "transitions were not seen and are inferred from what followed",
            LossPlace::Output => "lines not shown: the output is too slow",
        };
        let style = if healed { self.palette.dim } else { self.palette.bad };
        let words = format!("! {} {what}", grouped(count));
        self.note(style, time, &words, clock, out);
    }
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

/// What it means, with the figures that belong to it.
fn meaning(transition: &Transition) -> Cow<'static, str> {
    let mut words = Cow::Borrowed(step::meaning(transition));
    if let Some(handshake) = transition.handshake {
        let mut figures = Vec::new();
        if transition.subject.role != Some(Role::Server) {
            figures.extend(handshake.duration_ns.map(|ns| format!("handshake {}", duration(ns))));
        }
        figures.extend(handshake.rtt_ns.map(|ns| format!("RTT {}", duration(ns))));
        match handshake.syn_retransmits {
            Some(1) => figures.push("1 retransmission".into()),
            Some(n) if n > 1 => figures.push(format!("{n} retransmissions")),
            _ => {}
        }
        if !figures.is_empty() {
            words = format!("{words}: {}", figures.join(", ")).into();
        }
    }
    match transition.source {
        Source::Tracepoint => words,
        Source::Snapshot => format!("{words} (found by snapshot)").into(),
        Source::Timer => format!("{words} (timer)").into(),
        Source::Inferred => format!("{words} (inferred)").into(),
    }
}

/// `curl[1234]`; `nginx[900]?` where it is only the listener's, `nginx[1 of 3]?` where several
/// processes hold that; `-` where it is not known.
pub(super) fn process(owner: Option<Owner>) -> String {
    let Some(Owner { process, evidence, others, fd: _ }) = owner else { return "-".to_owned() };
    let name = escape(process.name());
    match (evidence, others) {
        (Evidence::Listener, 0) => format!("{name}[{}]?", process.pid),
        (Evidence::Listener, others) => format!("{name}[1 of {}]?", others + 1),
        _ => format!("{name}[{}]", process.pid),
    }
}

/// `@3f2a9c1b04de`, or nothing outside of containers.
pub(super) fn in_container(subject: &Subject, surroundings: &dyn Surroundings) -> String {
    let group = surroundings.cgroup(subject);
    let container = group.as_deref().and_then(|group| group.container.as_deref());
    container.map_or_else(String::new, |id| format!("@{}", container::short(id)))
}

/// Three significant digits and a unit: `950ns`, `1.23ms`, `4.5s`, `2m05s`, `3h12m`.
pub(super) fn duration(ns: u64) -> String {
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
pub(super) fn grouped(count: u64) -> String {
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
    fn hello(&mut self, hello: &Hello, _: WallClock, out: &mut Vec<u8>) {
        for degraded in &hello.degraded {
            let words = format!(
                "! {} not available ({}): {}; {}",
                degraded.feature, degraded.reason, degraded.lost, degraded.remedy
            );
            let mut line = Line::new(None, self.palette, out);
            line.push(self.palette.warning, &words);
            line.finish();
        }
        self.widths.header(self.width, self.palette, self.stories, out);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
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

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        let Summary { transitions, established, lingered, lost, complete, .. } = summary;
        let super::summary::Transitions { tracepoint, snapshot, timer, inferred } = *transitions;
        let mut words = format!(
            "= {} transitions, {} sockets established, {} lingered",
            grouped(tracepoint + snapshot + timer + inferred),
            grouped(*established),
            grouped(*lingered),
        );
        words.push_str(match (complete, lost.unseen) {
            (true, 0) => "; nothing lost",
            (true, _) => "; nothing lost for good:",
            (false, _) => "; INCOMPLETE:",
        });
        let super::summary::Lost { ring_buffer, recursion, decode, unseen, output } = *lost;
        for (count, name) in [
            (ring_buffer, "ring buffer full"),
            (recursion, "skipped by the kernel"),
            (decode, "damaged"),
            (unseen, "unseen but inferred"),
            (output, "not shown, output too slow"),
        ] {
            if count > 0 {
                // Writing to a String cannot fail.
                let _ = std::fmt::Write::write_fmt(
                    &mut words,
                    format_args!(" {} {name}", grouped(count)),
                );
            }
        }
        let style = if *complete { self.palette.dim } else { self.palette.bad };
        self.note(style, clock.now, &words, clock, out);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0ns")]
    #[case(999, "999ns")]
    #[case(1_234, "1.23µs")]
    #[case(45_678, "45.7µs")]
    #[case(999_499, "999µs")]
    #[case(999_999, "1.00ms")]
    #[case(1_500_000_000, "1.50s")]
    #[case(59_960_000_000, "60.0s")]
    #[case(125_000_000_000, "2m05s")]
    #[case(11_520_000_000_000, "3h12m")]
    fn durations_are_short_and_never_wider_than_their_column(#[case] ns: u64, #[case] text: &str) {
        assert_eq!(duration(ns), text);
        assert!(text.chars().count() <= 8);
    }

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_000, "1,000")]
    #[case(1_234_567, "1,234,567")]
    fn large_counts_are_grouped(#[case] count: u64, #[case] text: &str) {
        assert_eq!(grouped(count), text);
    }
}
