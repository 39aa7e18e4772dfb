//! How long handshakes took.

use hdrhistogram::Histogram;
use maud::{Markup, html};

use super::{
    chart::{columns, figure, nanoseconds},
    html::Frame,
};
use crate::text::{duration, grouped};
use tracer_event::summary::Lives;

const CLIENTS: &str = "From sending the SYN to receiving the SYN+ACK.";
const SERVERS: &str = "From sending the SYN+ACK to receiving the ACK, as the kernel measured it.";

/// The distribution, for clients and for servers, with the same classes.
pub(super) fn distribution(lives: &Lives, frame: &Frame) -> Markup {
    let ends = [("Clients", CLIENTS, &lives.connected), ("Servers", SERVERS, &lives.accepted)];
    let seen: Vec<_> = ends.into_iter().filter(|(.., times)| !times.is_empty()).collect();
    let reading = "How many handshakes took how long. Each column is about twice as slow as the \
                   one to its left. A second peak at 1 s or more is of handshakes whose SYN was \
                   retransmitted.";
    let content = frame.unless(seen.is_empty(), "No handshake was completed.", || {
        let least = seen.iter().map(|(.., times)| times.min()).min().unwrap_or(1);
        let most = seen.iter().map(|(.., times)| times.max()).max().unwrap_or(1);
        let edges = edges(least, most);
        let names: Vec<String> = edges.iter().map(|edge| nanoseconds(*edge)).collect();
        let all: Vec<Vec<u64>> = seen.iter().map(|(.., times)| counts(times, &edges)).collect();
        let rows: Vec<Vec<String>> =
            seen.iter().map(|(name, _, times)| percentiles(frame.say(name), times)).collect();
        let columns_of = ["", "Handshakes", "Median", "90 %", "99 %", "Longest"];
        let head: Vec<&str> =
            std::iter::once("Duration").chain(seen.iter().map(|(name, ..)| *name)).collect();
        let to = format!(" {} ", frame.say("to"));
        let row = |(index, pair): (usize, &[String])| {
            let numbers = all.iter().map(|counts| grouped(counts[index]));
            std::iter::once(pair.join(&to)).chain(numbers).collect()
        };
        let classes: Vec<Vec<String>> = names.windows(2).enumerate().map(row).collect();
        html! {
            div.panels {
                @for ((name, caption, _), counts) in seen.iter().zip(&all) {
                    @let name = frame.say(name);
                    @let label = format!("{name}: {}", frame.say("handshakes by duration"));
                    (figure(name, frame.say(caption), &columns(&label, &names, &to, counts)))
                }
            }
            (frame.table(&columns_of, &rows, 0))
            (frame.folded("Numbers", &head, &classes, 0))
        }
    });
    frame.section("handshakes", "Handshake times", reading, &content)
}

fn percentiles(name: &str, times: &Histogram<u64>) -> Vec<String> {
    let at = |quantile| duration(times.value_at_quantile(quantile));
    vec![name.to_owned(), grouped(times.len()), at(0.5), at(0.9), at(0.99), duration(times.max())]
}

/// Edges 1, 2, 5, 10, … nanoseconds from one that is not above `least` to one above `most`.
fn edges(least: u64, most: u64) -> Vec<u64> {
    let all: Vec<u64> =
        (0..12).flat_map(|power| [1, 2, 5].map(|factor| factor * 10_u64.pow(power))).collect();
    let (last_but_one, last) = (all.len() - 2, all.len() - 1);
    let first = all.partition_point(|edge| *edge <= least).saturating_sub(1).min(last_but_one);
    let last = all.partition_point(|edge| *edge <= most).clamp(first + 1, last);
    all[first..=last].to_vec()
}

fn counts(times: &Histogram<u64>, edges: &[u64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() - 1];
    let last = counts.len() - 1;
    for step in times.iter_recorded() {
        // The histogram keeps two digits: the middle of a value's class decides.
        let value = times.median_equivalent(step.value_iterated_to());
        let above = edges.partition_point(|edge| *edge <= value);
        counts[above.saturating_sub(1).min(last)] += step.count_at_value();
    }
    counts
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(60, 60, &[50, 100])]
    #[case(100, 100, &[100, 200])]
    #[case::longer_than_any(600_000_000_000, 600_000_000_000, &[200_000_000_000, 500_000_000_000])]
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
