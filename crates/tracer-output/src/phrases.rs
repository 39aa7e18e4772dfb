//! Sentences of events in the language of whoever reads them; in English where that has none.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
};

use tracer_event::{
    finding::Finding,
    phrase::{Phrase, Value, Wording},
};
use tracer_texts::{Language, Texts};

/// A phrase in a language; `None` where that has no such words.
fn say(texts: &Texts, phrase: &Phrase) -> Option<String> {
    let values = phrase.values.iter().map(|(name, of)| Some((*name, value(texts, of)?)));
    texts.say_known(phrase.name, &values.collect::<Option<Vec<_>>>()?)
}

fn value(texts: &Texts, of: &Value) -> Option<String> {
    Some(match of {
        Value::Text(text) => text.clone(),
        Value::English(english) => texts.translated(english).to_owned(),
        Value::Phrase(phrase) => say(texts, phrase)?,
        Value::Parts(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(|part| value(texts, part)).collect();
            parts?.join(", ")
        }
    })
}

/// Words in the language of whoever reads them.
pub fn of_wording<'a>(wording: &'a Wording, texts: Option<&Texts>) -> Cow<'a, str> {
    let words = other(texts).and_then(|texts| value(texts, wording.other()));
    words.map_or_else(|| wording.english().into(), Cow::Owned)
}

/// Words that the code has in English, in a language.
pub fn said<'a>(texts: Option<&'a Texts>, english: &'a str) -> &'a str {
    texts.map_or(english, |texts| texts.translated(english))
}

/// [`worded`] by the names of variables: `phrase!(texts, "view-more", [count], "{count} more")`.
#[macro_export]
macro_rules! phrase {
    ($texts:expr, $name:literal, [$($value:ident),*], $english:literal) => {
        $crate::phrases::worded(
            $texts,
            $name,
            &[$((stringify!($value), &$value)),*],
            format_args!($english),
        )
    };
}

/// The texts of a language other than English, which the code has itself.
pub(crate) fn other(texts: Option<&Texts>) -> Option<&Texts> {
    texts.filter(|texts| texts.language() != Language::ENGLISH)
}

/// Words with figures: in another language by their name among its texts, else in English.
pub fn worded(
    texts: Option<&Texts>,
    name: &str,
    values: &[(&str, &dyn Display)],
    english: fmt::Arguments<'_>,
) -> String {
    let mut text = String::new();
    write_worded(texts, name, values, english, &mut text);
    text
}

/// [`worded`] at the end of a text; in English without another one in between.
pub(crate) fn write_worded(
    texts: Option<&Texts>,
    name: &str,
    values: &[(&str, &dyn Display)],
    english: fmt::Arguments<'_>,
    text: &mut String,
) {
    let words = other(texts).and_then(|texts| {
        let values = values.iter().map(|(name, value)| (*name, value.to_string()));
        texts.say_known(name, &values.collect::<Vec<_>>())
    });
    match words {
        Some(words) => text.push_str(&words),
        // Writing to memory cannot fail.
        None => drop(text.write_fmt(english)),
    }
}

/// What is wrong, in one sentence.
pub fn of_finding(finding: &Finding, texts: Option<&Texts>) -> String {
    of_wording(&finding.sentence(), texts).into_owned()
}
