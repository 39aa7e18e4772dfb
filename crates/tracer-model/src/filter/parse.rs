//! The language of filters: what people know from ss(8) and tcpdump(8).
//!
//! `not` binds most; `and`, which may be left out, and `or` bind alike, from left to right. So they do
//! in tcpdump, and in `ss` as well, whatever its manual says (seen with iproute2 6.1). A run of `state`
//! and `exclude` is one set, as there: `state established state time-wait` is either of them.

mod error;
mod host;
mod input;
mod value;
mod words;

use winnow::{
    Parser as _,
    combinator::{Infix, Prefix, alt, expression},
    token::one_of,
};

pub use error::Mistake;
pub use input::{Names, NoNames};

use self::{
    error::{Parsed, expected},
    input::{Input, Word},
    words::{spaces, word},
};
use super::{
    expression::{Comparison, Condition, EVERYTHING, End, Expression, IpVersion, Operator},
    ports::PortSet,
    states::StateSet,
};

/// Longer filters are refused, bytes.
const LONGEST: usize = 8 << 10;
/// Parentheses and negations in one filter at most: each is a step of recursion.
const MOST_NESTED: usize = 100;

/// Reads a filter. `names` knows what services, hosts and namespaces are called.
///
/// # Errors
///
/// The place of the first mistake and what could stand there.
pub fn parse(text: &str, names: &dyn Names) -> Result<Expression, Mistake> {
    let refused =
        |(span, message): (std::ops::Range<usize>, String)| Mistake::new(text, span, &message);
    if text.len() > LONGEST {
        return Err(refused((0..0, format!("a filter has {LONGEST} bytes at most"))));
    }
    let mut input = input::of(text, names);
    let parsed = filter(&mut input).map_err(error::place);
    parsed.map_err(refused)
}

/// The options that say the same as `port`, `sport` and `dport`: a list of ports, ranges and names.
///
/// # Errors
///
/// In one line what is wrong with it.
pub fn ports(text: &str, names: &dyn Names) -> Result<PortSet, String> {
    value::ports(text, names)
}

/// The option that says the same as `host` and `net`: addresses and networks.
///
/// # Errors
///
/// In one line what is wrong with it.
pub fn networks(text: &str, names: &dyn Names) -> Result<Vec<super::expression::Network>, String> {
    host::networks(text, names)
}

/// The option that says the same as `netns`.
///
/// # Errors
///
/// In one line what is wrong with it.
pub fn netns(text: &str, names: &dyn Names) -> Result<u32, String> {
    value::netns(text, names)
}

/// Whether a text begins as a filter does, whatever follows.
pub fn begins(text: &str) -> bool {
    let mut input = input::of(text, &NoNames);
    let first = spaces(&mut input).and_then(|()| word(&mut input));
    first.is_ok_and(|first| match first.quoted {
        true => text.trim_start().starts_with(['(', '!']),
        false => first.is("not") || KEYWORDS.iter().any(|keyword| first.is(keyword)),
    })
}

fn filter(input: &mut Input<'_>) -> Parsed<Expression> {
    spaces(input)?;
    if input.is_empty() {
        return Ok(Expression::ALL);
    }
    let expression = combination(input)?;
    spaces(input)?;
    match input.chars().next() {
        None => Ok(expression),
        Some(')') => Err(error::at(input, "there is no ( for this )")),
        Some(_) => Err(expected(&word(input)?, "and, or, or the end of the filter")),
    }
}

