//! What can be asked for, as clap understands it.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{sinks::SinkArguments, telemetry::TelemetryArguments};
use crate::{
    model::{
        filter::{Filter, IpVersion},
        linger::{self, Thresholds},
        state::State,
        table::MAX_SOCKETS,
    },
    sink::{Mode, escape::escape, stamps::Timestamps},
};

/// What to trace and how to show it.
#[derive(Args, Debug)]
pub(super) struct TraceArguments {
    /// End after this time, as 500ms, 10s or 5m
    #[arg(short, long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,
    /// Only what fails, is retried or lingers
    #[arg(long)]
    problems: bool,
    /// Flag sockets that stay in a state too long, as close-wait=30s,time-wait=off
    #[arg(long, default_value = linger::DEFAULT, value_name = "STATE=TIME,…")]
    pub(super) linger: Thresholds,
    /// Report connections that are still open this often, with their counters so far, as 60s
    #[arg(long, value_parser = interval, value_name = "TIME")]
    pub(super) interval: Option<Duration>,
    /// Do not look at the sockets that are there already, nor check against the kernel later
    #[arg(long)]
    pub(super) no_snapshot: bool,
    #[command(flatten)]
    pub(super) shown: FormatArguments,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    pub(super) destinations: SinkArguments,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArguments,
    /// Track no more sockets at once, some 450 bytes each; what is given up is counted
    #[arg(
        long,
        default_value_t = MAX_SOCKETS as u32,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Kernel"
    )]
    pub(super) max_sockets: u32,
    /// Memory between kernel and tool, a power of two
    #[arg(long, default_value = "8MiB", value_name = "SIZE", help_heading = "Kernel")]
    buffer_size: ByteSize,
    /// Which kernel interface to use: auto, btf or tracepoint
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "MODE",
        hide_possible_values = true,
        help_heading = "Kernel"
    )]
    mode: ModeName,
    /// Do not see who accepts connections: saves every system call some 30 ns
    #[arg(long, help_heading = "Kernel")]
    pub(super) no_accept: bool,
    #[command(flatten)]
    pub(super) stacks: StacksArgument,
}

/// How to show it.
#[derive(Args, Debug)]
pub(super) struct FormatArguments {
    /// How to write it: text, ladder, json, csv, logfmt or parquet
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    pub(super) format: TraceFormat,
    /// One line a connection, when it is over or the trace ends, instead of one a state change (text)
    #[arg(long)]
    pub(super) summary_only: bool,
    /// A sentence on each step (ladder)
    #[arg(long)]
    pub(super) explain: bool,
    /// Count sequence numbers from the initial ones (ladder)
    #[arg(long)]
    pub(super) relative_seq: bool,
    /// Which times to write: local, utc, relative (to the start) or monotonic (text, ladder)
    #[arg(long, value_enum, default_value_t, value_name = "WHICH", hide_possible_values = true)]
    pub(super) timestamps: Timestamps,
    /// Write the names of addresses as soon as they are known (text, ladder)
    #[arg(long)]
    pub(super) resolve: bool,
    #[command(flatten)]
    pub(super) color: ColorArgument,
}

/// Whether to use colour.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ColorArgument {
    /// When to use colour: auto, always or never
    #[arg(
        long = "color",
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub(super) when: When,
}

/// Whether to tell which code made a socket.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct StacksArgument {
    /// Tell which code made what lingers: the stack of its connect() or accept(). Takes programs
    /// with frame pointers; of Python and other interpreters the native part is all there is
    #[arg(long, help_heading = "Kernel")]
    pub(super) stacks: bool,
}

/// What to list and how.
#[derive(Args, Debug)]
pub(super) struct SocketsArguments {
    /// How to write it
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub(super) format: FormatName,
    /// Sort by state, age, local, peer, process, receive-queue or send-queue
    #[arg(long, value_enum, default_value_t, value_name = "ORDER", hide_possible_values = true)]
    pub(super) sort: crate::sockets::Order,
    #[command(flatten)]
    pub(super) color: ColorArgument,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
}

/// Which sockets to show. Conditions of different kinds must all hold, of one kind any.
#[derive(Args, Debug)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArguments {
    /// Port of either end
    #[arg(short, long, value_delimiter = ',', value_name = "PORT")]
    port: Vec<Port>,
    /// Local port
    #[arg(long, value_delimiter = ',', value_name = "PORT")]
    local_port: Vec<Port>,
    /// Port of the far end
    #[arg(long, value_delimiter = ',', value_name = "PORT")]
    remote_port: Vec<Port>,
    /// Address of either end, or network, as 10.0.0.0/8; link-local: fe80::1%eth0
    #[arg(short, long, value_delimiter = ',', value_parser = place, value_name = "CIDR")]
    address: Vec<Place>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Process that owns the socket; its children are not in it
    #[arg(long, value_delimiter = ',', value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,
    /// Name of the process that owns the socket
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    comm: Vec<String>,
    /// State left or entered
    #[arg(short, long, value_delimiter = ',', value_name = "STATE")]
    state: Vec<State>,
    /// Network namespace: all, host or an inode number as `lsns -t net` prints it
    #[arg(long, default_value = "all", value_name = "NETNS")]
    netns: Netns,
    /// Container: its id, the beginning of it, or its name where it has no id (LXC, nspawn)
    #[arg(long, value_delimiter = ',', value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    container: Vec<String>,
    /// Control group and those below: its path as in /proc/PID/cgroup, or a unit, as nginx.service
    #[arg(long, value_delimiter = ',', value_name = "PATH|UNIT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    cgroup: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TraceFormat {
    /// A line for each state change, for people
    #[default]
    Text,
    /// A sequence diagram of each connection, for people
    Ladder,
    /// An object a line, for machines
    Json,
    /// A table, a line a record
    Csv,
    /// The same as name=value pairs
    Logfmt,
    /// The same as a columnar file
    Parquet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatName {
    /// A line for each state change, for people
    #[default]
    Text,
    /// An object a line, for machines
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On terminals, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// The best that works
    #[default]
    Auto,
    /// BTF-typed programs: everything
    Btf,
    /// The classic tracepoint: addresses, ports and states
    Tracepoint,
}

