//! What one record of a snapshot says of a socket.

use tracer_wire::{Record, Timers, flag, kind};

use super::{
    connection::Connection,
    listeners::waits,
    time_wait::{TIME_WAIT_SECONDS, Ticks},
    timeouts::{self, RETRANSMIT, WINDOW_PROBE},
};
use tracer_event::{
    process::Owner,
    state::State,
    update::{Role, Subject},
};

use tracer_event::socket::{Socket, Timer, TimerKind};

/// The socket in a snapshot's record; `None` where its state is unknown.
pub fn of(record: &Record, ticks: Ticks, holders: Vec<Owner>) -> Option<Socket> {
    Some(in_state(record, State::from_kernel(record.new_state)?, ticks, holders))
}

/// The same, where its state is known.
pub fn in_state(record: &Record, state: State, ticks: Ticks, holders: Vec<Owner>) -> Socket {
    let full = record.kind == kind::SOCKET;
    let mut connection = Connection::new(record, state, None);
    if full {
        connection.absorb(record);
    }
    let (receive_queue, send_queue) = match (full, state) {
        (false, _) => (0, 0),
        (true, State::Listen) => (record.accept_queue, record.accept_backlog),
        (true, _) => (record.unread_bytes(), record.write_seq.wrapping_sub(record.snd_una)),
    };
    let role = role(record, state, true);
    let owner = holders.first().copied();
    let timers = Timers::of(record);
    Socket {
        time: record.time_ns,
        subject: Subject { owner, role, ..connection.subject() },
        state,
        age: age(record, ticks),
        at_least: full && age(record, ticks).is_some(),
        idle: timeouts::idle(record, ticks),
        keepalive: timers.and_then(|timers| timeouts::keepalive(&timers, ticks)),
        user_timeout: timers
            .filter(|timers| timers.user_timeout != 0)
            .map(|timers| u64::from(timers.user_timeout) * 1_000_000),
        holders,
        timer: timer(record, ticks),
        receive_queue,
        send_queue,
        rtt: (record.srtt_us != 0).then(|| u64::from(record.srtt_us >> 3) * 1_000),
        orphaned: is_orphaned(record),
        unaccepted: waits(record),
    }
}

/// Which end a socket is. One that came from a listener is a copy of it, and keeps the limit of its
/// queue (`sk_clone_lock` copies `sk_max_ack_backlog` as it is, 5.10–7.2). One that connects has
/// none; nor has one of a listener with a limit of 0, `may_be_served`.
pub fn role(record: &Record, state: State, may_be_served: bool) -> Option<Role> {
    let full = record.kind == kind::SOCKET && !record.has(flag::CLASSIC);
    match state {
        State::Listen => Some(Role::Listener),
        State::SynSent => Some(Role::Client),
        _ if record.kind == kind::REQUEST_SOCKET => Some(Role::Server),
        _ if full && record.accept_backlog > 0 => Some(Role::Server),
        _ => (full && !may_be_served).then_some(Role::Client),
    }
}

/// Whether no process holds the socket any more.
pub fn is_orphaned(record: &Record) -> bool {
    let full = record.kind == kind::SOCKET;
    // A subflow without a socket that is in no accept queue: its MPTCP socket has been closed.
    let closed_subflow = full && record.has(flag::MPTCP) && !record.has(flag::HAS_SOCKET);
    record.kind == kind::TIME_WAIT_SOCKET
        || full && record.has(flag::DEAD)
        || closed_subflow && !waits(record)
}

/// Time in the present state; of a full socket at least that.
///
/// ESTABLISHED, FIN_WAIT2 and CLOSE_WAIT begin with an acknowledgement from the peer, and later
/// ones may have followed.
pub fn age(record: &Record, ticks: Ticks) -> Option<u64> {
    match (record.kind, State::from_kernel(record.new_state)?) {
        (kind::TIME_WAIT_SOCKET, State::TimeWait) if record.timer_expires != 0 => {
            // The timer is armed for a minute; it may fire late.
            let end = record.jiffies.saturating_add(TIME_WAIT_SECONDS * ticks.hz);
            Some(ticks.nanoseconds(end.saturating_sub(record.timer_expires)))
        }
        (kind::REQUEST_SOCKET, _) => half_open(record),
        (kind::SOCKET, State::Established | State::FinWait2 | State::CloseWait) => {
            silence(record, ticks)
        }
        _ => None,
    }
}

