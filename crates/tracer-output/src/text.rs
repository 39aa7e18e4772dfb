//! The live view: one line for each event, for people.
//!
//! Columns keep their place: a column that meets something longer grows and stays wide. On a
//! terminal a line fits its width, which is asked for again and again: `layout` says what gives
//! way. Pipes get whole lines without colour.

mod columns;
mod event;
mod groups;
mod layout;
mod legend;
mod lingering;
mod palette;
mod rates;
mod row;
mod subjects;
mod summary;
mod tag;
#[cfg(test)]
mod tests;
mod who;
mod with;
mod words;

use std::sync::Arc;

use anstyle::Style;

use self::words::{brief_ending, write_life};
pub(super) use self::{
    columns::folded,
    groups::Groups,
    lingering::sentence,
    summary::closing,
    who::{holder, who},
    words::{REFUSED_HERE, life, meaning},
};
pub use self::{
    columns::{Line, Stories},
    layout::{arrow, shortened, without_middle},
    palette::Palette,
};
use self::{
    event::{AFTER, Event, STATE},
    layout::{Layout, Widths, state},
    rates::Rates,
    row::Row,
    subjects::Subjects,
    tag::{Tag, Tags},
};
pub use self::{
    legend::{LEGEND, legend},
    lingering::{cause, flag},
    summary::reason,
    who::{in_container, process},
    words::{bytes, loss, not_available, of_reset, of_retransmit, write_not_available},
};
use super::{
    Format, Resized, Tick,
    phrases::{of_finding, said},
    stamps::Times,
    status::{StatusLine, nothing},
    wrap::broken,
};
pub use tracer_event::duration::{duration, grouped, whole_seconds};
use tracer_event::{
    close::Reason,
    stack::Stack,
    update::{ConnectionSummary, Linger, Subject, Transition, Update},
};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};
use tracer_texts::Texts;

/// The text format.
pub struct Text {
    palette: Palette,
    /// Width of the terminal, columns; `None` for pipes.
    width: Option<usize>,
    resized: Option<Resized>,
    times: Times,
    stories: Stories,
    widths: Widths,
    subjects: Subjects,
    status: StatusLine,
    /// Nothing has happened yet, and whoever looks may not know what to expect.
    introduces: bool,
    /// The words, where they are not in English.
    texts: Option<Arc<Texts>>,
    groups: Groups,
    /// Of a live terminal.
    rates: Option<Rates>,
    /// The stack shown last.
    last_stack: Option<Arc<Stack>>,
    tags: Tags,
    /// What is written before it is known where it goes.
    scratch: String,
}

/// The status line appears after this time without events, nanoseconds.
const QUIET: u64 = 5_000_000_000;

impl Text {
    /// For a terminal of `width` columns, or for a pipe.
    pub fn new(palette: Palette, width: Option<usize>, times: Times, stories: Stories) -> Self {
        Self {
            palette,
            width,
            resized: None,
            times,
            stories,
            widths: Widths::new(width),
            subjects: Subjects::default(),
            status: StatusLine::new(width, QUIET),
            introduces: false,
            texts: None,
            groups: Groups::default(),
            rates: width.map(|_| Rates::default()),
            last_stack: None,
            tags: Tags::default(),
            scratch: String::new(),
        }
    }

    /// Colours and width.
    fn look(&self) -> (Palette, Option<usize>) {
        (self.palette, self.width)
    }

    fn titles(&self, out: &mut Vec<u8>) {
        let line = Line::new(self.width, self.palette, out);
        self.widths.header(line, self.times.title(), self.stories, self.texts.as_deref());
    }

