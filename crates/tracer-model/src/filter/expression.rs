//! What a filter says: conditions, combined. Printed, it is the language that
//! [`parse`](super::parse::parse) reads.

use std::fmt;

use ipnet::IpNet;
use tracer_event::{close::Reason, endpoint::Endpoint, subject::Role};

use super::{ports::PortSet, states::StateSet};

/// A combination of conditions.
///
/// Made by [`Self::all_of`], [`Self::any_of`] and [`Self::not`], it has one form for one meaning as
/// far as nesting goes: no conjunction directly within a conjunction, none of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// All of them hold; without any, everything is wanted.
    And(Vec<Self>),
    /// One of them holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A condition.
    Is(Condition),
}

/// What a socket, or what happens to it, can be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// State of a socket; of a state change the one that is left or entered.
    State(StateSet),
    /// Port.
    Port(End, PortSet),
    /// Address in one of these networks.
    Address(End, Vec<Network>),
    /// Version of the Internet Protocol.
    Version(IpVersion),
    /// One of these processes holds the socket.
    Pid(Vec<u32>),
    /// A process of this name holds the socket; the kernel keeps 15 bytes.
    Comm(String),
    /// Network namespace, inode number.
    Netns(u32),
    /// Id of a container (or the beginning of it) or its name.
    Container(String),
    /// Path of a control group, or unit of systemd, escaped as
    /// [`Cgroup::path`](tracer_event::container::Cgroup::path) is.
    Cgroup(String),
    /// Part that the socket plays.
    Role(Role),
    /// Why the connection is over.
    Reason(Reason),
    /// Time in its state, nanoseconds; of a connection that is over its duration.
    Age(Comparison),
    /// Time that the handshake took, nanoseconds.
    Handshake(Comparison),
    /// Something went wrong, or is stuck.
    Problem,
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Our own.
    Local,
    /// The peer's.
    Peer,
    /// Any of the two.
    Either,
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4, v4-mapped addresses included.
    V4,
    /// IPv6.
    V6,
}

/// A network, and of link-local addresses the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The addresses.
    pub net: IpNet,
    /// Name or number of the interface, escaped.
    pub zone: Option<String>,
}

impl Network {
    /// Whether an end is in it.
    pub fn contains(&self, end: Endpoint) -> bool {
        self.net.contains(&end.address())
            && self.zone.as_ref().is_none_or(|name| end.zone().is_called(name))
    }
}

impl From<IpNet> for Network {
    fn from(net: IpNet) -> Self {
        Self { net, zone: None }
    }
}

/// A time compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How.
    pub operator: Operator,
    /// The limit, nanoseconds.
    pub limit: u64,
}

/// How a time compares with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Operator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether a value compares so with a limit.
    pub fn holds<T: PartialOrd>(self, value: &T, limit: &T) -> bool {
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::More => value > limit,
            Self::AtLeast => value >= limit,
        }
    }
}

impl Expression {
    /// Wants everything.
    pub const ALL: Self = Self::And(Vec::new());

    /// All of these hold.
    pub fn all_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::And(parts) => parts,
            part => vec![part],
        });
        Self::single(flat.collect()).unwrap_or_else(Self::And)
    }

    /// One of these holds; none of none.
    pub fn any_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let flat = parts.into_iter().flat_map(|part| match part {
            Self::Or(parts) => parts,
            part => vec![part],
        });
        Self::single(flat.collect()).unwrap_or_else(Self::Or)
    }

    fn single(mut parts: Vec<Self>) -> Result<Self, Vec<Self>> {
        match (parts.len(), parts.pop()) {
            (1, Some(part)) => Ok(part),
            (_, part) => {
                parts.extend(part);
                Err(parts)
            }
        }
    }

    /// This one does not hold.
    #[expect(clippy::should_implement_trait, reason = "the word of the language")]
    pub fn not(self) -> Self {
        match self {
            Self::Not(part) => *part,
            part => Self::Not(Box::new(part)),
        }
    }

    /// Those of its conditions of which something that holds makes it more likely to be wanted.
    pub fn affirmed(&self) -> Vec<&Condition> {
        let mut found = Vec::new();
        self.collect_affirmed(true, &mut found);
        found
    }

    fn collect_affirmed<'a>(&'a self, affirmed: bool, found: &mut Vec<&'a Condition>) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect_affirmed(affirmed, found));
            }
            Self::Not(part) => part.collect_affirmed(!affirmed, found),
            Self::Is(condition) => found.extend(affirmed.then_some(condition)),
        }
    }

    /// Its conditions, in order.
    pub fn conditions(&self) -> Vec<&Condition> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::conditions).collect(),
            Self::Not(part) => part.conditions(),
            Self::Is(condition) => vec![condition],
        }
    }
}

