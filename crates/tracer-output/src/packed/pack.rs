//! Lines into blocks.

use serde::{Serialize, ser::Error as _};

use super::{
    block::Block,
    names::{Names, Place},
    texts::{Identity, Texts, identity},
    token,
};
use crate::{
    json::{Same, Take, about},
    rendered::Rendered,
    visit::{Unsupported, Visitor, visit},
};
use tracer_event::{enricher::Context, subject::Subject};

/// Packs lines.
#[derive(Debug, Default)]
pub struct Packer {
    body: Vec<u8>,
    lines: u64,
    texts: Texts,
    names: Names,
    /// The second that was written last, and its number.
    second: Option<([u8; token::SECOND], u16)>,
    /// Where the fields of a socket stand: the block, their number in it, and the name at their end.
    fields: Rendered<Option<(u64, usize, Place)>>,
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
        self.forget();
        self.next_fields = 0;
        self.body.reserve(capacity);
        (lines > 0).then_some(Block { lines, body })
    }

    fn forget(&mut self) {
        self.texts.forget();
        self.names.forget();
        self.second = None;
    }

    /// Writes a text, which may have a number; that it has from now on.
    fn put(&mut self, known: Option<u16>, text: &str) -> Option<u16> {
        match known {
            Some(number) if number < u16::from(token::NUMBERS - token::SAME_TEXTS) => {
                self.body.push(token::SAME_TEXTS + number as u8);
                known
            }
            Some(number) => {
                self.body.push(token::SAME_TEXT);
                varint(u64::from(number), &mut self.body);
                known
            }
            None => {
                let given = self.texts.give_next(text);
                self.body.push(if given.is_some() { token::NEW_TEXT } else { token::TEXT });
                varint(text.len() as u64, &mut self.body);
                self.body.extend_from_slice(text.as_bytes());
                given
            }
        }
    }

    /// A text of the program, known by its place in memory.
    #[inline]
    fn fixed(&mut self, text: &'static str) -> Option<u16> {
        let known = self.texts.fixed(text);
        self.put(known, text)
    }

    fn any(&mut self, text: &str) -> Option<u16> {
        let known = self.texts.number(text);
        self.put(known, text)
    }

    /// What a time begins with, the same for many.
    fn second(&mut self, second: &[u8; token::SECOND], text: &str) {
        let known = self.second.filter(|(of, _)| of == second).map(|(_, number)| number);
        let number = if known.is_some() { self.put(known, text) } else { self.any(text) };
        self.second = number.map(|number| (*second, number));
    }

    /// A name that is not known to follow, or not by this address.
    fn other_name(&mut self, name: &'static str) {
        let known = self.texts.fixed(name);
        let as_known = known.map(|number| (identity(name), number));
        if as_known.is_some_and(|name| self.names.follows_as(name, &mut self.body)) {
            return;
        }
        self.names.mark(&mut self.body);
        let number = self.put(known, name);
        self.names.learn(identity(name), number);
    }
}

impl Packer {
    /// A line, or nothing.
    fn line(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Unsupported>) {
        let (begun, next_fields) = (self.body.len(), self.next_fields);
        self.names.place = Place::LINE;
        match write(self) {
            Ok(()) => self.lines += 1,
            Err(error) => {
                // Whatever was new in it would be missing.
                tracing::error!("{error}");
                self.body.truncate(begun);
                self.body.push(token::FORGET);
                self.next_fields = next_fields;
                self.forget();
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
        if let Some((_, number, name)) = place.filter(|(of, ..)| *of == block) {
            self.fields = fields;
            self.body.push(token::SAME_FIELDS);
            varint(number as u64, &mut self.body);
            self.names.place = name;
            return Ok(());
        }
        self.next_fields += 1;
        let begun = self.body.len();
        self.names.place = Place::LINE;
        let group = context.enricher.cgroup(subject);
        let written = visit(&about("", "", subject, group.as_deref(), ()), self);
        self.names.place = self.names.closed;
        *place = Some((block, next, self.names.place));
        self.fields = fields;
        written?;
        // Both names are known to follow: the line has just begun with them.
        if !self.body[begun + 1..].starts_with(&EMPTY) {
            return Err(Unsupported::custom("a line that does not begin with kind and time"));
        }
        self.body[begun] = token::FIELDS;
        self.body.drain(begun + 1..begun + 1 + EMPTY.len());
        // The value of `tcp`, which is null, and the end.
        self.body.truncate(self.body.len() - 2);
        self.body.push(token::END_FIELDS);
        Ok(())
    }
}

/// A kind and a time, both without a letter.
const EMPTY: [u8; 4] = [token::TEXT, 0, token::TEXT, 0];

impl Take for Packer {
    const IS_READ: bool = false;

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
        let number = match nanoseconds(text) {
            Some((second, nanoseconds)) => {
                self.body.push(token::TIME);
                self.second(second, &text[..token::SECOND]);
                self.body.extend_from_slice(&nanoseconds.to_le_bytes());
                None
            }
            None => self.any(text),
        };
        // It may be a name.
        self.names.text = number;
    }

    #[inline]
    fn word(&mut self, word: &'static str) {
        self.names.text = self.fixed(word);
    }

    #[inline]
    fn begin_object(&mut self) {
        self.body.push(token::OBJECT);
        self.names.begin();
    }

    #[inline]
    fn name(&mut self, name: &'static str, _: bool) {
        if !self.names.follows(identity(name), &mut self.body) {
            self.other_name(name);
        }
    }

    fn begin_name(&mut self, _: bool) {
        self.names.mark(&mut self.body);
    }

    fn end_name(&mut self) {
        self.names.learn(Identity::default(), self.names.text);
    }

    #[inline]
    fn end_object(&mut self) {
        self.body.push(token::END);
        self.names.end();
    }

    fn begin_list(&mut self) {
        self.body.push(token::LIST);
    }

    fn item(&mut self, _: bool) {}

    fn end_list(&mut self) {
        self.body.push(token::END);
    }
}

/// Of a time as lines have it, all up to the second, and what is behind it.
fn nanoseconds(text: &str) -> Option<(&[u8; token::SECOND], u32)> {
    let bytes: &[u8; token::WHOLE] = text.as_bytes().try_into().ok()?;
    let (second, rest) = bytes.split_first_chunk()?;
    let [b'.', digits @ .., b'Z'] = rest else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(10);
    let number = digits.iter().try_fold(0, |sum, byte| Some(sum * 10 + digit(byte)?))?;
    Some((second, number))
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
