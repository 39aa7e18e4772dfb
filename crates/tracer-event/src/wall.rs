//! Times as they are written: RFC 3339, UTC, nanoseconds. Modules for `#[serde(with = "…")]`.

use std::{cell::Cell, fmt::Write as _};

use arrayvec::ArrayString;
use jiff::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// `2026-01-31T12:34:56`
type Beginning = ArrayString<{ "2026-01-31T12:34:56Z".len() }>;
/// The whole, in no memory of its own: lines have two of them.
type Text = ArrayString<{ "2026-01-31T12:34:56.789012345Z".len() }>;

thread_local! {
    /// The second written last: it is the costly part, and many times are of the same one.
    static LAST: Cell<(i64, Beginning)> = const { Cell::new((i64::MIN, Beginning::new_const())) };
}

/// A time in nanoseconds since 1970.
pub fn text(time: i64) -> Text {
    let (second, rest) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
    let (known, mut beginning) = LAST.get();
    if known != second {
        let time = Timestamp::from_second(second).unwrap_or_default();
        beginning.clear();
        // It has room for all years of 64 bits.
        let _ = write!(beginning, "{time:.0}");
        beginning.pop();
        LAST.set((second, beginning));
    }
    let mut text = Text::new();
    text.push_str(&beginning);
    text.push('.');
    // With the leading zeros.
    text.push_str(&itoa::Buffer::new().format(SECOND + rest)[1..]);
    text.push('Z');
    text
}

/// Nanoseconds since 1970; `None` where it is no time, or one beyond 64 bits.
pub fn nanoseconds(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// A time of the wall clock where there is one; nanoseconds since 1970 as the bits of an `i64`.
pub mod optional {
    use std::borrow::Cow;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// RFC 3339.
    pub fn serialize<S: Serializer>(time: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&*super::text(time.cast_signed())),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_time_is_written_as_the_calendar_has_it(time: i64, near in -3_000_000_000_i64..3_000_000_000) {
            for time in [time, near, i64::MIN, i64::MAX] {
                let expected = Timestamp::from_nanosecond(time.into()).unwrap();
                prop_assert_eq!(&*text(time), format!("{expected:.9}"));
                prop_assert_eq!(nanoseconds(&text(time)), Some(time));
            }
        }
    }
}
