//! The summary at the end of a trace.

use std::{cmp::Reverse, fmt::Display};

use hdrhistogram::Histogram;

use crate::phrases::{of_wording, said, worded};

use tracer_event::{
    close::Reason,
    duration::{count, duration, grouped},
    escape::escape,
    finding::ProcessEnded,
    name::comm,
    summary::{Acceptor, Accepts, Lives, Lost, Summary, Transitions},
};
use tracer_texts::Texts;

/// Passes the lines of the summary to `line`, the most important one last.
pub(crate) fn closing(summary: &Summary, texts: Option<&Texts>, mut line: impl FnMut(&str)) {
    let Lives { connected, accepted, accepts, ends, lingering, processes } = &summary.lives;
    let mut ends = ends.clone();
    ends.sort_by_key(|(_, count)| Reverse(*count));
    let ends = ends.iter().map(|(why, count)| counted(*count, reason(*why), texts));
    let handshakes = [("outgoing", connected), ("incoming", accepted)]
        .into_iter()
        .filter(|(_, times)| !times.is_empty())
        .map(|(name, times)| quantiles(said(texts, name), times));
    let lingering = lingering
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(state, count)| format!("{} {state}", grouped(*count)));
    let english = format_args!("{} ended", count(summary.ended, "socket"));
    let ended = worded(texts, "view-all-ended", &[("count", &grouped(summary.ended))], english);
    for (what, parts, by) in [
        (&*ended, ends.collect::<Vec<_>>(), ", "),
        ("handshakes", handshakes.collect(), "; "),
        ("waits for accept()", waits(accepts, texts), "; "),
        ("processes ended", gone(processes, texts), "; "),
        ("still stuck", lingering.collect(), ", "),
    ] {
        if !parts.is_empty() {
            line(&format!("= {}: {}", said(texts, what), parts.join(by)));
        }
    }
    line(&counts(summary, texts));
}

/// `3 refused`
fn counted(number: u64, what: &str, texts: Option<&Texts>) -> String {
    let (number, what) = (grouped(number), said(texts, what));
    let values: [(&str, &dyn Display); 2] = [("count", &number), ("what", &what)];
    worded(texts, "view-count", &values, format_args!("{number} {what}"))
}

/// Processes that have ended: the last ones, and how many more there were.
fn gone((last, count): &(Vec<ProcessEnded>, u64), texts: Option<&Texts>) -> Vec<String> {
    let words = |one: &ProcessEnded| of_wording(&one.words(), texts).into_owned();
    let before = count.saturating_sub(last.len() as u64);
    let before = (before > 0).then(|| counted(before, "before", texts));
    last.iter().map(words).chain(before).collect()
}

fn quantiles(name: &str, times: &Histogram<u64>) -> String {
    let at = |quantile| duration(times.value_at_quantile(quantile));
    format!("{} {name}, p50 {}, p99 {}", grouped(times.len()), at(0.5), at(0.99))
}

/// How long connections waited for accept(): the listeners with most of them.
fn waits(accepts: &Accepts, texts: Option<&Texts>) -> Vec<String> {
    const SHOWN: usize = 5;
    let Accepts { listeners, others, .. } = accepts;
    let mut listeners: Vec<_> = listeners.iter().collect();
    listeners.sort_by_key(|(_, times)| Reverse(times.len()));
    let rest = listeners.iter().skip(SHOWN).map(|(_, times)| times.len()).sum::<u64>()
        + others.as_ref().map_or(0, Histogram::len);
    let of = |(acceptor, times): (&Acceptor, &Histogram<u64>)| {
        let name = comm::plain(&acceptor.comm);
        let who = format!(":{} {}", acceptor.port, escape(name));
        quantiles(who.trim_end(), times)
    };
    let shown = listeners.into_iter().take(SHOWN).map(of);
    let rest = (rest > 0).then(|| counted(rest, "of other listeners", texts));
    shown.chain(rest).collect()
}

