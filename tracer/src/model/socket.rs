//! A socket as a snapshot shows it, with what can be read off at one look.

use tracer_ebpf::{Record, flag, kind};

use super::{
    connection::Connection,
    listeners::waits,
    owner::{Evidence, Owner, Process},
    state::State,
    time_wait::{TIME_WAIT_SECONDS, Ticks},
    update::{Role, Subject},
};

/// Which timer is running (`include/net/inet_connection_sock.h`, `include/net/tcp.h`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// The oldest segment is sent again when it fires.
    Retransmit,
    /// A zero-window probe is sent.
    ZeroWindowProbe,
    /// A tail loss probe is sent, or reordering is given up waiting for.
    LossProbe,
    /// A keepalive probe is sent; an orphan in FIN_WAIT2 is dropped.
    Keepalive,
    /// A minisocket is removed.
    TimeWait,
    /// The SYN+ACK is sent again.
    SynAck,
}

/// A timer and when it fires.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Timer {
    /// Which.
    pub name: TimerKind,
    /// Nanoseconds until it fires.
    pub expires_in_ns: u64,
}

/// A socket at the moment of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    /// When it was seen.
    pub time: u64,
    /// Who it is; its owner is the first of `holders`.
    pub subject: Subject,
    /// Its state. A half-open connection is in SYN_RECV.
    pub state: State,
    /// Nanoseconds in that state, where the kernel tells.
    pub age: Option<u64>,
    /// The true age is at least `age`: it is the time since the last acknowledgement came.
    pub at_least: bool,
    /// Processes that hold a descriptor of it.
    pub holders: Vec<Owner>,
    /// The timer that is running.
    pub timer: Option<Timer>,
    /// Received bytes that the application has not read; of a listener connections not accepted.
    pub receive_queue: u32,
    /// Bytes not acknowledged by the peer; of a listener the limit of its accept queue.
    pub send_queue: u32,
    /// Smoothed round-trip time, nanoseconds.
    pub rtt: Option<u64>,
    /// Closed by its process; the kernel finishes alone.
    pub orphaned: bool,
    /// Complete, but not accepted by any process yet.
    pub unaccepted: bool,
}

impl Socket {
    /// From a snapshot's record; `None` where the state makes no sense.
    pub fn of(record: &Record, ticks: Ticks, holders: Vec<Owner>) -> Option<Self> {
        let state = State::from_kernel(record.new_state)?;
        let full = record.kind == kind::SOCKET;
        let mut connection = Connection::new(record, state, None);
        if full {
            connection.absorb(record);
        }
        let remaining = record.timer_expires.saturating_sub(record.jiffies);
        let minisocket = record.kind == kind::TIME_WAIT_SOCKET;
        let (age, at_least) = age(record, state, ticks);
        let (receive_queue, send_queue) = match (full, state) {
            (false, _) => (0, 0),
            (true, State::Listen) => (record.accept_queue, record.accept_backlog),
            (true, _) => (record.unread_bytes(), record.write_seq.wrapping_sub(record.snd_una)),
        };
        let unaccepted = waits(record);
        // What is in no accept queue and has no socket either: MPTCP's, closed by its process.
        let orphaned =
            minisocket || connection.orphaned || is_closed_subflow(record) && !unaccepted;
        let role = match state {
            State::Listen => Some(Role::Listener),
            State::SynSent => Some(Role::Client),
            _ => None,
        };
        let owner = holders.first().copied();
        Some(Self {
            time: record.time_ns,
            subject: Subject { owner, role, ..connection.subject() },
            state,
            age,
            at_least,
            holders,
            timer: timer(record)
                .map(|name| Timer { name, expires_in_ns: ticks.nanoseconds(remaining) }),
            receive_queue,
            send_queue,
            rtt: (record.srtt_us != 0).then(|| u64::from(record.srtt_us >> 3) * 1_000),
            orphaned,
            unaccepted,
        })
    }
}

fn is_closed_subflow(record: &Record) -> bool {
    record.kind == kind::SOCKET && record.has(flag::MPTCP) && !record.has(flag::HAS_SOCKET)
}

