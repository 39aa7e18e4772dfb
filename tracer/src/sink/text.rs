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

use jiff::tz::TimeZone;

use self::columns::{Line, Widths};
pub use self::palette::Palette;
use super::{
    Format, Hello, escape::escape, stamps::Stamps, step, summary::Summary, wall_clock::WallClock,
};
use crate::model::{
    owner::{Evidence, Owner},
    state::State,
    update::{Loss, LossPlace, Role, Source, Subject, Transition, Update},
};

/// The text format.
#[derive(Debug)]
pub struct Text {
    palette: Palette,
    /// Width of the terminal, columns; `None` for pipes.
    width: Option<usize>,
    stamps: Stamps,
    stories: Stories,
    widths: Widths,
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
    pub fn new(palette: Palette, width: Option<usize>, zone: TimeZone, stories: Stories) -> Self {
        Self { palette, width, stamps: Stamps::of_day(zone), stories, widths: Widths::new(width) }
    }

    fn time(&mut self, time: u64, clock: WallClock) -> String {
        self.stamps.write(clock.at(time))
    }

    /// A line that is no transition: a mark, then words.
    fn note(&self, style: anstyle::Style, time: &str, words: &str, out: &mut Vec<u8>) {
        let mut line = Line::new(self.width, self.palette);
        line.push(self.palette.dim, time);
        line.space();
        line.push(style, words);
        line.finish(out);
    }

    /// Time and ends: what every line about a socket begins with.
    fn begin(&mut self, time: u64, subject: &Subject, clock: WallClock) -> Line {
        let mut line = Line::new(self.width, self.palette);
        let time = self.time(time, clock);
        line.push(self.palette.dim, if self.widths.is_narrow() { &time[..12] } else { &time });
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
        let mut line = self.begin(time, subject, clock);
        let process = process(subject.owner);
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
        line.finish(out);
    }

    fn transition(&mut self, transition: &Transition, clock: WallClock, out: &mut Vec<u8>) {
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
        let time = self.time(time, clock);
        self.note(style, &time, &words, out);
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
fn meaning(transition: &Transition) -> String {
    let mut words = step::meaning(transition).to_owned();
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
            words = format!("{words}: {}", figures.join(", "));
        }
    }
    match transition.source {
        Source::Tracepoint => words,
        Source::Snapshot => format!("{words} (found by snapshot)"),
        Source::Timer => format!("{words} (timer)"),
        Source::Inferred => format!("{words} (inferred)"),
    }
}

/// `curl[1234]`; `nginx[900]?` where it is only the listener's; `-` where it is not known.
pub(super) fn process(owner: Option<Owner>) -> String {
    owner.map_or_else(
        || "-".to_owned(),
        |Owner { process, evidence, fd: _ }| {
            let guess = if evidence == Evidence::Listener { "?" } else { "" };
            format!("{}[{}]{guess}", escape(process.name()), process.pid)
        },
    )
}

/// Three significant digits and a unit: `950ns`, `1.23ms`, `4.5s`, `2m05s`, `3h12m`.
pub(super) fn duration(ns: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let value = ns as f64 / unit as f64;
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        format!("{value:.digits$}{name}")
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
            let mut line = Line::new(None, self.palette);
            line.push(self.palette.warning, &words);
            line.finish(out);
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
        let time = self.time(clock.now, clock);
        self.note(style, &time, &words, out);
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
