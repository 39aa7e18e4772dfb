//! What is read: the text, where one is in it, and what a word is.

use std::{fmt, net::IpAddr, ops::Range};

use winnow::{LocatingSlice, Stateful, stream::Location as _};

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

    /// Whether it is a word of the language.
    pub(super) fn is(&self, name: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(name)
    }
}
