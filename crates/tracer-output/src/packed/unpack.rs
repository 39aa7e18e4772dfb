//! Blocks into JSON lines. The bytes are a file's content, which somebody else may have chosen.

use std::{
    io::{self, Read},
    ops::Range,
};

use super::{
    block::{Found, damaged, read},
    cursor::{Cursor, Step, Stop},
    names::{self, Followers, Place},
    token,
};
use crate::visit::Visitor as _;

const MISPLACED: Stop = Stop::Damaged("a name or fields in the wrong place");
/// No line of ours comes near it, bytes; the reader of lines says so of a longer one.
const LONGEST: usize = (16 << 20) + 1;
/// Objects and lists within one another; ours have a handful.
const DEEPEST: usize = 64;

/// Reads JSON lines from a recording.
#[derive(Debug)]
pub struct Unpacker<R> {
    file: R,
    block: Cursor,
    /// Where the block's texts stand in it.
    texts: Vec<Range<usize>>,
    /// The numbers of the names that followed last, by their places.
    names: Followers<Option<u16>>,
    /// What the block's fields are in JSON, one behind the other, and where each ends, by which name.
    fields: (Vec<u8>, Vec<(usize, Place)>),
    /// Where fields that have not ended stand in the line.
    fields_begun: Option<usize>,
    /// The file ends within the block.
    is_torn: bool,
    line: Vec<u8>,
    given: usize,
    open: Vec<Open>,
    /// Where the next value or name stands.
    place: Place,
}

/// An object or a list that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_list: bool,
    is_first: bool,
    /// Of an object: the name of the next value stands there.
    is_named: bool,
    /// Where it stands itself.
    place: Place,
}

impl<R: Read> Unpacker<R> {
    /// Of a file that is read from its beginning.
    pub fn new(file: R) -> Self {
        Self {
            file,
            block: Cursor::default(),
            texts: Vec::new(),
            names: Vec::new(),
            fields: <(Vec<u8>, Vec<(usize, Place)>)>::default(),
            fields_begun: None,
            is_torn: false,
            line: Vec::new(),
            given: 0,
            open: Vec::new(),
            place: Place::LINE,
        }
    }

