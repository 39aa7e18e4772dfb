//! The binary form of a recording: what JSON lines say, in a fifth of the bytes.
//!
//! A file is [`MAGIC`] and then blocks, each of which can be read alone: the flight recorder drops
//! the oldest ones. A block holds whole lines as tokens; names and texts stand in it once and
//! are then referred to by their number; a name that follows as it did last time is left out. [`Packer`]
//! writes, [`Unpacker`] gives the JSON lines back, byte for byte, so that whatever reads those reads
//! recordings as well. Only Community IDs, which follow from the addresses, are not in them.
//!
//! Own code: an event in MessagePack or CBOR, by the kept libraries, is hardly shorter than in JSON,
//! since each repeats all names; what is compact without names (postcard, bincode) cannot leave out
//! fields, as events do, and every new field would end the reading of old recordings.

mod block;
mod cursor;
mod names;
mod pack;
mod texts;
mod token;
mod unpack;

pub use self::{
    block::{Block, MAGIC, Stored},
    pack::Packer,
    unpack::Unpacker,
};

#[cfg(test)]
mod tests;
