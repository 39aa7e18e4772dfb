//! What the sections of the report are drawn with. maud writes the HTML, so that no text can be
//! taken for it.

use std::fmt::{self, Display};

use jiff::{Zoned, tz::TimeZone};
use maud::{Markup, html};

use crate::phrases::{said, worded};
use tracer_event::{escape::escape, wall_clock::WallClock};
use tracer_texts::Texts;

/// What a report says of itself.
pub(super) struct Frame {
    /// What was observed.
    pub(super) title: String,
    /// The time zone of the times shown.
    pub(super) zone: TimeZone,
    /// The end of the observation.
    pub(super) clock: WallClock,
    /// The language; English without.
    pub(super) texts: Option<Texts>,
}

impl Frame {
    pub(super) fn zoned(&self, time: u64) -> Zoned {
        self.clock.at(time).to_zoned(self.zone.clone())
    }

    /// Time of day.
    pub(super) fn time(&self, time: u64) -> String {
        self.zoned(time).strftime("%H:%M:%S").to_string()
    }

    /// Words that the code has in English, in the language of the report.
    pub(super) fn say<'a>(&'a self, english: &'a str) -> &'a str {
        said(self.texts.as_ref(), english)
    }

    /// Words with figures.
    pub(super) fn worded(
        &self,
        name: &str,
        values: &[(&str, &dyn Display)],
        english: fmt::Arguments<'_>,
    ) -> String {
        worded(self.texts.as_ref(), name, values, english)
    }

    /// A section with a heading, a sentence on how to read it, and its content.
    pub(super) fn section(
        &self,
        id: &str,
        heading: &str,
        reading: &str,
        content: &Markup,
    ) -> Markup {
        html! {
            section id=(id) {
                h2 { (self.say(heading)) }
                p.reading { (self.say(reading)) }
                (content)
            }
        }
    }

    /// The content, or the sentence that says that there is none.
    pub(super) fn unless(
        &self,
        empty: bool,
        sentence: &str,
        content: impl FnOnce() -> Markup,
    ) -> Markup {
        if empty {
            html! { p.none { (self.say(sentence)) } }
        } else {
            content()
        }
    }

    /// `curl[1234]`, of several `curl (several)`.
    pub(super) fn process(&self, comm: &[u8], pid: Option<u32>) -> String {
        let name = escape(comm.split(|byte| *byte == 0).next().unwrap_or_default());
        let several = || format!("{name} ({})", self.say("several"));
        pid.map_or_else(several, |pid| format!("{name}[{pid}]"))
    }

    /// A table by its columns' names. The first column names the row; of the others the last `texts`
    /// are text, the rest numbers.
    pub(super) fn table(&self, columns: &[&str], rows: &[Vec<String>], texts: usize) -> Markup {
        let numbers = columns.len() - texts;
        // A phone shows a row of many cells as a list of them; of a long table it would be too long.
        let cards = columns.len() > FIT && rows.len() <= Ranking::ROWS;
        let label = |index: usize| cards.then(|| self.say(columns[index]));
        html! {
            div.wide {
                table.cards[cards] {
                    thead { tr {
                        @for (index, name) in columns.iter().enumerate() {
                            th.n[(1..numbers).contains(&index)] scope="col" { (self.say(name)) }
                        }
                    } }
                    tbody {
                        @for row in rows {
                            tr {
                                @for (index, cell) in row.iter().enumerate() {
                                    @if index == 0 { th scope="row" { (cell) } }
                                    @else {
                                        td.n[index < numbers] data-label=[label(index)] { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The same, unfolded by a click.
    pub(super) fn folded(
        &self,
        name: &str,
        columns: &[&str],
        rows: &[Vec<String>],
        texts: usize,
    ) -> Markup {
        html! {
            details {
                summary { (self.say(name)) }
                (self.table(columns, rows, texts))
            }
        }
    }
    /// What the colours stand for.
    pub(super) fn legend<'a>(
        &self,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Markup {
        html! {
            ul.legend {
                @for (class, name) in entries {
                    li { span.swatch.(class) {} (self.say(name)) }
                }
            }
        }
    }
}

/// A text, and above all a command, that breaks at blanks only: elsewhere a break would be taken
/// for one of its own.
pub(super) fn words(text: &str) -> Markup {
    html! {
        @for (index, word) in text.split(' ').enumerate() {
            @if index > 0 { " " }
            span.word { (word) }
        }
    }
}

/// Columns that fit a phone's width.
const FIT: usize = 5;

/// One bar of a [`Ranking`], and its row in the table.
pub(super) struct Bar {
    pub(super) name: String,
    /// Its number, with its unit.
    pub(super) number: String,
    /// Parts: class of the colour, what it is, and its size.
    pub(super) parts: Vec<(&'static str, String, u64)>,
    /// The cells of the table beside the name.
    pub(super) cells: Vec<String>,
}

/// Bars from left to right, the longest first, and their numbers.
pub(super) struct Ranking<'a> {
    pub(super) bars: Vec<Bar>,
    /// Bars drawn at most.
    pub(super) drawn: usize,
    /// The size of a bar that has the whole width.
    pub(super) full: u64,
    /// Lines across all bars, as shares of the width.
    pub(super) marks: &'a [f64],
    /// Name and columns of the table, and how many columns are text.
    pub(super) table: (&'a str, &'a [&'a str], usize),
}

impl Ranking<'_> {
    /// Rows of the table at most.
    pub(super) const ROWS: usize = 50;

    pub(super) fn draw(&self, frame: &Frame) -> Markup {
        let Self { bars, drawn, full, marks, table: (name, columns, texts) } = self;
        let share =
            |size: u64| format!("width:{:.2}%", size as f64 * 100.0 / (*full).max(1) as f64);
        let row = |bar: &Bar| [std::slice::from_ref(&bar.name), &bar.cells].concat();
        let rows: Vec<Vec<String>> = bars.iter().take(Self::ROWS).map(row).collect();
        html! {
            div.bars {
                @for Bar { name, number, parts, .. } in bars.iter().take(*drawn) {
                    div.bar {
                        div.name { (name) }
                        div.track {
                            @for (class, what, size) in parts.iter().filter(|part| part.2 > 0) {
                                div.part.(class) style=(share(*size)) title=(what) {}
                            }
                            @for mark in *marks {
                                div.mark style=(format!("left:{:.0}%", mark * 100.0)) {}
                            }
                        }
                        div.number { (number) }
                    }
                }
            }
            @if bars.len() > *drawn { p.more { (and_more(bars.len() - drawn, frame)) } }
            (frame.folded(name, columns, &rows, *texts))
        }
    }
}

fn and_more(more: usize, frame: &Frame) -> String {
    frame.worded("view-more", &[("more", &more)], format_args!("and {more} more"))
}