impl Condition {
    /// Whether it is about what happens to a socket, not about what it is for its whole life.
    pub fn is_of_moment(&self) -> bool {
        use Condition::{Age, Handshake, Problem, Reason, State};
        matches!(self, State(_) | Reason(_) | Age(_) | Handshake(_) | Problem)
    }
}

impl From<Condition> for Expression {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) if parts.is_empty() => f.write_str(EVERYTHING),
            Self::Or(parts) if parts.is_empty() => write!(f, "not {EVERYTHING}"),
            Self::And(parts) => joined(f, parts, " and ", |part| matches!(part, Self::Or(_))),
            Self::Or(parts) => joined(
                f,
                parts,
                " or ",
                |part| matches!(part, Self::And(parts) if !parts.is_empty()),
            ),
            Self::Not(part) if matches!(**part, Self::Is(_)) => write!(f, "not {part}"),
            Self::Not(part) => write!(f, "not ({part})"),
            Self::Is(condition) => condition.fmt(f),
        }
    }
}

/// Process ids are smaller (`PID_MAX_LIMIT`, include/linux/threads.h); inode numbers of namespaces
/// begin at `PROC_DYNAMIC_FIRST`, fs/proc/generic.c, far beyond.
pub(super) const MAX_PID: u32 = 1 << 22;

/// The condition that always holds, as tcpdump has it.
pub(super) const EVERYTHING: &str = "tcp";

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    word: &str,
    needs_parentheses: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        let word = if index == 0 { "" } else { word };
        match needs_parentheses(part) {
            true => write!(f, "{word}({part})")?,
            false => write!(f, "{word}{part}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(StateSet::NONE) => f.write_str("exclude all"),
            Self::State(states) => write!(f, "state {states}"),
            Self::Port(end, ports) => write!(f, "{} {ports}", end.of("sport", "dport", "port")),
            Self::Address(end, networks) => {
                let hosts = networks.iter().all(|network| is_host(&network.net));
                let either = if hosts { "host" } else { "net" };
                let list: Vec<_> = networks.iter().map(ToString::to_string).collect();
                write!(f, "{} {}", end.of("src", "dst", either), quoted(&list.join(",")))
            }
            Self::Version(IpVersion::V4) => f.write_str("ip"),
            Self::Version(IpVersion::V6) => f.write_str("ip6"),
            Self::Pid(pids) => {
                let list: Vec<_> = pids.iter().map(ToString::to_string).collect();
                write!(f, "pid {}", list.join(","))
            }
            Self::Comm(name) => write!(f, "comm {}", quoted(name)),
            Self::Netns(inode @ MAX_PID..) => write!(f, "netns {inode}"),
            Self::Netns(inode) => write!(f, "netns inode:{inode}"),
            Self::Container(name) => write!(f, "container {}", quoted(name)),
            Self::Cgroup(path) => write!(f, "cgroup {}", quoted(path)),
            Self::Role(role) => write!(f, "role {}", name_in(&Role::NAMES, role)),
            Self::Reason(reason) => write!(f, "reason {}", name_in(&Reason::NAMES, reason)),
            Self::Age(comparison) => write!(f, "age {comparison}"),
            Self::Handshake(comparison) => write!(f, "handshake {comparison}"),
            Self::Problem => f.write_str("problem"),
        }
    }
}

impl End {
    fn of<T>(self, local: T, peer: T, either: T) -> T {
        match self {
            Self::Local => local,
            Self::Peer => peer,
            Self::Either => either,
        }
    }
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

fn name_in<T: PartialEq>(names: &[(&'static str, T)], wanted: &T) -> &'static str {
    names.iter().find(|(_, one)| one == wanted).map_or("", |(name, _)| name)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (is_host(&self.net), &self.zone) {
            (true, None) => self.net.addr().fmt(f),
            (false, None) => self.net.fmt(f),
            (_, Some(zone)) => write!(f, "{}%{zone}", self.net.addr()),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] =
            [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"), (1, "ns")];
        let Self { operator, limit } = *self;
        let exact = UNITS.iter().find(|(size, _)| limit.is_multiple_of(*size));
        let (size, unit) = exact.unwrap_or(&UNITS[4]);
        write!(f, "{} {}{unit}", operator.symbol(), limit / size)
    }
}

/// Whether a character can stand in a word without quotes.
pub(super) fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !"()|&<>=!\"'".contains(c)
}

/// A word, in quotes where it needs them.
fn quoted(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
