//! The code that made leaked sockets.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Line, words::line};
use crate::{
    duration::grouped,
    phrase::{Wording, wording},
    stack::{self, Stack},
};

/// Stacks shown.
const STACKS: usize = 3;

/// The code that made sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Stacks and how many sockets each has made, most first.
    #[serde(with = "by_stack")]
    #[schemars(with = "Vec<by_stack::Counted>")]
    pub stacks: Vec<(Arc<Stack>, u64)>,
    /// Sockets whose stack was not recorded: they were there before.
    pub before: u64,
}

super::counted!(by_stack: #[serde(flatten)] stack: Arc<Stack>);

impl Made {
    /// So many sockets were made.
    pub(super) fn lines(&self, sockets: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        for (stack, count) in self.stacks.iter().take(STACKS) {
            lines.push(line("stack", of_stack(*count, sockets, self.stacks.len() == 1)));
            lines.extend(stack::lines(stack).into_iter().map(|call| line("", call)));
        }
        if let Some(rest) = self.stacks.len().checked_sub(STACKS).filter(|rest| *rest > 0) {
            let rest = Wording::count(rest as u64, "stack");
            lines.push(line("stack", wording!("more-stacks", "{count} more", count = rest)));
        }
        if self.before > 0 {
            lines.push(line(
                "stack",
                wording!(
                    "made-before",
                    "{count} made before this began, or not recorded: observe for longer (--for)",
                    count = Wording::count(self.before, "socket"),
                ),
            ));
        }
        lines
    }
}

/// `412 of 500 sockets, this stack:`
fn of_stack(count: u64, sockets: u64, is_only: bool) -> Wording {
    let stack = if is_only {
        wording!("one-stack", "one stack")
    } else {
        wording!("this-stack", "this stack")
    };
    if count == sockets {
        let count = Wording::count(count, "socket");
        return wording!("all-of-stack", "{count}, {stack}:", [count, stack]);
    }
    wording!(
        "some-of-stack",
        "{count} of {all} sockets, {stack}:",
        [stack],
        count = grouped(count),
        all = grouped(sockets)
    )
}
