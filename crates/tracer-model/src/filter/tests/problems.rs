//! Which RSTs are problems.

use rstest::rstest;
use tracer_event::{
    reset::{Reset, Rst},
    segment::{Answered, Direction},
};

use super::*;

#[rstest]
#[case::refused(Answered::Syn, true)]
#[case::unknown(Answered::Ack, true)]
#[case::closed_by_both(Answered::Fin, false)]
fn an_rst_without_a_socket_is_a_problem_unless_both_have_closed(
    #[case] answered: Answered,
    #[case] expected: bool,
) {
    let subject = Subject::of_addresses(subject().tuple);
    let segment = Rst::answering(answered);
    let reset = Reset { time: 0, subject, state: State::Closed, segment };
    let filter: Filter = "problem".parse().unwrap();
    assert_eq!(filter.wants(&Update::Reset(&reset), &Unknown), expected);
}

/// The end of its connection says what it has done, also where the kernel gives no cookies.
#[rstest]
fn an_rst_of_a_socket_is_no_problem_itself(#[values(None, Some(7))] cookie: Option<u64>) {
    let subject = Subject { cookie, ordinal: 1, ..subject() };
    let segment = Rst::new(Direction::Sent);
    let reset = Reset { time: 0, subject, state: State::Established, segment };
    let filter: Filter = "problem".parse().unwrap();
    assert!(!filter.wants(&Update::Reset(&reset), &Unknown));
}

/// Of an end that is reset: whether it is a problem.
#[rstest]
#[case::check(Role::Server, State::Established, Reason::ResetReceived, (0, 0, 0), false)]
#[case::check_after_our_fin(Role::Server, State::FinWait1, Reason::ResetReceived, (0, 0, 1), false)]
#[case::after_all_is_acknowledged(Role::Server, State::FinWait2, Reason::ResetReceived, (9, 9, 0), false)]
#[case::in_a_request(Role::Server, State::Established, Reason::ResetReceived, (0, 9, 0), true)]
#[case::unacknowledged(Role::Server, State::FinWait1, Reason::ResetReceived, (0, 0, 9), true)]
#[case::of_a_client(Role::Client, State::Established, Reason::ResetReceived, (0, 0, 0), true)]
#[case::chosen(Role::Client, State::CloseWait, Reason::ResetSentLingerZero, (9, 9, 0), false)]
#[case::unread(Role::Server, State::Established, Reason::ResetSentUnreadData, (0, 9, 0), true)]
fn an_rst_by_which_nothing_is_lost_is_no_problem(
    #[case] role: Role,
    #[case] from: State,
    #[case] reason: Reason,
    #[case] (acked, received, unacknowledged): (u64, u64, u32),
    #[case] expected: bool,
) {
    let sequence = Sequence {
        snd_una: 5,
        snd_nxt: 5,
        write_seq: 5 + unacknowledged,
        rcv_nxt: 1,
        acked,
        received,
    };
    let subject = Subject { role: Some(role), ..subject() };
    let transition = Transition {
        sequence: Some(sequence),
        close: Some(Close::new(reason, None)),
        ..Transition::new(subject, 0, from, State::Closed)
    };
    let filter: Filter = "problem".parse().unwrap();
    assert_eq!(filter.wants(&Update::Transition(&transition), &Unknown), expected);
}
