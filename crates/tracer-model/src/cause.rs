//! Why a socket stays in its state. Of CLOSE_WAIT that is decided from the socket itself, who holds
//! it, who made it and whether these can run.

use tracer_wire::{Record, flag};

use tracer_event::{
    finding::Cause,
    host::Host,
    process::{Halt, Process},
    socket::Socket,
};

/// What is known beside the socket.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who connected or accepted it, where that is certain.
    pub creator: Option<Process>,
    /// Who holds the listener it came from.
    pub listening: &'a [Process],
    /// Facts of the processes.
    pub host: &'a Host,
}

/// Whether this end still sends: then CLOSE_WAIT is a half-close at work, not a leak.
///
/// What has been acknowledged since an earlier look shows it, or bytes that the peer has yet to
/// take.
pub fn is_sending(record: &Record, earlier: Option<&Record>) -> bool {
    let moved = earlier.is_some_and(|earlier| earlier.bytes_acked != record.bytes_acked);
    moved || record.write_seq != record.snd_una
}

/// Why a socket in CLOSE_WAIT that sends nothing is not closed, and by whom it was inherited from.
pub fn cause(socket: &Socket, record: &Record, context: Context<'_>) -> (Cause, Option<Process>) {
    if socket.unaccepted {
        return (Cause::NeverAccepted, None);
    }
    if socket.holders.is_empty() {
        let orphan = socket.orphaned || !record.has(flag::HAS_SOCKET);
        return (if orphan { Cause::Orphaned } else { Cause::Unseen }, None);
    }
    let holders: Vec<u32> = socket.holders.iter().map(|holder| holder.process.pid).collect();
    if let Some(halt) = halt(&holders, context.host) {
        return (Cause::Halted(halt), None);
    }
    if let Some(parent) = inherited_from(&holders, context) {
        return (Cause::Inherited, Some(parent));
    }
    (if socket.receive_queue > 0 { Cause::Unread } else { Cause::Held }, None)
}

/// Why none of these processes can run; `None` if one can.
pub fn halt(pids: &[u32], host: &Host) -> Option<Halt> {
    let mut halts = pids.iter().map(|pid| host.processes.get(pid)?.halted);
    let first = halts.next()??;
    halts.all(|halt| halt.is_some()).then_some(first)
}

/// The parent of a holder that has made the socket, or listens for the likes of it while the holder
/// does not, and that holds it no more.
fn inherited_from(holders: &[u32], context: Context<'_>) -> Option<Process> {
    let Context { creator, listening, host, .. } = context;
    let parents = || holders.iter().filter_map(|pid| Some(host.processes.get(pid)?.parent));
    let is_parent = |process: &Process| {
        parents().any(|parent| parent == process.pid) && !holders.contains(&process.pid)
    };
    match creator {
        Some(creator) => Some(creator).filter(is_parent),
        // Nobody who listens holds it: it cannot have been accepted by those who do.
        None if holders.iter().any(|pid| listening.iter().any(|one| one.pid == *pid)) => None,
        None => listening.iter().copied().find(is_parent),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tracer_wire::kind;

    use super::*;
    use crate::{socket, time_wait::Ticks};
    use tracer_event::{
        host::ProcessFacts,
        process::{Evidence, Owner},
        state::State,
    };

    const PARENT: u32 = 10;
    const CHILD: u32 = 11;

    fn process(pid: u32) -> Process {
        Process { pid, comm: *b"python3\0\0\0\0\0\0\0\0\0", start_ns: 0 }
    }

    fn holder(pid: u32) -> Owner {
        Owner { process: process(pid), evidence: Evidence::TaskFile, fd: Some(5), others: 0 }
    }

    fn close_wait(flags: u8, unread: u32) -> Record {
        Record {
            kind: kind::SOCKET,
            new_state: State::CloseWait as u8,
            flags: flags | flag::DONE,
            rcv_nxt: unread + 1,
            ..Record::EMPTY
        }
    }

    fn host(halted: Option<Halt>) -> Host {
        let facts = |parent| ProcessFacts { parent, halted, ..ProcessFacts::default() };
        Host { processes: [(PARENT, facts(1)), (CHILD, facts(PARENT))].into(), ..Host::default() }
    }

    #[rstest]
    #[case::nobody_accepted(close_wait(0, 0), &[], None, Cause::NeverAccepted)]
    #[case::kernel_finishes(close_wait(flag::DEAD, 0), &[], None, Cause::Orphaned)]
    #[case::no_descriptor(close_wait(flag::HAS_SOCKET, 0), &[], None, Cause::Unseen)]
    #[case::not_closed(close_wait(flag::HAS_SOCKET, 0), &[PARENT], None, Cause::Held)]
    #[case::not_read(close_wait(flag::HAS_SOCKET, 9), &[PARENT], None, Cause::Unread)]
    #[case::stopped(
        close_wait(flag::HAS_SOCKET, 9), &[PARENT], Some(Halt::Stopped), Cause::Halted(Halt::Stopped)
    )]
    fn the_cause_is_read_from_socket_and_holders(
        #[case] record: Record,
        #[case] holders: &[u32],
        #[case] halted: Option<Halt>,
        #[case] expected: Cause,
    ) {
        let holders = holders.iter().copied().map(holder).collect();
        let socket = socket::of(&record, Ticks { hz: 250 }, holders).unwrap();
        let host = host(halted);
        let context = Context { creator: None, listening: &[], host: &host };
        assert_eq!(cause(&socket, &record, context), (expected, None));
    }

    #[rstest]
    #[case::accepted_by_the_parent(&[CHILD], Some(PARENT), &[PARENT, CHILD], Some(PARENT))]
    #[case::parent_listens(&[CHILD], None, &[PARENT], Some(PARENT))]
    #[case::worker_accepts_itself(&[CHILD], None, &[PARENT, CHILD], None)]
    #[case::worker_has_accepted(&[CHILD], Some(CHILD), &[PARENT, CHILD], None)]
    #[case::parent_holds_it_too(&[PARENT, CHILD], Some(PARENT), &[PARENT], None)]
    #[case::no_relation(&[CHILD], Some(77), &[77], None)]
    fn a_child_is_blamed_only_if_its_parent_has_let_go(
        #[case] holders: &[u32],
        #[case] creator: Option<u32>,
        #[case] listening: &[u32],
        #[case] parent: Option<u32>,
    ) {
        let record = close_wait(flag::HAS_SOCKET, 0);
        let holders = holders.iter().copied().map(holder).collect();
        let socket = socket::of(&record, Ticks { hz: 250 }, holders).unwrap();
        let listening: Vec<Process> = listening.iter().copied().map(process).collect();
        let host = host(None);
        let creator = creator.map(process);
        let context = Context { creator, listening: &listening, host: &host };
        let (found, from) = cause(&socket, &record, context);
        assert_eq!(from.map(|process| process.pid), parent);
        assert_eq!(found == Cause::Inherited, parent.is_some());
    }

    #[rstest]
    #[case::quiet(5, 5, 0, false)]
    #[case::acknowledged(5, 9, 0, true)]
    #[case::on_the_way(5, 5, 3, true)]
    fn what_still_sends_is_no_leak(
        #[case] before: u64,
        #[case] now: u64,
        #[case] unacknowledged: u32,
        #[case] sending: bool,
    ) {
        let at = |bytes_acked| Record { bytes_acked, ..close_wait(flag::HAS_SOCKET, 0) };
        let record = Record { write_seq: unacknowledged, ..at(now) };
        assert_eq!(is_sending(&record, Some(&at(before))), sending);
        assert_eq!(is_sending(&record, None), unacknowledged > 0);
    }
}
