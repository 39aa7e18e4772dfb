//! What a command is asserted not to do on the network (`--assert`), and where it did.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    fault::{Fault, Incident},
    tally::{Account, Place},
};
use tracer_event::{
    duration::{count, duration, grouped},
    endpoint::Endpoint,
};
use tracer_output::phrase;
use tracer_texts::Texts;

/// One assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// None of these happens.
    No(Fault),
    /// No more connections are opened or accepted.
    MaxConnections(u64),
    /// No destination is connected to more often: connections are used again.
    Reuse(u64),
    /// So many percent of the handshakes take no longer.
    Handshake(u8, Duration),
}

/// The quantiles that can be asked for, percent.
const QUANTILES: [u8; 4] = [50, 90, 95, 99];

/// Why a text is no assertion.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AssertionError {
    /// No such name.
    #[error(
        "{0:?} is none of no-resets, no-refused, no-retransmits, no-close-wait, no-open, \
         no-leaks, max-connections=N, reuse=N, handshake-p50=TIME (or p90, p95, p99)"
    )]
    Unknown(String),
    /// What stands behind `=` is no number, or no time.
    #[error("{name}: {value:?} is no {expected}")]
    Value {
        /// Which assertion.
        name: String,
        /// What was written.
        value: String,
        /// What could stand there.
        expected: &'static str,
    },
}

impl FromStr for Assertion {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        let wrong = |expected| {
            let value = value.unwrap_or_default().to_owned();
            AssertionError::Value { name: name.to_owned(), value, expected }
        };
        if let (Some(fault), None) = (Fault::ALL.into_iter().find(|one| one.rule() == name), value)
        {
            return Ok(Self::No(fault));
        }
        if name == "max-connections" {
            let most = value.and_then(|value| value.parse().ok());
            return most.map(Self::MaxConnections).ok_or_else(|| wrong("number, as 20"));
        }
        if name == "reuse" {
            let most = value.and_then(|value| value.parse().ok());
            return most.map(Self::Reuse).ok_or_else(|| wrong("number, as 10"));
        }
        let quantile = name.strip_prefix("handshake-p").and_then(|number| number.parse().ok());
        if let Some(quantile) = quantile.filter(|quantile| QUANTILES.contains(quantile)) {
            let limit = value.and_then(|value| humantime::parse_duration(value).ok());
            let limit = limit.ok_or_else(|| wrong("time, as 50ms or 2s"))?;
            return Ok(Self::Handshake(quantile, limit));
        }
        Err(AssertionError::Unknown(text.to_owned()))
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No(fault) => f.write_str(fault.rule()),
            Self::MaxConnections(most) => write!(f, "max-connections={most}"),
            Self::Reuse(most) => write!(f, "reuse={most}"),
            Self::Handshake(quantile, limit) => {
                write!(f, "handshake-p{quantile}={}", humantime::format_duration(*limit))
            }
        }
    }
}

/// An assertion that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub assertion: Assertion,
    /// Where it does not hold, the first ones; none where it does.
    pub violations: Vec<Violation>,
    /// How many there are.
    pub count: u64,
}

/// Where an assertion does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// What went wrong with a connection.
    Incident(Box<Incident>),
    /// There are so many connections.
    Connections(u64),
    /// So many lead to one place.
    To(Endpoint, u64),
    /// So many percent of so many handshakes take as long, nanoseconds.
    Handshake(u8, u64, u64),
}

impl Violation {
    /// In words; without texts in English.
    pub fn say(&self, texts: Option<&Texts>) -> String {
        match *self {
            Self::Incident(ref incident) => incident.say(texts),
            Self::Connections(number) => {
                let (number, words) = (grouped(number), count(number, "connection"));
                phrase!(texts, "exec-connections", [number], "{words}")
            }
            Self::To(peer, number) => {
                let (number, words) = (grouped(number), count(number, "connection"));
                phrase!(texts, "exec-to", [number, peer], "{words} to {peer}")
            }
            Self::Handshake(quantile, number, time) => {
                let (words, number) = (count(number, "handshake"), grouped(number));
                let time = duration(time);
                phrase!(
                    texts,
                    "exec-handshake",
                    [quantile, number, time],
                    "p{quantile} of {words} is {time}"
                )
            }
        }
    }

    /// What it is about, where that is one connection.
    pub fn incident(&self) -> Option<&Incident> {
        match self {
            Self::Incident(incident) => Some(incident),
            _ => None,
        }
    }
}

impl Assertion {
    /// Checks it.
    pub fn check(self, account: &Account) -> Verdict {
        let one = |violation: Violation| (vec![violation], 1);
        let (violations, count) = match self {
            Self::No(fault) => {
                let (incidents, count) = account.incidents(fault);
                (incidents.into_iter().map(Box::new).map(Violation::Incident).collect(), count)
            }
            Self::MaxConnections(most) => {
                let count: u64 = account.places().iter().map(|(_, one)| one.connections).sum();
                if count > most { one(Violation::Connections(count)) } else { (Vec::new(), 0) }
            }
            Self::Reuse(most) => reuse(account, most),
            Self::Handshake(quantile, limit) => {
                let times = &account.handshakes;
                let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
                match times.value_at_quantile(f64::from(quantile) / 100.0) {
                    // The histogram keeps two digits: the end of a class may be later than all in it.
                    time if !times.is_empty() && times.lowest_equivalent(time) > limit => {
                        one(Violation::Handshake(quantile, times.len(), time))
                    }
                    _ => (Vec::new(), 0),
                }
            }
        };
        Verdict { assertion: self, violations, count }
    }
}