    /// Fills the line; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.given = 0;
        loop {
            while self.block.peek() == Some(token::FORGET) {
                self.block.at += 1;
                self.forget();
            }
            if self.block.peek().is_some() {
                break;
            }
            if self.is_torn {
                // Half a line, as a text file would end.
                self.is_torn = false;
                self.line.push(b'{');
                return Ok(true);
            }
            self.block.at = 0;
            self.forget();
            self.fields.0.clear();
            self.fields.1.clear();
            match read(&mut self.file, &mut self.block.bytes)? {
                Found::End => return Ok(false),
                Found::Whole => {}
                Found::Torn => self.is_torn = true,
            }
        }
        self.open.clear();
        self.fields_begun = None;
        self.place = Place::LINE;
        match self.unpack() {
            Ok(()) => self.line.push(b'\n'),
            Err(Stop::Short) if self.is_torn => {
                self.is_torn = false;
                self.block.at = self.block.bytes.len();
                // Whatever is missing: with what is there it might be a line, or none of ours.
                self.line.clear();
                self.line.push(b'{');
            }
            Err(Stop::Short) => return Err(damaged("a block ends within a line")),
            Err(Stop::Damaged(what)) => return Err(damaged(what)),
        }
        Ok(true)
    }

    /// One line.
    fn unpack(&mut self) -> Step<()> {
        loop {
            self.value()?;
            if self.open.is_empty() {
                return Ok(());
            }
            if self.line.len() > LONGEST {
                return Err(Stop::Damaged("a line is too long"));
            }
        }
    }

    fn forget(&mut self) {
        self.texts.clear();
        self.names.clear();
    }

    fn value(&mut self) -> Step<()> {
        let kind = self.block.byte()?;
        match kind {
            token::END => return self.end(),
            token::FIELDS => return self.begin_fields(),
            token::END_FIELDS => return self.end_fields(),
            token::SAME_FIELDS => return self.same_fields(),
            token::SECOND_NAME => return self.second_name(),
            _ => {}
        }
        let is_name = self.separate();
        if is_name {
            let kind = match self.following() {
                None => kind,
                Some(_) if kind == token::OTHER_NAME => self.block.byte()?,
                Some(number) => {
                    self.same_name(number)?;
                    self.separate();
                    return self.plain(kind);
                }
            };
            return self.other_name(kind);
        }
        self.plain(kind)
    }

    /// A value that needs nothing before it.
    fn plain(&mut self, kind: u8) -> Step<()> {
        match kind {
            token::NULL => self.line.null(),
            token::FALSE => self.line.flag(false),
            token::TRUE => self.line.flag(true),
            token::NUMBER => {
                let number = self.block.varint()?;
                self.line.unsigned(number);
            }
            token::NEGATIVE => {
                let number = !self.block.varint()?.cast_signed();
                self.line.signed(number);
            }
            token::FRACTION => {
                let number = f64::from_le_bytes(self.block.bytes()?);
                self.line.fraction(number);
            }
            token::OBJECT | token::LIST => self.begin(kind == token::LIST)?,
            token::NUMBERS.. => self.line.unsigned(u64::from(kind - token::NUMBERS)),
            _ if token::is_text(kind) => {
                self.text_or_time(kind)?;
            }
            _ => return Err(Stop::Damaged("an unknown token")),
        }
        Ok(())
    }

    /// The number of the name that followed here last time.
    fn following(&self) -> Option<u16> {
        self.names.get(self.place.next)?[0]
    }

    /// The name that followed here before that.
    fn second_name(&mut self) -> Step<()> {
        let is_name = self.separate();
        let Some(known) = self.names.get_mut(self.place.next).filter(|_| is_name) else {
            return Err(MISPLACED);
        };
        known.swap(0, 1);
        let number = known[0].ok_or(MISPLACED)?;
        self.same_name(number)
    }

    /// A name that is known to follow here.
    fn same_name(&mut self, number: u16) -> Step<()> {
        let text = self.numbered(number)?;
        self.line.text(self.block.text(text)?);
        self.named(Some(number));
        Ok(())
    }

    /// Another one.
    fn other_name(&mut self, kind: u8) -> Step<()> {
        if !token::is_text(kind) {
            return Err(Stop::Damaged("a value without a name"));
        }
        let number = self.text_or_time(kind)?;
        names::learn(&mut self.names, self.place, number, number);
        self.named(number);
        Ok(())
    }

    /// Behind a name.
    fn named(&mut self, number: Option<u16>) {
        self.line.push(b':');
        self.place = number.map_or(Place::NOWHERE, Place::behind);
        if let Some(open) = self.open.last_mut() {
            open.is_named = true;
        }
    }

    /// What stands before a value or a name; whether it is a name.
    fn separate(&mut self) -> bool {
        let Some(open) = self.open.last_mut() else { return false };
        if !open.is_list && std::mem::take(&mut open.is_named) {
            return false;
        }
        if !std::mem::take(&mut open.is_first) {
            self.line.push(b',');
        }
        !open.is_list
    }

    fn begin(&mut self, is_list: bool) -> Step<()> {
        if self.open.len() == DEEPEST {
            return Err(Stop::Damaged("too deep"));
        }
        self.line.push(if is_list { b'[' } else { b'{' });
        self.open.push(Open { is_list, is_first: true, is_named: false, place: self.place });
        if !is_list {
            self.place = self.place.within();
        }
        Ok(())
    }

    fn end(&mut self) -> Step<()> {
        match self.open.pop() {
            None | Some(Open { is_named: true, .. }) => Err(Stop::Damaged("an end of nothing")),
            Some(Open { is_list, place, .. }) => {
                self.line.push(if is_list { b']' } else { b'}' });
                self.place = place;
                Ok(())
            }
        }
    }

    /// Fields follow, where a name may.
    fn begin_fields(&mut self) -> Step<()> {
        let is_alone = self.open.len() == 1 && self.fields_begun.is_none();
        if !is_alone || !self.separate() {
            return Err(MISPLACED);
        }
        let open = self.open.last_mut().ok_or(MISPLACED)?;
        (open.is_first, open.is_named) = (true, false);
        self.fields_begun = Some(self.line.len());
        Ok(())
    }

    /// They have ended, with a name.
    fn end_fields(&mut self) -> Step<()> {
        let begun = self.fields_begun.take().ok_or(MISPLACED)?;
        let [Open { is_named, .. }] = self.open[..] else { return Err(MISPLACED) };
        if !is_named {
            let number = self.following().ok_or(MISPLACED)?;
            self.separate();
            self.same_name(number)?;
        }
        let (fields, ends) = &mut self.fields;
        fields.extend_from_slice(&self.line[begun..]);
        if ends.len() == token::ALL_FIELDS || fields.len() > LONGEST {
            return Err(Stop::Damaged("too many fields"));
        }
        ends.push((fields.len(), self.place));
        Ok(())
    }

    fn same_fields(&mut self) -> Step<()> {
        let number = usize::try_from(self.block.varint()?).unwrap_or(usize::MAX);
        let (fields, ends) = &self.fields;
        let (end, name) = *ends.get(number).ok_or(MISPLACED)?;
        let begin = number.checked_sub(1).map_or(0, |before| ends[before].0);
        let fields = fields[begin..end].to_vec();
        if self.open.len() != 1 || self.fields_begun.is_some() || !self.separate() {
            return Err(MISPLACED);
        }
        self.line.extend_from_slice(&fields);
        self.place = name;
        self.open.iter_mut().for_each(|open| open.is_named = true);
        Ok(())
    }

    /// Its number, if it has one.
    fn text_or_time(&mut self, kind: u8) -> Step<Option<u16>> {
        if kind != token::TIME {
            let (text, number) = self.text(kind)?;
            self.line.text(self.block.text(text)?);
            return Ok(number);
        }
        let kind = self.block.byte()?;
        let (second, _) = self.text(kind)?;
        let nanoseconds = u32::from_le_bytes(self.block.bytes()?);
        let time = format!("{}.{nanoseconds:09}Z", self.block.text(second)?);
        self.line.text(&time);
        Ok(None)
    }

    /// Where in the block a text stands, and its number.
    fn text(&mut self, kind: u8) -> Step<(Range<usize>, Option<u16>)> {
        let number = match kind {
            token::TEXT | token::NEW_TEXT => {
                let length = usize::try_from(self.block.varint()?).map_err(|_| Stop::Short)?;
                let text = self.block.skip(length)?;
                if kind == token::TEXT {
                    return Ok((text, None));
                }
                let number = self.texts.len();
                if number == token::TEXTS || length > token::LONGEST_TEXT {
                    return Err(Stop::Damaged("too many texts"));
                }
                self.texts.push(text);
                number as u16
            }
            token::SAME_TEXT => u16::try_from(self.block.varint()?).unwrap_or(u16::MAX),
            token::SAME_TEXTS..token::NUMBERS => u16::from(kind - token::SAME_TEXTS),
            _ => return Err(Stop::Damaged("a time without a text")),
        };
        Ok((self.numbered(number)?, Some(number)))
    }

    fn numbered(&self, number: u16) -> Step<Range<usize>> {
        let text = self.texts.get(usize::from(number)).cloned();
        text.ok_or(Stop::Damaged("a text that is not there"))
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.line.len() && !self.advance()? {
            return Ok(0);
        }
        let rest = &self.line[self.given..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.given += taken;
        Ok(taken)
    }
}
