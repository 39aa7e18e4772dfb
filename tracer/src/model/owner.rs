//! Whose socket it is, and how that is known.
//!
//! The task on the CPU is the acting one in a few transitions only; on loopback it is usually the
//! other end's process. What is said of an owner therefore carries its evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::{Record, flag};

use super::state::State;

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// It called connect().
    Connect,
    /// It called listen().
    Listen,
    /// It accepted the connection.
    Accept,
    /// It closed the socket or shut it down.
    Close,
    /// It holds a descriptor of the socket now.
    TaskFile,
    /// It owns the listener from which the socket came: a guess, since a listener can be shared.
    Listener,
}

/// A process, as far as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// `comm`, NUL-padded: bytes that anybody may choose.
    pub comm: [u8; 16],
    /// Start, nanoseconds of `CLOCK_BOOTTIME`; 0 where the kernel does not tell. A pid is given to
    /// another process once its bearer is gone.
    pub start_ns: u64,
}

/// Who has started a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parent {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Its name, made harmless for output.
    pub name: Box<str>,
}

impl Process {
    /// The task on the CPU when a record was made.
    fn on_cpu(record: &Record) -> Self {
        Self { pid: record.pid, comm: record.comm, start_ns: record.start_ns }
    }

    /// Whether both are the same process, not two that have had the same pid.
    pub fn is(&self, other: &Self) -> bool {
        let unknown = self.start_ns == 0 || other.start_ns == 0;
        self.pid == other.pid && (unknown || self.start_ns == other.start_ns)
    }

    /// The name up to its padding.
    pub fn name(&self) -> &[u8] {
        let end = self.comm.iter().position(|&byte| byte == 0).unwrap_or(self.comm.len());
        &self.comm[..end]
    }
}

/// Owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Who.
    pub process: Process,
    /// How that is known.
    pub evidence: Evidence,
    /// Its lowest descriptor of the socket, where known.
    pub fd: Option<u32>,
    /// How many other processes hold the socket too, as far as known; of a guess the listener:
    /// any of them may be the one.
    pub others: u32,
}

impl Owner {
    /// The guess that a listener's owner will accept, or has accepted, what comes from it.
    pub fn guess(listener: &Self) -> Self {
        Self { evidence: Evidence::Listener, fd: None, ..*listener }
    }

    /// Whom the hook on accept() names.
    pub fn accepted(record: &Record) -> Self {
        Self {
            process: Process::on_cpu(record),
            evidence: Evidence::Accept,
            fd: Some(record.fd),
            others: 0,
        }
    }
}

/// The process that itself made this state change, if it is certain that it ran on the CPU.
///
/// All other transitions may run in a softirq or timer on top of any task. MPTCP subflows are
/// driven by kernel workers.
pub fn acting(record: &Record, from: State, to: State) -> Option<Owner> {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
    };
    if record.has(flag::CLASSIC) && record.pid == 0 {
        return None;
    }
    // Of MPTCP's subflows those are opened by a process of which the programs say so.
    let is_opened = from == Closed && record.pid != 0;
    if record.has(flag::MPTCP) && !is_opened {
        return None;
    }
    let locally_aborted = record.error == 0 && !record.has(flag::DEAD);
    let evidence = match (from, to) {
        (Closed, SynSent) => Evidence::Connect,
        (Closed, Listen) => Evidence::Listen,
        (Listen, Closed) | (Established | SynRecv, FinWait1) | (CloseWait, LastAck) => {
            Evidence::Close
        }
        // A classic record has neither error nor flags: nothing can be concluded.
        (_, Closed) if record.has(flag::CLASSIC) => return None,
        (SynSent | SynRecv | Established | CloseWait | FinWait1, Closed) if locally_aborted => {
            Evidence::Close
        }
        (FinWait2, Closed) if locally_aborted && !record.has(flag::DONE) => Evidence::Close,
        _ => return None,
    };
    Some(Owner { process: Process::on_cpu(record), evidence, fd: None, others: 0 })
}