/// A port that can be in use.
#[derive(Clone, Copy, Debug)]
struct Port(u16);

impl std::str::FromStr for Port {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err("ports are numbers from 1 to 65535"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Netns {
    All,
    Host,
    Inode(u32),
}

impl std::str::FromStr for Netns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "host" => Ok(Self::Host),
            number => match number.parse() {
                Ok(inode @ 1..) => Ok(Self::Inode(inode)),
                _ => Err("network namespaces are all, host or an inode number"),
            },
        }
    }
}

/// A number alone is one of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .map_err(|_| "no time as 500ms, 10s or 5m are")
}

/// Shorter ones would tell of little but themselves.
fn interval(text: &str) -> Result<Duration, &'static str> {
    let interval = duration(text)?;
    if interval >= Duration::from_secs(1) { Ok(interval) } else { Err("shorter than a second") }
}

/// A network, and of a link-local address the interface.
#[derive(Clone, Debug)]
struct Place {
    network: IpNet,
    zone: Option<String>,
}

/// An address alone is a network of one.
fn place(text: &str) -> Result<Place, &'static str> {
    let network = |text: &str| {
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())))
            .map_err(|_| "neither an address nor a network as 10.0.0.0/8 or 2001:db8::/32")
    };
    let Some((address, zone)) = text.split_once('%') else {
        return Ok(Place { network: network(text)?, zone: None });
    };
    let link_local = |address: Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
    if zone.is_empty() || !address.parse().is_ok_and(link_local) {
        return Err("an interface belongs to a link-local address, as in fe80::1%eth0");
    }
    Ok(Place { network: network(address)?, zone: Some(escape(zone.as_bytes()).into_owned()) })
}

impl FilterArguments {
    /// The filter asked for.
    pub(super) fn filter(&self) -> anyhow::Result<Filter> {
        let FilterArguments {
            port,
            local_port,
            remote_port,
            address,
            ipv4,
            ipv6,
            pid,
            comm,
            state,
            netns,
            container,
            cgroup,
        } = self;
        let ports = |list: &[Port]| list.iter().map(|port| port.0).collect();
        Ok(Filter {
            ports: ports(port),
            local_ports: ports(local_port),
            remote_ports: ports(remote_port),
            networks: address.iter().map(|one| one.network).collect(),
            zones: address
                .iter()
                .filter_map(|one| Some((one.network, one.zone.clone()?)))
                .collect(),
            ip_version: match (ipv4, ipv6) {
                (true, _) => Some(IpVersion::V4),
                (_, true) => Some(IpVersion::V6),
                _ => None,
            },
            pids: pid.clone(),
            comms: comm.clone(),
            states: state.clone(),
            netns: match *netns {
                Netns::All => None,
                Netns::Host => Some(host_netns()?),
                Netns::Inode(inode) => Some(inode),
            },
            containers: container.clone(),
            cgroups: cgroup.iter().map(|name| escape(name.as_bytes()).into_owned()).collect(),
            problems: false,
        })
    }
}

impl TraceArguments {
    /// The filter asked for.
    pub(super) fn filter(&self) -> anyhow::Result<Filter> {
        Ok(Filter { problems: self.problems, ..self.filter.filter()? })
    }

    /// The mode asked for.
    pub(super) fn mode(&self) -> Option<Mode> {
        match self.mode {
            ModeName::Auto => None,
            ModeName::Btf => Some(Mode::Btf),
            ModeName::Tracepoint => Some(Mode::Tracepoint),
        }
    }

    /// Size of the ring buffer, bytes.
    pub(super) fn buffer_size(&self) -> anyhow::Result<u32> {
        let ByteSize(size) = self.buffer_size;
        let Ok(bytes) = u32::try_from(size) else { bail!("--buffer-size: at most 2GiB") };
        ensure!(
            bytes.is_power_of_two() && bytes as usize >= rustix::param::page_size(),
            "--buffer-size {}: the kernel takes a power of two from 4KiB to 2GiB, as 8MiB",
            self.buffer_size
        );
        Ok(bytes)
    }
}

/// The namespace of the first process; our own where that one may not be looked at.
pub(super) fn host_netns() -> anyhow::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = std::fs::metadata("/proc/1/ns/net")
        .or_else(|_| std::fs::metadata("/proc/self/ns/net"))
        .context("--netns host: cannot look at /proc/self/ns/net")?
        .ino();
    u32::try_from(inode).context("--netns host: the inode number does not fit")
}
