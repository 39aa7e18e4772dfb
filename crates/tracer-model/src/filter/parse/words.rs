//! Reads one word after the other.

use winnow::{
    Parser as _,
    ascii::multispace0,
    stream::Location as _,
    token::{any, take_while},
};

use super::{
    error::{self, Parsed},
    input::{Input, Word},
};
use crate::filter::expression::is_plain;

impl Word {
    /// The word that follows, where there is one.
    pub(super) fn or_next(self, input: &mut Input<'_>) -> Self {
        word(input).ok().filter(|word| !word.span.is_empty()).unwrap_or(self)
    }
}

pub(super) fn spaces(input: &mut Input<'_>) -> Parsed<()> {
    multispace0.void().parse_next(input)
}

/// The next word, in quotes or not. An empty one where there is none; a sign that is no part of a
/// word is one.
pub(super) fn word(input: &mut Input<'_>) -> Parsed<Word> {
    // All spaces of Unicode separate words, as they are no part of them.
    take_while(0.., char::is_whitespace).void().parse_next(input)?;
    if input.starts_with('"') {
        return quoted(input);
    }
    let (text, span) = take_while(0.., is_plain).with_span().parse_next(input)?;
    if text.is_empty() && !input.is_empty() {
        let (sign, span): (char, _) = any.with_span().parse_next(input)?;
        return Ok(Word { text: sign.into(), quoted: true, span });
    }
    Ok(Word { text: text.to_owned(), quoted: false, span })
}

/// Between quotes; a backslash before a quote or a backslash stands for that.
fn quoted(input: &mut Input<'_>) -> Parsed<Word> {
    let open = Word::none(input);
    let quote: char = any.parse_next(input)?;
    let mut text = String::new();
    loop {
        let next: Option<char> = winnow::combinator::opt(any).parse_next(input)?;
        match next {
            None => return Err(error::of(&open, "there is no second \" for this one")),
            Some(c) if c == quote => break,
            Some('\\') if input.starts_with(['\\', '"']) => text.push(any.parse_next(input)?),
            Some(c) => text.push(c),
        }
    }
    let end = input.current_token_start();
    Ok(Word { text, quoted: true, span: open.span.start..end })
}