/// The better of what was known and what is known now.
///
/// Who made the socket stays its owner, unless another process acts on it (fork, passed
/// descriptor); a guess gives way to any knowledge, and who accepts it makes it anew.
pub fn refine(known: Option<Owner>, now: Option<Owner>) -> Option<Owner> {
    match (known, now) {
        (Some(known), Some(now))
            if known.evidence != Evidence::Listener
                && now.evidence != Evidence::Accept
                && known.process.is(&now.process) =>
        {
            Some(known)
        }
        (Some(known), Some(now)) if now.evidence == Evidence::Listener => Some(known),
        (known, now) => now.or(known),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::table::tests::record;

    #[rstest]
    #[case(State::Closed, State::SynSent, 0, 0, Some(Evidence::Connect))]
    #[case(State::Closed, State::Listen, 0, 0, Some(Evidence::Listen))]
    #[case(State::Listen, State::Closed, 0, 0, Some(Evidence::Close))]
    #[case(State::Established, State::FinWait1, 0, 0, Some(Evidence::Close))]
    #[case(State::CloseWait, State::LastAck, 0, 0, Some(Evidence::Close))]
    #[case(State::Established, State::Closed, 0, 0, Some(Evidence::Close))]
    // By a received RST, by the kernel's own timer, by the peer's segments:
    #[case(State::Established, State::Closed, 104, 0, None)]
    #[case(State::FinWait1, State::Closed, 0, flag::DEAD, None)]
    #[case(State::FinWait2, State::Closed, 0, flag::DONE, None)]
    #[case(State::Closing, State::Closed, 0, 0, None)]
    #[case(State::LastAck, State::Closed, 0, 0, None)]
    #[case(State::SynSent, State::Established, 0, 0, None)]
    #[case(State::Listen, State::SynRecv, 0, 0, None)]
    #[case(State::Established, State::CloseWait, 0, 0, None)]
    #[case(State::Established, State::FinWait1, 0, flag::MPTCP, None)]
    #[case(State::Closed, State::SynSent, 0, flag::MPTCP, Some(Evidence::Connect))]
    #[case(State::Closed, State::Listen, 0, flag::MPTCP, Some(Evidence::Listen))]
    fn the_task_on_the_cpu_is_blamed_only_where_it_acts(
        #[case] from: State,
        #[case] to: State,
        #[case] error: u16,
        #[case] flags: u8,
        #[case] evidence: Option<Evidence>,
    ) {
        let record = Record { error, flags, pid: 7, ..record(from, to) };
        assert_eq!(acting(&record, from, to).map(|owner| owner.evidence), evidence);
    }

    fn owner(pid: u32, evidence: Evidence) -> Option<Owner> {
        of(pid, 0, evidence)
    }

    fn of(pid: u32, start_ns: u64, evidence: Evidence) -> Option<Owner> {
        let process = Process { pid, comm: [0; 16], start_ns };
        Some(Owner { process, evidence, fd: None, others: 0 })
    }

    #[rstest]
    #[case(None, owner(1, Evidence::Close), owner(1, Evidence::Close))]
    #[case(owner(1, Evidence::Connect), None, owner(1, Evidence::Connect))]
    #[case(owner(1, Evidence::Connect), owner(1, Evidence::Close), owner(1, Evidence::Connect))]
    #[case(owner(1, Evidence::Connect), owner(2, Evidence::Close), owner(2, Evidence::Close))]
    #[case(owner(1, Evidence::Listener), owner(1, Evidence::Close), owner(1, Evidence::Close))]
    #[case(owner(1, Evidence::Close), owner(2, Evidence::Listener), owner(1, Evidence::Close))]
    #[case(owner(1, Evidence::Listener), owner(2, Evidence::Accept), owner(2, Evidence::Accept))]
    #[case(owner(2, Evidence::TaskFile), owner(2, Evidence::Accept), owner(2, Evidence::Accept))]
    #[case(owner(2, Evidence::Accept), owner(2, Evidence::Close), owner(2, Evidence::Accept))]
    // The pid of a process that has ended was given to another one.
    #[case(of(1, 5, Evidence::Connect), of(1, 9, Evidence::Close), of(1, 9, Evidence::Close))]
    #[case(of(1, 5, Evidence::Connect), of(1, 5, Evidence::Close), of(1, 5, Evidence::Connect))]
    #[case(of(1, 5, Evidence::Connect), of(1, 0, Evidence::Close), of(1, 5, Evidence::Connect))]
    fn knowledge_is_refined_never_replaced_by_a_guess(
        #[case] known: Option<Owner>,
        #[case] now: Option<Owner>,
        #[case] result: Option<Owner>,
    ) {
        assert_eq!(refine(known, now), result);
    }
}
