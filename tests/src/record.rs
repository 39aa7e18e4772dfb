//! One line of the tracer's JSON output.

use std::{fmt, net::SocketAddr, time::Instant};

use serde_json::Value;

use crate::clock::Moment;

/// A line, as it was and as it is read.
#[derive(Clone, Debug)]
pub struct Record {
    /// The object.
    pub value: Value,
    /// When the line was read.
    pub arrived: Instant,
}

impl Record {
    /// Reads a line; fails the test if it is not by the interface contract.
    pub fn parse(line: &str, arrived: Instant) -> Self {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("the tracer wrote a line that is no JSON: {error}: {line}")
        });
        let record = Self { value, arrived };
        assert!(record.text("/kind").is_some(), "a line without kind: {line}");
        let time = record.text("/time").unwrap_or_else(|| panic!("a line without time: {line}"));
        // 2026-01-02T03:04:05.123456789Z
        assert!(time.len() == 30 && time.ends_with('Z'), "not RFC 3339 with nanoseconds: {time}");
        record
    }

    /// What kind of record it is.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Whether it is a state change.
    pub fn is_transition(&self) -> bool {
        self.kind() == "transition"
    }

    /// The field at a JSON pointer; null where there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// Whether there is such a field.
    pub fn has(&self, pointer: &str) -> bool {
        self.value.pointer(pointer).is_some()
    }

    /// A text.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).as_str()
    }

    /// A number.
    pub fn number(&self, pointer: &str) -> Option<u64> {
        self.at(pointer).as_u64()
    }

    /// When it happened.
    pub fn moment(&self) -> Moment {
        Moment::parse(self.text("/time").expect("checked by parse"))
    }

    /// Cookie of the socket that it is about.
    pub fn cookie(&self) -> Option<u64> {
        self.number("/socket/cookie")
    }

    /// Whether it reports a change between these states.
    pub fn is_step(&self, from: &str, to: &str) -> bool {
        self.text("/tcp/from") == Some(from) && self.text("/tcp/to") == Some(to)
    }

    /// This end's address, port 0 for none.
    pub fn local(&self) -> Option<SocketAddr> {
        self.address("local")
    }

    /// The peer's address, port 0 for none.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.address("peer")
    }

    fn address(&self, end: &str) -> Option<SocketAddr> {
        let address = self.text(&format!("/network/{end}/address"))?;
        let port = match self.at(&format!("/network/{end}/port")) {
            Value::Null => 0,
            port => u16::try_from(port.as_u64()?).ok()?,
        };
        Some(SocketAddr::new(address.parse().ok()?, port))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.value)
    }
}

/// Records one below the other, for messages.
#[expect(single_use_lifetimes, reason = "anonymous lifetimes in impl Trait are unstable")]
pub fn listing<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    records.into_iter().map(|record| format!("\n  {record}")).collect()
}
