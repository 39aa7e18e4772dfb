//! What stands in a ring buffer.

use tracer_wire::{Plain as _, Program, Record};

/// What a ring buffer holds.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An event.
    Record(&'a Record),
    /// Program and parent of the process that acts in the next one.
    Program(&'a Program),
}

/// An item of this version, recognised by its length.
pub fn decode(item: &[u8]) -> Option<Item<'_>> {
    if item.len() == size_of::<Program>() {
        return Program::from_bytes(item).map(Item::Program);
    }
    let record = Record::from_bytes(item).filter(|_| item.len() == size_of::<Record>());
    record.map(Item::Record)
}
