//! Findings in words: a sentence, the evidence, and what to do.

mod evidence;
mod remedy;
mod sentence;
#[cfg(test)]
mod tests;
mod why;

use std::fmt::Write as _;

pub use self::{evidence::evidence, remedy::remedies, sentence::sentence, why::why};
use super::{escape::escape, text::grouped};
use crate::model::{
    endpoint::Endpoint,
    finding::{Listener, Program, Service},
    owner::Process,
};

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about, in a word or two.
    pub label: &'static str,
    /// What is to be said.
    pub text: String,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Remedy {
    /// What, and what it does not do.
    pub text: String,
    /// A command to copy.
    pub command: Option<String>,
}

/// `python3[812]`
fn process(process: &Process) -> String {
    format!("{}[{}]", escape(process.name()), process.pid)
}

/// `python3[812]` of each, by commas, the first three of them.
fn programs(programs: &[Program]) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> =
        programs.iter().take(SHOWN).map(|program| process(&program.process)).collect();
    if programs.len() > SHOWN {
        names.push(format!("{} more", programs.len() - SHOWN));
    }
    if names.is_empty() { "the process that listens".into() } else { names.join(", ") }
}

/// A listener and who holds it, where that can be seen: `:8080`, what comes between, `python3[812]`.
fn whose(from: &Listener, between: &str) -> String {
    let local = listener(from.local);
    let which = match from.candidates {
        0 | 1 => local,
        several => format!("{local} (not known which of {several} that share it)"),
    };
    match from.processes.as_slice() {
        [] => which,
        processes => format!("{which}{between}{}", programs(processes)),
    }
}

/// `:8080` where the address says nothing.
fn listener(local: Endpoint) -> String {
    if local.is_unspecified() { format!(":{}", local.port) } else { local.to_string() }
}

fn service(service: Service) -> String {
    match service {
        Service::Here(local) => format!("to {} here", listener(local)),
        Service::There(peer) => format!("to {peer}"),
    }
}

/// An address, with its port where it has one.
fn end(end: Endpoint) -> String {
    if end.port == 0 { end.address().to_string() } else { end.to_string() }
}

/// `1 connection`, `412 connections`.
fn count(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `5-12, 14, 20`; the rest counted where there are many runs.
fn runs(numbers: &[u32]) -> String {
    const SHOWN: usize = 8;
    let runs: Vec<&[u32]> = numbers.chunk_by(|one, next| one + 1 == *next).collect();
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

/// `12 minutes`, `3 hours`, `5 days`; `less than a minute`.
fn minutes(minutes: f64) -> String {
    match minutes {
        ..1.0 => "less than a minute".into(),
        1.0..120.0 => format!("{minutes:.0} min"),
        120.0..2_880.0 => format!("{:.0} h", minutes / 60.0),
        _ => format!("{:.0} days", minutes / 1_440.0),
    }
}

/// A rate with as many digits as it deserves.
fn rate(rate: f64) -> String {
    if rate.abs() < 10.0 { format!("{rate:.1}") } else { grouped(rate.abs().round() as u64) }
}
