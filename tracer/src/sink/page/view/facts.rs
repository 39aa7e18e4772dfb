//! What the page begins and ends with: how it looks in a sentence, what was observed, and whether
//! anything is missing.

use maud::{Markup, html};

use super::{Frame, section, table::table};
use crate::{
    model::finding::Severity,
    sink::{
        Mode,
        escape::escape,
        page::Gathered,
        summary::{Lost, Summary},
        text::{duration, grouped},
    },
};

/// How it looks, in a sentence.
pub(super) fn verdict(gathered: &Gathered, summary: &Summary) -> Markup {
    let count = |severity| gathered.troubles.count(severity);
    let (critical, warning) = (count(Severity::Critical), count(Severity::Warning));
    let (class, mark, words) = match (critical, warning) {
        (0, 0) => ("good", "✓", "Nothing is wrong, as far as was seen.".to_owned()),
        (0, some) => ("warning", "!", format!("{}, none critical: see below.", findings(some))),
        (some, more) => {
            ("bad", "✗", format!("{}, {some} critical: see below.", findings(some + more)))
        }
    };
    html! {
        p.verdict.(class) { span.badge { (mark) } (words) }
        @if !summary.complete {
            p.verdict.warning { span.badge { "!" }
                "Incomplete: some events were lost, the numbers are the least. "
                a href="#completeness" { "Details" } }
        }
    }
}

fn sockets(count: u64) -> String {
    format!("{} socket{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn findings(count: usize) -> String {
    format!("{count} thing{} wrong", if count == 1 { " is" } else { "s are" })
}

/// What was observed, when, how.
pub(super) fn facts(gathered: &Gathered, summary: &Summary, frame: &Frame) -> Markup {
    let Gathered { hello, begun, .. } = gathered;
    let options: Vec<String> =
        hello.options.iter().map(|option| escape(option.as_bytes()).into_owned()).collect();
    let taken = frame.clock.now.saturating_sub(*begun);
    let mode = match hello.mode {
        Mode::Btf => "all that the kernel knows of a socket (BTF)",
        Mode::Tracepoint => "addresses, ports and states only (classic tracepoint)",
    };
    let entries = [
        ("Observed", frame.date(*begun)),
        ("For", duration(taken)),
        ("Kernel", escape(hello.kernel.as_bytes()).into_owned()),
        ("Changes", format!("{} of state", grouped(summary.records.transition))),
        ("Opened", sockets(summary.established)),
        ("Ended", sockets(summary.ended)),
        ("Seen", mode.to_owned()),
        ("Command", format!("tracer {}", options.join(" "))),
    ];
    html! {
        dl.facts {
            @for (name, value) in entries { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// What was lost and what could not be had.
pub(super) fn completeness(gathered: &Gathered, summary: &Summary) -> Markup {
    // Of other destinations the page knows nothing.
    let Lost { ring_buffer, recursion, decode, unseen, table: evicted, output, .. } = summary.lost;
    let lost: Vec<Vec<String>> = [
        (
            ring_buffer,
            "Events that did not fit",
            "the reader could not keep up: --buffer-size, if this happens again",
        ),
        (
            recursion,
            "Events skipped by the kernel",
            "the programs were running already on that processor",
        ),
        (decode, "Damaged records", "a fault in the tool: please report it"),
        (evicted, "Sockets given up", "there were more at once than may be tracked"),
        (output, "Lines not written", "the output was too slow"),
        (
            unseen,
            "Events not seen but made good",
            "by what followed, or by the kernel's own list of sockets",
        ),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, what, why)| vec![what.to_owned(), grouped(count), why.to_owned()])
    .collect();
    let reading =
        if lost.is_empty() { "Nothing was lost." } else { "What the numbers on this page lack." };
    let degraded = &gathered.hello.degraded;
    section(
        "completeness",
        "Is anything missing?",
        reading,
        &html! {
            @if !lost.is_empty() { (table(&["What", "How many", "Why"], &lost, 1)) }
            @for missing in degraded {
                p { strong { (missing.feature) } ": " (missing.lost) ". "
                    (escape(missing.reason.as_bytes())) ". Remedy: " (missing.remedy) }
            }
        },
    )
}
