//! What a report begins and ends with: the verdict, what was observed, and whether anything is
//! missing.

use maud::{Markup, html};

use super::{
    html::{Frame, section, table, words},
    troubles::Troubles,
};
use crate::text::{duration, grouped};
use tracer_event::{
    escape::escape,
    finding::Severity,
    header::{Degraded, Header, Mode},
    summary::{Lost, Summary},
};

/// The verdict in a sentence.
pub(super) fn verdict(troubles: &Troubles, summary: &Summary) -> Markup {
    let count = |severity| troubles.count(severity);
    let (critical, warning) = (count(Severity::Critical), count(Severity::Warning));
    let (class, mark, words) = match (critical, warning) {
        (0, 0) => ("good", "✓", "No problems found in what was observed.".to_owned()),
        (0, some) => ("warning", "!", format!("{}, none critical: see below.", problems(some))),
        (some, more) => {
            ("bad", "✗", format!("{}, {some} critical: see below.", problems(some + more)))
        }
    };
    html! {
        p.verdict.(class) { span.badge { (mark) } (words) }
        @if !summary.complete {
            p.verdict.warning { span.badge { "!" }
                "Incomplete: some events were lost, the true numbers are higher. "
                a href="#completeness" { "Details" } }
        }
    }
}

fn problems(count: usize) -> String {
    format!("{count} problem{}", if count == 1 { "" } else { "s" })
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
        ("Opened", sockets(summary.established)),
        ("Closed", sockets(summary.ended)),
        ("Data", mode.to_owned()),
        ("Command", format!("tracer {}", options.join(" "))),
    ];
    html! {
        dl.facts {
            @for (name, value) in entries { div { dt { (name) } dd { (words(&value)) } } }
        }
    }
}

fn sockets(count: u64) -> String {
    format!("{} socket{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// What was lost, and what is not available here.
pub(super) fn completeness(degraded: &[Degraded], summary: &Summary) -> Markup {
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
    .map(|(count, what, why)| vec![what.to_owned(), grouped(count), why.to_owned()])
    .collect();
    let reading =
        if lost.is_empty() { "Nothing was lost." } else { "What the numbers above lack." };
    section(
        "completeness",
        "Completeness",
        reading,
        &html! {
            @if !lost.is_empty() { (table(&["What", "Count", "Why"], &lost, 1)) }
            @for missing in degraded {
                p { strong { (missing.feature) } ": " (missing.lost) ". "
                    (escape(missing.reason.as_bytes())) ". Remedy: " (missing.remedy) }
            }
        },
    )
}