fn combination(input: &mut Input<'_>) -> Parsed<Expression> {
    let and = |_: &mut Input<'_>, one, two| Ok(Expression::all_of([one, two]));
    let or = |_: &mut Input<'_>, one, two| Ok(Expression::any_of([one, two]));
    expression(operand)
        .prefix(negation.map(|()| Prefix(3, |_: &mut Input<'_>, part| Ok(Expression::not(part)))))
        .infix(alt((
            connective("or", "||", '|').map(move |()| Infix::Left(1, or)),
            connective("and", "&&", '&').map(move |()| Infix::Left(1, and)),
            // A condition after another one.
            another.map(move |()| Infix::Left(1, and)),
        )))
        .parse_next(input)
}

/// The word or one of the signs.
fn connective<'i>(
    name: &'static str,
    double: &'static str,
    single: char,
) -> impl FnMut(&mut Input<'i>) -> Parsed<()> {
    move |input| {
        let named = |input: &mut Input<'i>| {
            let word = word(input)?;
            if word.is(name) { Ok(()) } else { Err(error::other(&word)) }
        };
        spaces(input)?;
        alt((double.void(), one_of(single).void(), named)).parse_next(input)
    }
}

fn negation(input: &mut Input<'_>) -> Parsed<()> {
    spaces(input)?;
    let named = |input: &mut Input<'_>| {
        let word = word(input)?;
        if word.is("not") { Ok(()) } else { Err(error::other(&word)) }
    };
    alt((one_of('!').void(), named)).parse_next(input)?;
    nest(input)
}

/// Whether a condition follows, without a connective.
fn another(input: &mut Input<'_>) -> Parsed<()> {
    spaces(input)?;
    match input.chars().next() {
        None | Some(')' | '|' | '&') => Err(error::other(&Word::none(input))),
        Some(_) => Ok(()),
    }
}

fn nest(input: &mut Input<'_>) -> Parsed<()> {
    input.state.nested += 1;
    if input.state.nested > MOST_NESTED {
        let most = format!("more than {MOST_NESTED} parentheses and negations");
        return Err(error::at(input, most));
    }
    Ok(())
}

fn operand(input: &mut Input<'_>) -> Parsed<Expression> {
    spaces(input)?;
    if input.starts_with('(') {
        return parenthesized(input);
    }
    let word = word(input)?;
    if word.is("not") || word.text == "!" {
        return Err(error::other(&word));
    }
    condition(input, &word)
}

fn parenthesized(input: &mut Input<'_>) -> Parsed<Expression> {
    nest(input)?;
    let open = Word::none(input);
    one_of('(').void().parse_next(input)?;
    let inner = combination(input)?;
    spaces(input)?;
    if input.starts_with(')') {
        one_of(')').void().parse_next(input)?;
        Ok(inner)
    } else if input.is_empty() {
        Err(error::of(&open, "there is no ) for this ("))
    } else {
        Err(expected(&word(input)?, "and, or or )"))
    }
}

/// What a condition begins with.
const KEYWORDS: [&str; 29] = [
    "state",
    "exclude",
    "port",
    "sport",
    "dport",
    "portrange",
    "host",
    "net",
    "src",
    "dst",
    "ip",
    "ip6",
    "pid",
    "comm",
    "netns",
    "container",
    "cgroup",
    "role",
    "reason",
    "age",
    "handshake",
    "problem",
    EVERYTHING,
    "excl",
    "ipv4",
    "ipv6",
    "inet",
    "inet6",
    "problems",
];
/// Those of them that are no other spelling of one.
const DISTINCT: usize = 22;

/// For those who have written something else.
fn conditions() -> String {
    format!("a condition: {}", KEYWORDS[..DISTINCT].join(", "))
}

