//! What is read: the text, where one is in it, and the words in it.

use std::{fmt, net::IpAddr, ops::Range};

use winnow::{
    LocatingSlice, Parser as _, Stateful,
    ascii::multispace0,
    stream::Location as _,
    token::{any, take_while},
};

use super::error::{self, Parsed};
use crate::filter::expression::is_plain;

/// Knows what numbers are called here: of services, hosts and namespaces.
pub trait Names: fmt::Debug {
    /// The port of a TCP service.
    fn service(&self, name: &str) -> Option<u16>;

    /// The addresses of a host; none where there is no such host.
    fn host(&self, name: &str) -> Vec<IpAddr>;

    /// The inode number of the network namespace that is named so, of a path, or of `pid:N`.
    ///
    /// # Errors
    ///
    /// In one line why there is none.
    fn netns(&self, name: &str) -> Result<u32, String>;
}

/// Knows no names.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn service(&self, _: &str) -> Option<u16> {
        None
    }

    fn host(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn netns(&self, _: &str) -> Result<u32, String> {
        Err("there is no such network namespace".into())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'i> {
    pub(super) names: &'i dyn Names,
    /// Parentheses and negations so far.
    pub(super) nested: usize,
}

pub(super) type Input<'i> = Stateful<LocatingSlice<&'i str>, Reading<'i>>;

pub(super) fn of<'i>(text: &'i str, names: &'i dyn Names) -> Input<'i> {
    Stateful { input: LocatingSlice::new(text), state: Reading { names, nested: 0 } }
}

/// A word, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
    pub(super) span: Range<usize>,
}

impl Word {
    /// Nothing yet, here.
    pub(super) fn none(input: &Input<'_>) -> Self {
        let at = input.current_token_start();
        Self { text: String::new(), quoted: false, span: at..at }
    }

    /// The word that follows, where there is one.
    pub(super) fn or_next(self, input: &mut Input<'_>) -> Self {
        word(input).ok().filter(|word| !word.span.is_empty()).unwrap_or(self)
    }

    /// Whether it is a word of the language.
    pub(super) fn is(&self, name: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(name)
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
