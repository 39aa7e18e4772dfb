use rstest::rstest;

use super::*;
use tracer_event::{
    close::{Close, Initiator},
    fixtures,
};

/// The end of a client that has read up to 77 and sends an RST by choice, and that of its server,
/// by the end of what that has written.
#[rstest]
#[case::all_was_read(77, 0)]
#[case::more_was_on_its_way(78, 1)]
fn an_rst_is_harmless_where_all_was_read(#[case] written: u32, #[case] bad: usize) {
    let mut history = History::default();
    let client = Subject { role: Some(Role::Client), ..fixtures::subject(1) };
    let tuple = client.tuple.reversed();
    let server = Subject { tuple, role: Some(Role::Server), ..fixtures::subject(2) };
    for (subject, reason, [snd_una, write_seq, rcv_nxt]) in [
        (client, Reason::ResetSentLingerZero, [18, 18, 77]),
        (server, Reason::ResetReceived, [1, written, 18]),
    ] {
        let snd_nxt = write_seq;
        let numbers = Sequence { snd_una, snd_nxt, write_seq, rcv_nxt, acked: 1, received: 1 };
        history.transition(&Transition {
            close: Some(Close::new(reason, Some(Initiator::Local))),
            sequence: Some(numbers),
            ..Transition::new(subject, 1, State::Established, State::Closed)
        });
    }
    let ends = history.groups.values().map(|group| group.ends.len()).sum::<usize>();
    assert_eq!(ends, bad);
}