/// Destinations that were connected to more often.
fn reuse(account: &Account, most: u64) -> (Vec<Violation>, u64) {
    let often = account.places().into_iter().filter_map(|(place, one)| match place {
        Place::To(peer) if one.connections > most => Some(Violation::To(peer, one.connections)),
        _ => None,
    });
    let violations: Vec<Violation> = often.collect();
    let count = violations.len() as u64;
    (violations, count)
}

impl Verdict {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.count == 0
    }
}

/// The verdicts as JUnit's XML, which CI systems show.
pub fn junit(name: &str, verdicts: &[Verdict], seconds: f64) -> String {
    let failures = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n  <testsuite name=\"tracer exec\" tests=\"{}\" failures=\"{failures}\" \
         errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">\n",
        verdicts.len()
    );
    for verdict in verdicts {
        let case = format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"",
            xml(name),
            xml(&verdict.assertion.to_string())
        );
        text.push_str(&case);
        if verdict.holds() {
            text.push_str("/>\n");
            continue;
        }
        let lines: Vec<String> = verdict.violations.iter().map(|one| xml(&one.say(None))).collect();
        text.push_str(&format!(
            ">\n      <failure message=\"{} violated\">{}</failure>\n    </testcase>\n",
            grouped(verdict.count),
            lines.join("\n")
        ));
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Without characters that mean something in XML, or may not stand there.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use tracer_event::{close::Reason, state::State};
    use tracer_texts::{Language, untranslated::english};

    use super::*;
    use crate::exec::fault::{Site, What};

    #[rstest]
    #[case("no-resets")]
    #[case("no-refused")]
    #[case("no-retransmits")]
    #[case("no-close-wait")]
    #[case("no-open")]
    #[case("max-connections=20")]
    #[case("handshake-p99=50ms")]
    fn an_assertion_is_written_as_it_is_read(#[case] text: &str) {
        assert_eq!(text.parse::<Assertion>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("no-leak", "none of no-resets")]
    #[case("no-resets=1", "none of no-resets")]
    #[case("max-connections", "number")]
    #[case("max-connections=many", "number")]
    #[case("handshake-p99=50", "time")]
    #[case("handshake-p98=50ms", "none of")]
    fn what_is_wrong_with_an_assertion_is_said(#[case] text: &str, #[case] said: &str) {
        let error = text.parse::<Assertion>().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn what_is_violated_is_said_in_korean() {
        let ends = [Reason::ResetReceived, Reason::Refused].map(What::Ended);
        let states = [What::Open(State::CloseWait), What::AtExit(State::CloseWait)];
        let others =
            [What::Retransmitted(2), What::CloseWait(1, Some("not_closed")), What::NeverAccepted];
        let [created, connected, test] = ["A", "B", "C"].map(str::to_owned);
        let site = Site { created, connected, test };
        let incident = |what| Incident {
            subject: tracer_event::fixtures::subject(1),
            what,
            site: site.clone(),
        };
        let incidents = ends.into_iter().chain(states).chain(others).map(incident);
        let peer = Endpoint::new([127, 0, 0, 1].into(), 80);
        let others =
            [Violation::Connections(1), Violation::To(peer, 2), Violation::Handshake(99, 1, 1)];
        let one = others.each_ref().map(|one| one.say(None));
        assert_eq!(
            one,
            ["1 connection", "2 connections to 127.0.0.1:80", "p99 of 1 handshake is 1ns"]
        );
        let texts = Texts::of(Language::named("ko").unwrap());
        for violation in incidents.map(Box::new).map(Violation::Incident).chain(others) {
            let words = violation.say(Some(&texts));
            let stray = english(&words, &["nginx"]);
            assert!(stray.is_empty() && words != violation.say(None), "{stray:?}: {words}");
        }
    }

    #[test]
    fn junit_names_what_failed_and_is_xml() {
        let created = "a <b> & \"c\"\u{1b}".to_owned();
        let incident = Incident {
            subject: tracer_event::fixtures::subject(1),
            what: What::NeverAccepted,
            site: Site { created, ..Site::default() },
        };
        let violation = Violation::Incident(Box::new(incident));
        let assertion = Assertion::MaxConnections(1);
        let failed = Verdict { assertion, violations: vec![violation], count: 1 };
        let held = Verdict { assertion, violations: Vec::new(), count: 0 };
        let text = junit("py\"test", &[failed, held], 1.5);
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
        assert!(text.contains("a &lt;b&gt; &amp; &quot;c&quot;\u{fffd}</failure>"), "{text}");
        assert!(text.contains("classname=\"py&quot;test\""), "{text}");
    }
}
