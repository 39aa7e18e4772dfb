//! Which language to speak.

use std::{fmt, str::FromStr};

use super::LANGUAGES;

/// A language with texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// The one that lacks nothing.
    pub const ENGLISH: Self = Self("en");

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        LANGUAGES.iter().map(|(name, _)| Self(name))
    }

    /// By its code, alone or with what locales add, as in `ko_KR.UTF-8`.
    pub fn named(name: &str) -> Option<Self> {
        let code = name.split(['_', '-', '.', '@']).next()?;
        Self::all().find(|language| language.0.eq_ignore_ascii_case(code))
    }

    /// The one of the environment: `LC_ALL`, `LC_MESSAGES` or `LANG`, the first one that is set
    /// and not empty; English where that is no language with texts.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
        let first = set.into_iter().find(|value| !value.is_empty());
        first.and_then(|value| Self::named(&value)).unwrap_or(Self::ENGLISH)
    }

    /// Its code (ISO 639).
    pub fn name(self) -> &'static str {
        self.0
    }

    pub(super) fn files(self) -> &'static [(&'static str, &'static str)] {
        LANGUAGES.iter().find(|(name, _)| *name == self.0).map_or(&[], |(_, files)| files)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| {
            let all: Vec<&str> = Self::all().map(Self::name).collect();
            format!("there are texts in {} only", all.join(" and "))
        })
    }
}
