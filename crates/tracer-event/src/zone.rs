//! The interfaces that link-local addresses belong to (zones of RFC 4007): the same address can be
//! on each link, and a number names an interface within one network namespace only.
//!
//! They are numbered here, for the whole process, so that an address with its interface is not
//! longer than one without. Names come later, escaped for output, and are never part of an
//! identity: who reads the kernel tells them ([`learn`]), a recording has nothing else
//! ([`named`]).

use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Interfaces that are told apart; beyond that addresses have none.
const MOST: usize = 1 << 16;
/// Columns of a name in a recording: of the kernel's 15 bytes each may be escaped.
const LONGEST: usize = 64;

/// An interface; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zone(pub(super) u32);

/// What an interface is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// Namespace and number.
    Interface(u32, u32),
    Name(Arc<str>),
}

#[derive(Default)]
struct Zones {
    keys: Vec<Key>,
    numbers: HashMap<Key, u32, FixedState>,
    names: HashMap<(u32, u32), Arc<str>, FixedState>,
}

static ZONES: RwLock<Option<Zones>> = RwLock::new(None);

fn number(key: Key) -> Zone {
    let known = ZONES.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(number) = known.as_ref().and_then(|zones| zones.numbers.get(&key)) {
        return Zone(*number);
    }
    drop(known);
    let mut zones = ZONES.write().unwrap_or_else(PoisonError::into_inner);
    let zones = zones.get_or_insert_default();
    if zones.keys.len() >= MOST {
        return Zone::default();
    }
    let next = zones.keys.len() as u32 + 1;
    let number = *zones.numbers.entry(key.clone()).or_insert(next);
    if number == next {
        zones.keys.push(key);
    }
    Zone(number)
}

/// The interface of that number in a namespace; none for 0.
pub fn of(netns: u32, index: u32) -> Zone {
    if index == 0 { Zone::default() } else { number(Key::Interface(netns, index)) }
}

/// The interface of that name, escaped, of which nothing else is known.
pub fn named(name: &str) -> Zone {
    let name: String = name.chars().take(LONGEST).collect();
    number(Key::Name(name.into()))
}

/// The names of a namespace's interfaces, which anybody may have chosen: escaped.
pub fn learn(netns: u32, names: impl IntoIterator<Item = (u32, String)>) {
    let mut zones = ZONES.write().unwrap_or_else(PoisonError::into_inner);
    let zones = zones.get_or_insert_default();
    if zones.names.len() >= MOST {
        zones.names.clear();
    }
    for (index, name) in names {
        zones.names.insert((netns, index), name.into());
    }
}

impl Zone {
    /// Whether there is one.
    pub fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Its name, or its number as long as the name is not known.
    pub fn name(self) -> Option<Arc<str>> {
        if !self.is_some() {
            return None;
        }
        let zones = ZONES.read().unwrap_or_else(PoisonError::into_inner);
        let zones = zones.as_ref()?;
        Some(match zones.keys.get((self.0 as usize).checked_sub(1)?)? {
            Key::Name(name) => Arc::clone(name),
            Key::Interface(netns, index) => zones
                .names
                .get(&(*netns, *index))
                .cloned()
                .unwrap_or_else(|| index.to_string().into()),
        })
    }

    /// Whether it goes by this name, escaped, or number.
    pub fn is_called(self, name: &str) -> bool {
        let zones = ZONES.read().unwrap_or_else(PoisonError::into_inner);
        let key =
            zones.as_ref().and_then(|zones| zones.keys.get((self.0 as usize).checked_sub(1)?));
        let by_number = matches!(key, Some(Key::Interface(_, index)) if index.to_string() == name);
        drop(zones);
        by_number || self.name().as_deref() == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_number_until_its_name_is_known() {
        let zone = of(4_000_000_001, 3);
        assert_eq!(zone, of(4_000_000_001, 3));
        assert_ne!(zone, of(4_000_000_002, 3), "another namespace");
        assert_eq!(zone.name().as_deref(), Some("3"));
        learn(4_000_000_001, [(3, "eth0".to_owned())]);
        assert_eq!(zone.name().as_deref(), Some("eth0"));
        assert!(zone.is_called("3") && zone.is_called("eth0") && !zone.is_called("eth1"));
        assert!(!of(4_000_000_001, 0).is_some() && Zone::default().name().is_none());
        assert_eq!(named("eth7").name().as_deref(), Some("eth7"));
    }
}