    /// A line that begins with its time.
    fn line<'a>(&mut self, time: u64, clock: WallClock, out: &'a mut Vec<u8>) -> Line<'a> {
        let mut line = Line::new(self.width, self.palette, out);
        self.widths.begin(&mut line, self.times.write(clock, time));
        line
    }

    /// A line of nothing but words.
    fn note(&mut self, style: Style, time: u64, words: &str, clock: WallClock, out: &mut Vec<u8>) {
        let mut line = self.line(time, clock, out);
        line.push(style, words);
        line.finish();
    }

    /// Columns that a note has for its words.
    fn room(&self) -> Option<usize> {
        let time = self.widths.time("00:00:00.000000").len() + self.widths.gap();
        self.width.map(|width| width.saturating_sub(time))
    }

    /// Words that go on below themselves where a line is too short.
    pub(super) fn paragraph(
        &mut self,
        style: Style,
        time: u64,
        words: &str,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        self.status.erase(out);
        // Wide enough for words at all.
        let room = self.room().map(|room| room.saturating_sub(2).max(20));
        let mut parts = broken(words, room).into_iter();
        self.note(style, time, &parts.next().unwrap_or_default(), clock, out);
        for part in parts {
            let mut line = Line::new(self.width, self.palette, out);
            line.fill(self.widths.time("00:00:00.000000").len() + self.widths.gap() + 2);
            line.push(style, &part);
            line.finish();
        }
    }

    /// A line about a socket, begun, and the process for where it follows later.
    fn row<'a, 'l>(
        &'a mut self,
        (time, subject): (u64, &'a Subject),
        context: Context<'_>,
        tag: &'a mut Tag,
        out: &'l mut Vec<u8>,
    ) -> (Row<'a, 'l>, &'a str) {
        let line = self.line(time, context.clock, out);
        let Self { widths, subjects, tags, .. } = self;
        let words = subjects.of(subject, widths.layout, context);
        Row::about(line, subject.role, words, widths, (tag, || tags.of(subject)))
    }

    /// A line about something that happened to a socket.
    fn event(&mut self, event: &Event<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        let (plain, dim) = (self.palette.plain, self.palette.dim);
        let mut tag = Tag::default();
        let origin = (event.time, event.subject);
        let (mut row, process) = self.row(origin, context, &mut tag, out);
        let after = event.after.as_deref().unwrap_or_default();
        if let Some(bare) = row.bare() {
            event.write(bare);
        } else if row.layout == Layout::Wide {
            row.text(dim, event.from.name(), STATE);
            row.text(dim, event.arrow(), 0);
            row.text(event.style, &event.to, STATE);
            row.space();
            row.right(plain, after, AFTER);
            row.space();
            row.text(plain, event.words, 0);
        } else {
            row.text(event.style, event.words, state(row.layout));
            row.space();
            if row.layout == Layout::Medium {
                row.right(plain, after, AFTER);
                row.space();
            }
            row.process(plain, process, 0);
        }
        row.write().finish();
    }

    fn transition(&mut self, transition: &Transition, context: Context<'_>, out: &mut Vec<u8>) {
        if self.stories != Stories::Only {
            let mut text = std::mem::take(&mut self.scratch);
            let texts = self.texts.clone();
            let texts = (self.widths.layout, texts.as_deref());
            self.event(&Event::of(transition, texts, self.palette, &mut text), context, out);
            self.scratch = text;
        }
    }

    fn segment(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.scratch);
        let texts = self.texts.clone();
        let texts = (self.widths.layout, texts.as_deref());
        if let Some(event) = Event::of_segment(update, texts, self.palette, &mut text) {
            self.event(&event, context, out);
        }
        self.scratch = text;
    }

    /// A line for a whole connection.
    fn connection(
        &mut self,
        connection: &ConnectionSummary,
        context: Context<'_>,
        out: &mut Vec<u8>,
    ) {
        let plain = self.palette.plain;
        let style = match connection.close.map(|close| close.reason) {
            Some(Reason::Graceful) | None => plain,
            Some(_) => self.palette.bad,
        };
        let mut life = std::mem::take(&mut self.scratch);
        life.clear();
        let texts = self.texts.clone();
        let texts = texts.as_deref();
        let end = write_life(connection, texts, &mut life);
        let (ending, figures) = life.split_at(end);
        let mut tag = Tag::default();
        let origin = (connection.time, &connection.subject);
        let (mut row, process) = self.row(origin, context, &mut tag, out);
        // Who it was matters more than the figures.
        if row.layout == Layout::Wide {
            row.text(style, ending, 0);
            row.text(plain, figures, 0);
            row.write().finish();
        } else {
            let close = connection.close.filter(|close| close.reason != Reason::Graceful);
            let brief = close.map_or(ending, |close| said(texts, brief_ending(&close)));
            row.text(style, brief, state(row.layout));
            row.space();
            row.process(plain, process, 0);
            let mut line = row.write();
            line.push(plain, figures);
            line.finish();
        }
        self.scratch = life;
    }

    fn lingers(&mut self, lingers: &[Linger], context: Context<'_>, out: &mut Vec<u8>) {
        let (clock, texts) = (context.clock, self.texts.clone());
        for flag in
            self.groups.update(lingers, texts.as_deref(), |linger| who(&linger.subject, context))
        {
            let linger = flag.linger;
            // All lines about one connection have its tag; a group is of several.
            let tag = flag.is_alone().then(|| format!("{} ", self.tags.of(&linger.subject)));
            let tag = tag.unwrap_or_default();
            let room = self.room().map(|room| room.saturating_sub(tag.len()));
            let words = tag + &flag.words(room, texts.as_deref());
            self.paragraph(self.palette.of_linger(linger), linger.time, &words, clock, out);
            for words in
                lingering::stacks(&flag.raised, context, &mut self.last_stack, texts.as_deref())
            {
                self.note(self.palette.dim, linger.time, &words, clock, out);
            }
        }
    }

    /// Whether an update may have a line: not if a terminal gets more of them than can be read.
    fn admits(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) -> bool {
        self.summarize(clock.now, clock, out);
        self.rates.as_mut().is_none_or(|rates| rates.admit(update, self.stories))
    }

    /// Writes what the lines would have said that a second had too many of.
    fn summarize(&mut self, now: u64, clock: WallClock, out: &mut Vec<u8>) {
        let texts = self.texts.as_deref();
        if let Some(words) = self.rates.as_mut().and_then(|rates| rates.turn(now, texts)) {
            self.paragraph(self.palette.plain, clock.now, &words, clock, out);
        }
    }

    /// Writes the births that have waited long enough; returns when the next one will have.
    fn births(&mut self, now: u64, context: Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        let (due, next) = self.tags.due(now);
        for (birth, clock) in due {
            // It has been counted where there are too many.
            if self.rates.as_ref().is_none_or(|rates| rates.due().is_none()) {
                self.status.erase(out);
                self.transition(&birth, Context { clock, ..context }, out);
            }
        }
        next
    }
}

