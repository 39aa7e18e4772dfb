//! What a transition means in TCP's terms.

use tracer_event::{
    close::Reason,
    state::State,
    update::{Close, Source, Transition},
};

/// What was sent or received, or what else happened, in a few words.
pub fn meaning(transition: &Transition) -> &'static str {
    let Transition { from, to, orphaned, source, sent, close, .. } = *transition;
    match (from, to) {
        (State::Closed, State::Listen) => "listening",
        (State::Listen, State::Closed) => "stopped listening",
        (State::Closed, State::SynSent) => match sent {
            Some(true) => "SYN sent",
            Some(false) => "connecting: no SYN sent yet",
            None => "connecting",
        },
        (State::Listen, State::SynRecv) => "SYN received, SYN+ACK sent",
        (State::SynSent, State::SynRecv) => "SYN received, SYN+ACK sent (simultaneous open)",
        (State::SynSent, State::Established) => "SYN+ACK received",
        (State::SynRecv, State::Established) => "ACK received",
        (State::Established | State::SynRecv, State::FinWait1)
        | (State::CloseWait, State::LastAck) => match sent {
            Some(true) => "FIN sent",
            Some(false) => "FIN queued, not sent yet",
            None => "FIN sent or queued",
        },
        // The kernel holds its ACK back for a while.
        (State::Established | State::SynRecv, State::CloseWait) => "FIN received",
        (State::FinWait1 | State::FinWait2, State::TimeWait) => "FIN received, ACK sent",
        (State::FinWait1, State::FinWait2) | (State::Closing, State::TimeWait) => {
            "ACK of FIN received"
        }
        (State::FinWait1, State::Closing) => "FIN received, ACK sent (simultaneous close)",
        (State::FinWait2, State::FinWait2) if orphaned => "orphaned: waiting for the peer's FIN",
        (State::TimeWait, State::Closed) => match source {
            Source::Timer => "TIME_WAIT expired",
            _ => "TIME_WAIT ended early",
        },
        (_, State::Closed) => close.map_or("gone", |close| ending(&close)),
        _ => "unexpected transition",
    }
}

/// How a transition is known, where no event of the kernel told of it, or that no process has asked
/// for it: follows its meaning.
pub fn source(transition: &Transition) -> &'static str {
    match transition.source {
        Source::Tracepoint if transition.at_exit => " (the process ended)",
        Source::Tracepoint => "",
        Source::Snapshot => " (found by snapshot)",
        // Nothing but a timer lets it expire.
        Source::Timer if transition.from == State::TimeWait => "",
        Source::Timer => " (timer)",
        Source::Inferred => " (inferred)",
    }
}

/// How a connection came to its end.
pub fn ending(close: &Close) -> &'static str {
    if let Some(icmp) = close.icmp {
        return icmp.words();
    }
    match close.reason {
        Reason::Graceful => "ACK of FIN received",
        Reason::ResetReceived => "RST received",
        Reason::ResetSentUnreadData => "RST sent: closed with unread data",
        Reason::ResetSentLingerZero => "RST sent: closed with SO_LINGER 0",
        Reason::ResetSentDataAfterClose => "RST sent: data came after close",
        Reason::ResetSentUnaccepted => "RST sent: listener closed, never accepted",
        Reason::Refused => "RST received: connection refused",
        Reason::Unreachable => "ICMP received: unreachable",
        Reason::ConnectTimeout => "no answer to the SYN: timed out",
        Reason::RetransmitTimeout => "no answer: retransmission timed out",
        Reason::KeepaliveTimeout => "no answer: keepalive timed out",
        Reason::ZeroWindowTimeout => "timed out: the peer's window stayed closed",
        Reason::FinWait2Timeout => "timed out: the peer never closed",
        Reason::AbortedLocally => "aborted by the application",
        Reason::Killed => "killed by SOCK_DESTROY",
        Reason::NoLocalPort => "no free local port",
        Reason::Disconnected => "disconnected by connect(AF_UNSPEC)",
        Reason::Unknown => "gone: reason unknown",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use tracer_event::fixtures::transition;
    use tracer_texts::{Language, Texts};

    use super::*;
    use crate::text;

    const REASONS: [Reason; 18] = [
        Reason::Graceful,
        Reason::ResetReceived,
        Reason::ResetSentUnreadData,
        Reason::ResetSentLingerZero,
        Reason::ResetSentDataAfterClose,
        Reason::ResetSentUnaccepted,
        Reason::Refused,
        Reason::Unreachable,
        Reason::ConnectTimeout,
        Reason::RetransmitTimeout,
        Reason::KeepaliveTimeout,
        Reason::ZeroWindowTimeout,
        Reason::FinWait2Timeout,
        Reason::AbortedLocally,
        Reason::Killed,
        Reason::NoLocalPort,
        Reason::Disconnected,
        Reason::Unknown,
    ];

    /// ICMP's words are those of its RFCs.
    #[test]
    fn what_is_said_of_a_step_is_said_in_every_language() {
        let english = State::ALL.into_iter().flat_map(|from| {
            let to = State::ALL.into_iter().filter(|to| *to != State::Closed);
            to.flat_map(move |to| {
                let sent = [None, Some(true), Some(false)];
                sent.map(|sent| meaning(&Transition { sent, ..transition(from, to) }))
            })
        });
        let endings = REASONS.into_iter().map(|reason| ending(&Close::new(reason, None)));
        let listed = REASONS.into_iter().map(text::reason);
        let legend = text::LEGEND.into_iter().map(|(_, meaning)| meaning);
        let all: Vec<&str> = english.chain(endings).chain(listed).chain(legend).collect();
        for language in Language::all().filter(|language| *language != Language::ENGLISH) {
            let texts = Texts::of(language);
            for words in &all {
                assert_ne!(texts.translated(words), *words, "{language}");
            }
        }
    }

    /// "sent" is said of what has left the host, "ACK sent" of no ACK that the kernel holds back.
    #[rstest]
    #[case(State::Closed, State::SynSent, Some(true), "SYN sent")]
    #[case(State::Closed, State::SynSent, Some(false), "connecting: no SYN sent yet")]
    #[case(State::Closed, State::SynSent, None, "connecting")]
    #[case(State::SynSent, State::Established, None, "SYN+ACK received")]
    #[case(State::Established, State::FinWait1, Some(true), "FIN sent")]
    #[case(State::Established, State::FinWait1, Some(false), "FIN queued, not sent yet")]
    #[case(State::CloseWait, State::LastAck, Some(false), "FIN queued, not sent yet")]
    #[case(State::CloseWait, State::LastAck, None, "FIN sent or queued")]
    #[case(State::Established, State::CloseWait, None, "FIN received")]
    #[case(State::FinWait1, State::FinWait2, None, "ACK of FIN received")]
    #[case(State::FinWait2, State::TimeWait, None, "FIN received, ACK sent")]
    fn only_what_went_is_said_to_be_sent(
        #[case] from: State,
        #[case] to: State,
        #[case] sent: Option<bool>,
        #[case] words: &str,
    ) {
        assert_eq!(meaning(&Transition { sent, ..transition(from, to) }), words);
    }
}
