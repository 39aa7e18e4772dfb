//! Blocks into JSON lines. The bytes are a file's content, which somebody else may have chosen.

use std::{
    io::{self, Read},
    ops::Range,
};

use super::{
    block::{Found, damaged, read},
    token,
};
use crate::visit::Visitor as _;

const MISPLACED: Stop = Stop::Damaged("fields in the wrong place");
/// No line of ours comes near it, bytes; the reader of lines says so of a longer one.
const LONGEST: usize = (16 << 20) + 1;
/// Objects and lists within one another; ours have a handful.
const DEEPEST: usize = 64;

/// Reads JSON lines from a recording.
#[derive(Debug)]
pub struct Unpacker<R> {
    file: R,
    block: Vec<u8>,
    at: usize,
    /// Where the block's texts stand in it.
    texts: Vec<Range<usize>>,
    /// What the block's fields are in JSON, one behind the other, and where each ends.
    fields: (Vec<u8>, Vec<usize>),
    /// Where fields that have not ended stand in the line.
    fields_begun: Option<usize>,
    /// The file ends within the block.
    is_torn: bool,
    line: Vec<u8>,
    given: usize,
    open: Vec<Open>,
}

/// An object or a list that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_list: bool,
    is_first: bool,
    /// Of an object: the name of the next value stands there.
    is_named: bool,
}

/// Why there is no more of a line.
enum Stop {
    /// The block ends.
    Short,
    Damaged(&'static str),
}

type Step<T> = Result<T, Stop>;

impl<R: Read> Unpacker<R> {
    /// Of a file that is read from its beginning.
    pub fn new(file: R) -> Self {
        Self {
            file,
            block: Vec::new(),
            at: 0,
            texts: Vec::new(),
            fields: <(Vec<u8>, Vec<usize>)>::default(),
            fields_begun: None,
            is_torn: false,
            line: Vec::new(),
            given: 0,
            open: Vec::new(),
        }
    }