impl Format for Text {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.times.begin(clock.now);
        for degraded in header.missing() {
            write_not_available(degraded, self.texts.as_deref(), self.look(), out);
        }
        if self.introduces {
            let texts = self.texts.as_deref();
            legend::introduction(self.palette, self.widths.layout, texts, out);
        }
        self.titles(out);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        let clock = context.clock;
        let steps = self.stories == Stories::Steps;
        if steps && self.tags.holds(update, clock) {
            return;
        }
        self.status.erase(out);
        self.introduces = false;
        self.follow(out);
        if !self.admits(update, clock, out) {
            self.tags.born(update);
            return;
        }
        self.tags.learn(update);
        if let Some((birth, clock)) = self.tags.born(update) {
            self.transition(&birth, Context { clock, ..context }, out);
        }
        let palette = self.palette;
        match *update {
            Update::Transition(transition) => self.transition(transition, context, out),
            Update::Retransmit(_) | Update::Reset(_) if steps => {
                self.segment(update, context, out);
            }
            Update::Connection(connection) if !steps => self.connection(connection, context, out),
            Update::Retransmit(_) | Update::Reset(_) | Update::Connection(_) => {}
            Update::Linger(lingers) => self.lingers(lingers, context, out),
            Update::Loss(lost) => {
                let style = if lost.healed { palette.dim } else { palette.bad };
                let words = loss(lost, self.texts.as_deref());
                self.paragraph(style, lost.time, &words, clock, out);
            }
            Update::Finding(finding) => {
                let words = format!("⚠ {}", of_finding(finding, self.texts.as_deref()));
                self.paragraph(palette.of_finding(finding), finding.time, &words, clock, out);
            }
        }
    }

    fn pause(&mut self, moment: &Tick, context: Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        self.follow(out);
        let birth = self.births(moment.now, context, out);
        self.summarize(moment.now, context.clock, out);
        let rate = self.rates.as_ref().and_then(Rates::due);
        let texts = self.texts.as_deref();
        let hint = if self.introduces { "; try: curl localhost, tracer demo" } else { "" };
        let quiet = |quiet| Some(nothing(moment, quiet, texts) + said(texts, hint));
        let quiet = self.status.pause(moment.now, quiet, out);
        birth.into_iter().chain(quiet).chain(rate).min()
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        self.births(u64::MAX, context, out);
        self.status.erase(out);
        self.summarize(u64::MAX, context.clock, out);
        let style = if summary.complete { self.palette.dim } else { self.palette.bad };
        closing(summary, self.texts.as_deref(), |words| {
            // Not cut: the last words are the ones that count.
            folded(style, words, self.look(), out);
        });
    }
}
