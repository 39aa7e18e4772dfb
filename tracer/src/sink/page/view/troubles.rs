//! Findings with what to do, and sockets that are stuck.

use maud::{Markup, html};

use super::{
    part::{Frame, process, section, unless},
    table::table,
};
use crate::{
    model::finding::Severity,
    sink::{
        finding::{evidence, remedies, sentence},
        page::{
            gathered::Gathered,
            troubles::{Group, Lingering, Trouble},
        },
        text::{duration, grouped},
    },
};

/// Findings, worst first.
pub(super) fn findings(gathered: &Gathered, frame: &Frame) -> Markup {
    let found = gathered.troubles.findings();
    let reading = "The worst first, each as it was at its worst, with its evidence and what to do. \
                   Commands are to be copied; nothing has been changed.";
    section(
        "findings",
        "Problems",
        reading,
        &html! {
            @if found.is_empty() { p.none { "No problems were found." } }
            @for trouble in found { (finding(trouble, frame)) }
            @if gathered.troubles.unlisted > 0 {
                p { (grouped(gathered.troubles.unlisted)) " more findings are not listed." }
            }
        },
    )
}

fn finding(trouble: &Trouble, frame: &Frame) -> Markup {
    let Trouble { began, worst, ended, .. } = trouble;
    let class = match worst.severity {
        Severity::Critical => "bad",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let when = match ended {
        Some(ended) => format!("{} to {}", frame.time(*began), frame.time(*ended)),
        None => format!("since {}, not over", frame.time(*began)),
    };
    html! {
        article.(class) {
            h3 { span.badge { (worst.severity.name()) } (sentence(worst)) }
            p.when { (when) }
            dl {
                @for line in evidence(worst) { div { dt { (line.label) } dd { (line.text) } } }
            }
            h4 { "What to do" }
            ul {
                @for remedy in remedies(worst) {
                    li { (remedy.text) @if let Some(command) = remedy.command { pre { (command) } } }
                }
            }
        }
    }
}

/// Sockets that outlasted the threshold of their state.
pub(super) fn lingering(gathered: &Gathered) -> Markup {
    let lingering = &gathered.troubles.lingering;
    let mut groups = lingering.sorted();
    groups.sort_by_cached_key(|(Group { state, process, peer, cause }, _)| {
        (*state, *process, peer.to_string(), *cause)
    });
    let rows: Vec<Vec<String>> = groups.into_iter().map(|(group, of)| row(group, of)).collect();
    let columns = ["State", "Sockets", "Still there", "Longest", "Process", "Peer", "Why"];
    let reading = "Sockets that stayed in a state longer than a healthy connection does (--linger \
                   sets the thresholds), and why.";
    section(
        "lingering",
        "Stuck sockets",
        reading,
        &html! {
            (unless(rows.is_empty(), "No socket exceeded the threshold of its state.", || {
                table(&columns, &rows, 3)
            }))
            @if lingering.others.flagged > 0 {
                p { (grouped(lingering.others.flagged)) " more in smaller groups." }
            }
        },
    )
}

fn row(group: &Group, of: &Lingering) -> Vec<String> {
    let owner = group.process.map(|(comm, pid)| process(&comm, Some(pid)));
    vec![
        group.state.name().to_owned(),
        grouped(of.flagged),
        grouped(of.flagged - of.left),
        format!("{}{}", if of.at_least { "≥ " } else { "" }, duration(of.longest)),
        owner.unwrap_or_else(|| "unknown".into()),
        group.peer.to_string(),
        of.why.clone().unwrap_or_default(),
    ]
}
