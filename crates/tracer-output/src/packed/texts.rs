//! Texts that have been written into a block, and their numbers.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::token;

/// Places for names of the program; more than it has.
const PLACES: usize = 1024;

/// Address and length of a text of the program, of which no byte is looked at.
pub(super) type Identity = (usize, usize);

pub(super) fn identity(text: &'static str) -> Identity {
    (text.as_ptr().addr(), text.len())
}

/// The texts of a block.
#[derive(Debug)]
pub(super) struct Texts {
    /// Those of the program by their place in memory: no byte of them is looked at.
    fixed: Box<[Fixed]>,
    others: HashMap<Box<str>, u16, RandomState>,
    next: usize,
    /// Which block it is: what is known of an earlier one does not count.
    pub(super) block: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    text: Identity,
    block: u64,
    number: u16,
}

impl Default for Texts {
    fn default() -> Self {
        let fixed = vec![Fixed::default(); PLACES].into_boxed_slice();
        Self { fixed, others: HashMap::default(), next: 0, block: 1 }
    }
}

impl Texts {
    /// The number of a text of the program; where it has none, it may get the next one.
    #[inline]
    pub(super) fn fixed(&mut self, text: &'static str) -> Option<u16> {
        let identity = identity(text);
        let place = &mut self.fixed[(identity.0 ^ (identity.0 >> 10)) % PLACES];
        if place.text == identity && place.block == self.block {
            return Some(place.number);
        }
        let number = self.others.get(text).copied();
        // If it gets one, it is the next.
        if let Ok(number) = u16::try_from(number.map_or(self.next, usize::from))
            && usize::from(number) < token::TEXTS
            && (1..=token::LONGEST_TEXT).contains(&text.len())
        {
            *place = Fixed { text: identity, block: self.block, number };
        }
        number
    }

    pub(super) fn number(&self, text: &str) -> Option<u16> {
        self.others.get(text).copied()
    }

    /// Gives the next number to a text that has none, where there is one left.
    pub(super) fn give_next(&mut self, text: &str) -> Option<u16> {
        if self.next >= token::TEXTS || text.is_empty() || text.len() > token::LONGEST_TEXT {
            return None;
        }
        let number = self.next as u16;
        self.others.insert(text.into(), number);
        self.next += 1;
        Some(number)
    }

    /// A new block begins.
    pub(super) fn forget(&mut self) {
        self.others.clear();
        (self.next, self.block) = (0, self.block + 1);
    }
}
