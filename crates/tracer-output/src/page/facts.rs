//! What a report begins and ends with: the verdict, what was observed, and whether anything is
//! missing.

use std::fmt::Display;

use maud::{Markup, html};

use super::{
    html::{Frame, words},
    troubles::Troubles,
};
use crate::text::{duration, grouped};
use tracer_event::{
    duration::count,
    escape::escape,
    finding::Severity,
    header::{Degraded, Header, Mode},
    summary::{Lost, Summary},
};

const INCOMPLETE: &str = "Incomplete: some events were lost, the true numbers are higher.";

/// The verdict in a sentence.
pub(super) fn verdict(troubles: &Troubles, summary: &Summary, frame: &Frame) -> Markup {
    let of = |severity| troubles.count(severity);
    let (critical, warning) = (of(Severity::Critical), of(Severity::Warning));
    let (class, mark, words) = match (critical, warning) {
        (0, 0) => {
            let words = match of(Severity::Info) {
                0 => frame.say("No problems found in what was observed.").to_owned(),
                some => {
                    let found = count(some as u64, "finding");
                    let english = format_args!("No problems; {found} for information: see below.");
                    frame.worded("page-only-info", &[("count", &some)], english)
                }
            };
            ("good", "✓", words)
        }
        (0, some) => {
            let english = format_args!("{}, none critical: see below.", problems(some));
            ("warning", "!", frame.worded("page-none-critical", &[("count", &some)], english))
        }
        (some, more) => {
            let all = some + more;
            let english = format_args!("{}, {some} critical: see below.", problems(all));
            let values: [(&str, &dyn Display); 2] = [("count", &all), ("critical", &some)];
            ("bad", "✗", frame.worded("page-critical", &values, english))
        }
    };
    html! {
        p.verdict.(class) { span.badge { (mark) } (words) }
        @if !summary.complete {
            p.verdict.warning { span.badge { "!" }
                (frame.say(INCOMPLETE)) " " a href="#completeness" { (frame.say("Details")) } }
        }
    }
}

fn problems(number: usize) -> String {
    count(number as u64, "problem")
}

/// What was observed, when, how.
pub(super) fn facts(header: &Header, begun: u64, summary: &Summary, frame: &Frame) -> Markup {
    let options: Vec<_> = header.options.iter().map(|option| escape(option.as_bytes())).collect();
    let mode = match header.mode {
        Mode::Btf => "all that the kernel knows of a socket (BTF)",
        Mode::Tracepoint => "addresses, ports and states only (classic tracepoint)",
    };
    // With the offset from UTC.
    let [start, end] = [begun, frame.clock.now]
        .map(|time| frame.zoned(time).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    let entries = [
        ("Start", start),
        ("End", end),
        ("Duration", duration(frame.clock.now.saturating_sub(begun))),
        ("Kernel", escape(header.kernel.as_bytes()).into_owned()),
        ("Transitions", grouped(summary.records.transition)),
        ("Opened", sockets(summary.established, frame)),
        ("Closed", sockets(summary.ended, frame)),
        ("Data", frame.say(mode).to_owned()),
        ("Command", format!("tracer {}", options.join(" "))),
    ];
    html! {
        dl.facts {
            @for (name, value) in entries { div { dt { (frame.say(name)) } dd { (words(&value)) } } }
        }
    }
}

fn sockets(sockets: u64, frame: &Frame) -> String {
    let (number, english) = (grouped(sockets), count(sockets, "socket"));
    frame.worded("page-sockets", &[("count", &number)], format_args!("{english}"))
}

/// What was lost, and what is not available here.
pub(super) fn completeness(degraded: &[Degraded], summary: &Summary, frame: &Frame) -> Markup {
    // Losses of other outputs do not concern the report.
    let Lost { ring_buffer, recursion, decode, unseen, table: evicted, output, .. } = summary.lost;
    let lost: Vec<Vec<String>> = [
        (ring_buffer, "Events lost", "the ring buffer was full: consider --buffer-size"),
        (recursion, "Events lost", "the kernel skipped the program: it was already running"),
        (decode, "Damaged records", "a fault in the tool: please report it"),
        (evicted, "Sockets not tracked any more", "there were too many"),
        (output, "Lines not written", "the output was too slow"),
        (unseen, "Unseen transitions", "inferred from what followed, or from a snapshot"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, what, why)| {
        vec![frame.say(what).to_owned(), grouped(count), frame.say(why).to_owned()]
    })
    .collect();
    let reading =
        if lost.is_empty() { "Nothing was lost." } else { "What the numbers above lack." };
    frame.section(
        "completeness",
        "Completeness",
        reading,
        &html! {
            @if !lost.is_empty() { (frame.table(&["What", "Count", "Why"], &lost, 1)) }
            @for missing in degraded {
                p { strong { (frame.say(&missing.feature)) } ": " (frame.say(&missing.lost)) ". "
                    (escape(frame.say(&missing.reason).as_bytes())) ". " (frame.say("Remedy:")) " "
                    (frame.say(&missing.remedy)) }
            }
        },
    )
}