/// Time in the present state, and whether it is only known to be at least that.
///
/// ESTABLISHED, FIN_WAIT2 and CLOSE_WAIT begin with an acknowledgement; what ends in another state
/// since then was sent from here.
fn age(record: &Record, state: State, ticks: Ticks) -> (Option<u64>, bool) {
    match (record.kind, state) {
        (kind::TIME_WAIT_SOCKET, State::TimeWait) if record.timer_expires != 0 => {
            let remaining = record.timer_expires.saturating_sub(record.jiffies);
            let spent = (TIME_WAIT_SECONDS * ticks.hz).saturating_sub(remaining);
            (Some(ticks.nanoseconds(spent)), false)
        }
        (kind::REQUEST_SOCKET, _) => (half_open(record), false),
        (kind::SOCKET, State::Established | State::FinWait2 | State::CloseWait) => {
            let silence = silence(record, ticks);
            (silence, silence.is_some())
        }
        _ => (None, false),
    }
}

/// Nanoseconds since the SYN+ACK of a request socket was first sent, where the kernel tells.
pub fn half_open(record: &Record) -> Option<u64> {
    (record.last_ack != 0).then(|| u64::from(record.last_ack) * 1_000_000)
}

/// Nanoseconds since the last acknowledgement came.
pub fn silence(record: &Record, ticks: Ticks) -> Option<u64> {
    let elapsed = (record.jiffies as u32).wrapping_sub(record.last_ack);
    // Half of the count's range is the future.
    let is_past = record.last_ack != 0 && elapsed <= u32::MAX / 2;
    is_past.then(|| ticks.nanoseconds(elapsed.into()))
}

fn timer(record: &Record) -> Option<TimerKind> {
    match (record.kind, record.timer) {
        _ if record.timer_expires == 0 => None,
        (kind::TIME_WAIT_SOCKET, _) => Some(TimerKind::TimeWait),
        (kind::REQUEST_SOCKET, _) => Some(TimerKind::SynAck),
        // ICSK_TIME_RETRANS, ICSK_TIME_PROBE0, ICSK_TIME_LOSS_PROBE, ICSK_TIME_REO_TIMEOUT
        (_, 1) => Some(TimerKind::Retransmit),
        (_, 3) => Some(TimerKind::ZeroWindowProbe),
        (_, 5 | 6) => Some(TimerKind::LossProbe),
        _ if record.has(flag::SK_TIMER) => Some(TimerKind::Keepalive),
        _ => None,
    }
}

impl From<&tracer_ebpf::Holder> for Owner {
    fn from(holder: &tracer_ebpf::Holder) -> Self {
        Self {
            process: Process { pid: holder.pid, comm: holder.comm, start_ns: holder.start_ns },
            evidence: Evidence::TaskFile,
            fd: Some(holder.fd),
            others: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TICKS: Ticks = Ticks { hz: 250 };

    fn seen(kind: u8, state: u8) -> Record {
        Record { kind, new_state: state, jiffies: 100_000, ..Record::EMPTY }
    }

    #[test]
    fn the_age_of_a_time_wait_is_what_its_timer_has_used_up() {
        let record =
            Record { timer_expires: 100_000 + 40 * 250, ..seen(kind::TIME_WAIT_SOCKET, 6) };
        let socket = Socket::of(&record, TICKS, Vec::new()).unwrap();
        assert_eq!(socket.age, Some(20_000_000_000));
        assert!(socket.orphaned && !socket.unaccepted);
        let Some(Timer { name: TimerKind::TimeWait, expires_in_ns }) = socket.timer else {
            panic!("{:?}", socket.timer)
        };
        assert_eq!(expires_in_ns, 40_000_000_000);
    }

    #[test]
    fn a_connection_that_nobody_accepted_says_so() {
        let waiting = Socket::of(&seen(kind::SOCKET, 8), TICKS, Vec::new()).unwrap();
        assert!(waiting.unaccepted);
        let held = Record { flags: flag::HAS_SOCKET, ..seen(kind::SOCKET, 8) };
        assert!(!Socket::of(&held, TICKS, Vec::new()).unwrap().unaccepted);
    }

    #[rstest]
    #[case(1, 0, Some(TimerKind::Retransmit))]
    #[case(3, 0, Some(TimerKind::ZeroWindowProbe))]
    #[case(5, 0, Some(TimerKind::LossProbe))]
    #[case(0, flag::SK_TIMER, Some(TimerKind::Keepalive))]
    #[case(0, 0, None)]
    fn timers_have_names(#[case] pending: u8, #[case] flags: u8, #[case] name: Option<TimerKind>) {
        let record =
            Record { timer: pending, flags, timer_expires: 100_001, ..seen(kind::SOCKET, 1) };
        assert_eq!(timer(&record), name);
    }
}
