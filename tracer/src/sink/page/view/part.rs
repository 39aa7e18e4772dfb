//! What all sections of the report have in common.

use jiff::{Zoned, tz::TimeZone};
use maud::{Markup, html};

use crate::sink::{escape::escape, wall_clock::WallClock};

/// What a report says of itself.
pub(in crate::sink::page) struct Frame {
    /// What was observed.
    pub(in crate::sink::page) title: String,
    /// The time zone of the times shown.
    pub(in crate::sink::page) zone: TimeZone,
    /// The end of the observation.
    pub(in crate::sink::page) clock: WallClock,
}

impl Frame {
    pub(super) fn zoned(&self, time: u64) -> Zoned {
        self.clock.at(time).to_zoned(self.zone.clone())
    }

    /// Time of day.
    pub(super) fn time(&self, time: u64) -> String {
        self.zoned(time).strftime("%H:%M:%S").to_string()
    }
}

/// A section with a heading, a sentence on how to read it, and its content.
pub(super) fn section(id: &str, heading: &str, reading: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (heading) }
            p.reading { (reading) }
            (content)
        }
    }
}

/// The content, or the sentence that says that there is none.
pub(super) fn unless(empty: bool, sentence: &str, content: impl FnOnce() -> Markup) -> Markup {
    if empty {
        html! { p.none { (sentence) } }
    } else {
        content()
    }
}

/// `curl[1234]`, of several `curl (several)`.
pub(super) fn process(comm: &[u8], pid: Option<u32>) -> String {
    let name = escape(comm.split(|byte| *byte == 0).next().unwrap_or_default());
    pid.map_or_else(|| format!("{name} (several)"), |pid| format!("{name}[{pid}]"))
}
