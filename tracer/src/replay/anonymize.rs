//! Recordings without addresses and names, to be given away: each is replaced by a keyed hash, so
//! that what was the same is the same afterwards, and nobody without the key can tell by trying.
//!
//! A line is changed before it is decoded: sentences and commands of findings and Community IDs are
//! then made anew, of what has replaced the facts. Only words of tracer's own vocabulary stay as
//! they are; a text in any other field, also in one that is not known here, is replaced. Numbers
//! stay: ports, times, bytes, sequence numbers, ids of processes, users and namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Fields with words of tracer, times, and what tells one kernel from another.
const KEPT: &[&str] = &[
    "answers",
    "began",
    "cause",
    "closed_first",
    "code",
    "direction",
    "ended",
    "error",
    "evidence",
    "feature",
    "from",
    "halted",
    "initiator",
    "kernel",
    "kind",
    "lost",
    "mode",
    "opened",
    "origin",
    "partial",
    "reason",
    "remedy",
    "reset_reason",
    "role",
    "schema",
    "scope",
    "segment",
    "setting",
    "severity",
    "source",
    "state",
    "status",
    "time",
    "to",
    "transport",
    "type",
    "unanswered",
    "version",
    "where",
];
/// IPv4 addresses become such of a network that nobody uses: 240.0.0.0/4.
const RESERVED: u32 = 0xf000_0000;
/// IPv6 addresses become such of the network for documentation: 2001:db8::/32.
const DOCUMENTATION: u128 = 0x2001_0db8 << 96;

/// Replaces addresses and names.
#[derive(Clone)]
pub struct Anonymizer {
    keyed: Hmac<Sha256>,
}

