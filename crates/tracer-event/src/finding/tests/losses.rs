//! What is said of segments that are lost.

use super::*;

/// The first of three peers has lost most.
pub(super) fn lossy() -> Finding {
    let sent =
        |connections, segments, again, twice| Segments { connections, segments, again, twice };
    let path = |last, sent| Path { peer: at(&format!("10.0.0.{last}"), 0), sent };
    of(Problem::Retransmissions(Box::new(Retransmissions {
        sent: sent(8, 14_207, 412, 6),
        more_peers: 1,
        peers: vec![path(9, sent(4, 9_000, 400, 6)), path(8, sent(2, 4_000, 10, 0))],
        others: sent(5, 22_101, 3, 0),
        processes: vec![app(900)],
        observed: 5_000_000_000,
    })))
}

sentences! {
    what_is_lost_is_told_by_peer:
    lossy() =>
        "406 of 14,207 segments (2.9 %) to 10.0.0.9, 10.0.0.8, 1 more were lost and sent again, on \
         8 connections";
}

#[rstest]
#[case(0, 0, "nothing was sent to other peers: it may be this host's link or the path")]
#[case(100, 0, "0 of 100 segments (0.0 %)")]
#[case(
    20_000,
    10,
    "10 of 20,000 segments (0.1 %): it is not what they share, such as this host's link"
)]
#[case(
    20_000,
    400,
    "400 of 20,000 segments (2.0 %): look first at what they share, such as this host's link"
)]
fn whether_others_lose_as_much_says_where_to_look(
    #[case] segments: u64,
    #[case] again: u64,
    #[case] words: &str,
) {
    let Problem::Retransmissions(mut lossy) = lossy().problem else { panic!("it is not") };
    lossy.others = Segments { connections: 5, segments, again, twice: 0 };
    let expected = [
        "processes: app[900]",
        "observed: 5.00s",
        "peer: 10.0.0.9: 394 of 9,000 segments (4.4 %)",
        "peer: 10.0.0.8: 10 of 4,000 segments (0.2 %)",
        "not lost: 6 more were sent again though they had arrived",
        &format!("others: {words}"),
    ];
    assert_eq!(shown(&of(Problem::Retransmissions(lossy))), expected);
}
