//! Which sockets are shown: options, and the language of filters.

use std::str::FromStr;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{candidates, console::print, options::positive};
use tracer_event::{escape::escape, state::State};
use tracer_kernel::{absent, names::HostNames, preflight};
use tracer_model::filter::{
    Condition, End, Expression, Filter, IpVersion, Network, PortSet, StateSet,
    parse::{self, Mistake},
};

/// Which sockets to show. Conditions of different kinds must all hold, of one kind any.
#[derive(Args, Debug)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArguments {
    /// Port of either end: 443, https, 8000-8999
    #[arg(long = "port", value_delimiter = ',', value_name = "PORT", value_parser = ports)]
    ports: Vec<PortSet>,
    /// Local port
    #[arg(long = "local-port", value_delimiter = ',', value_name = "PORT", value_parser = ports)]
    local_ports: Vec<PortSet>,
    /// Port of the peer
    #[arg(long = "remote-port", value_delimiter = ',', value_name = "PORT", value_parser = ports)]
    remote_ports: Vec<PortSet>,
    /// Address or network of either end, such as 10.0.0.0/8 or fe80::1%eth0
    #[arg(short = 'a', long = "address", value_delimiter = ',', value_name = "CIDR")]
    places: Vec<Places>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Process that owns the socket, not including its children
    #[arg(long = "pid", value_delimiter = ',', value_name = "PID", value_parser = positive::<u32>, allow_negative_numbers = true)]
    pids: Vec<u32>,
    /// Name of the process that owns the socket
    #[arg(long = "comm", value_delimiter = ',', value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    comms: Vec<String>,
    /// Sockets in this state, and changes that leave or enter it
    #[arg(short = 's', long = "state", value_delimiter = ',', value_name = "STATE", add = candidates::states())]
    states: Vec<State>,
    /// Network namespace: all, host, a name of ip netns, a path, a process id or an inode number
    #[arg(long, default_value = "all", value_name = "NETNS", add = candidates::namespaces())]
    netns: Netns,
    /// Container: its ID or the beginning of it, or its name if it has no ID (LXC, nspawn)
    #[arg(long = "container", value_delimiter = ',', value_name = "ID", value_parser = NonEmptyStringValueParser::new(), add = candidates::containers())]
    containers: Vec<String>,
    /// Control group and its descendants: a path as in /proc/PID/cgroup, or a unit such as
    /// nginx.service
    #[arg(long = "cgroup", value_delimiter = ',', value_name = "PATH|UNIT", value_parser = NonEmptyStringValueParser::new())]
    cgroups: Vec<String>,
    /// Expression such as 'dport :443 and not comm curl'; also as the last arguments
    #[arg(long = "filter", value_name = "FILTER")]
    expressions: Vec<String>,
    /// Show which part of the filter the kernel evaluates and which part tracer does, and exit
    #[arg(long)]
    explain_filter: bool,
}

/// A filter as the last arguments.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct FilterWords {
    /// Filter as in ss and tcpdump, such as: state close-wait and dport :443
    #[arg(value_name = "FILTER", help_heading = "Filters")]
    pub(super) words: Vec<String>,
}

impl FilterArguments {
    /// The filter asked for, by options and by words.
    ///
    /// # Errors
    ///
    /// The first mistake in the words.
    pub(super) fn filter(&self, words: &FilterWords) -> Result<Filter, Mistake> {
        let mut parts = self.options();
        for text in self.expressions.iter().chain([&words.words.join(" ")]) {
            parts.push(parse::parse(text, &HostNames)?);
        }
        Ok(Expression::all_of(parts).into())
    }

    /// What the options say, in the language.
    fn options(&self) -> Vec<Expression> {
        let Self { ports, local_ports, remote_ports, places, ipv4, ipv6, pids, .. } = self;
        let Self { comms, states, netns, containers, cgroups, .. } = self;
        let port = |end, sets: &[PortSet]| {
            let all = sets.iter().fold(PortSet::default(), |all, set| all.union(set));
            (!sets.is_empty()).then_some(Condition::Port(end, all))
        };
        let networks: Vec<Network> = places.iter().flat_map(|place| place.0.clone()).collect();
        let version = match (ipv4, ipv6) {
            (true, _) => Some(IpVersion::V4),
            (_, true) => Some(IpVersion::V6),
            _ => None,
        };
        let single = [
            port(End::Either, ports),
            port(End::Local, local_ports),
            port(End::Peer, remote_ports),
            (!networks.is_empty()).then_some(Condition::Address(End::Either, networks)),
            version.map(Condition::Version),
            netns.0.map(Condition::Netns),
            (!pids.is_empty()).then(|| Condition::Pid(pids.clone())),
            (!states.is_empty()).then(|| Condition::State(StateSet::from_iter(states.clone()))),
        ];
        let escaped = |name: &String| Condition::Cgroup(escape(name.as_bytes()).into_owned());
        let lists: [Vec<Condition>; 3] = [
            comms.iter().cloned().map(Condition::Comm).collect(),
            containers.iter().cloned().map(Condition::Container).collect(),
            cgroups.iter().map(escaped).collect(),
        ];
        let lists = lists.into_iter().filter(|list| !list.is_empty());
        let lists = lists.map(|list| Expression::any_of(list.into_iter().map(Expression::Is)));
        single.into_iter().flatten().map(Expression::Is).chain(lists).collect()
    }

