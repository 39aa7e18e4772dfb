//! The report as HTML. maud writes it, so that no text can be taken for HTML; names are made visible
//! by [`escape`] as everywhere.

mod axis;
mod facts;
mod handshakes;
mod headroom;
mod overview;
mod panel;
mod part;
mod stays;
mod table;
mod timeline;
mod troubles;
mod words;

use maud::{DOCTYPE, PreEscaped, html};

pub(super) use self::part::Frame;
use super::gathered::Gathered;
use crate::sink::{escape::escape, summary::Summary};

/// The whole report.
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
                    p { "Written by tracer " (gathered.hello.version) ". A connection within this \
                        host counts twice: each end is a socket." }
                }
            }
        }
    };
    page.into_string()
}
