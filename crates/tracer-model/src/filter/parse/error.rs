//! What is wrong with a filter, and where.

use std::{fmt, ops::Range};

use tracer_event::escape::harmless;
use winnow::{
    error::{ErrMode, ParserError},
    stream::Location as _,
};

use super::input::{Input, Word};

/// Characters of a filter that are shown around a mistake, on either side.
const SHOWN: usize = 60;

/// A mistake in a filter: in one line what could stand where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    message: String,
    before: String,
    wrong: String,
    behind: String,
}

impl Mistake {
    pub(super) fn new(text: &str, span: Range<usize>, message: &str) -> Self {
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let before = part(0..span.start).chars();
        let skipped = before.clone().count().saturating_sub(SHOWN);
        let shown =
            |text: &mut dyn Iterator<Item = char>| harmless(&text.collect::<String>()).into_owned();
        Self {
            message: harmless(message).into_owned(),
            before: shown(&mut before.skip(skipped)),
            wrong: shown(&mut part(span.clone()).chars().take(SHOWN)),
            behind: shown(&mut part(span.end..text.len()).chars().take(SHOWN)),
        }
    }

    /// The filter around the mistake, and a line that points at it.
    pub fn pointer(&self) -> String {
        let Self { message: _, before, wrong, behind } = self;
        let columns = before.chars().count();
        let carets = "^".repeat(wrong.chars().count().max(1));
        format!("  {before}{wrong}{behind}\n  {}{carets}\n", " ".repeat(columns))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter: {}", self.message)
    }
}

impl std::error::Error for Mistake {}

/// Where, bytes, and what.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    span: Range<usize>,
    message: String,
}

impl<'i> ParserError<Input<'i>> for Placed {
    type Inner = Self;

    fn from_input(input: &Input<'i>) -> Self {
        let at = input.current_token_start();
        Self { span: at..at, message: "this cannot stand here".into() }
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

pub(super) type Parsed<T> = winnow::ModalResult<T, Placed>;

/// A mistake, whatever else could be tried.
pub(super) fn of(word: &Word, message: impl Into<String>) -> ErrMode<Placed> {
    ErrMode::Cut(Placed { span: word.span.clone(), message: message.into() })
}

/// A mistake at the next character.
pub(super) fn at(input: &Input<'_>, message: impl Into<String>) -> ErrMode<Placed> {
    let at = input.current_token_start();
    let width = input.chars().next().map_or(0, char::len_utf8);
    ErrMode::Cut(Placed { span: at..at + width, message: message.into() })
}

/// Another thing stands here, which is no mistake.
pub(super) fn other(word: &Word) -> ErrMode<Placed> {
    ErrMode::Backtrack(Placed { span: word.span.clone(), message: String::new() })
}

/// Something else should stand here.
pub(super) fn expected(word: &Word, what: &str) -> ErrMode<Placed> {
    value(word, &format!("expected {what}"))
}

/// A value that is none, with what is wrong with it.
pub(super) fn value(word: &Word, wrong: &str) -> ErrMode<Placed> {
    let found: String = word.text.chars().take(40).collect();
    match word.span.is_empty() {
        true => of(word, format!("{wrong}, and the filter ends here")),
        false => of(word, format!("{wrong}, not {found:?}")),
    }
}

/// Where and what it is.
pub(super) fn place(error: ErrMode<Placed>) -> (Range<usize>, String) {
    match error {
        ErrMode::Backtrack(placed) | ErrMode::Cut(placed) => (placed.span, placed.message),
        ErrMode::Incomplete(_) => (0..0, "the filter is not complete".into()),
    }
}