fn counts(summary: &Summary, texts: Option<&Texts>) -> String {
    let Summary { transitions, established, lingered, lost, complete, .. } = summary;
    let Transitions { tracepoint, snapshot, timer, inferred } = *transitions;
    let transitions = tracepoint + snapshot + timer + inferred;
    let english = format_args!(
        "{}, {} established, {} stuck",
        count(transitions, "transition"),
        count(*established, "socket"),
        grouped(*lingered),
    );
    let values: [(&str, &dyn Display); 3] = [
        ("transitions", &grouped(transitions)),
        ("established", &grouped(*established)),
        ("stuck", &grouped(*lingered)),
    ];
    let mut words = format!("= {}; ", worded(texts, "view-transitions", &values, english));
    words.push_str(match (complete, lost.unseen) {
        (true, 0) => said(texts, "nothing lost"),
        (true, _) => said(texts, "nothing lost for good:"),
        (false, 0) if !lost.is_final() => said(texts, "INCOMPLETE: the recording is truncated"),
        (false, _) => said(texts, "INCOMPLETE:"),
    });
    let Lost { ring_buffer, recursion, decode, unseen, table, output, journal, syslog, otlp } =
        *lost;
    for (count, name) in [
        (ring_buffer, "ring buffer full"),
        (recursion, "skipped by the kernel"),
        (decode, "damaged"),
        (unseen, "unseen but inferred"),
        (table, "sockets no longer tracked, too many at once"),
        (output, "not shown, output too slow or full"),
        (journal, "not in the journal"),
        (syslog, "not sent to syslog"),
        (otlp, "not accepted by the OTLP receiver"),
    ] {
        if count > 0 {
            words.push_str(&format!(" {}", counted(count, name, texts)));
        }
    }
    words
}

/// How it ended, in a list.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Graceful => "closed normally",
        Reason::ResetReceived => "reset by the peer",
        Reason::ResetSentUnreadData => "reset: unread data",
        Reason::ResetSentLingerZero => "reset: SO_LINGER 0",
        Reason::ResetSentDataAfterClose => "reset: data after close",
        Reason::ResetSentUnaccepted => "reset: never accepted",
        Reason::Refused => "refused",
        Reason::Unreachable => "unreachable",
        Reason::ConnectTimeout => "timed out connecting",
        Reason::RetransmitTimeout => "timed out",
        Reason::KeepaliveTimeout => "timed out by keepalive",
        Reason::ZeroWindowTimeout => "timed out with a closed window",
        Reason::FinWait2Timeout => "timed out waiting for the peer's FIN",
        Reason::AbortedLocally => "aborted by the application",
        Reason::Killed => "killed",
        Reason::NoLocalPort => "no free local port",
        Reason::Disconnected => "disconnected",
        Reason::Unknown => "unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_event::state::State;

    #[test]
    fn the_summary_says_what_people_ask_for_and_nothing_of_what_there_was_not() {
        let said = |summary: &Summary| {
            let mut lines = Vec::new();
            closing(summary, None, |line| lines.push(line.to_owned()));
            lines
        };
        let mut summary = Summary { complete: true, ..Summary::default() };
        assert_eq!(
            said(&summary),
            ["= 0 transitions, 0 sockets established, 0 stuck; nothing lost"]
        );
        summary.ended = 1_003;
        summary.established = 1;
        summary.lives.ends = vec![(Reason::Refused, 3), (Reason::Graceful, 1_000)];
        summary.lives.lingering = [(State::CloseWait, 2), (State::TimeWait, 0)].into();
        for time in 1..=100 {
            summary.lives.connected.saturating_record(time * 1_000_000);
        }
        for (port, times) in [(80, 3), (443, 50)] {
            let mut waits = Histogram::new(2).unwrap();
            waits.record_n(2_000_000, times).unwrap();
            let acceptor = Acceptor { netns: 1, port, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0" };
            summary.lives.accepts.listeners.insert(acceptor, waits);
        }
        summary.complete = false;
        summary.lost.ring_buffer = 7;
        assert_eq!(
            said(&summary),
            [
                "= 1,003 sockets ended: 1,000 closed normally, 3 refused",
                "= handshakes: 100 outgoing, p50 50.1ms, p99 99.1ms",
                "= waits for accept(): 50 :443 nginx, p50 2.01ms, p99 2.01ms; \
                 3 :80 nginx, p50 2.01ms, p99 2.01ms",
                "= still stuck: 2 CLOSE_WAIT",
                "= 0 transitions, 1 socket established, 0 stuck; INCOMPLETE: 7 ring buffer full",
            ]
        );
    }
}
