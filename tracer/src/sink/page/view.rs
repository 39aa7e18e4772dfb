//! The page. maud writes it, so that nothing that is shown can be taken for HTML; names are made
//! visible by [`escape`] as everywhere.

mod axis;
mod bars;
mod facts;
mod handshakes;
mod headroom;
mod overview;
mod panel;
mod stays;
mod table;
mod timeline;
mod troubles;
mod words;

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Gathered;
use crate::sink::{escape::escape, summary::Summary, wall_clock::WallClock};

/// What a page says of itself.
pub(super) struct Frame {
    /// What was observed.
    pub(super) title: String,
    /// Whose times it shows.
    pub(super) zone: TimeZone,
    /// The end.
    pub(super) clock: WallClock,
}

impl Frame {
    /// Date and time, with the offset from UTC.
    fn date(&self, time: u64) -> String {
        let zoned = self.clock.at(time).to_zoned(self.zone.clone());
        zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// Time of day.
    fn time(&self, time: u64) -> String {
        let zoned = self.clock.at(time).to_zoned(self.zone.clone());
        zoned.strftime("%H:%M:%S").to_string()
    }
}

/// The whole page.
pub(super) fn page(gathered: &Gathered, summary: &Summary, frame: &Frame) -> String {
    let title = format!("TCP on {}", escape(frame.title.as_bytes()));
    let sections = [
        troubles::findings(gathered, frame),
        troubles::lingering(gathered),
        timeline::states(gathered, frame),
        timeline::events(gathered, frame),
        handshakes::section(&summary.lives),
        overview::closes(&summary.lives),
        stays::section(gathered, frame),
        headroom::section(gathered, frame),
        facts::completeness(gathered, summary),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("view/style.css"))) }
            }
            body {
                header {
                    h1 { (title) }
                    (facts::verdict(gathered, summary))
                    (facts::facts(gathered, summary, frame))
                }
                main { @for section in sections { (section) } }
                footer {
                    p { "Written by tracer " (gathered.hello.version) ". Of a connection within "
                        "this host both ends are counted: each is a socket." }
                }
            }
        }
    };
    page.into_string()
}

/// A section with a heading, a sentence on how to read it, and what it shows.
fn section(id: &str, heading: &str, reading: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (heading) }
            p.reading { (reading) }
            (content)
        }
    }
}
