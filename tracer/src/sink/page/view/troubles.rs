//! Findings with what to do, and sockets that linger.

use maud::{Markup, html};

use super::{Frame, section, table::table};
use crate::{
    model::finding::Severity,
    sink::{
        escape::escape,
        finding::{evidence, remedies, sentence},
        page::{
            Gathered,
            troubles::{Group, Lingering, Trouble},
        },
        text::{duration, grouped},
    },
};

/// What is wrong, worst first.
pub(super) fn findings(gathered: &Gathered, frame: &Frame) -> Markup {
    let found = gathered.troubles.findings();
    let reading = "The worst first, as it was at the worst, with what shows it and what to do. \
                   Commands are to be copied; nothing has been changed.";
    section(
        "findings",
        "What is wrong",
        reading,
        &html! {
            @if found.is_empty() { p.none { "Nothing was found to be wrong." } }
            @for trouble in found { (finding(trouble, frame)) }
            @if gathered.troubles.unlisted > 0 {
                p { (grouped(gathered.troubles.unlisted)) " more findings were too many to keep." }
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
    let told = match ended {
        Some(ended) => format!("{} to {}", frame.time(*began), frame.time(*ended)),
        None => format!("seen at {}, not over", frame.time(*began)),
    };
    html! {
        article.(class) {
            h3 { span.badge { (worst.severity.name()) } (sentence(worst)) }
            p.when { (told) }
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
    let troubles = &gathered.troubles;
    let rows: Vec<Vec<String>> =
        troubles.lingering.iter().map(|(group, of)| row(group, of)).collect();
    let reading = "Sockets that stayed in a state for longer than a healthy connection does \
                   (--linger sets the times), and why.";
    section(
        "lingering",
        "What lingers",
        reading,
        &html! {
            @if rows.is_empty() { p.none { "No socket outlasted the time for its state." } }
            @else {
                (table(&["State", "Sockets", "There still", "Longest", "Process", "Far end", "Why"], &rows, 3))
            }
            @if troubles.others.flagged > 0 {
                p { (grouped(troubles.others.flagged)) " more, of others." }
            }
        },
    )
}

fn row(group: &Group, of: &Lingering) -> Vec<String> {
    let process = group.process.map(|(comm, pid)| {
        let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
        format!("{}[{pid}]", escape(&comm[..end]))
    });
    let longest = format!("{}{}", if of.at_least { "≥ " } else { "" }, duration(of.longest));
    vec![
        group.state.name().to_owned(),
        grouped(of.flagged),
        grouped(of.flagged - of.left),
        longest,
        process.unwrap_or_else(|| "not known".into()),
        group.peer.clone(),
        of.why.clone().unwrap_or_default(),
    ]
}
