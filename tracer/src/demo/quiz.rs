//! What `--step` asks before a step, and what the kernel then does.

use tracer_event::{
    close::Reason,
    state::State,
    update::{Direction, Role, Transition},
};
use tracer_output::text::reason;
use tracer_texts::{Language, Texts};

use super::desk::Happened;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The first segment that an end sends.
    Sends(Role),
    /// The state that an end is in after it.
    State(Role),
    /// What is acknowledged to an end, relative to its initial number.
    Acked(Role),
    /// The reason why it is over for an end.
    Reason(Role),
    /// The segment that is sent again first.
    Again,
}

/// A question before a step.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The scenario.
    pub scenario: &'static str,
    /// Its step.
    pub step: &'static str,
    /// What is asked.
    pub ask: Ask,
    /// What can be answered.
    pub choices: &'static [&'static str],
}

const SEGMENTS: &[&str] = &["SYN", "ACK", "SYN+ACK", "FIN", "RST"];
const CLOSING: &[&str] = &["CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSED"];

use Ask::{Acked, Again, Reason as Why, Sends, State as Enters};
use Role::{Client, Server};

const fn ask(
    scenario: &'static str,
    step: &'static str,
    ask: Ask,
    choices: &'static [&'static str],
) -> Question {
    Question { scenario, step, ask, choices }
}

/// All questions.
pub const QUESTIONS: &[Question] = &[
    ask("handshake", "connect", Sends(Client), SEGMENTS),
    ask("handshake", "connect", Sends(Server), SEGMENTS),
    ask("handshake", "connect", Acked(Client), &["0", "1", "2"]),
    ask("handshake", "connect", Enters(Server), &["LISTEN", "SYN_RECV", "ESTABLISHED"]),
    ask("data", "close", Acked(Client), &["2", "7", "8", "9"]),
    ask("teardown", "close", Sends(Client), SEGMENTS),
    ask("teardown", "close", Enters(Server), CLOSING),
    ask("teardown", "close", Enters(Client), CLOSING),
    ask("teardown", "close-too", Enters(Client), CLOSING),
    ask("teardown", "close-too", Enters(Server), CLOSING),
    ask("teardown-three", "close", Enters(Client), CLOSING),
    ask("half-close", "shutdown", Enters(Client), CLOSING),
    ask("half-close", "close", Enters(Client), CLOSING),
    ask("simultaneous-close", "cross", Enters(Client), CLOSING),
    ask("simultaneous-close", "cross", Enters(Server), CLOSING),
    ask("refused", "connect", Why(Client), &["graceful", "refused", "connect_timeout"]),
    ask("syn-lost", "connect", Again, &["SYN", "SYN+ACK", "ACK"]),
    ask("syn-ack-lost", "connect", Again, &["SYN", "SYN+ACK", "ACK"]),
    ask("last-ack-lost", "close", Enters(Client), CLOSING),
    ask("last-ack-lost", "lost", Again, &["ACK", "FIN", "SYN"]),
    ask("last-ack-lost", "lost", Enters(Client), CLOSING),
    ask("last-ack-lost", "lost", Why(Server), &["graceful", "reset_received"]),
    ask("late-segment", "close", Enters(Server), CLOSING),
    ask("rst-unread", "close", Sends(Server), SEGMENTS),
    ask("rst-unread", "close", Why(Client), &["graceful", "reset_received"]),
    ask("rst-linger", "close", Sends(Client), SEGMENTS),
    ask("rst-after-close", "data", Sends(Client), SEGMENTS),
    ask("connect-timeout", "connect", Why(Client), &["refused", "connect_timeout"]),
    ask("close-wait", "close", Enters(Server), CLOSING),
    ask("orphan", "close", Enters(Client), CLOSING),
];

/// The lessons of `tracer demo --step`, from nothing to the lost last ACK.
pub const COURSE: [&str; 10] = [
    "handshake",
    "syn-lost",
    "data",
    "teardown",
    "teardown-three",
    "half-close",
    "rst-unread",
    "close-wait",
    "late-segment",
    "last-ack-lost",
];

/// The questions before a step.
pub fn before(scenario: &str, step: &str) -> impl Iterator<Item = &'static Question> {
    QUESTIONS.iter().filter(move |one| one.scenario == scenario && one.step == step)
}

