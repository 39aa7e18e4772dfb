//! What is proved, as sentences.

use jiff::Timestamp;

use tracer_event::duration::{count, duration};
use tracer_model::pair::{Side, Skew, Verdict};
use tracer_output::{phrase, phrases::said};
use tracer_texts::Texts;

/// `24.293` of a minute would be ambiguous: hour, minute, second and millisecond, UTC.
fn at(time: i64) -> String {
    let time = Timestamp::from_nanosecond(time.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%H:%M:%S.%3f").to_string()
}

fn between(from: i64, to: i64) -> String {
    duration(to.saturating_sub(from).max(0).cast_unsigned())
}

/// The sentence; `names` are those of the two hosts. Without texts in English.
pub(super) fn sentence(verdict: &Verdict, names: [&str; 2], texts: Option<&Texts>) -> String {
    let [first, second] = names;
    match *verdict {
        Verdict::FinLost { .. }
        | Verdict::FinLate { .. }
        | Verdict::SynLost { .. }
        | Verdict::SynAckLost { .. }
        | Verdict::DataLost { .. } => lost(verdict, names, texts),
        Verdict::ResetLost { .. } | Verdict::Rebooted { .. } => ended(verdict, names, texts),
        Verdict::Unknown { answered } => {
            let time = at(answered);
            phrase!(
                texts,
                "pair-unknown",
                [second, time],
                "{second} has no such connection: it answered with RST at {time}"
            )
        }
        Verdict::Rewritten => phrase!(
            texts,
            "pair-rewritten",
            [first, second],
            "a proxy between {first} and {second} rewrites the numbers: it ends the connection of \
             one and makes another one to the other"
        ),
    }
}

/// Of an end that one host has not heard of.
fn ended(verdict: &Verdict, names: [&str; 2], texts: Option<&Texts>) -> String {
    match *verdict {
        Verdict::ResetLost { from, sent, heard, until } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (time, until) = (at(sent), at(until));
            let begun =
                phrase!(texts, "pair-reset", [from, time], "{from} reset the connection at {time}");
            match heard {
                None => phrase!(
                    texts,
                    "pair-reset-unheard",
                    [begun, to, until],
                    "{begun}, and {to} never heard of it (until {until})"
                ),
                Some(heard) => {
                    let late = between(sent, heard);
                    phrase!(
                        texts,
                        "pair-reset-late",
                        [begun, to, late],
                        "{begun}; {to} heard of it {late} later, by the answer to a segment of its own"
                    )
                }
            }
        }
        Verdict::Rebooted { booted, answered } => {
            let [first, second] = names;
            let answer = |time| {
                let time = at(time);
                phrase!(texts, "pair-answered", [time], "; it answered with RST at {time}")
            };
            let (booted, answered) = (at(booted), answered.map_or_else(String::new, answer));
            phrase!(
                texts,
                "pair-rebooted",
                [first, second, booted, answered],
                "{second} has rebooted, at {booted}, while {first} had the connection{answered}"
            )
        }
        // The others have their words in `sentence`.
        _ => String::new(),
    }
}

/// Of segments that have not arrived, or late.
fn lost(verdict: &Verdict, names: [&str; 2], texts: Option<&Texts>) -> String {
    let again = |retransmits| again(retransmits, texts);
    match *verdict {
        Verdict::FinLost { .. } | Verdict::FinLate { .. } => fin_lost(verdict, names, texts),
        Verdict::SynLost { sent, retransmits } => {
            let ([first, second], sent, again) = (names, at(sent), again(retransmits));
            phrase!(
                texts,
                "pair-syn-lost",
                [first, second, sent, again],
                "{first}'s SYN of {sent} came to nothing on {second}, which others reached: lost \
                 on the way, or dropped there{again}"
            )
        }
        Verdict::DataLost { from, bytes, sent, missing } => {
            let what = if from == Side::First { "data" } else { "the answer" };
            let what = said(texts, what);
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (number, bytes) = (bytes, count(bytes.into(), "byte"));
            let (sent, missing) = (at(sent), at(missing));
            phrase!(
                texts,
                "pair-data-lost",
                [what, from, to, number, sent, missing],
                "{what} left {from} and did not arrive: {bytes}, sent by {sent}, not at {to} at {missing}"
            )
        }
        Verdict::SynAckLost { sent, retransmits } => {
            let (times, sent) = (count(retransmits as u64, "time"), at(sent));
            let [_, second] = names;
            phrase!(
                texts,
                "pair-syn-ack-lost",
                [second, retransmits, sent],
                "the answer left {second} and did not arrive: SYN+ACK retransmitted {times}, first at {sent}"
            )
        }
        // The others have their words in `sentence`.
        _ => String::new(),
    }
}

