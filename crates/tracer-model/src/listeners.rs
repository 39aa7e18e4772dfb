//! Who listens, as a snapshot shows it: whose queue a connection waits in that nobody has accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, flag, kind};

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    process::Owner,
    state::State,
};

/// The listeners of a snapshot, by namespace and port.
#[derive(Debug, Default)]
pub struct Listeners<'a>(HashMap<(u32, u16), Vec<&'a Record>, RandomState>);

impl<'a> Listeners<'a> {
    /// Those among the sockets of a snapshot.
    pub fn among(records: &'a [Record]) -> Self {
        let mut listeners: HashMap<_, Vec<&Record>, _> = HashMap::default();
        for record in records.iter().filter(|record| is_listener(record)) {
            listeners.entry((record.netns, record.local_port)).or_default().push(record);
        }
        Self(listeners)
    }

    /// Those that take connections to an address: with `SO_REUSEPORT` there are several.
    pub fn at(&self, netns: u32, to: Endpoint) -> Vec<&'a Record> {
        let takes = |record: &&Record| listens_for(Tuple::of(record).local.address(), to.address());
        self.on(netns, to.port).filter(takes).collect()
    }

    /// Those on a port, whatever their addresses.
    pub fn on(&self, netns: u32, port: u16) -> impl Iterator<Item = &'a Record> {
        self.0.get(&(netns, port)).into_iter().flatten().copied()
    }

    /// The listener in whose queue a connection waits, or that a half-open one is with; where that
    /// is not known, all whose queue is not empty. None where it is gone.
    pub fn of_waiting(&self, record: &Record) -> Vec<&'a Record> {
        let mut listeners = self.at(record.netns, Tuple::of(record).local);
        if record.listener != 0 {
            listeners.retain(|listener| listener.sk == record.listener);
        } else if listeners.len() > 1 {
            listeners.retain(|listener| listener.accept_queue > 0);
        }
        listeners
    }

    /// Whose a socket is that waits or is half open: a guess, since several may hold its listener.
    pub fn guess<'b>(
        &self,
        record: &Record,
        holders: impl Fn(&Record) -> &'b [Owner],
    ) -> Option<Owner> {
        if record.kind != kind::REQUEST_SOCKET && !waits(record) {
            return None;
        }
        let mut owners: Vec<Owner> = Vec::new();
        for owner in self.of_waiting(record).into_iter().flat_map(holders) {
            if !owners.iter().any(|known| known.process.is(&owner.process)) {
                owners.push(*owner);
            }
        }
        let first = owners.first()?;
        Some(Owner { others: owners.len() as u32 - 1, ..Owner::guess(first) })
    }
}

/// Whether a listener on `address` takes connections to `to`: its own address or any; `::` also
/// takes IPv4 unless IPV6_V6ONLY is set.
pub fn listens_for(address: IpAddr, to: IpAddr) -> bool {
    address == to
        || address == Ipv6Addr::UNSPECIFIED
        || address == Ipv4Addr::UNSPECIFIED && to.is_ipv4()
}

/// Whether a record is of a listener.
pub fn is_listener(record: &Record) -> bool {
    record.kind == kind::SOCKET && State::from_kernel(record.new_state) == Some(State::Listen)
}

/// Whether a record of a snapshot is of a socket that no process has got yet from a listener.
///
/// A subflow of MPTCP has no socket either once its MPTCP socket is closed: what waits is in a
/// queue.
pub fn waits(record: &Record) -> bool {
    record.kind == kind::SOCKET
        && !record.has(flag::HAS_SOCKET)
        && !record.has(flag::DEAD)
        && (!record.has(flag::MPTCP) || record.listener != 0)
        && !matches!(State::from_kernel(record.new_state), Some(State::Listen | State::SynSent))
}

/// Whether an established connection waits for accept(), closed by its peer or not.
pub fn awaits_accept(record: &Record) -> bool {
    let state = State::from_kernel(record.new_state);
    waits(record) && matches!(state, Some(State::Established | State::CloseWait))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HERE: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];

    fn listener(sk: u64, accept_queue: u32) -> Record {
        Record { sk, accept_queue, new_state: State::Listen as u8, ..waiting(0) }
    }

    fn waiting(listener: u64) -> Record {
        Record {
            kind: kind::SOCKET,
            new_state: State::Established as u8,
            local_address: HERE,
            local_port: 80,
            listener,
            ..Record::EMPTY
        }
    }

    #[test]
    fn a_connection_waits_in_one_queue_and_where_that_is_not_known_in_none_that_is_empty() {
        let records = [listener(1, 0), listener(2, 3), listener(3, 1)];
        let listeners = Listeners::among(&records);
        let of = |listener: u64| {
            let all = listeners.of_waiting(&waiting(listener));
            all.iter().map(|record| record.sk).collect::<Vec<_>>()
        };
        assert_eq!(of(1), [1], "the kernel says so");
        assert_eq!(of(0), [2, 3]);
        assert_eq!(of(9), [0; 0], "gone");
        let one = [listener(1, 0)];
        assert_eq!(Listeners::among(&one).of_waiting(&waiting(0)).len(), 1);
    }

    #[test]
    fn a_subflow_without_a_socket_waits_only_in_a_queue() {
        let mptcp = |listener| Record { flags: flag::MPTCP, ..waiting(listener) };
        assert!(waits(&waiting(0)) && waits(&mptcp(1)) && !waits(&mptcp(0)));
        assert!(!waits(&Record { flags: flag::HAS_SOCKET, ..waiting(0) }));
    }

    #[rstest]
    #[case("127.0.0.1", "127.0.0.1", true)]
    #[case("0.0.0.0", "10.0.0.1", true)]
    #[case("::", "10.0.0.1", true)]
    #[case("0.0.0.0", "2001:db8::1", false)]
    #[case("10.0.0.1", "10.0.0.2", false)]
    fn a_listener_takes_what_is_for_it(
        #[case] address: IpAddr,
        #[case] to: IpAddr,
        #[case] takes: bool,
    ) {
        assert_eq!(listens_for(address, to), takes);
    }
}
