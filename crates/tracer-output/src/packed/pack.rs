//! Lines into blocks.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::Serialize;

use super::{block::Block, token};
use crate::{
    json::{Same, Take, about},
    rendered::Rendered,
    visit::{Unsupported, Visitor, visit},
};
use tracer_event::{enricher::Context, subject::Subject};

/// Places for names of the program; more than it has.
const PLACES: usize = 1024;

/// Packs lines.
#[derive(Debug, Default)]
pub struct Packer {
    body: Vec<u8>,
    lines: u64,
    texts: Texts,
    /// Where the fields of a socket stand: the block, and their number in it.
    fields: Rendered<Option<(u64, usize)>>,
    next_fields: usize,
}

impl Packer {
    /// Bytes that wait to become a block.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// What was taken since the last block.
    pub fn block(&mut self) -> Option<Block> {
        let lines = std::mem::take(&mut self.lines);
        let capacity = self.body.capacity();
        let body = std::mem::take(&mut self.body);
        self.texts.forget();
        self.next_fields = 0;
        self.body.reserve(capacity);
        (lines > 0).then_some(Block { lines, body })
    }

    fn number_of_text(&mut self, known: Option<u16>, text: &str) {
        match known {
            Some(number) if number < u16::from(token::NUMBERS - token::SAME_TEXTS) => {
                self.body.push(token::SAME_TEXTS + number as u8);
            }
            Some(number) => {
                self.body.push(token::SAME_TEXT);
                varint(u64::from(number), &mut self.body);
            }
            None => {
                let is_kept = self.texts.is_next_kept(text);
                self.body.push(if is_kept { token::NEW_TEXT } else { token::TEXT });
                varint(text.len() as u64, &mut self.body);
                self.body.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// A text of the program, known by its place in memory.
    #[inline]
    fn fixed(&mut self, text: &'static str) {
        let known = self.texts.fixed(text);
        self.number_of_text(known, text);
    }

    fn any(&mut self, text: &str) {
        let known = self.texts.number(text);
        self.number_of_text(known, text);
    }
}

impl Packer {
    /// A line, or nothing.
    fn line(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Unsupported>) {
        let (begun, next_fields) = (self.body.len(), self.next_fields);
        match write(self) {
            Ok(()) => self.lines += 1,
            Err(error) => {
                // Texts and fields that were new in it would be missing: nothing refers to this
                // block's any more.
                tracing::error!("{error}");
                self.body.truncate(begun);
                self.next_fields = next_fields;
                self.texts.close();
            }
        }
    }

    /// What a line begins with.
    fn kind_and_time(&mut self, kind: &'static str, time: &str) {
        self.begin_object();
        self.name("kind", true);
        self.word(kind);
        self.name("time", false);
        self.text(time);
    }

    /// What all lines of a socket have between their time and the value of their last field.
    fn fields(&mut self, subject: &Subject, context: Context<'_>) -> Result<(), Unsupported> {
        let (block, next) = (self.texts.block, self.next_fields);
        let mut fields = std::mem::take(&mut self.fields);
        let place = fields.of(subject, context, |_, place| *place = None);
        let known = place.filter(|(of, _)| *of == block).map(|(_, number)| number);
        *place = Some((block, known.unwrap_or(next)));
        self.fields = fields;
        if let Some(number) = known {
            self.body.push(token::SAME_FIELDS);
            varint(number as u64, &mut self.body);
            return Ok(());
        }
        self.next_fields += 1;
        // The names at the beginning have their numbers by now, so that it is as long each time.
        let begun = self.body.len();
        self.kind_and_time("", "");
        let length = self.body.len() - begun;
        self.body.truncate(begun);
        let group = context.enricher.cgroup(subject);
        visit(&about("", "", subject, group.as_deref(), ()), self)?;
        self.body[begun] = token::FIELDS;
        self.body.drain(begun + 1..begun + length);
        // The value of `tcp`, which is null, and the end.
        self.body.truncate(self.body.len() - 2);
        self.body.push(token::END_FIELDS);
        Ok(())
    }
}

impl Take for Packer {
    fn take(&mut self, line: &impl Serialize) {
        self.line(|packer| visit(line, packer));
    }

    fn about(
        &mut self,
        _: &mut Same,
        (kind, time): (&'static str, &str),
        (subject, context): (&Subject, Context<'_>),
        tcp: &impl Serialize,
    ) {
        self.line(|packer| {
            packer.kind_and_time(kind, time);
            packer.fields(subject, context)?;
            visit(tcp, packer)?;
            packer.end_object();
            Ok(())
        });
    }
}

impl Visitor for Packer {
    #[inline]
    fn null(&mut self) {
        self.body.push(token::NULL);
    }

    #[inline]
    fn flag(&mut self, flag: bool) {
        self.body.push(if flag { token::TRUE } else { token::FALSE });
    }

    #[inline]
    fn unsigned(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(small) if small <= u8::MAX - token::NUMBERS => {
                self.body.push(token::NUMBERS + small);
            }
            _ => {
                self.body.push(token::NUMBER);
                varint(number, &mut self.body);
            }
        }
    }

    #[inline]
    fn signed(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => self.unsigned(number),
            Err(_) => {
                self.body.push(token::NEGATIVE);
                varint((!number).cast_unsigned(), &mut self.body);
            }
        }
    }

    fn fraction(&mut self, number: f64) {
        self.body.push(token::FRACTION);
        self.body.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        match nanoseconds(text) {
            Some(nanoseconds) => {
                self.body.push(token::TIME);
                self.any(&text[..token::SECOND]);
                self.body.extend_from_slice(&nanoseconds.to_le_bytes());
            }
            None => self.any(text),
        }
    }

    #[inline]
    fn word(&mut self, word: &'static str) {
        self.fixed(word);
    }

    #[inline]
    fn begin_object(&mut self) {
        self.body.push(token::OBJECT);
    }

    #[inline]
    fn name(&mut self, name: &'static str, _: bool) {
        self.fixed(name);
    }

    fn begin_name(&mut self, _: bool) {}

    fn end_name(&mut self) {}

    #[inline]
    fn end_object(&mut self) {
        self.body.push(token::END);
    }

    fn begin_list(&mut self) {
        self.body.push(token::LIST);
    }

    fn item(&mut self, _: bool) {}

    fn end_list(&mut self) {
        self.body.push(token::END);
    }
}

/// Of a time as lines have it, what is behind the second.
fn nanoseconds(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    if bytes.len() != token::WHOLE || bytes[token::SECOND] != b'.' || !bytes.is_ascii() {
        return None;
    }
    let (digits, end) = bytes[token::SECOND + 1..].split_at(9);
    if end != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The texts of a block.
#[derive(Debug)]
struct Texts {
    /// Those of the program by their place in memory: no byte of them is looked at.
    fixed: Box<[Fixed]>,
    others: HashMap<Box<str>, u16, RandomState>,
    next: usize,
    /// Which block it is: what is known of an earlier one does not count.
    block: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    /// Address and length.
    text: (usize, usize),
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
    fn fixed(&mut self, text: &'static str) -> Option<u16> {
        let identity = (text.as_ptr().addr(), text.len());
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

    fn number(&self, text: &str) -> Option<u16> {
        self.others.get(text).copied()
    }

    /// Gives the next number to a text that has none, where there is one left.
    fn is_next_kept(&mut self, text: &str) -> bool {
        if self.next >= token::TEXTS || text.is_empty() || text.len() > token::LONGEST_TEXT {
            return false;
        }
        self.others.insert(text.into(), self.next as u16);
        self.next += 1;
        true
    }

    /// A new block begins.
    fn forget(&mut self) {
        self.others.clear();
        (self.next, self.block) = (0, self.block + 1);
    }

    /// No text gets a number any more, and none has one.
    fn close(&mut self) {
        self.forget();
        self.next = token::TEXTS;
    }
}
