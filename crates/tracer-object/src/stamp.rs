//! What an object was made from, as the file beside it says.

use std::fmt;

/// Hashes of the sources and of the object, and what compiled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sources: u64,
    pub(crate) object: u64,
    pub(crate) compiler: String,
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, object, compiler } = self;
        writeln!(formatter, "# Written by `cargo xtask object`; in a conflict, call it again.")?;
        writeln!(formatter, "sources = {sources:016x}")?;
        writeln!(formatter, "object = {object:016x}")?;
        writeln!(formatter, "compiler = {compiler}")
    }
}

impl Stamp {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
            lines.find_map(|(name, value)| (name == key).then_some(value))
        };
        let number = |key| u64::from_str_radix(value(key)?, 16).ok();
        Some(Self {
            sources: number("sources")?,
            object: number("object")?,
            compiler: value("compiler")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let compiler = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19), bpf-linker 0.13.0".to_owned();
        let stamp = Stamp { sources: 7, object: u64::MAX, compiler };
        assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
        assert_eq!(Stamp::parse("<<<<<<< HEAD\nsources = 1\n"), None);
    }
}