impl Question {
    /// The question in a language, and its choices.
    pub fn say(&self, texts: &Texts) -> String {
        let end = |role| match role {
            Server => texts.say("end-server"),
            _ => texts.say("end-client"),
        };
        let (name, role) = match self.ask {
            Sends(role) => ("ask-sends", Some(role)),
            Ask::State(role) => ("ask-state", Some(role)),
            Acked(role) => ("ask-acked", Some(role)),
            Ask::Reason(role) => ("ask-reason", Some(role)),
            Again => ("ask-again", None),
        };
        let values: Vec<(&str, String)> = role.map(|role| ("end", end(role))).into_iter().collect();
        texts.say_with(name, &values)
    }

    /// What the kernel did; `None` where its events do not tell.
    pub fn answer(&self, happened: &[Happened]) -> Option<String> {
        let of = |role: Role| move |one: &&Transition| one.subject.role == Some(role);
        let transitions = || {
            happened.iter().filter_map(|one| match one {
                Happened::Transition(transition) => Some(transition),
                Happened::Retransmit(_) | Happened::Reset(_) => None,
            })
        };
        match self.ask {
            Sends(role) => happened.iter().find_map(|one| sent(one, role)),
            Ask::State(role) => transitions().rfind(of(role)).map(|last| last.to.name().to_owned()),
            Acked(role) => {
                let mut known = transitions().filter(of(role)).filter_map(|one| one.sequence);
                // Only the client's SYN is counted among what was acknowledged.
                let syn = u64::from(role == Server);
                known.next_back().map(|sequence| (sequence.acked + syn).to_string())
            }
            Ask::Reason(role) => {
                let close = transitions().filter(of(role)).find_map(|one| one.close);
                close.map(|close| code(close.reason))
            }
            Again => happened.iter().find_map(|one| match one {
                Happened::Retransmit(again) => Some(again.segment.r#type.name().to_owned()),
                Happened::Transition(_) | Happened::Reset(_) => None,
            }),
        }
    }
}

/// An answer as it is shown: reasons of JSON in words, where the language is not English.
pub fn shown<'a>(answer: &'a str, texts: &'a Texts) -> &'a str {
    match Reason::NAMES.into_iter().find(|(name, _)| *name == answer) {
        Some((_, why)) if texts.language() != Language::ENGLISH => texts.translated(reason(why)),
        _ => answer,
    }
}

/// The reason as JSON has it.
fn code(reason: Reason) -> String {
    let text = serde_json::to_value(reason).ok();
    text.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// The segment that an end has sent with an event.
fn sent(happened: &Happened, role: Role) -> Option<String> {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
        TimeWait,
    };
    let name = match happened {
        Happened::Transition(one) if one.subject.role == Some(role) => match (one.from, one.to) {
            (Closed, SynSent) => "SYN",
            (Listen | SynSent, SynRecv) => "SYN+ACK",
            (SynSent, Established) | (FinWait1 | FinWait2, TimeWait) => "ACK",
            (Established | SynRecv, FinWait1) | (CloseWait, LastAck) => "FIN",
            (_, Closed) => match one.close?.reason {
                Reason::ResetSentUnreadData
                | Reason::ResetSentLingerZero
                | Reason::ResetSentDataAfterClose
                | Reason::ResetSentUnaccepted => "RST",
                _ => return None,
            },
            _ => return None,
        },
        Happened::Reset(one) if one.subject.role == Some(role) => {
            return (one.segment.direction == Direction::Sent).then(|| "RST".to_owned());
        }
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use tracer_lab::scenario;

    use super::*;

    #[test]
    fn reasons_to_choose_from_are_words_in_other_languages_only() {
        let [english, korean] = ["en", "ko"].map(|name| Texts::of(Language::named(name).unwrap()));
        for answer in QUESTIONS.iter().flat_map(|question| question.choices) {
            assert_eq!(shown(answer, &english), *answer);
            let is_reason = answer.bytes().any(|byte| byte.is_ascii_lowercase());
            assert_eq!(shown(answer, &korean) != *answer, is_reason, "{answer}");
        }
    }

    #[test]
    fn questions_are_asked_before_steps_that_there_are_and_answers_have_a_key() {
        for question in QUESTIONS {
            let scenario = scenario::find(question.scenario).unwrap();
            assert!(scenario.steps.contains(&question.step), "{question:?}");
            assert!((2..=9).contains(&question.choices.len()), "{question:?}");
        }
        for lesson in COURSE {
            assert!(QUESTIONS.iter().any(|one| one.scenario == lesson), "{lesson}");
        }
    }
}
