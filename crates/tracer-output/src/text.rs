//! The live view: one line for each event, for people.
//!
//! Columns keep their place: a column that meets something longer grows and stays wide. On a
//! terminal a line is cut at its width rather than wrapped; what an event means stands last, so
//! that it is cut first. Pipes get whole lines without colour.

mod columns;
mod lingering;
mod palette;
mod summary;
mod tag;
#[cfg(test)]
mod tests;
mod who;
mod words;

use std::{borrow::Cow, sync::Arc};

use anstyle::Style;

use self::{columns::Widths, tag::Tags};
pub use self::{
    columns::{Line, Stories},
    palette::Palette,
};
pub use self::{
    lingering::flag,
    summary::reason,
    who::{in_container, process},
    words::{bytes, loss, not_available, of_reset, of_retransmit},
};
pub(super) use self::{
    lingering::sentence,
    summary::closing,
    who::{holder, who},
    words::{REFUSED_HERE, life, meaning},
};
use super::{
    Format, Tick,
    names::Names,
    stamps::Times,
    status::{StatusLine, nothing},
};
pub use tracer_event::duration::{duration, grouped, whole_seconds};
use tracer_event::{
    close::Reason,
    stack::Stack,
    state::State,
    update::{ConnectionSummary, Linger, Subject, Transition, Update},
};
use tracer_event::{enricher::Enricher, header::Header, summary::Summary, wall_clock::WallClock};

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
    enricher: Arc<dyn Enricher>,
    /// The stack shown last.
    last_stack: Option<Arc<Stack>>,
    tags: Tags,
}

/// The status line appears after this time without events, nanoseconds.
const QUIET: u64 = 5_000_000_000;

/// What the columns of a line about a socket hold.
struct Event<'a> {
    time: u64,
    subject: &'a Subject,
    from: State,
    /// The state entered, or a segment.
    to: Cow<'static, str>,
    style: Style,
    /// The time in the state that was left.
    after: Option<String>,
    words: Cow<'static, str>,
}

/// The line of a single segment, if the update is about one.
fn segment<'a>(update: &Update<'a>, palette: Palette) -> Option<Event<'a>> {
    let (time, subject, from, to, style, words) = match *update {
        Update::Retransmit(one) => {
            let to = format!("↻ {}", one.segment.r#type.name()).into();
            let words = of_retransmit(one).into();
            (one.time, &one.subject, one.state, to, palette.warning, words)
        }
        Update::Reset(one) => {
            let words = of_reset(one).into();
            (one.time, &one.subject, one.state, "✗ RST".into(), palette.bad, words)
        }
        _ => return None,
    };
    Some(Event { time, subject, from, to, style, after: None, words })
}

impl Text {
    /// For a terminal of `width` columns, or for a pipe.
    pub fn new(
        palette: Palette,
        width: Option<usize>,
        times: Times,
        stories: Stories,
        enricher: Arc<dyn Enricher>,
    ) -> Self {
        Self {
            palette,
            width,
            times,
            stories,
            widths: Widths::new(width),
            names: None,
            status: StatusLine::new(width, QUIET),
            enricher,
            last_stack: None,
            tags: Tags::default(),
        }
    }