/// Of a FIN that has not arrived, or late.
fn fin_lost(verdict: &Verdict, names: [&str; 2], texts: Option<&Texts>) -> String {
    let again = |retransmits| again(retransmits, texts);
    match *verdict {
        Verdict::FinLost { from, sent, retransmits, state, until } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (again, sent, until) = (again(retransmits), at(sent), at(until));
            phrase!(
                texts,
                "pair-fin-lost",
                [from, to, sent, again, state, until],
                "{from}'s FIN never reached {to}: sent at {sent}{again}; {to} was {state} until {until}"
            )
        }
        Verdict::FinLate { from, sent, retransmits, arrived } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (late, sent, again) = (between(sent, arrived), at(sent), again(retransmits));
            phrase!(
                texts,
                "pair-fin-late",
                [from, to, late, sent, again],
                "{from}'s FIN reached {to} {late} late: sent at {sent}{again}"
            )
        }
        // The others have their words in `lost`.
        _ => String::new(),
    }
}

fn again(retransmits: usize, texts: Option<&Texts>) -> String {
    if retransmits == 0 {
        return String::new();
    }
    let times = count(retransmits as u64, "time");
    phrase!(texts, "pair-again", [retransmits], ", retransmitted {times}")
}

/// How far the clock of the second host is ahead.
pub(super) fn clock(skew: &Skew, names: [&str; 2], texts: Option<&Texts>) -> String {
    let [first, second] = names;
    let difference = duration(skew.ahead.unsigned_abs());
    let way = said(texts, if skew.ahead < 0 { "behind" } else { "ahead of" });
    let (number, by) = (skew.handshakes, count(skew.handshakes as u64, "handshake"));
    match skew.within {
        Some(within) => {
            let within = duration(within.unsigned_abs());
            phrase!(
                texts,
                "pair-clock",
                [first, second, difference, way, within, number],
                "the clock of {second} is {difference} {way} that of {first} (±{within}, by {by})"
            )
        }
        None => phrase!(
            texts,
            "pair-clock-unsure",
            [first, second, difference, way, number],
            "the clock of {second} is some {difference} {way} that of {first}: {by} contradict one \
             another, so a clock was set or drifts"
        ),
    }
}

#[cfg(test)]
mod tests {
    use tracer_event::state::State;
    use tracer_texts::{Language, untranslated::english};

    use super::*;

    #[test]
    fn what_is_proved_is_said_in_korean() {
        let (from, sent, until, retransmits) = (Side::First, 1, 2, 3);
        let verdicts = [
            Verdict::FinLost { from, sent, retransmits, state: State::Established, until },
            Verdict::FinLate { from, sent, retransmits, arrived: until },
            Verdict::ResetLost { from, sent, heard: None, until },
            Verdict::ResetLost { from, sent, heard: Some(until), until },
            Verdict::DataLost { from, bytes: 7, sent, missing: until },
            Verdict::DataLost { from: Side::Second, bytes: 7, sent, missing: until },
            Verdict::SynAckLost { sent, retransmits },
            Verdict::SynLost { sent, retransmits },
            Verdict::Rebooted { booted: sent, answered: Some(until) },
            Verdict::Unknown { answered: sent },
            Verdict::Rewritten,
        ];
        let texts = Texts::of(Language::named("ko").unwrap());
        let sentences = verdicts.iter().map(|one| sentence(one, ["web", "db"], Some(&texts)));
        let skew = |ahead, within| Skew { ahead, within, handshakes: 2 };
        let clocks = [skew(5, Some(1)), skew(-5, Some(1)), skew(5, None)];
        let clocks = clocks.iter().map(|skew| clock(skew, ["web", "db"], Some(&texts)));
        for words in sentences.chain(clocks) {
            let stray = english(&words, &["web"]);
            assert!(stray.is_empty() && words.contains("db"), "{stray:?}: {words}");
            assert!(!words.contains('{'), "{words}");
        }
    }
}
