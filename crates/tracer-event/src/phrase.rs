//! A sentence before it is put into words: its name among the texts of a language, and what its
//! placeholders stand for. English has its words where the sentence is made, since they are part
//! of the events; other languages have theirs in `tracer-texts`.

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
    /// Parts that have words of their own, by commas.
    Parts(Vec<Phrase>),
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
        Self::Parts(vec![phrase])
    }
}

impl From<Option<Phrase>> for Value {
    /// Nothing where there is none.
    fn from(phrase: Option<Phrase>) -> Self {
        Self::Parts(phrase.into_iter().collect())
    }
}
