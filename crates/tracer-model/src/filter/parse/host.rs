//! Addresses and networks, alone or with a port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use tracer_event::escape::harmless;

use super::{
    error::{self, Parsed},
    input::{Input, Names},
    value,
    words::word,
};
use crate::filter::{
    expression::{Condition, End, Expression, IpVersion, Network},
    ports::PortSet,
};

const HOST: &str = "expected an address such as 10.0.0.1 or [::1]:443, a network such as 10.0.0.0/8, or \
    the name of a host";

/// `host`, `net`, `src`, `dst`: the value, perhaps behind a sign.
pub(super) fn condition(input: &mut Input<'_>, end: End, is_net: bool) -> Parsed<Expression> {
    let relation = value::operator(input)?;
    let word = word(input)?;
    if relation.order().is_some() {
        return Err(error::of(&word, "addresses have no order: only = and != can stand here"));
    }
    if word.text.is_empty() {
        return Err(error::value(&word, HOST));
    }
    let read = if is_net {
        net(&word.text, end, input.state.names)
    } else {
        host(&word.text, end, input.state.names)
    };
    let read = read.map_err(|wrong| error::value(&word, &wrong))?;
    Ok(if relation.is_not() { read.not() } else { read })
}

fn net(text: &str, end: End, names: &dyn Names) -> Result<Expression, String> {
    // As tcpdump has it, the octets that are written are the network.
    let octets = text.split('.').count();
    let implied = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && octets < 4;
    let text = if implied { &format!("{text}/{}", 8 * octets) } else { text };
    networks(text, names).map(|networks| Condition::Address(end, networks).into())
}

/// `[FAMILY:]ADDRESS[:PORT]`.
fn host(text: &str, end: End, names: &dyn Names) -> Result<Expression, String> {
    let (version, text) = match (text.strip_prefix("inet:"), text.strip_prefix("inet6:")) {
        (Some(text), _) => (Some(IpVersion::V4), text),
        (_, Some(text)) => (Some(IpVersion::V6), text),
        _ => (None, text),
    };
    let (address, port) = split(text);
    let networks = match address.as_ref() {
        "" | "*" => None,
        address => Some(networks(address, names)?),
    };
    let ports = match port {
        None | Some("*") => None,
        Some(port) => Some(value::ports(port, names)?),
    };
    if networks.is_none() && ports.is_none() && text.is_empty() {
        return Err(HOST.into());
    }
    let version = version.map(|version| Condition::Version(version).into());
    Ok(Expression::all_of(version.into_iter().chain([at(end, networks, ports)])))
}

fn at(end: End, networks: Option<Vec<Network>>, ports: Option<PortSet>) -> Expression {
    if end == End::Either && networks.is_some() && ports.is_some() {
        // Both of the same end.
        let of = |end| at(end, networks.clone(), ports.clone());
        return Expression::any_of([of(End::Local), of(End::Peer)]);
    }
    let address = networks.map(|networks| Condition::Address(end, networks));
    let port = ports.map(|ports| Condition::Port(end, ports));
    Expression::all_of(address.into_iter().chain(port).map(Expression::Is))
}

/// The address (or network) and the port behind a colon.
fn split(text: &str) -> (std::borrow::Cow<'_, str>, Option<&str>) {
    if let Some((address, behind)) = text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        let (prefix, port) = match behind.split_once(':') {
            Some((prefix, port)) => (prefix, Some(port)),
            None => (behind, None),
        };
        return (format!("{address}{prefix}").into(), port);
    }
    match text.split_once(':') {
        // More than one colon: IPv6.
        Some((address, port)) if !port.contains(':') => (address.into(), Some(port)),
        _ => (text.into(), None),
    }
}

/// Addresses, networks and hosts, with commas between them.
pub(super) fn networks(text: &str, names: &dyn Names) -> Result<Vec<Network>, String> {
    let mut networks = Vec::new();
    for text in text.split(',') {
        match zoned(text)? {
            Some(network) => networks.push(network),
            None => networks.extend(named(text, names)?),
        }
    }
    Ok(networks)
}

fn named(text: &str, names: &dyn Names) -> Result<Vec<Network>, String> {
    let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || !text.chars().all(is_name) {
        return Err(HOST.into());
    }
    let addresses = names.host(text);
    if addresses.is_empty() {
        return Err(HOST.into());
    }
    Ok(addresses.into_iter().map(|address| IpNet::from(address.to_canonical()).into()).collect())
}

/// A network, of a link-local address with its interface.
fn zoned(text: &str) -> Result<Option<Network>, String> {
    let Some((address, zone)) = text.split_once('%') else {
        return Ok(network(text).map(Network::from));
    };
    let link_local = |address: Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
    match address.parse() {
        Ok(address) if !zone.is_empty() && link_local(address) => Ok(Some(Network {
            net: IpNet::from(IpAddr::from(address)),
            zone: Some(harmless(zone).into_owned()),
        })),
        _ => {
            Err("expected an interface after link-local addresses only, such as fe80::1%eth0"
                .into())
        }
    }
}

/// An address alone is a network of one. Octets may be left out before a prefix, as in 10/8.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let (address, prefix) = text.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    match address.parse::<Ipv6Addr>() {
        // Addresses are compared in the spelling of IPv4.
        Ok(v6) if prefix >= 96 && v6.to_ipv4_mapped().is_some() => {
            Ipv4Net::new(v6.to_ipv4_mapped()?, prefix - 96).ok().map(IpNet::from)
        }
        Ok(v6) => IpNet::new(v6.into(), prefix).ok(),
        Err(_) => Ipv4Net::new(abbreviated(address)?, prefix).ok().map(IpNet::from),
    }
}

fn abbreviated(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut written = text.split('.');
    for octet in &mut octets {
        *octet = match written.next() {
            Some(digits) => digits.parse().ok()?,
            None => 0,
        };
    }
    written.next().is_none().then(|| octets.into())
}
