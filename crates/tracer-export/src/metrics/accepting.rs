//! Accept queues now, and how long connections waited in them, by listener and process.

use std::{cmp::Reverse, collections::BTreeMap};

use tracer_event::{endpoint::Endpoint, escape::escape, name::comm};
use tracer_model::{
    accepts::Times,
    table::{Queue, Table},
};

use super::{
    family::{Family, Labels, Points, Unit, label},
    histogram::{ACCEPT, Histogram},
};

/// Listeners whose queues are shown: the longest ones.
const QUEUES: usize = 100;
const SECOND: f64 = 1e9;

/// What is known of accept queues.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepting {
    times: Vec<(Labels, Histogram)>,
    counted: u64,
    /// Length and backlog.
    queues: Vec<(Labels, [f64; 2])>,
}

impl Accepting {
    /// Takes in the current state.
    pub(super) fn stand(&mut self, table: &Table) {
        let times = table.accepts();
        if times.counted() != self.counted {
            self.counted = times.counted();
            self.times = times
                .listeners()
                .map(|(acceptor, times)| {
                    let labels = match acceptor {
                        Some(one) => of_listener(one.netns, one.local, Some(one.comm)),
                        None => others(),
                    };
                    (labels, histogram(times))
                })
                .collect();
        }
        // Listeners of one address and process (SO_REUSEPORT) are one.
        let mut queues: BTreeMap<Labels, [f64; 2]> = BTreeMap::new();
        for Queue { netns, local, comm, length, backlog } in table.accept_queues() {
            let sum = queues.entry(of_listener(netns, local, comm)).or_default();
            sum[0] += f64::from(length);
            sum[1] += f64::from(backlog);
        }
        self.queues = queues.into_iter().collect();
        self.queues.sort_by_key(|(_, [length, _])| Reverse(*length as u64));
        self.queues.truncate(QUEUES);
    }

    pub(super) fn gauges(&self) -> [Family; 2] {
        let gauge = |index: usize| {
            let of = |(labels, sizes): &(Labels, [f64; 2])| (labels.clone(), sizes[index]);
            Points::UpDown(self.queues.iter().map(of).collect())
        };
        let unit = Unit::Of("{connection}");
        [
            Family {
                name: "tracer.accept_queue.length",
                unit,
                help: "Connections that wait for accept(), by listener",
                points: gauge(0),
            },
            Family {
                name: "tracer.accept_queue.backlog",
                unit,
                help: "The most connections that may wait for accept(), by listener",
                points: gauge(1),
            },
        ]
    }

    pub(super) fn histogram(&self) -> Family {
        Family {
            name: "tracer.accept.wait",
            unit: Unit::Seconds,
            help: "Time from ESTABLISHED until accept() returned the connection",
            points: Points::Histogram(self.times.clone()),
        }
    }
}

fn histogram(times: &Times) -> Histogram {
    Histogram { bounds: ACCEPT, counts: times.counts.to_vec(), sum: times.sum as f64 / SECOND }
}

fn of_listener(netns: u32, local: Endpoint, name: Option<[u8; 16]>) -> Labels {
    let name =
        name.map_or_else(|| "unknown".into(), |name| escape(comm::plain(&name)).into_owned());
    vec![
        label("network.local.address", local.address().to_string()),
        label("network.local.port", local.port.to_string()),
        label("process.name", name),
        label("socket.netns", netns.to_string()),
    ]
}

fn others() -> Labels {
    ["network.local.address", "network.local.port", "process.name", "socket.netns"]
        .map(|name| label(name, "other"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_model::accepts::BOUNDS;

    #[test]
    fn the_buckets_are_those_that_the_table_counts_in() {
        let bounds: Vec<u64> = ACCEPT.iter().map(|bound| (bound * SECOND).round() as u64).collect();
        assert_eq!(bounds, BOUNDS);
    }
}
