//! The values of conditions.

use std::ops::RangeInclusive;

use tracer_event::{close::Reason, escape::harmless, subject::Role};
use winnow::{
    Parser as _,
    combinator::{alt, opt},
};

use super::{
    error::{self, Parsed, expected},
    input::{Input, Names, Word},
    words::{spaces, word},
};
use crate::filter::{
    expression::{Condition, Expression, MAX_PID, Operator},
    ports::PortSet,
};

pub(super) const STATES: &str = "a state: listen, syn-sent, syn-recv, established, fin-wait-1, \
    fin-wait-2, close-wait, last-ack, closing, time-wait, closed, or all, connected, \
    synchronized, bucket, big";

pub(super) const NETNS: &str = "a network namespace: host, a name of ip netns, a path, a process \
    id, or an inode number";

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Different,
    Order(Operator),
}

impl Relation {
    pub(super) fn order(self) -> Option<Operator> {
        match self {
            Self::Order(operator) => Some(operator),
            _ => None,
        }
    }

    pub(super) fn is_not(self) -> bool {
        self == Self::Different
    }
}

/// A relation as ss has it, sign or word; equality where there is none.
pub(super) fn operator(input: &mut Input<'_>) -> Parsed<Relation> {
    use Operator::{AtLeast, AtMost, Less, More};
    spaces(input)?;
    let sign = alt((
        "==".value(Relation::Equal),
        "=".value(Relation::Equal),
        "!=".value(Relation::Different),
        ">=".value(Relation::Order(AtLeast)),
        "<=".value(Relation::Order(AtMost)),
        ">".value(Relation::Order(More)),
        "<".value(Relation::Order(Less)),
    ));
    if let Some(sign) = opt(sign).parse_next(input)? {
        return Ok(sign);
    }
    let before = *input;
    let relation = match word(input)?.text.as_str() {
        "eq" => Relation::Equal,
        "ne" | "neq" => Relation::Different,
        "ge" | "geq" => Relation::Order(AtLeast),
        "le" | "leq" => Relation::Order(AtMost),
        "gt" => Relation::Order(More),
        "lt" => Relation::Order(Less),
        _ => {
            *input = before;
            Relation::Equal
        }
    };
    Ok(relation)
}

/// Something that has a value or has not.
pub(super) fn equal(
    input: &mut Input<'_>,
    what: &str,
    read: fn(&str, &dyn Names) -> Result<Condition, String>,
) -> Parsed<Expression> {
    spaces(input)?;
    let sign = alt(("==".value(false), "=".value(false), "!=".value(true)));
    let negated = opt(sign).parse_next(input)?.unwrap_or(false);
    let word = word(input)?;
    if word.text.is_empty() || is_sign(&word) {
        return Err(expected(&word, what));
    }
    let read = read(&word.text, input.state.names).map_err(|wrong| match wrong.is_empty() {
        true => expected(&word, what),
        false => error::of(&word, wrong),
    })?;
    let condition = Expression::Is(read);
    Ok(if negated { condition.not() } else { condition })
}

/// A sign that is no part of a word.
fn is_sign(word: &Word) -> bool {
    word.quoted && word.text.chars().map(char::len_utf8).sum::<usize>() == word.span.len()
}

pub(super) fn pids(text: &str, _: &dyn Names) -> Result<Condition, String> {
    let pid = |text: &str| text.parse().ok().filter(|pid| *pid > 0).ok_or_else(String::new);
    text.split(',').map(pid).collect::<Result<_, _>>().map(Condition::Pid)
}

pub(super) fn comm(text: &str, _: &dyn Names) -> Result<Condition, String> {
    Ok(Condition::Comm(text.into()))
}

pub(super) fn container(text: &str, _: &dyn Names) -> Result<Condition, String> {
    Ok(Condition::Container(text.into()))
}

pub(super) fn cgroup(text: &str, _: &dyn Names) -> Result<Condition, String> {
    Ok(Condition::Cgroup(harmless(text).into_owned()))
}

pub(super) fn namespace(text: &str, names: &dyn Names) -> Result<Condition, String> {
    netns(text, names).map(Condition::Netns)
}

pub(super) fn netns(text: &str, names: &dyn Names) -> Result<u32, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    match (text.strip_prefix("inode:").map(number), number(text)) {
        (Some(inode), _) => inode.ok_or_else(String::new),
        (None, Some(pid @ ..MAX_PID)) => names.netns(&format!("pid:{pid}")),
        (None, Some(inode)) => Ok(inode),
        (None, None) => names.netns(text),
    }
}

pub(super) fn role(text: &str, _: &dyn Names) -> Result<Condition, String> {
    named(&Role::NAMES, text).map(Condition::Role)
}

pub(super) fn reason(text: &str, _: &dyn Names) -> Result<Condition, String> {
    named(&Reason::NAMES, text).map(Condition::Reason)
}

/// What a reason can be.
pub(super) fn reasons() -> String {
    format!("a reason: {}", Reason::NAMES.map(|(name, _)| name).join(", "))
}

fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Result<T, String> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(String::new)
}

/// Nanoseconds; a number alone is in seconds.
pub(super) fn time(text: &str) -> Option<u64> {
    let time = match text.parse() {
        Ok(seconds) => std::time::Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).ok()?,
    };
    u64::try_from(time.as_nanos()).ok()
}

/// Ports, ranges and services, with commas between them.
pub(super) fn ports(text: &str, names: &dyn Names) -> Result<PortSet, String> {
    let ranges = text.split(',').map(|text| range(text, names));
    ranges.collect::<Result<Vec<_>, _>>().map(PortSet::new)
}

fn range(text: &str, names: &dyn Names) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        // getaddrinfo() takes any number for a service, and its last 16 bits for the port.
        let is_name = text.contains(|c: char| c.is_ascii_alphabetic());
        let service = || Some(text).filter(|_| is_name).and_then(|name| names.service(name));
        text.parse().ok().or_else(service)
    };
    if let Some(port) = port(text) {
        return Ok(port..=port);
    }
    let ends = text.split_once('-').and_then(|(first, last)| Some((port(first)?, port(last)?)));
    match ends {
        Some((first, last)) if first <= last => Ok(first..=last),
        Some(_) => Err("expected the lower end of the range first".into()),
        None => {
            Err("expected a port from 1 to 65535, a range such as 8000-8999, or a service such as \
                     https (/etc/services)"
                .into())
        }
    }
}
