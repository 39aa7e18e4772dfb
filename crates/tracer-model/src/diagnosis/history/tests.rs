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
    let ends = history.groups.values().map(|group| group.ends().len()).sum::<usize>();
    assert_eq!(ends, bad);
}

/// Attempts in one window and the next, by second: which of them fail, and whether it is over for good.
#[rstest]
#[case::one_outage(&[(1, true), (2, true)], &[(3, false)], true)]
#[case::fails_again(&[(1, true), (2, false)], &[(3, true), (4, false)], false)]
#[case::fails_again_after_a_success(&[(1, true)], &[(2, false), (3, true), (4, false)], false)]
#[case::fails_still(&[(1, true), (2, false)], &[(3, true)], false)]
fn an_outage_is_one_across_windows(
    #[case] earlier: &[(u64, bool)],
    #[case] later: &[(u64, bool)],
    #[case] is_over: bool,
) {
    let of = |attempts: &[(u64, bool)]| {
        let mut history = History::default();
        for &(time, fails) in attempts {
            let subject = Subject { role: Some(Role::Client), ..fixtures::subject(1) };
            let to = if fails { State::Closed } else { State::Established };
            let close = fails.then(|| Close::new(Reason::Refused, None));
            let attempt = Transition::new(subject, time, State::SynSent, to);
            history.transition(&Transition { close, ..attempt });
        }
        history
    };
    let mut history = of(earlier);
    history.add(&of(later));
    let group = history.groups.values().next().unwrap();
    assert_eq!(group.recovered().is_some(), is_over);
}
