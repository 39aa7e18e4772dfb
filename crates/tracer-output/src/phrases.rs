//! Sentences of events in the language of whoever reads them; in English where that has none.

use tracer_event::{
    finding::Finding,
    phrase::{Phrase, Value},
};
use tracer_texts::{Language, Texts};

/// A phrase in a language; `None` where that has no such words.
pub(crate) fn say(texts: &Texts, phrase: &Phrase) -> Option<String> {
    let value = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Parts(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(|part| say(texts, part)).collect();
            Some(parts?.join(", "))
        }
    };
    let values = phrase.values.iter().map(|(name, of)| Some((*name, value(of)?)));
    texts.say_known(phrase.name, &values.collect::<Option<Vec<_>>>()?)
}

/// What is wrong, in one sentence.
pub fn of_finding(finding: &Finding, texts: Option<&Texts>) -> String {
    let other = texts.and_then(|texts| say(texts, &finding.phrase()?));
    other.unwrap_or_else(|| finding.sentence())
}

/// What can be done about a kind of finding, where the language is not English, which says it of
/// each finding by itself.
pub fn advice(finding: &Finding, texts: Option<&Texts>) -> Option<String> {
    let texts = texts.filter(|texts| texts.language() != Language::ENGLISH)?;
    texts.attribute(finding.problem.code(), "many")
}