    /// Fills the line; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.given = 0;
        while self.at == self.block.len() {
            if self.is_torn {
                // Half a line, as a text file would end.
                self.is_torn = false;
                self.line.push(b'{');
                return Ok(true);
            }
            self.at = 0;
            self.texts.clear();
            self.fields.0.clear();
            self.fields.1.clear();
            match read(&mut self.file, &mut self.block)? {
                Found::End => return Ok(false),
                Found::Whole => {}
                Found::Torn => self.is_torn = true,
            }
        }
        self.open.clear();
        self.fields_begun = None;
        match self.unpack() {
            Ok(()) => self.line.push(b'\n'),
            Err(Stop::Short) if self.is_torn => {
                self.is_torn = false;
                self.at = self.block.len();
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

    fn value(&mut self) -> Step<()> {
        let kind = self.byte()?;
        match kind {
            token::END => return self.end(),
            token::FIELDS => return self.begin_fields(),
            token::END_FIELDS => return self.end_fields(),
            token::SAME_FIELDS => return self.same_fields(),
            _ => {}
        }
        let is_name = self.separate();
        let is_text = matches!(kind, token::TEXT..=token::TIME | token::SAME_TEXTS..token::NUMBERS);
        if is_name && !is_text {
            return Err(Stop::Damaged("a value without a name"));
        }
        match kind {
            token::NULL => self.line.null(),
            token::FALSE => self.line.flag(false),
            token::TRUE => self.line.flag(true),
            token::NUMBER => {
                let number = self.varint()?;
                self.line.unsigned(number);
            }
            token::NEGATIVE => {
                let number = !self.varint()?.cast_signed();
                self.line.signed(number);
            }
            token::FRACTION => {
                let number = f64::from_le_bytes(self.bytes()?);
                self.line.fraction(number);
            }
            token::OBJECT | token::LIST => self.begin(kind == token::LIST)?,
            token::NUMBERS.. => self.line.unsigned(u64::from(kind - token::NUMBERS)),
            _ if is_text => self.text_or_time(kind)?,
            _ => return Err(Stop::Damaged("an unknown token")),
        }
        if is_name {
            self.line.push(b':');
        }
        Ok(())
    }

    /// What stands before a value; whether it is a name.
    fn separate(&mut self) -> bool {
        let Some(open) = self.open.last_mut() else { return false };
        if !open.is_list && open.is_named {
            open.is_named = false;
            return false;
        }
        if !std::mem::take(&mut open.is_first) {
            self.line.push(b',');
        }
        open.is_named = !open.is_list;
        !open.is_list
    }

    fn begin(&mut self, is_list: bool) -> Step<()> {
        if self.open.len() == DEEPEST {
            return Err(Stop::Damaged("too deep"));
        }
        self.line.push(if is_list { b'[' } else { b'{' });
        self.open.push(Open { is_list, is_first: true, is_named: false });
        Ok(())
    }

    fn end(&mut self) -> Step<()> {
        match self.open.pop() {
            None | Some(Open { is_named: true, .. }) => Err(Stop::Damaged("an end of nothing")),
            Some(Open { is_list, .. }) => {
                self.line.push(if is_list { b']' } else { b'}' });
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
        let [Open { is_named: true, .. }] = self.open[..] else { return Err(MISPLACED) };
        let begun = self.fields_begun.take().ok_or(MISPLACED)?;
        let (fields, ends) = &mut self.fields;
        fields.extend_from_slice(&self.line[begun..]);
        if ends.len() == token::ALL_FIELDS || fields.len() > LONGEST {
            return Err(Stop::Damaged("too many fields"));
        }
        ends.push(fields.len());
        Ok(())
    }

    fn same_fields(&mut self) -> Step<()> {
        let number = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let (fields, ends) = &self.fields;
        let end = *ends.get(number).ok_or(MISPLACED)?;
        let begin = number.checked_sub(1).map_or(0, |before| ends[before]);
        let fields = fields[begin..end].to_vec();
        if self.open.len() != 1 || self.fields_begun.is_some() || !self.separate() {
            return Err(MISPLACED);
        }
        self.line.extend_from_slice(&fields);
        Ok(())
    }

    fn text_or_time(&mut self, kind: u8) -> Step<()> {
        if kind != token::TIME {
            let text = self.text(kind)?;
            self.line.text(utf8(&self.block, text)?);
            return Ok(());
        }
        let kind = self.byte()?;
        let second = self.text(kind)?;
        let nanoseconds = u32::from_le_bytes(self.bytes()?);
        let time = format!("{}.{nanoseconds:09}Z", utf8(&self.block, second)?);
        self.line.text(&time);
        Ok(())
    }

    /// Where in the block a text stands.
    fn text(&mut self, kind: u8) -> Step<Range<usize>> {
        let number = match kind {
            token::TEXT | token::NEW_TEXT => {
                let length = usize::try_from(self.varint()?).map_err(|_| Stop::Short)?;
                let end = self.at.checked_add(length).filter(|&end| end <= self.block.len());
                let text = self.at..end.ok_or(Stop::Short)?;
                self.at = text.end;
                if kind == token::NEW_TEXT {
                    if self.texts.len() == token::TEXTS || length > token::LONGEST_TEXT {
                        return Err(Stop::Damaged("too many texts"));
                    }
                    self.texts.push(text.clone());
                }
                return Ok(text);
            }
            token::SAME_TEXT => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
            token::SAME_TEXTS..token::NUMBERS => usize::from(kind - token::SAME_TEXTS),
            _ => return Err(Stop::Damaged("a time without a text")),
        };
        self.texts.get(number).cloned().ok_or(Stop::Damaged("a text that is not there"))
    }

    fn byte(&mut self) -> Step<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn bytes<const N: usize>(&mut self) -> Step<[u8; N]> {
        let bytes = self.block.get(self.at..).and_then(|rest| rest.first_chunk());
        self.at += N;
        bytes.copied().ok_or(Stop::Short)
    }

    fn varint(&mut self) -> Step<u64> {
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
}

fn utf8(block: &[u8], text: Range<usize>) -> Step<&str> {
    str::from_utf8(&block[text]).map_err(|_| Stop::Damaged("a text is not UTF-8"))
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
