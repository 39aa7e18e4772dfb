//! Findings in other languages: all that is said of them, with nothing left in English.

use std::collections::BTreeSet;

use tracer_texts::{Language, Texts};

use super::*;
use crate::phrase::Value;

fn all() -> Vec<Finding> {
    let causes = Cause::ALL;
    let mut all: Vec<Finding> = causes.into_iter().map(leaking).collect();
    all.extend([never_accepted(), to_one(), no_port(1)]);
    all.extend(
        [(300, None), (200, None), (3, None), (3, Some(5))]
            .map(|(length, dropped)| queue(length, dropped)),
    );
    all.extend([connects(1, vec![failed(Reason::Refused, 1)])]);
    all.extend(others());
    all.extend(accepting::all());
    all.into_iter().map(|finding| Finding { entry: Some(Entry::Process(77)), ..finding }).collect()
}

fn others_of(texts: &Texts, of: &Value) -> String {
    match of {
        Value::Text(text) => text.clone(),
        Value::English(english) => {
            let words = texts.translated(english);
            assert_ne!(words, *english, "not among the texts of the view");
            words.to_owned()
        }
        Value::Phrase(phrase) => {
            let values = phrase.values.iter().map(|(name, of)| (*name, others_of(texts, of)));
            let values: Vec<_> = values.collect();
            let words = texts.say_known(phrase.name, &values);
            words.unwrap_or_else(|| panic!("{} has no text", phrase.name))
        }
        Value::Parts(parts) => {
            parts.iter().map(|part| others_of(texts, part)).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Words in small letters that are the same in each language: names, calls, settings, programs.
/// What has a digit, a bracket, an underscore, a dot or a slash is code, and no word.
const UNTRANSLATED: [&str; 34] = [
    "accept",
    "app",
    "backlog",
    "cgroup",
    "client",
    "connect",
    "diagnose",
    "docker",
    "envoy",
    "fork",
    "freezer",
    "gunicorn",
    "haproxy",
    "iptables",
    "keep-alive",
    "keepalive",
    "listener",
    "net",
    "netns",
    "nginx",
    "node",
    "ptrace",
    "qdisc",
    "read",
    "server",
    "socat",
    "somaxconn",
    "sshd",
    "systemctl",
    "thaw",
    "timeout",
    "tracer",
    "unpause",
    "user",
];

fn english(words: &str) -> Vec<&str> {
    let is_code =
        |word: &str| word.contains(|c: char| c.is_ascii_digit() || "()_/.=[]-".contains(c));
    words
        .split(|c: char| c.is_whitespace() || !c.is_ascii() || ",:;".contains(c))
        .filter(|word| !is_code(word) && word.len() > 2)
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
        .filter(|word| !UNTRANSLATED.contains(word))
        .collect()
}

/// The sentence, the evidence and the remedies, without the commands.
#[test]
fn every_finding_is_said_whole_in_other_languages() {
    for texts in Language::all().filter(|one| *one != Language::ENGLISH).map(Texts::of) {
        let mut strays = BTreeSet::new();
        for finding in all() {
            let sentence = others_of(&texts, finding.sentence().other());
            let evidence = finding.evidence().into_iter().filter(|line| !line.label.is_empty());
            let evidence = evidence.map(|line| line.text.other().clone());
            let remedies = finding.remedies().into_iter().map(|it| it.text.other().clone());
            let all = evidence.chain(remedies).map(|words| others_of(&texts, &words));
            for words in std::iter::once(sentence).chain(all) {
                assert!(!words.contains("{$"), "{}: {words}", texts.language());
                strays.extend(english(&words).into_iter().map(str::to_owned));
            }
        }
        assert!(strays.is_empty(), "{}: {strays:?}", texts.language());
    }
}

/// Two columns for a letter of Hangul: the evidence stays aligned.
#[test]
fn labels_fit_their_column_in_each_language() {
    let width = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    for texts in Language::all().map(Texts::of) {
        for line in all().iter().flat_map(Finding::evidence) {
            let label = texts.translated(line.label);
            assert!(width(label) < 12, "{}: {label}", texts.language());
        }
    }
}