/// Nanoseconds since the SYN+ACK of a request socket was first sent, where the kernel says.
pub fn half_open(record: &Record) -> Option<u64> {
    (record.last_ack != 0).then(|| u64::from(record.last_ack) * 1_000_000)
}

/// Nanoseconds since the last acknowledgement came.
pub fn silence(record: &Record, ticks: Ticks) -> Option<u64> {
    timeouts::since(record, record.last_ack, ticks)
}

/// Nanoseconds since data was last sent or received, where the kernel says.
pub fn idle(record: &Record, ticks: Ticks) -> Option<u64> {
    let moved = [record.last_sent, record.last_received].into_iter();
    moved.filter_map(|last| timeouts::since(record, last, ticks)).min()
}

fn timer(record: &Record, ticks: Ticks) -> Option<Timer> {
    let name = match (record.kind, record.timer) {
        _ if record.timer_expires == 0 => return None,
        (kind::TIME_WAIT_SOCKET, _) => TimerKind::TimeWait,
        (kind::REQUEST_SOCKET, _) => TimerKind::SynAck,
        // ICSK_TIME_LOSS_PROBE, ICSK_TIME_REO_TIMEOUT
        (_, RETRANSMIT) => TimerKind::Retransmit,
        (_, WINDOW_PROBE) => TimerKind::ZeroWindowProbe,
        (_, 5 | 6) => TimerKind::LossProbe,
        _ if record.has(flag::SK_TIMER) => TimerKind::Keepalive,
        _ => return None,
    };
    let remaining = record.timer_expires.saturating_sub(record.jiffies);
    Some(Timer { name, expires_in_ns: ticks.nanoseconds(remaining) })
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
        let socket = of(&record, TICKS, Vec::new()).unwrap();
        assert_eq!(socket.age, Some(20_000_000_000));
        assert!(socket.orphaned && !socket.unaccepted);
        let Some(Timer { name: TimerKind::TimeWait, expires_in_ns }) = socket.timer else {
            panic!("{:?}", socket.timer)
        };
        assert_eq!(expires_in_ns, 40_000_000_000);
    }

    #[test]
    fn a_connection_that_nobody_accepted_says_so() {
        let waiting = of(&seen(kind::SOCKET, 8), TICKS, Vec::new()).unwrap();
        assert!(waiting.unaccepted);
        let held = Record { flags: flag::HAS_SOCKET, ..seen(kind::SOCKET, 8) };
        assert!(!of(&held, TICKS, Vec::new()).unwrap().unaccepted);
    }

    /// A copy of its listener keeps the limit of the listener's queue.
    #[rstest]
    #[case::accepted(kind::SOCKET, 1, 128, false, Some(Role::Server))]
    #[case::its_listener_is_gone(kind::SOCKET, 8, 1, false, Some(Role::Server))]
    #[case::connected(kind::SOCKET, 1, 0, false, Some(Role::Client))]
    #[case::a_listener_with_a_limit_of_zero(kind::SOCKET, 1, 0, true, None)]
    #[case::connecting(kind::SOCKET, 2, 0, true, Some(Role::Client))]
    #[case::listening(kind::SOCKET, 10, 128, true, Some(Role::Listener))]
    #[case::half_open(kind::REQUEST_SOCKET, 3, 0, true, Some(Role::Server))]
    #[case::minisockets_know_nothing(kind::TIME_WAIT_SOCKET, 6, 0, false, None)]
    fn a_socket_of_before_shows_which_end_it_is(
        #[case] kind: u8,
        #[case] state: u8,
        #[case] accept_backlog: u32,
        #[case] may_be_served: bool,
        #[case] expected: Option<Role>,
    ) {
        let record = Record { accept_backlog, ..seen(kind, state) };
        let state = State::from_kernel(state).unwrap();
        assert_eq!(role(&record, state, may_be_served), expected);
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
        assert_eq!(timer(&record, TICKS).map(|timer| timer.name), name);
    }
}
