//! `tracer explain`: what a term means, and what this kernel does about it.

use std::{fmt::Write as _, fs};

use tracer_output::width::{columns, padded, wrap};
use tracer_texts::{
    MACHINE, Texts,
    terms::{SETTINGS, Section, TERMS, Term},
};

/// Columns of a text.
const WIDTH: usize = 78;

/// The settings of the running kernel, as far as it has them.
pub fn settings() -> Vec<(&'static str, String)> {
    let value = |path: &str| fs::read_to_string(format!("/proc/sys/{path}")).ok();
    let shown = |value: Option<String>| value.map_or_else(|| "?".into(), |it| it.trim().to_owned());
    SETTINGS.iter().map(|(name, path)| (*name, shown(value(path)))).collect()
}

/// A term in a language.
pub fn term(term: &Term, texts: &Texts, settings: &[(&str, String)]) -> String {
    let part = |part| texts.attribute_with(term.name, part, settings);
    let mut text = format!("{}\n", part("title").unwrap_or_default());
    paragraph(&mut text, "", part("what"));
    paragraph(&mut text, &texts.say("explain-linux"), part("linux"));
    paragraph(&mut text, &texts.say("explain-many"), part("many"));
    let demos: Vec<String> = term.demos.iter().map(|name| format!("tracer demo {name}")).collect();
    let demos = Some(demos.join(" · ")).filter(|demos| !demos.is_empty());
    paragraph(&mut text, &texts.say("explain-here"), demos);
    let source = Some(term.source.to_owned()).filter(|source| !source.is_empty());
    paragraph(&mut text, &texts.say("explain-rfc"), source);
    text
}

fn paragraph(text: &mut String, heading: &str, words: Option<String>) {
    let Some(words) = words else { return };
    let words = if heading.is_empty() { words } else { format!("{heading}: {words}") };
    text.push('\n');
    for line in wrap(&words, WIDTH) {
        text.push_str(&line);
        text.push('\n');
    }
}

/// The state machine and all terms, by section.
pub fn list(texts: &Texts) -> String {
    let mut text = format!("{MACHINE}\n");
    for line in wrap(&texts.say("explain-legend"), WIDTH) {
        let _ = writeln!(text, "{line}");
    }
    let longest = TERMS.iter().map(|term| columns(term.name)).max().unwrap_or_default();
    for section in Section::ALL {
        let _ = writeln!(text, "\n{}", texts.say(section.heading()));
        for term in TERMS.iter().filter(|term| term.section == section) {
            let title = texts.attribute(term.name, "title").unwrap_or_default();
            let prefix = format!("{}: ", term.name);
            let title = title.strip_prefix(&prefix).unwrap_or(&title);
            let _ = writeln!(text, "  {}  {title}", padded(term.name, longest));
        }
    }
    let _ = writeln!(text, "\n{}", texts.say("explain-usage"));
    text
}

#[cfg(test)]
mod tests {
    use tracer_event::{finding::Problem, state::State};
    use tracer_lab::scenario;
    use tracer_texts::{Language, terms};

    use super::*;

    #[test]
    fn every_term_is_explained_in_every_language_with_what_it_names() {
        for language in Language::all() {
            let texts = Texts::of(language);
            for one in TERMS {
                let text = term(one, &texts, &settings());
                assert!(text.lines().count() >= 3, "{language}: {}", one.name);
                assert!(!text.contains("{$"), "{language}: {text}");
                let wide = text.lines().find(|line| columns(line) > WIDTH);
                assert_eq!(wide, None, "{language}: {}", one.name);
                for demo in one.demos {
                    assert!(scenario::find(demo).is_some(), "{}: {demo}", one.name);
                }
            }
        }
    }

    #[test]
    fn every_state_and_finding_is_a_term() {
        for code in Problem::CODES {
            assert!(terms::find(code).is_some(), "{code}");
        }
        for state in State::ALL {
            assert!(terms::find(state.name()).is_some(), "{state:?}");
        }
    }

    #[test]
    fn a_term_is_found_however_it_is_written() {
        let found = |asked: &str| terms::find(asked).map(|term| term.name);
        assert_eq!(found("TIME_WAIT"), Some("time-wait"));
        assert_eq!(found("SYN+ACK"), Some("syn-ack"));
        assert_eq!(found("three-way handshake"), Some("handshake"));
        assert_eq!(found("연결 설정"), Some("handshake"));
        assert_eq!(found("반종료"), Some("half-close"));
        assert_eq!(found("ISN"), Some("initial-sequence-number"));
        assert_eq!(found("reset-received"), Some("reset_received"));
        assert_eq!(found("nonsense"), None);
        assert_eq!(found("+"), None);
    }

    #[test]
    fn a_text_is_searched_for_words_and_parts_of_words() {
        let found =
            |asked: &str| -> Vec<_> { terms::like(asked).iter().map(|term| term.name).collect() };
        assert_eq!(found("2MSL"), found("2 MSL"));
        assert_eq!(found("2MSL"), ["time-wait-timer"]);
        assert_eq!(found("SYN-RECEIVED"), ["syn-recv"]);
        assert!(found("finwait").contains(&"fin-wait1"));
        assert!(found("retransmis").contains(&"retransmission-timer"));
        // It is in "no peer" and in "one of the".
        for nothing in ["NOPE", "neof"] {
            assert_eq!(found(nothing), [""; 0]);
        }
    }

    #[test]
    fn every_scenario_has_a_title_and_each_of_its_steps_a_text() {
        for language in Language::all() {
            let texts = Texts::of(language);
            for scenario in scenario::all() {
                let name = format!("demo-{}", scenario.name);
                for part in scenario.steps.iter().chain(&["title", "end"]) {
                    assert!(texts.attribute(&name, part).is_some(), "{language}: {name}.{part}");
                }
            }
        }
    }

    #[test]
    fn the_list_fits_a_terminal() {
        for language in Language::all() {
            let list = list(&Texts::of(language));
            let wide = list.lines().find(|line| columns(line) > 80);
            assert_eq!(wide, None, "{language}");
            assert!(TERMS.iter().all(|term| list.contains(term.name)));
        }
    }
}
