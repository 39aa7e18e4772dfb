//! Dropping, before it costs anything, what the user does not want to see.

use tracer_ebpf::{MAX_PORTS, Record};

use super::constants::constant;

/// Whether there is nothing to filter by: known at load time, so the rest vanishes.
#[inline(always)]
pub(super) fn is_empty() -> bool {
    constant!(FILTER.ports[0]) == 0
        && constant!(FILTER.local_ports[0]) == 0
        && constant!(FILTER.peer_ports[0]) == 0
        && constant!(FILTER.mask[0]) | constant!(FILTER.mask[1]) == 0
        && constant!(FILTER.netns) == 0
        && constant!(FILTER.ip_version) == 0
}

/// False if the socket is surely not wanted.
///
/// Called with addresses, ports and namespace filled in; the rest of the record is filled only
/// for those that pass.
#[inline(always)]
pub(super) fn passes(record: &Record) -> bool {
    passes_netns(record) && passes_ports(record) && passes_address(record) && passes_version(record)
}

#[inline(always)]
fn passes_netns(record: &Record) -> bool {
    let wanted = constant!(FILTER.netns);
    wanted == 0 || record.netns == wanted
}

macro_rules! listed {
    ($list:ident, $port:expr) => {{
        let port = $port;
        // An unknown port may turn out to be the wanted one.
        let mut found = port == 0 || constant!(FILTER.$list[0]) == 0;
        let mut index = 0;
        while index < MAX_PORTS {
            found |= constant!(FILTER.$list[index]) == port;
            index += 1;
        }
        found
    }};
}

#[inline(always)]
fn passes_ports(record: &Record) -> bool {
    (constant!(FILTER.ports[0]) == 0
        || listed!(ports, record.local_port)
        || listed!(ports, record.peer_port))
        && (constant!(FILTER.local_ports[0]) == 0 || listed!(local_ports, record.local_port))
        && (constant!(FILTER.peer_ports[0]) == 0 || listed!(peer_ports, record.peer_port))
}

#[inline(always)]
fn halves(address: &[u8; 16]) -> [u64; 2] {
    // SAFETY: sixteen bytes either way.
    unsafe { core::mem::transmute(*address) }
}

#[inline(always)]
fn passes_address(record: &Record) -> bool {
    if constant!(FILTER.mask[0]) | constant!(FILTER.mask[1]) == 0 {
        return true;
    }
    in_network(&record.local_address) || in_network(&record.peer_address)
}

#[inline(always)]
fn in_network(address: &[u8; 16]) -> bool {
    let [high, low] = halves(address);
    let unspecified = high == 0 && (low == 0 || low == V4_UNSPECIFIED);
    unspecified
        || (high & constant!(FILTER.mask[0]) == constant!(FILTER.network[0])
            && low & constant!(FILTER.mask[1]) == constant!(FILTER.network[1]))
}

/// Low half of `::ffff:0.0.0.0` as it lies in memory.
const V4_UNSPECIFIED: u64 = 0x0000_ffff_0000_0000_u64.to_be();

#[inline(always)]
fn passes_version(record: &Record) -> bool {
    let wanted = constant!(FILTER.ip_version);
    if wanted == 0 {
        return true;
    }
    let [high, low] = halves(&record.local_address);
    let [peer_high, peer_low] = halves(&record.peer_address);
    let version = if is_v4(high, low) || is_v4(peer_high, peer_low) { 4 } else { 6 };
    version == wanted
}

#[inline(always)]
fn is_v4(high: u64, low: u64) -> bool {
    high == 0 && u64::from_be(low) >> 32 == 0xffff
}
