//! The options that say which sockets are shown.

use std::{
    net::{IpAddr, Ipv6Addr},
    os::unix::fs::MetadataExt as _,
    str::FromStr,
};

use anyhow::Context as _;
use clap::{Args, builder::NonEmptyStringValueParser, value_parser};
use ipnet::IpNet;

use tracer_event::{escape::escape, state::State};
use tracer_kernel::{absent, preflight};
use tracer_model::filter::{Filter, IpVersion};

/// Which sockets to show. Conditions of different kinds must all hold, of one kind any.
#[derive(Args, Debug)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArguments {
    /// Port of either end
    #[arg(short = 'p', long = "port", value_delimiter = ',', value_name = "PORT", value_parser = port)]
    ports: Vec<u16>,
    /// Local port
    #[arg(long = "local-port", value_delimiter = ',', value_name = "PORT", value_parser = port)]
    local_ports: Vec<u16>,
    /// Port of the peer
    #[arg(long = "remote-port", value_delimiter = ',', value_name = "PORT", value_parser = port)]
    remote_ports: Vec<u16>,
    /// Address or network of either end, such as 10.0.0.0/8 or fe80::1%eth0
    #[arg(short = 'a', long = "address", value_delimiter = ',', value_name = "CIDR")]
    places: Vec<Place>,
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Process that owns the socket, not including its children
    #[arg(long = "pid", value_delimiter = ',', value_name = "PID", value_parser = value_parser!(u32).range(1..))]
    pids: Vec<u32>,
    /// Name of the process that owns the socket
    #[arg(long = "comm", value_delimiter = ',', value_name = "NAME")]
    comms: Vec<String>,
    /// State left or entered
    #[arg(short = 's', long = "state", value_delimiter = ',', value_name = "STATE")]
    states: Vec<State>,
    /// Network namespace: all, host or an inode number as `lsns -t net` prints it
    #[arg(long, default_value = "all", value_name = "NETNS")]
    netns: Netns,
    /// Container: its ID or the beginning of it, or its name if it has no ID (LXC, nspawn)
    #[arg(long = "container", value_delimiter = ',', value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    containers: Vec<String>,
    /// Control group and its descendants: a path as in /proc/PID/cgroup, or a unit such as
    /// nginx.service
    #[arg(long = "cgroup", value_delimiter = ',', value_name = "PATH|UNIT", value_parser = NonEmptyStringValueParser::new())]
    cgroups: Vec<String>,
}

impl FilterArguments {
    /// The filter asked for.
    ///
    /// # Errors
    ///
    /// Where the network namespace of the host cannot be found.
    pub(super) fn filter(&self) -> anyhow::Result<Filter> {
        let Self { places, ipv4, ipv6, netns, cgroups, .. } = self;
        Ok(Filter {
            ports: self.ports.clone(),
            local_ports: self.local_ports.clone(),
            remote_ports: self.remote_ports.clone(),
            networks: places.iter().map(|place| place.network).collect(),
            zones: places
                .iter()
                .filter_map(|place| Some((place.network, place.zone.clone()?)))
                .collect(),
            ip_version: match (ipv4, ipv6) {
                (true, _) => Some(IpVersion::V4),
                (_, true) => Some(IpVersion::V6),
                _ => None,
            },
            pids: self.pids.clone(),
            comms: self.comms.clone(),
            states: self.states.clone(),
            netns: match *netns {
                Netns::All => None,
                Netns::Host => Some(host_netns()?),
                Netns::Inode(inode) => Some(inode),
            },
            containers: self.containers.clone(),
            cgroups: cgroups.iter().map(|name| escape(name.as_bytes()).into_owned()).collect(),
            problems: false,
        })
    }

    /// The filter for a command that observes this host and may do so.
    ///
    /// # Errors
    ///
    /// Those of [`Self::filter`], and where privileges are missing.
    pub(super) fn on_this_host(&self) -> anyhow::Result<Filter> {
        let filter = self.filter()?;
        preflight::privileges()?;
        warn_of_absent(&filter);
        Ok(filter)
    }
}

/// Warns of what a filter names and this host does not have.
pub(super) fn warn_of_absent(filter: &Filter) {
    for line in absent::absent(filter) {
        tracing::warn!("{line}");
    }
}

/// A port that can be in use.
fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().ok().filter(|&port| port > 0).ok_or("ports are numbers from 1 to 65535")
}

#[derive(Clone, Copy, Debug)]
enum Netns {
    All,
    Host,
    Inode(u32),
}

impl FromStr for Netns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            ("host", _) => Ok(Self::Host),
            (_, Ok(inode @ 1..)) => Ok(Self::Inode(inode)),
            _ => Err("network namespaces are all, host or an inode number"),
        }
    }
}

/// The network namespace of the first process; our own where that one may not be looked at.
pub(super) fn host_netns() -> anyhow::Result<u32> {
    let inode = std::fs::metadata("/proc/1/ns/net")
        .or_else(|_| std::fs::metadata("/proc/self/ns/net"))
        .context("--netns host: cannot look at /proc/self/ns/net")?
        .ino();
    u32::try_from(inode).context("--netns host: the inode number does not fit")
}

/// A network, and of a link-local address the interface.
#[derive(Clone, Debug)]
struct Place {
    network: IpNet,
    zone: Option<String>,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, zone)) = text.split_once('%') else {
            return Ok(Self { network: network(text)?, zone: None });
        };
        let link_local = |address: Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
        if zone.is_empty() || !address.parse().is_ok_and(link_local) {
            return Err("only a link-local address takes an interface, as in fe80::1%eth0");
        }
        Ok(Self { network: network(address)?, zone: Some(escape(zone.as_bytes()).into_owned()) })
    }
}

/// An address alone is a network of one.
fn network(text: &str) -> Result<IpNet, &'static str> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())))
        .map_err(|_| "neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32")
}
