//! Where a block is being read.

use std::ops::Range;

/// Why there is no more of a line.
pub(super) enum Stop {
    /// The block ends.
    Short,
    Damaged(&'static str),
}

pub(super) type Step<T> = Result<T, Stop>;

/// A block, and how far it has been read.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
}

impl Cursor {
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn byte(&mut self) -> Step<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Step<[u8; N]> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        self.at += N;
        bytes.copied().ok_or(Stop::Short)
    }

    pub(super) fn varint(&mut self) -> Step<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Damaged("a number without end"))
    }

    /// Where the next bytes stand, so many.
    pub(super) fn skip(&mut self, length: usize) -> Step<Range<usize>> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let skipped = self.at..end.ok_or(Stop::Short)?;
        self.at = skipped.end;
        Ok(skipped)
    }

    /// The text that stands there.
    pub(super) fn text(&self, place: Range<usize>) -> Step<&str> {
        str::from_utf8(&self.bytes[place]).map_err(|_| Stop::Damaged("a text is not UTF-8"))
    }
}
