//! How long handshakes took.

use hdrhistogram::Histogram;
use maud::{Markup, html};

use super::{
    panel::{columns, figure},
    table::{folded, table},
};
use crate::sink::{
    summary::Lives,
    text::{duration, grouped},
};

const CLIENTS: &str = "From the SYN until the SYN+ACK had come, as this host's clients waited.";
const SERVERS: &str = "From the SYN+ACK until the last ACK had come, as the kernel measured it.";

/// The distribution, for clients and for servers, with the same classes.
fn distribution(lives: &Lives) -> Markup {
    let ends = [("Clients", CLIENTS, &lives.connected), ("Servers", SERVERS, &lives.accepted)];
    let seen: Vec<_> = ends.into_iter().filter(|(.., times)| !times.is_empty()).collect();
    if seen.is_empty() {
        return html! { p.none { "No handshake was completed." } };
    }
    let least = seen.iter().map(|(.., times)| times.min()).min().unwrap_or(1);
    let most = seen.iter().map(|(.., times)| times.max()).max().unwrap_or(1);
    let edges = edges(least, most);
    let rows: Vec<Vec<String>> =
        seen.iter().map(|(name, _, times)| quantiles(name, times)).collect();
    html! {
        div.panels {
            @for (name, caption, times) in &seen {
                (figure(name, caption, &chart(name, times, &edges)))
            }
        }
        (table(&["", "Handshakes", "Half within", "90 % within", "99 % within", "Longest"], &rows, 0))
        (classes(&seen, &edges))
    }
}

/// With its heading.
pub(super) fn section(lives: &Lives) -> Markup {
    let reading = "How many handshakes took how long. Columns further to the right are slower; \
                   each is about twice as slow as the one before. A second heap at 1 s or more is \
                   of SYNs that had to be sent again.";
    super::section("handshakes", "How long handshakes took", reading, &distribution(lives))
}

fn quantiles(name: &str, times: &Histogram<u64>) -> Vec<String> {
    let at = |quantile| duration(times.value_at_quantile(quantile));
    vec![name.to_owned(), grouped(times.len()), at(0.5), at(0.9), at(0.99), duration(times.max())]
}

/// Edges 1, 2, 5, 10, … nanoseconds from one that is not above `least` to one above `most`.
fn edges(least: u64, most: u64) -> Vec<u64> {
    let all = (0..12).flat_map(|power| [1, 2, 5].map(|factor| factor * 10_u64.pow(power)));
    let mut edges: Vec<u64> = Vec::new();
    for edge in all {
        if edge <= least {
            edges.clear();
        }
        edges.push(edge);
        if edge > most {
            break;
        }
    }
    edges
}

fn counts(times: &Histogram<u64>, edges: &[u64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() - 1];
    for step in times.iter_recorded() {
        // A value stands for a class of its own, of two digits: its middle decides.
        let value = times.median_equivalent(step.value_iterated_to());
        let above = edges.partition_point(|edge| *edge <= value);
        let last = counts.len() - 1;
        counts[above.saturating_sub(1).min(last)] += step.count_at_value();
    }
    counts
}

fn class(edges: &[u64]) -> String {
    format!("{} to {}", duration_of_edge(edges[0]), duration_of_edge(edges[1]))
}

/// `20 µs`, without decimals.
fn duration_of_edge(edge: u64) -> String {
    let (unit, name) = match edge {
        ..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{}\u{a0}{name}", edge / unit)
}

fn chart(name: &str, times: &Histogram<u64>, edges: &[u64]) -> Markup {
    let values: Vec<(String, u64)> =
        edges.windows(2).map(class).zip(counts(times, edges)).collect();
    // At most six marks, whatever the range.
    let every = edges.len().div_ceil(6).max(1);
    let marks: Vec<(usize, String)> = edges
        .iter()
        .enumerate()
        .step_by(every)
        .map(|(index, edge)| (index, duration_of_edge(*edge)))
        .collect();
    columns(&format!("{name}: handshakes by how long they took"), &values, &marks)
}

fn classes(seen: &[(&str, &str, &Histogram<u64>)], edges: &[u64]) -> Markup {
    let mut head = vec!["Took"];
    head.extend(seen.iter().map(|(name, ..)| *name));
    let all: Vec<Vec<u64>> = seen.iter().map(|(.., times)| counts(times, edges)).collect();
    let row = |(index, pair): (usize, &[u64])| {
        let numbers = all.iter().map(|counts| grouped(counts[index]));
        std::iter::once(class(pair)).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = edges.windows(2).enumerate().map(row).collect();
    folded("The numbers", &head, &rows, 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(60, 60, &[50, 100])]
    #[case(100, 100, &[100, 200])]
    #[case(30, 1_000, &[20, 50, 100, 200, 500, 1_000, 2_000])]
    fn classes_hold_all_and_begin_where_there_is_something(
        #[case] least: u64,
        #[case] most: u64,
        #[case] expected: &[u64],
    ) {
        assert_eq!(edges(least, most), expected);
    }

    #[test]
    fn every_handshake_is_in_one_class() {
        let mut times = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 2).unwrap();
        for time in (1..2_000).map(|step| step * 977) {
            times.saturating_record(time);
        }
        let edges = edges(times.min(), times.max());
        assert_eq!(counts(&times, &edges).iter().sum::<u64>(), times.len());
    }
}