fn condition(input: &mut Input<'_>, keyword: &Word) -> Parsed<Expression> {
    let name = keyword.text.to_ascii_lowercase();
    let condition = match name.as_str() {
        _ if keyword.quoted => return Err(expected(keyword, &conditions())),
        EVERYTHING => return Ok(Expression::ALL),
        "state" | "exclude" | "excl" => Condition::State(states(input, name == "state")?),
        "port" | "portrange" => return port(input, End::Either),
        "sport" => return port(input, End::Local),
        "dport" => return port(input, End::Peer),
        "host" | "net" => return host::condition(input, End::Either, name == "net"),
        "src" => return qualified(input, End::Local),
        "dst" => return qualified(input, End::Peer),
        "ip" | "ipv4" | "inet" => Condition::Version(IpVersion::V4),
        "ip6" | "ipv6" | "inet6" => Condition::Version(IpVersion::V6),
        "pid" => return value::equal(input, "process ids as 4711 or 1,2", value::pids),
        "comm" => return value::equal(input, "the name of a process", value::comm),
        "netns" => return value::equal(input, value::NETNS, value::namespace),
        "container" => {
            return value::equal(input, "the id or name of a container", value::container);
        }
        "cgroup" => {
            return value::equal(input, "a path, or a unit as nginx.service", value::cgroup);
        }
        "role" => return value::equal(input, "client, server or listener", value::role),
        "reason" => return value::equal(input, &value::reasons(), value::reason),
        "age" => Condition::Age(time(input)?),
        "handshake" => Condition::Handshake(time(input)?),
        "problem" | "problems" => Condition::Problem,
        _ if keyword.text.starts_with(|c: char| c.is_ascii_digit() || c == ':') => {
            return Err(expected(keyword, "a condition (several values are written 80,443)"));
        }
        _ => return Err(expected(keyword, &conditions())),
    };
    Ok(condition.into())
}

/// `src` and `dst`: an address, or as tcpdump has it the kind of what follows.
fn qualified(input: &mut Input<'_>, end: End) -> Parsed<Expression> {
    let before = *input;
    let kind = word(input)?;
    match kind.text.to_ascii_lowercase().as_str() {
        "port" | "portrange" if !kind.quoted => port(input, end),
        "host" if !kind.quoted => host::condition(input, end, false),
        "net" if !kind.quoted => host::condition(input, end, true),
        _ => {
            *input = before;
            host::condition(input, end, false)
        }
    }
}

/// The set of a run of `state` and `exclude`, of which the first has been read.
fn states(input: &mut Input<'_>, included: bool) -> Parsed<StateSet> {
    let mut set = if included { StateSet::NONE } else { StateSet::ALL };
    let mut included = included;
    loop {
        let word = word(input)?;
        let named = |name: &str| StateSet::named(name).ok_or(());
        let Ok(named) = word.text.split(',').map(named).collect::<Result<Vec<_>, ()>>() else {
            return Err(expected(&word, value::STATES));
        };
        let named = named.into_iter().fold(StateSet::NONE, StateSet::with);
        set = if included { set.with(named) } else { set.without(named) };
        let before = *input;
        included = match self::word(input)? {
            next if next.is("state") => true,
            next if next.is("exclude") || next.is("excl") => false,
            _ => {
                *input = before;
                return Ok(set);
            }
        };
    }
}

fn port(input: &mut Input<'_>, end: End) -> Parsed<Expression> {
    let operator = value::operator(input)?;
    let word = word(input)?;
    let text = word.text.strip_prefix(':').unwrap_or(&word.text);
    let set = value::ports(text, input.state.names).map_err(|it| error::value(&word, &it))?;
    let is = |set| Expression::Is(Condition::Port(end, set));
    let Some(operator) = operator.order() else {
        return Ok(if operator.is_not() { is(set).not() } else { is(set) });
    };
    let limit = set.single().ok_or_else(|| expected(&word, "one port"))?;
    let range = match operator {
        Operator::Less => limit.checked_sub(1).map(|last| 0..=last),
        Operator::AtMost => Some(0..=limit),
        Operator::More => limit.checked_add(1).map(|first| first..=u16::MAX),
        Operator::AtLeast => Some(limit..=u16::MAX),
    };
    let range = range.ok_or_else(|| error::of(&word, "no port is beyond this one"))?;
    Ok(is(PortSet::new([range])))
}

fn time(input: &mut Input<'_>) -> Parsed<Comparison> {
    let at = Word::none(input);
    let operator = value::operator(input)?.order();
    let operator = operator.ok_or_else(|| expected(&at.or_next(input), "<, <=, > or >="))?;
    let word = word(input)?;
    let limit = value::time(&word.text);
    let limit = limit.ok_or_else(|| expected(&word, "a time as 30s, 100ms or 5m"))?;
    Ok(Comparison { operator, limit })
}
