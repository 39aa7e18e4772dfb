//! `descriptors`: a process has hardly a descriptor left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Descriptors, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    remedies::{advice, command},
    words::{growth, line, none_left, of_program, process, service},
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
    /// What most of them are, where it is not known to leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
}

/// Connections that a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holds {
    /// TCP sockets.
    pub sockets: u64,
    /// What most of these have in common.
    pub service: Service,
    /// How many of them.
    pub of_service: u64,
    /// How many of all have moved no data for ten seconds.
    pub idle: u64,
    /// Other processes of the same name that have hardly a descriptor left either.
    pub others: u64,
}

impl Explain for OutOfDescriptors {
    fn about() -> About {
        About {
            when: "a process that leaks connections uses 80 % of its descriptors, or has less than an hour left; \
             critical from 95 %, or with less than ten minutes. Or one uses 80 %, half of them TCP sockets: info, a \
             warning from 95 % or with less than an hour left, critical with none or less than ten minutes",
            evidence: "/proc/PID/fd and the soft limit of the process, in both snapshots",
            unknown: "descriptors that are no sockets and grow for another reason: they count, but nothing says why",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let Descriptors { open, limit, minutes_left, .. } = self.descriptors;
        let others = self.holds.map_or(0, |holds| holds.others);
        let others = (others > 0).then(|| {
            wording!("so-do-others", "; {count} more of that name too", count = grouped(others))
        });
        wording!(
            "descriptors-used",
            "{who} has {open} of {limit} descriptors open{left}{others}",
            [others],
            who = process(&self.program.process),
            open = grouped(open),
            limit = grouped(limit),
            left = none_left(minutes_left)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = of_program(&self.program).into_iter().collect();
        lines.push(line("growth", growth(self.descriptors.growth)));
        if let Some(Holds { sockets, service: most, of_service, idle, .. }) = self.holds {
            let words = wording!(
                "holds-sockets",
                "{sockets} TCP sockets, {idle} of them without data for ten seconds; {most}",
                sockets = grouped(sockets),
                idle = grouped(idle),
                most = {
                    let (count, of) = (Wording::count(of_service, "connection"), service(most));
                    wording!("some-with", "{count} {service}", count = count, service = of)
                }
            );
            lines.push(line("of these", words));
        }
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let pid = self.program.process.pid;
        let limit = self.descriptors.limit.saturating_mul(2);
        let who = process(&self.program.process);
        let first = match self.holds {
            None => wording!(
                "remedy-stop-leak",
                "stop the leak: {who} then gets its descriptors back",
                [who]
            ),
            Some(_) => wording!(
                "remedy-close-idle",
                "{who} should close what nobody needs: answers that have been read, idle connections of a pool \
                 or of clients; if all are in use, it needs more",
                [who]
            ),
        };
        vec![
            advice(first),
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

    fn sockets(&self) -> Sockets<'_> {
        let others = self.holds.map_or(0, |holds| holds.others);
        Sockets::default().owned_by([&self.program]).and_others(others)
    }

    /// Below the leak that they follow from.
    fn count(&self) -> u64 {
        0
    }

    fn key(&self) -> String {
        self.program.process.pid.to_string()
    }
}
