//! The whole report: what is gathered from events and snapshots, section by section, and its HTML.

use std::fmt::Display;

use maud::{DOCTYPE, PreEscaped, html};

use super::{
    closes, facts, handshakes, headroom::Headroom, html::Frame, stays::Guests, timeline::Timeline,
    troubles::Troubles,
};
use tracer_event::{
    escape::escape,
    header::Header,
    state::State,
    summary::Summary,
    update::{Subject, Update},
};
use tracer_model::table::Table;

/// What has happened so far.
pub(super) struct Report {
    header: Header,
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    begun: u64,
    pub(super) timeline: Timeline,
    pub(super) guests: Guests,
    pub(super) headroom: Headroom,
    pub(super) troubles: Troubles,
}

impl Report {
    pub(super) fn new(header: Header, begun: u64) -> Self {
        let (guests, headroom, troubles) = Default::default();
        Self { header, begun, timeline: Timeline::new(begun), guests, headroom, troubles }
    }

    pub(super) fn update(&mut self, update: &Update<'_>) {
        self.timeline.update(update);
        self.guests.update(update);
        self.headroom.update(update);
        self.troubles.update(update);
    }

    /// Finds the sockets that were there before; those whose beginning has yet to be reported are
    /// left out.
    pub(super) fn read(&mut self, table: &Table, wanted: impl Fn(&Subject) -> bool) {
        let mut sockets = [0; State::COUNT];
        for life in table.connections().filter(|life| !life.is_unannounced()) {
            let subject = life.subject();
            if wanted(&subject) {
                sockets[life.state.index()] += 1;
                self.guests.found(&subject, life.state, life.since);
            }
        }
        self.timeline.reconcile(sockets);
    }

    pub(super) fn html(&self, summary: &Summary, frame: &Frame) -> String {
        let Self { header, begun, timeline, guests, headroom, troubles } = self;
        let title = title(header, frame);
        let sections = [
            troubles.findings_section(frame),
            troubles.lingering_section(frame),
            timeline.states(frame, &troubles.states()),
            timeline.events(frame),
            handshakes::distribution(&summary.lives, frame),
            closes::reasons(&summary.lives, frame),
            guests.section(frame),
            headroom.section(frame),
            facts::completeness(&header.degraded, summary, frame),
        ];
        let page = html! {
            (DOCTYPE)
            html lang=(frame.texts.as_ref().map_or("en", |texts| texts.language().name())) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    header {
                        h1 { (title) }
                        (facts::verdict(troubles, summary, frame))
                        (facts::facts(header, *begun, summary, frame))
                    }
                    main { @for section in sections { (section) } }
                    footer {
                        p { (frame.say("Written by tracer")) " " (header.version) ". " (frame.say(TWICE)) }
                    }
                }
            }
        };
        page.into_string()
    }
}

const TWICE: &str = "A connection within this host counts twice: each end is a socket.";

/// The host, and of a recording the file.
fn title(header: &Header, frame: &Frame) -> String {
    let of = escape(frame.title.as_bytes());
    match &header.host {
        Some(host) if host.name != of => {
            let host = escape(host.name.as_bytes());
            let values: [(&str, &dyn Display); 2] = [("host", &host), ("file", &of)];
            frame.worded("page-title-of-file", &values, format_args!("TCP on {host} ({of})"))
        }
        _ => frame.worded("page-title", &[("host", &of)], format_args!("TCP on {of}")),
    }
}
