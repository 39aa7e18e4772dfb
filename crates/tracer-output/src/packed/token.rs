//! What a block consists of: a byte that says what follows.

/// No value.
pub(super) const NULL: u8 = 0x00;
/// No.
pub(super) const FALSE: u8 = 0x01;
/// Yes.
pub(super) const TRUE: u8 = 0x02;
/// A number: seven bits a byte, the lowest first.
pub(super) const NUMBER: u8 = 0x03;
/// A number below 0: the complement follows in the same way.
pub(super) const NEGATIVE: u8 = 0x04;
/// A fraction: eight bytes, the lowest first.
pub(super) const FRACTION: u8 = 0x05;
/// A text: its length, its bytes.
pub(super) const TEXT: u8 = 0x06;
/// The same, which gets the next number of its block.
pub(super) const NEW_TEXT: u8 = 0x07;
/// The number of a text.
pub(super) const SAME_TEXT: u8 = 0x08;
/// A time with nine digits behind the second: the text up to there, then four bytes.
pub(super) const TIME: u8 = 0x09;
/// An object: names and values, until it ends.
pub(super) const OBJECT: u8 = 0x0a;
/// A list: values, until it ends.
pub(super) const LIST: u8 = 0x0b;
/// Object or list ends.
pub(super) const END: u8 = 0x0c;
/// In an object: fields and the name of the next value, until [`END_FIELDS`], which get the next number
/// of their block.
pub(super) const FIELDS: u8 = 0x0d;
/// These fields and this name end: the value follows.
pub(super) const END_FIELDS: u8 = 0x0e;
/// The number of such fields.
pub(super) const SAME_FIELDS: u8 = 0x0f;
/// Before a name, where another one followed last time.
pub(super) const OTHER_NAME: u8 = 0x10;
/// Before a line: no text has a number any more, and nothing is known of what follows.
pub(super) const FORGET: u8 = 0x11;
/// A name: the one that followed here before the last one did.
pub(super) const SECOND_NAME: u8 = 0x12;
/// From here on, the first texts by their number.
pub(super) const SAME_TEXTS: u8 = 0x20;
/// From here on, small numbers.
pub(super) const NUMBERS: u8 = 0xc0;

/// Texts with a number in one block.
pub(super) const TEXTS: usize = 4096;
/// Longer ones get no number, bytes.
pub(super) const LONGEST_TEXT: usize = 255;

/// Fields with a number in one block.
pub(super) const ALL_FIELDS: usize = 1 << 16;

/// Bytes of a time up to its second.
pub(super) const SECOND: usize = "2026-01-31T12:34:56".len();
/// Bytes of a whole one.
pub(super) const WHOLE: usize = "2026-01-31T12:34:56.123456789Z".len();

/// Whether a text, or a time, follows.
pub(super) fn is_text(kind: u8) -> bool {
    matches!(kind, TEXT..=TIME | SAME_TEXTS..NUMBERS)
}
