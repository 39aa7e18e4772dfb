//! What the lines on one connection have in common.

use std::hash::BuildHasher as _;

use arrayvec::ArrayString;

use crate::model::{
    endpoint::Endpoint,
    update::{Role, Subject},
};

/// Stands for the tag of a listener, which has no connection.
const LISTENER: &str = " ·";

/// Two characters, of which one can take two bytes.
type Tag = ArrayString<{ LISTENER.len() }>;

/// Two characters that all lines on a connection have in common, those of its other end on this
/// host included: to be found with the eyes, or by grep, where colours cannot say it.
pub(super) fn tag(subject: &Subject) -> Tag {
    /// Without those that are taken for others.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut tag = Tag::new();
    if subject.role == Some(Role::Listener) {
        tag.push_str(LISTENER);
        return tag;
    }
    let hash = |end: &Endpoint| foldhash::fast::FixedState::default().hash_one(end);
    // The same from both ends.
    let both = hash(&subject.tuple.local).wrapping_add(hash(&subject.tuple.peer));
    for shift in [0, 5] {
        tag.push(char::from(LETTERS[(both >> shift) as usize % LETTERS.len()]));
    }
    tag
}