    /// The filter for a command that observes this host and may do so.
    ///
    /// # Errors
    ///
    /// Those of [`Self::filter`], and where privileges are missing.
    pub(super) fn on_this_host(&self, words: &FilterWords) -> anyhow::Result<Filter> {
        let filter = self.filter(words)?;
        preflight::privileges()?;
        warn_of_absent(&filter);
        Ok(filter)
    }

    /// Explains the filter where that is asked for, and says whether it was. `in_kernel` makes of
    /// it what the command has the kernel decide.
    ///
    /// # Errors
    ///
    /// The first mistake in the filter, and where standard output fails.
    pub(super) fn explain(
        &self,
        words: &FilterWords,
        in_kernel: impl FnOnce(&Filter) -> Filter,
    ) -> anyhow::Result<bool> {
        if self.explain_filter {
            let filter = self.filter(words)?;
            let (kernel, left) = filter.split(&in_kernel(&filter));
            let or = |expression: Expression, nothing: &str| match expression {
                all if all == Expression::ALL => nothing.to_owned(),
                some => some.to_string(),
            };
            let text = format!(
                "filter: {}\nkernel: {}\ntracer: {}\n",
                or(filter.expression().clone(), "everything"),
                or(kernel, "lets everything pass"),
                or(left, "nothing is left to decide"),
            );
            print(harmless_lines(&text).as_bytes())?;
        }
        Ok(self.explain_filter)
    }
}

/// Of what `filter` wants in a recording, what went wrong or is stuck, if that is `asked` for. In a
/// live trace that is a [`Selection`](tracer_model::selection::Selection), so that metrics count the
/// rest as well.
pub(super) fn problems(filter: Filter, asked: bool) -> Filter {
    if !asked {
        return filter;
    }
    let problem = Expression::Is(Condition::Problem);
    Expression::all_of([problem, filter.expression().clone()]).into()
}

/// Lines that do not steer a terminal.
fn harmless_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", tracer_event::escape::harmless(line))).collect()
}

/// Everything is decided in the kernel that can be.
pub(super) fn all(filter: &Filter) -> Filter {
    filter.clone()
}

/// Files, and the filter behind them: it begins with the first word with which one can begin.
///
/// # Errors
///
/// Where a word of the filter is not UTF-8.
pub(super) fn behind_files(
    arguments: &[std::path::PathBuf],
) -> anyhow::Result<(&[std::path::PathBuf], FilterWords)> {
    let begins = |path: &std::path::PathBuf| path.to_str().is_some_and(parse::begins);
    let at = arguments.iter().position(begins).unwrap_or(arguments.len());
    let (files, words) = arguments.split_at(at);
    let word = |path: &std::path::PathBuf| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| anyhow::anyhow!("{}: a filter must be UTF-8", path.display()))
    };
    Ok((files, FilterWords { words: words.iter().map(word).collect::<anyhow::Result<_>>()? }))
}

/// Warns of what a filter names and this host does not have.
pub(super) fn warn_of_absent(filter: &Filter) {
    for line in absent::absent(filter) {
        tracing::warn!("{line}");
    }
}

/// Ports that can be in use.
fn ports(text: &str) -> Result<PortSet, String> {
    let ports = parse::ports(text, &HostNames)?;
    if ports.contains(0) { Err("ports are numbers from 1 to 65535".into()) } else { Ok(ports) }
}

#[derive(Clone, Copy, Debug)]
struct Netns(Option<u32>);

impl FromStr for Netns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(None)),
            name => parse::netns(name, &HostNames).map(|inode| Self(Some(inode))),
        }
    }
}

/// Networks that one value names: the addresses of a host may be several.
#[derive(Clone, Debug)]
struct Places(Vec<Network>);

impl FromStr for Places {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::networks(text, &HostNames).map(Self)
    }
}
