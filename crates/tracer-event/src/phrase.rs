//! A sentence before it is put into words: its name among the texts of a language, and what its
//! placeholders stand for. English has its words where the sentence is made, since they are part
//! of the events; other languages have theirs in `tracer-texts`.
//!
//! A [`Wording`] is both: what is said in English, and the phrase for other languages.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::duration::{count, grouped};

/// A sentence, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Its name.
    pub name: &'static str,
    /// What its placeholders stand for.
    pub values: Vec<(&'static str, Value)>,
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The same in each language: names, numbers, addresses.
    Text(String),
    /// Words that the code has in English, which other languages have in `view`.
    English(&'static str),
    /// Words of their own.
    Phrase(Box<Phrase>),
    /// Parts, by commas.
    Parts(Vec<Value>),
}

impl Phrase {
    /// One of that name.
    pub fn new(name: &'static str) -> Self {
        Self { name, values: Vec::new() }
    }

    /// With what a placeholder stands for.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.push((name, value.into()));
        self
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Phrase> for Value {
    fn from(phrase: Phrase) -> Self {
        Self::Phrase(Box::new(phrase))
    }
}

impl From<Option<Phrase>> for Value {
    /// Nothing where there is none.
    fn from(phrase: Option<Phrase>) -> Self {
        phrase.map_or_else(|| Self::Parts(Vec::new()), Self::from)
    }
}

impl From<Vec<Phrase>> for Value {
    fn from(parts: Vec<Phrase>) -> Self {
        Self::Parts(parts.into_iter().map(Self::from).collect())
    }
}

impl From<Option<Wording>> for Value {
    /// Nothing where there is none.
    fn from(wording: Option<Wording>) -> Self {
        Wording::from(wording).other
    }
}

impl From<Wording> for Value {
    fn from(wording: Wording) -> Self {
        wording.other
    }
}

/// Words in English, and what other languages say instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    english: Cow<'static, str>,
    other: Value,
}

/// Words in English, by the name that they have among the texts of other languages, with what their
/// placeholders stand for: `wording!("ago", "{time} ago", time = duration(since))`; variables of
/// that name in brackets before: `[time]`. Grammar of English alone, as a verb in the plural, goes
/// with a value: `Wording::new(format!("{who} wait"), who)`.
macro_rules! wording {
    ($name:literal, $english:literal $(,)?) => {
        $crate::phrase::Wording::new($english, $crate::phrase::Phrase::new($name))
    };
    ($name:literal, $english:literal, [$($known:ident),+] $($more:tt)*) => {
        $crate::phrase::wording!($name, $english, $($known = $known),+ $($more)*)
    };
    ($name:literal, $english:literal, $($key:ident = $value:expr),+ $(,)?) => {{
        let ($($key,)+) = ($($crate::phrase::Wording::from($value),)+);
        let english = format!($english, $($key = $key),+);
        let phrase = $crate::phrase::Phrase::new($name)$(.with(stringify!($key), $key))+;
        $crate::phrase::Wording::new(english, phrase)
    }};
}
pub(crate) use wording;

impl Wording {
    /// What is said in English, and the same for other languages.
    pub fn new(english: impl Into<Cow<'static, str>>, other: impl Into<Value>) -> Self {
        Self { english: english.into(), other: other.into() }
    }

    /// In English.
    pub fn english(&self) -> &str {
        &self.english
    }

    /// For other languages.
    pub fn other(&self) -> &Value {
        &self.other
    }

    /// `3 connections`; the bare number where the sentence of a language has the rest.
    pub(crate) fn count(number: u64, what: &str) -> Self {
        Self::new(count(number, what), grouped(number))
    }
}

impl fmt::Display for Wording {
    /// In English.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english)
    }
}

impl From<String> for Wording {
    /// The same in each language.
    fn from(text: String) -> Self {
        Self { english: text.clone().into(), other: text.into() }
    }
}

impl From<&str> for Wording {
    /// The same in each language.
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Option<Self>> for Wording {
    /// Nothing where there is none.
    fn from(wording: Option<Self>) -> Self {
        wording.unwrap_or_else(|| "".into())
    }
}

impl From<Vec<Self>> for Wording {
    /// By commas.
    fn from(parts: Vec<Self>) -> Self {
        let english: Vec<&str> = parts.iter().map(Self::english).collect();
        let english = english.join(", ");
        let parts = parts.into_iter().map(|part| part.other).collect();
        Self::new(english, Value::Parts(parts))
    }
}

impl Serialize for Wording {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english)
    }
}

impl JsonSchema for Wording {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}
