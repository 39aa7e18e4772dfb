//! Times as they are written: RFC 3339, UTC, nanoseconds. Modules for `#[serde(with = "…")]`.

use jiff::Timestamp;

/// A time in nanoseconds since 1970, as `u64` holds an `i64`.
pub fn text(time: i64) -> String {
    let time = Timestamp::from_nanosecond(time.into()).unwrap_or_default();
    format!("{time:.9}")
}

/// Nanoseconds since 1970; `None` where it is no time, or one beyond 64 bits.
pub fn nanoseconds(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// A time of the wall clock where there is one; nanoseconds since 1970 as the bits of an `i64`.
pub mod optional {
    use std::{borrow::Cow, fmt::Write as _};

    use arrayvec::ArrayString;
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _, ser::Error as _};

    /// RFC 3339.
    pub fn serialize<S: Serializer>(time: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => {
                let nanoseconds = time.cast_signed().into();
                let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or_default();
                // It has room for the longest, and takes no memory: lines have two of them.
                let mut text = ArrayString::<40>::new();
                write!(text, "{time:.9}").map_err(S::Error::custom)?;
                serializer.serialize_some(&*text)
            }
            None => serializer.serialize_none(),
        }
    }

    /// RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        let Some(text) = Option::<Cow<'de, str>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = super::nanoseconds(&text).ok_or_else(|| D::Error::custom(super::NO_TIME))?;
        Ok(Some(time.cast_unsigned()))
    }
}

/// A time.
pub mod timestamp {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// RFC 3339.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.9}"))
    }

    /// RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let time = super::nanoseconds(&String::deserialize(deserializer)?);
        let time = time.and_then(|time| Timestamp::from_nanosecond(time.into()).ok());
        time.ok_or_else(|| D::Error::custom(super::NO_TIME))
    }
}

/// What is said of what is none.
pub const NO_TIME: &str = "a time is none as 2026-01-31T12:34:56.789012345Z is";
