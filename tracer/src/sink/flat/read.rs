//! From a JSON line to a row.

use std::{collections::HashMap, fmt, sync::LazyLock};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{COLUMNS, Row, Value};

/// Columns by their paths.
static PATHS: LazyLock<HashMap<&'static str, usize, foldhash::fast::FixedState>> =
    LazyLock::new(|| {
        let path = |at: usize| COLUMNS[at].path.unwrap_or(COLUMNS[at].name);
        (0..COLUMNS.len()).map(|at| (path(at), at)).collect()
    });

impl Row {
    /// From one line of [`crate::sink::json::Json`].
    ///
    /// # Errors
    ///
    /// Where that is no JSON object.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        let mut row = Self([const { None }; COLUMNS.len()]);
        let mut path = String::with_capacity(64);
        let mut reader = serde_json::Deserializer::from_slice(line);
        Branch { row: &mut row, path: &mut path }.deserialize(&mut reader)?;
        row.tell_state();
        Ok(row)
    }

    /// After a transition a socket is in the state it has entered, whoever asks for it.
    fn tell_state(&mut self) {
        let (state, to) = (PATHS["tcp_state"], PATHS["tcp_to"]);
        if self.0[state].is_none() {
            self.0[state] = self.0[to].clone();
        }
    }
}

/// What is at one path.
struct Branch<'a> {
    row: &'a mut Row,
    path: &'a mut String,
}

impl Branch<'_> {
    fn tell(self, value: impl FnOnce() -> Value) {
        if let Some(&column) = PATHS.get(self.path.as_str()) {
            self.row.0[column] = Some(value());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Branch<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { row, path } = self;
        let len = path.len();
        while let Some(name) = map.next_key::<&str>()? {
            if len > 0 {
                path.push('_');
            }
            path.push_str(name);
            map.next_value_seed(Branch { row: &mut *row, path: &mut *path })?;
            path.truncate(len);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.tell(|| Value::Text(text.to_owned()));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.tell(|| Value::Number(number));
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.tell(|| Value::Flag(flag));
        Ok(())
    }

    // Growth can be negative, shares are fractions; both are evidence of findings.
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
