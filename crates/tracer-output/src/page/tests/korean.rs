//! The report in Korean: all of it, and nothing left in English.

use tracer_event::close::Reason;
use tracer_texts::Language;

use super::{super::words::*, *};

fn korean() -> Texts {
    Texts::of(Language::named("ko").unwrap())
}

/// Calls, settings and programs, and names of this test.
const UNTRANSLATED: [&str; 16] = [
    "accept",
    "bind",
    "connect",
    "cookies",
    "curl",
    "identity",
    "keep-alive",
    "kernel",
    "linger",
    "listener",
    "netns",
    "newer",
    "old",
    "report",
    "tracer",
    "web",
];

/// English words of a page, which are in small letters; commands are for a shell.
fn english(html: &str) -> Vec<String> {
    let outside = html.split("<pre>").map(|part| part.split_once("</pre>").map_or(part, |it| it.1));
    let page = text(&outside.collect::<String>());
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && !"-_/.".contains(c));
    let is_word = |word: &&str| {
        word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    };
    let is_small = |word: &&str| word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase());
    let words = words.filter(is_word).filter(is_small);
    words.filter(|word| !UNTRANSLATED.contains(word)).map(str::to_owned).collect()
}

#[test]
fn a_report_in_korean_has_no_english_words() {
    for html in [small(Some(korean())), report_in(Some(korean()), &[], 0)] {
        assert!(html.contains("<html lang=\"ko\">"), "{html}");
        let stray = english(&html);
        assert!(stray.is_empty(), "{stray:?}: {}", text(&html));
    }
    let html = small(Some(korean()));
    for words in ["발견된 문제가 없습니다", "없었습니다"] {
        assert!(text(&report_in(Some(korean()), &[], 0)).contains(words), "{words}");
    }
    for words in ["문제 1개, 그중 심각 1개", "로컬 포트가 없음", "할 일", "상태별 소켓"]
    {
        assert!(text(&html).contains(words), "{words}: {}", text(&html));
    }
}

/// Whatever a report may have to explain.
#[test]
fn every_state_and_reason_is_explained_in_korean() {
    let texts = korean();
    let states = State::ALL.map(of_state);
    let reasons = Reason::NAMES.map(|(_, reason)| of_reason(reason).1);
    let outcomes = OUTCOMES.map(|(_, name)| name);
    for english in states.into_iter().chain(reasons).chain(outcomes) {
        assert_ne!(texts.translated(english), english);
    }
}
