//! How sockets ended.

use maud::{Markup, html};

use super::{
    bars::{Bar, bars, legend},
    section,
    table::folded,
    words::{Kind, of_reason},
};
use crate::sink::{
    summary::Lives,
    text::{grouped, reason},
};

/// Ends by reason.
pub(super) fn closes(lives: &Lives) -> Markup {
    let mut ends = lives.ends.clone();
    ends.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: u64 = ends.iter().map(|(_, count)| count).sum();
    let most = ends.first().map_or(0, |(_, count)| *count);
    let shown: Vec<Bar> = ends
        .iter()
        .map(|&(why, count)| Bar {
            name: reason(why).to_owned(),
            number: grouped(count),
            parts: vec![(of_reason(why).0.class(), grouped(count), count)],
        })
        .collect();
    let rows: Vec<Vec<String>> = ends
        .iter()
        .map(|&(why, count)| {
            let share = format!("{:.1} %", count as f64 * 100.0 / total.max(1) as f64);
            vec![reason(why).to_owned(), grouped(count), share, of_reason(why).1.to_owned()]
        })
        .collect();
    let reading = "How many sockets ended for which reason, as the kernel itself knows it. Of a \
                   connection within this host each end has its own reason.";
    section(
        "closes",
        "How sockets ended",
        reading,
        &html! {
            @if ends.is_empty() {
                p.none { "No socket ended." }
            } @else {
                (legend(&Kind::LEGEND))
                (bars(&shown, most, &[]))
                (folded("What the reasons mean", &["Reason", "Sockets", "Share", "What happened"], &rows, 1))
            }
        },
    )
}
