//! Words on processes that are told together: of one name, as the workers of a server.

use std::fmt::Write as _;

use super::{
    Line, Program,
    words::{line, name, process, programs},
};
use crate::phrase::{Wording, wording};

/// Their names with what they do, which English says in two ways.
pub(super) fn who_do(all: &[Program], one: &str, several: &str) -> Wording {
    let who = programs(all);
    Wording::new(format!("{who} {}", if all.len() > 1 { several } else { one }), who)
}

/// What stays the same when some of them end and others begin: names and containers.
pub(super) fn kin(all: &[Program]) -> String {
    let of = |one: &Program| (name(Some(&one.process)), one.container.clone());
    let mut kin: Vec<_> = all.iter().map(of).collect();
    kin.sort_unstable();
    kin.dedup();
    format!("{kin:?}")
}

/// The descriptors of the first of them.
pub(super) fn of_fds(fds: &[u32], all: &[Program]) -> Option<Line> {
    let label = match fds {
        [] => return None,
        [_] => "fd",
        _ => "fds",
    };
    let numbers = runs(fds);
    Some(match all {
        [first, _, ..] => {
            let who = process(&first.process);
            line(label, wording!("fds-of", "{fds} of {who}", [who], fds = numbers))
        }
        _ => line(label, numbers),
    })
}

/// `5-12, 14, 20`; the rest counted where there are many runs.
pub(super) fn runs(numbers: &[u32]) -> String {
    const SHOWN: usize = 8;
    let runs: Vec<&[u32]> =
        numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next)).collect();
    let mut text = String::new();
    for run in runs.iter().take(SHOWN) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    if runs.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
