//! Dropping, before it costs anything, what the user does not want to see.

use core::mem::MaybeUninit;

use tracer_wire::{MAX_PORTS, Record};

use super::{constants::constant, memory::zeroed};

/// Whether there is nothing to filter by: known at load time, so the rest vanishes.
#[inline(always)]
pub(super) fn is_empty() -> bool {
    constant!(FILTER.ports[0].last) == 0
        && constant!(FILTER.local_ports[0].last) == 0
        && constant!(FILTER.peer_ports[0].last) == 0
        && constant!(FILTER.cgroup) == 0
        && is_by_ports()
}

/// Whether ports are all there is to filter by.
#[inline(always)]
fn is_by_ports() -> bool {
    constant!(FILTER.mask[0]) | constant!(FILTER.mask[1]) == 0
        && constant!(FILTER.netns) == 0
        && constant!(FILTER.ip_version) == 0
}

/// A port, or a range where it is not chosen yet.
#[derive(Clone, Copy)]
pub(super) struct Port {
    lowest: u16,
    others: u16,
}

impl Port {
    /// 0 is one that is not known yet: it may turn out to be the wanted one.
    #[inline(always)]
    pub(super) fn new(port: u16) -> Self {
        Self { lowest: port, others: if port == 0 { u16::MAX } else { 0 } }
    }

    /// One that will be chosen.
    #[inline(always)]
    pub(super) fn among(lowest: u16, highest: u16) -> Self {
        Self { lowest, others: highest.wrapping_sub(lowest) }
    }

    #[inline(always)]
    fn may_be_in(self, first: u16, last: u16) -> bool {
        self.lowest <= last && first <= self.lowest.saturating_add(self.others)
    }
}

/// False if the socket is surely not wanted. `describe` fills in addresses, ports and namespace,
/// which takes longer than a look at the ports.
#[inline(always)]
pub(super) fn wants(local: Port, peer: Port, describe: impl FnOnce(&mut Record)) -> bool {
    if !passes_ports(local, peer) {
        return false;
    }
    if is_by_ports() {
        return true;
    }
    described(describe, passes_rest)
}

/// False if what `describe` fills in (addresses, ports and namespace) is surely not wanted.
#[inline(always)]
pub(super) fn passes_described(describe: impl FnOnce(&mut Record)) -> bool {
    described(describe, passes)
}

#[inline(always)]
fn described(describe: impl FnOnce(&mut Record), passes: impl FnOnce(&Record) -> bool) -> bool {
    let mut identity = MaybeUninit::uninit();
    let identity = zeroed(&mut identity);
    describe(identity);
    passes(identity)
}

/// A function of its own: inlined twice it takes more than a BPF stack.
#[inline(never)]
pub(super) fn passes(record: &Record) -> bool {
    passes_ports(Port::new(record.local_port), Port::new(record.peer_port)) && passes_rest(record)
}

#[inline(always)]
fn passes_rest(record: &Record) -> bool {
    passes_netns(record) && passes_address(record) && passes_version(record)
}

#[inline(always)]
fn passes_netns(record: &Record) -> bool {
    let wanted = constant!(FILTER.netns);
    wanted == 0 || record.netns == wanted
}

macro_rules! listed {
    ($list:ident, $port:expr) => {{
        let mut found = constant!(FILTER.$list[0].last) == 0;
        let mut index = 0;
        while index < MAX_PORTS {
            let last = constant!(FILTER.$list[index].last);
            found |= last != 0 && $port.may_be_in(constant!(FILTER.$list[index].first), last);
            index += 1;
        }
        found
    }};
}

#[inline(always)]
fn passes_ports(local: Port, peer: Port) -> bool {
    (constant!(FILTER.ports[0].last) == 0 || listed!(ports, local) || listed!(ports, peer))
        && (constant!(FILTER.local_ports[0].last) == 0 || listed!(local_ports, local))
        && (constant!(FILTER.peer_ports[0].last) == 0 || listed!(peer_ports, peer))
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
    if high | low | peer_high | peer_low == 0 {
        // A listener for both, or its raw copy (until 6.12), which may become a socket of either.
        return true;
    }
    let version = if is_v4(high, low) || is_v4(peer_high, peer_low) { 4 } else { 6 };
    version == wanted
}

#[inline(always)]
fn is_v4(high: u64, low: u64) -> bool {
    high == 0 && u64::from_be(low) >> 32 == 0xffff
}
