//! `descriptors`: a process has hardly a descriptor left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Descriptors, Explain, Line, Program, Remedy, Severity,
    remedies::{advice, command},
    words::{growth, line, none_left, of_program, process},
};
use crate::{
    duration::grouped,
    phrase::{Wording, wording},
};

/// A process with hardly a descriptor left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfDescriptors {
    /// Which.
    #[serde(rename = "process")]
    pub program: Program,
    /// How many it has.
    pub descriptors: Descriptors,
}

impl Explain for OutOfDescriptors {
    fn about() -> About {
        About {
            when: "a process that leaks connections uses 80 % of its descriptors, or has less than an hour left; \
             critical from 95 %, or with less than ten minutes",
            evidence: "/proc/PID/fd and the soft limit of the process, in both snapshots",
            unknown: "descriptors that are no sockets and grow for another reason: they count, but nothing says why",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let Descriptors { open, limit, minutes_left, .. } = self.descriptors;
        wording!(
            "descriptors-used",
            "{who} has {open} of {limit} descriptors open{left}",
            who = process(&self.program.process),
            open = grouped(open),
            limit = grouped(limit),
            left = none_left(minutes_left)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = of_program(&self.program).into_iter().collect();
        lines.push(line("growth", growth(self.descriptors.growth)));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let pid = self.program.process.pid;
        let limit = self.descriptors.limit.saturating_mul(2);
        vec![
            advice(wording!(
                "remedy-stop-leak",
                "stop the leak: {who} then gets its descriptors back",
                who = process(&self.program.process),
            )),
            command(
                wording!(
                    "remedy-more-descriptors",
                    "more time, until the next restart; raises the hard limit only if it is lower"
                ),
                format!(
                    "prlimit --pid {pid} --nofile={limit}: 2>/dev/null \
                     || prlimit --pid {pid} --nofile={limit}:{limit}"
                ),
            ),
        ]
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.program.process.pid]
    }

    /// Below the leak that they follow from.
    fn count(&self) -> u64 {
        0
    }

    fn key(&self) -> String {
        self.program.process.pid.to_string()
    }
}