impl Anonymizer {
    /// With a key: recordings made anonymous with the same one still fit together.
    pub fn new(key: &[u8]) -> Self {
        let keyed = Hmac::new_from_slice(key);
        Self { keyed: keyed.unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")) }
    }

    /// A line without addresses and names.
    ///
    /// # Errors
    ///
    /// Where it is not JSON.
    pub fn line(&self, line: &str) -> serde_json::Result<String> {
        let mut value = serde_json::from_str(line)?;
        self.value("", &mut value);
        Ok(value.to_string())
    }

    /// In a field of that name.
    fn value(&self, field: &str, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(name, value)| self.value(name, value));
            }
            // Of the command line.
            Value::Array(items) if field == "options" => items.clear(),
            // Its texts are the tracer's, but for the reason, which may name anything.
            Value::Array(items) if field == "degraded" => {
                let reasons = items.iter_mut().filter_map(|item| item.get_mut("reason"));
                reasons.for_each(|reason| *reason = "left out by --anonymize".into());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(field, item)),
            Value::String(text) if !KEPT.contains(&field) => *text = self.text(field, text),
            _ => {}
        }
    }

    fn text(&self, field: &str, text: &str) -> String {
        // A process may be named like an address, or like a path.
        if field == "name" {
            return self.name(text);
        }
        let (address, zone) = text.split_once('%').unwrap_or((text, ""));
        match address.parse() {
            Ok(address) if zone.is_empty() => self.address(address).to_string(),
            Ok(address) => format!("{}%{}", self.address(address), self.name(zone)),
            // Part by part: the last one is the program's name.
            Err(_) => text.split('/').map(|part| self.name(part)).collect::<Vec<_>>().join("/"),
        }
    }

    /// An address of the same family. Those that each host has stay.
    fn address(&self, address: IpAddr) -> IpAddr {
        match address {
            _ if address.is_loopback() || address.is_unspecified() => address,
            IpAddr::V4(v4) => {
                let hash = self.hash(b"4", &v4.octets()) as u32;
                Ipv4Addr::from_bits(RESERVED | hash >> 4).into()
            }
            IpAddr::V6(v6) => {
                let hash = self.hash(b"6", &v6.octets());
                let network = match v6.is_unicast_link_local() {
                    true => return Ipv6Addr::from_bits(0xfe80 << 112 | hash >> 64).into(),
                    false => DOCUMENTATION,
                };
                Ipv6Addr::from_bits(network | hash >> 32).into()
            }
        }
    }

    /// Short enough for the name of a process.
    fn name(&self, name: &str) -> String {
        match name {
            "" => String::new(),
            name => format!("x{:08x}", self.hash(b"n", name.as_bytes()) as u32),
        }
    }

    fn hash(&self, of: &[u8], bytes: &[u8]) -> u128 {
        let mut keyed = self.keyed.clone();
        keyed.update(of);
        keyed.update(bytes);
        let hash = keyed.finalize().into_bytes();
        hash.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rstest::rstest;
    use tracer_output::json::schema::schema;

    use super::*;
    use crate::replay::tests::{recorded, written_again};

    #[rstest]
    #[case::v4("10.0.0.5", "240.0.0.0/4")]
    #[case::v6("2a00:1450::1", "2001:db8::/32")]
    #[case::link_local("fe80::1", "fe80::/64")]
    #[case::here("127.0.0.1", "127.0.0.1/32")]
    #[case::any("::", "::/128")]
    fn addresses_stay_in_their_family(#[case] address: &str, #[case] network: &str) {
        let network: ipnet::IpNet = network.parse().unwrap();
        let address = Anonymizer::new(b"key").text("address", address);
        assert!(network.contains(&address.parse::<IpAddr>().unwrap()), "{address}");
    }

    #[test]
    fn the_same_is_the_same_by_the_same_key_only() {
        let [one, same, other] = [&b"one"[..], b"one", b"other"].map(Anonymizer::new);
        let line = r#"{"name":"nginx","path":"/usr/sbin/nginx","address":"fe80::2%eth0"}"#;
        assert_eq!(one.line(line).unwrap(), same.line(line).unwrap());
        assert_ne!(one.line(line).unwrap(), other.line(line).unwrap());
        let value: Value = serde_json::from_str(&one.line(line).unwrap()).unwrap();
        let path = value["path"].as_str().unwrap();
        assert!(path.ends_with(value["name"].as_str().unwrap()), "{value}");
    }

    #[test]
    fn what_is_not_available_keeps_no_name() {
        let line = r#"{"degraded":[{"feature":"groups","reason":"/sys/fs/cgroup/alice"}]}"#;
        let line = Anonymizer::new(b"key").line(line).unwrap();
        assert!(line.contains("groups") && !line.contains("alice"), "{line}");
    }

    /// Each text that is not one of a few words, or a time.
    #[test]
    fn no_free_text_of_the_schema_is_kept_but_what_tracer_says() {
        fn collect(value: &Value, free: &mut BTreeSet<String>) {
            // That line is of no trace, and never replayed.
            if value["title"] == "exec" {
                return;
            }
            let properties = value.get("properties").and_then(Value::as_object);
            for (name, one) in properties.into_iter().flatten() {
                let kind = one.get("type").map(Value::to_string).unwrap_or_default();
                let is_free = ["enum", "const", "format"].iter().all(|key| one.get(key).is_none());
                if kind.contains("string") && is_free {
                    free.insert(name.clone());
                }
            }
            match value {
                Value::Object(fields) => fields.values().for_each(|value| collect(value, free)),
                Value::Array(items) => items.iter().for_each(|value| collect(value, free)),
                _ => {}
            }
        }
        let mut free = BTreeSet::new();
        collect(&schema(), &mut free);
        let kept: Vec<&str> =
            free.iter().map(String::as_str).filter(|name| KEPT.contains(name)).collect();
        assert_eq!(
            kept,
            ["code", "feature", "kernel", "lost", "reason", "remedy", "schema", "version"],
            "texts that anybody may choose"
        );
        assert!(free.contains("cgroup") && free.contains("name"), "{free:?}");
    }

    proptest! {
        #[test]
        fn what_is_anonymous_is_a_recording_of_the_same_shape(lines in recorded()) {
            let anonymizer = Anonymizer::new(b"key");
            let anonymous: Vec<String> =
                lines.lines().map(|line| anonymizer.line(line).unwrap()).collect();
            let kinds = |text: &str| -> Vec<(String, String)> {
                let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                values.map(|one| (one["kind"].to_string(), one["time"].to_string())).collect()
            };
            prop_assert_eq!(kinds(&written_again(&anonymous.join("\n"))), kinds(&lines));
        }
    }
}