    /// Without the status line, which is true of a live trace only.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: StatusLine::new(None, QUIET), ..self }
    }

    /// With the names of addresses, as far as they are known.
    #[must_use]
    pub fn with_names(self, names: Option<Names>) -> Self {
        Self { names, ..self }
    }

    /// A line that begins with its time.
    fn line<'a>(&mut self, time: u64, clock: WallClock, out: &'a mut Vec<u8>) -> Line<'a> {
        let mut line = Line::new(self.width, self.palette, out);
        let time = self.times.write(clock, time);
        line.push(self.palette.dim, if self.widths.narrow { &time[..12] } else { time });
        line.space();
        line
    }

    /// A line of nothing but words.
    fn note(&mut self, style: Style, time: u64, words: &str, clock: WallClock, out: &mut Vec<u8>) {
        let mut line = self.line(time, clock, out);
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
        let mut line = self.line(time, clock, out);
        line.push(self.palette.plain, self.tags.of(subject).as_str());
        line.space();
        self.widths.endpoints(&mut line, subject, self.names.as_ref());
        line.space();
        line
    }

    /// A line about something that happened to a socket. A narrow terminal gets when, where, what
    /// and who; the rest as far as there is room.
    fn event(&mut self, event: &Event<'_>, clock: WallClock, out: &mut Vec<u8>) {
        let Event { time, subject, from, to, style, after, words } = event;
        let (plain, dim) = (self.palette.plain, self.palette.dim);
        let process = who(subject, &*self.enricher);
        let mut line = self.begin(*time, subject, clock, out);
        if self.widths.narrow {
            line.left(*style, to, 11);
            line.space();
            self.widths.process(&mut line, &process);
        } else {
            self.widths.process(&mut line, &process);
            line.space();
            line.left(dim, from.name(), 11);
            line.push(dim, if after.is_some() { " → " } else { "   " });
            line.left(*style, to, 11);
            line.space();
            line.right(plain, after.as_deref().unwrap_or_default(), 8);
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
        let style = self.palette.of(transition);
        let after = Some(elapsed.map_or_else(|| "-".to_owned(), duration));
        let (to, words) = (to.name().into(), meaning(transition));
        self.event(&Event { time, subject, from, to, style, after, words }, clock, out);
    }

    /// A line for a whole connection.
    fn connection(&mut self, connection: &ConnectionSummary, clock: WallClock, out: &mut Vec<u8>) {
        let process = who(&connection.subject, &*self.enricher);
        let mut line = self.begin(connection.time, &connection.subject, clock, out);
        self.widths.process(&mut line, &process);
        line.space();
        let style = match connection.close.map(|close| close.reason) {
            Some(Reason::Graceful) | None => self.palette.plain,
            Some(_) => self.palette.bad,
        };
        let ending = words::ending(connection);
        line.push(style, &ending);
        line.push(self.palette.plain, &life(connection)[ending.len()..]);
        line.finish();
    }

    fn lingers(&mut self, lingers: &[Linger], clock: WallClock, out: &mut Vec<u8>) {
        let enricher = Arc::clone(&self.enricher);
        for group in lingering::groups(lingers, |linger| who(&linger.subject, &*enricher)) {
            for (linger, words) in group.lines() {
                self.note(self.palette.of_linger(linger), linger.time, &words, clock, out);
            }
            for words in group.stacks(&*enricher, &mut self.last_stack) {
                self.note(self.palette.dim, group.time(), &words, clock, out);
            }
        }
    }

    /// Writes the births that have waited long enough; returns when the next one will have.
    fn births(&mut self, now: u64, out: &mut Vec<u8>) -> Option<u64> {
        let (due, next) = self.tags.due(now);
        for (birth, clock) in due {
            self.status.erase(out);
            self.transition(&birth, clock, out);
        }
        next
    }
}

impl Format for Text {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.times.begin(clock.now);
        for degraded in &header.degraded {
            let mut line = Line::new(None, self.palette, out);
            line.push(self.palette.warning, &not_available(degraded));
            line.finish();
        }
        let line = Line::new(self.width, self.palette, out);
        self.widths.header(line, self.times.title(), self.stories);
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        if self.tags.holds(update, clock) {
            return;
        }
        self.status.erase(out);
        self.tags.learn(update);
        if let Some((birth, clock)) = self.tags.born(update) {
            self.transition(&birth, clock, out);
        }
        let palette = self.palette;
        let steps = self.stories == Stories::Steps;
        match *update {
            Update::Transition(transition) => self.transition(transition, clock, out),
            Update::Retransmit(_) | Update::Reset(_) if steps => {
                if let Some(event) = segment(update, palette) {
                    self.event(&event, clock, out);
                }
            }
            Update::Connection(connection) if !steps => self.connection(connection, clock, out),
            Update::Retransmit(_) | Update::Reset(_) | Update::Connection(_) => {}
            Update::Linger(lingers) => self.lingers(lingers, clock, out),
            Update::Loss(lost) => {
                let style = if lost.healed { palette.dim } else { palette.bad };
                self.note(style, lost.time, &loss(lost), clock, out);
            }
            Update::Finding(finding) => {
                let words = format!("⚠ {}", finding.sentence());
                self.note(palette.of_finding(finding), finding.time, &words, clock, out);
            }
        }
    }

    fn pause(&mut self, moment: &Tick, _: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let birth = self.births(moment.now, out);
        let quiet = self.status.pause(moment.now, |quiet| Some(nothing(moment, quiet)), out);
        birth.into_iter().chain(quiet).min()
    }

    fn summary(&mut self, summary: &Summary, _: WallClock, out: &mut Vec<u8>) {
        self.births(u64::MAX, out);
        self.status.erase(out);
        let style = if summary.complete { self.palette.dim } else { self.palette.bad };
        closing(summary, |words| {
            // Not cut: the last words are the ones that count.
            let mut line = Line::new(None, self.palette, out);
            line.push(style, words);
            line.finish();
        });
    }
}
