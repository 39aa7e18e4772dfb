//! Whose socket it is, and how that is known.
//!
//! The task on the CPU is the acting one in a few transitions only; on loopback it is usually the
//! other end's process. What is said of an owner therefore carries its evidence.

use tracer_wire::{Record, flag};

use tracer_event::state::State;

use tracer_event::process::{Evidence, Owner, Process};

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

/// Whether a process closes the socket because it ends: it has been killed, has crashed or has left
/// it to the kernel to close what is open.
pub fn at_exit(record: &Record, from: State, to: State) -> bool {
    record.exiting != 0 && acting(record, from, to).is_some()
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
    use crate::table::tests::record;

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

    /// A softirq may run on top of a task that ends.
    #[rstest]
    #[case(State::Established, State::FinWait1, 0, true)]
    #[case(State::CloseWait, State::LastAck, 0, true)]
    #[case(State::Listen, State::Closed, 0, true)]
    #[case(State::Established, State::Closed, 0, true)]
    #[case(State::Established, State::Closed, 104, false)]
    #[case(State::Established, State::CloseWait, 0, false)]
    #[case(State::LastAck, State::Closed, 0, false)]
    fn the_end_of_a_process_closes_what_it_held(
        #[case] from: State,
        #[case] to: State,
        #[case] error: u16,
        #[case] expected: bool,
    ) {
        let ending = Record { error, exiting: 1, pid: 7, ..record(from, to) };
        assert_eq!(at_exit(&ending, from, to), expected);
        assert!(!at_exit(&Record { exiting: 0, ..ending }, from, to));
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
