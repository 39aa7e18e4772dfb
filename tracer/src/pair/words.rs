//! What is proved, as sentences.

use jiff::Timestamp;

use tracer_event::duration::{count, duration};
use tracer_model::pair::{Side, Skew, Verdict};

/// `24.293` of a minute would be ambiguous: hour, minute, second and millisecond, UTC.
fn at(time: i64) -> String {
    let time = Timestamp::from_nanosecond(time.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%H:%M:%S.%3f").to_string()
}

fn between(from: i64, to: i64) -> String {
    duration(to.saturating_sub(from).max(0).cast_unsigned())
}

/// The sentence; `names` are those of the two hosts.
pub(super) fn sentence(verdict: &Verdict, names: [&str; 2]) -> String {
    let [first, second] = names;
    match *verdict {
        Verdict::FinLost { .. }
        | Verdict::FinLate { .. }
        | Verdict::SynLost { .. }
        | Verdict::SynAckLost { .. }
        | Verdict::DataLost { .. } => lost(verdict, names),
        Verdict::ResetLost { from, sent, heard, until } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let begun = format!("{from} reset the connection at {}", at(sent));
            match heard {
                None => format!("{begun}, and {to} never heard of it (until {})", at(until)),
                Some(heard) => {
                    let late = between(sent, heard);
                    format!(
                        "{begun}; {to} heard of it {late} later, by the answer to a segment of its own"
                    )
                }
            }
        }
        Verdict::Rebooted { booted, answered } => {
            let answer = |time| format!("; it answered with RST at {}", at(time));
            let (booted, answered) = (at(booted), answered.map_or_else(String::new, answer));
            format!(
                "{second} has rebooted, at {booted}, while {first} had the connection{answered}"
            )
        }
        Verdict::Unknown { answered } => {
            format!("{second} has no such connection: it answered with RST at {}", at(answered))
        }
        Verdict::Rewritten => format!(
            "a proxy between {first} and {second} rewrites the numbers: it ends the connection of \
             one and makes another one to the other"
        ),
    }
}

/// Of segments that have not arrived, or late.
fn lost(verdict: &Verdict, names: [&str; 2]) -> String {
    match *verdict {
        Verdict::FinLost { from, sent, retransmits, state, until } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (again, sent, until) = (again(retransmits), at(sent), at(until));
            format!(
                "{from}'s FIN never reached {to}: sent at {sent}{again}; {to} was {state} until {until}"
            )
        }
        Verdict::FinLate { from, sent, retransmits, arrived } => {
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let (late, sent, again) = (between(sent, arrived), at(sent), again(retransmits));
            format!("{from}'s FIN reached {to} {late} late: sent at {sent}{again}")
        }
        Verdict::SynLost { sent, retransmits } => {
            let ([first, second], sent, again) = (names, at(sent), again(retransmits));
            format!(
                "{first}'s SYN of {sent} came to nothing on {second}, which others reached: lost \
                 on the way, or dropped there{again}"
            )
        }
        Verdict::DataLost { from, bytes, sent, missing } => {
            let what = if from == Side::First { "data" } else { "the answer" };
            let (from, to) = (names[from as usize], names[from.other() as usize]);
            let bytes = count(bytes.into(), "byte");
            let (sent, missing) = (at(sent), at(missing));
            format!(
                "{what} left {from} and did not arrive: {bytes}, sent by {sent}, not at {to} at {missing}"
            )
        }
        Verdict::SynAckLost { sent, retransmits } => {
            let (again, sent) = (count(retransmits as u64, "time"), at(sent));
            let [_, second] = names;
            format!(
                "the answer left {second} and did not arrive: SYN+ACK retransmitted {again}, first at {sent}"
            )
        }
        // The others have their words in `sentence`.
        _ => String::new(),
    }
}

fn again(retransmits: usize) -> String {
    match retransmits {
        0 => String::new(),
        many => format!(", retransmitted {}", count(many as u64, "time")),
    }
}

/// How far the clock of the second host is ahead.
pub(super) fn clock(skew: &Skew, names: [&str; 2]) -> String {
    let [first, second] = names;
    let difference = duration(skew.ahead.unsigned_abs());
    let way = if skew.ahead < 0 { "behind" } else { "ahead of" };
    let by = count(skew.handshakes as u64, "handshake");
    match skew.within {
        Some(within) => {
            let within = duration(within.unsigned_abs());
            format!(
                "the clock of {second} is {difference} {way} that of {first} (±{within}, by {by})"
            )
        }
        None => format!(
            "the clock of {second} is some {difference} {way} that of {first}: {by} contradict one \
             another, so a clock was set or drifts"
        ),
    }
}
