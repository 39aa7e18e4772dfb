//! Names, paths and texts that somebody else chose: escaped as they are written, unescaped as they
//! are read. Modules for `#[serde(with = "…")]`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

use super::escape::{escape, harmless, unescape};

/// `comm`, NUL-padded.
pub mod comm {
    use super::*;

    /// The name up to its padding.
    pub fn plain(comm: &[u8; 16]) -> &[u8] {
        comm.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// Escaped.
    pub fn serialize<S: Serializer>(comm: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(plain(comm)))
    }

    /// Unescaped, if it is not too long.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let bytes = unescape(&Cow::<'de, str>::deserialize(deserializer)?);
        let mut comm = [0; 16];
        let room = comm.get_mut(..bytes.len());
        let too_long = || D::Error::custom("the name of a process has more than 16 bytes");
        room.ok_or_else(too_long)?.copy_from_slice(&bytes);
        Ok(comm)
    }
}

fn made_harmless<T: From<String>>(text: String) -> T {
    match harmless(&text) {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(safe) => safe.into(),
    }
}

/// A text that has been escaped, by somebody who may not be trusted.
pub mod text {
    use super::*;

    /// Made harmless.
    pub fn serialize<T: AsRef<str>, S: Serializer>(
        text: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&harmless(text.as_ref()))
    }

    /// Made harmless.
    pub fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer).map(made_harmless)
    }
}

/// Such a text, where there is one.
pub mod optional {
    use super::*;

    /// Made harmless.
    pub fn serialize<T: AsRef<str>, S: Serializer>(
        text: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match text {
            Some(text) => serializer.serialize_some(&*harmless(text.as_ref())),
            None => serializer.serialize_none(),
        }
    }

    /// Made harmless.
    pub fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(made_harmless))
    }
}

/// Such texts.
pub mod list {
    use super::*;

    /// Made harmless.
    pub fn serialize<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(texts.iter().map(|text| harmless(text)))
    }

    /// Made harmless.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
        Ok(Vec::<String>::deserialize(d)?.into_iter().map(made_harmless).collect())
    }
}
