//! The fields of an event one after the other, each with its path: for tables, for logs with
//! fields, and for OTLP's attributes.
//!
//! It is serde_json's serializer that goes through the event; instead of writing what it meets,
//! this formatter hands it over.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Serializer, Value,
    ser::{CharEscape, CompactFormatter, Formatter},
};

/// The value of a field; a field without one is left out.
#[derive(Debug, PartialEq)]
pub enum Leaf<'a> {
    /// Words, a name, an address.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// A number below zero.
    Negative(i64),
    /// A fraction.
    Fraction(f64),
    /// Yes or no.
    Flag(bool),
    /// A list, as JSON has it.
    List(Vec<Value>),
}

/// Takes the fields of an event.
pub trait Fields {
    /// What is between the names of a path.
    const SEPARATOR: char;
    /// Whether lists are wanted.
    const LISTS: bool;

    /// The next field.
    fn field(&mut self, path: &str, leaf: Leaf<'_>);
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub struct Memory {
    path: String,
    /// For each object on the way, how long the path to it is.
    objects: Vec<usize>,
    text: String,
    list: Vec<u8>,
}

/// Gives the fields of `value` to `fields`.
///
/// # Errors
///
/// Where it cannot be JSON.
pub fn flatten(
    value: &impl Serialize,
    memory: &mut Memory,
    fields: &mut impl Fields,
) -> serde_json::Result<()> {
    memory.path.clear();
    memory.objects.clear();
    let flattener = Flattener { memory, fields, in_name: false, lists: 0 };
    value.serialize(&mut Serializer::with_formatter(io::sink(), flattener))
}

struct Flattener<'a, F> {
    memory: &'a mut Memory,
    fields: &'a mut F,
    /// What comes is the name of a field, not its value.
    in_name: bool,
    /// Lists within lists; what is in them is kept as JSON.
    lists: usize,
}

impl<F: Fields> Flattener<'_, F> {
    fn give(&mut self, leaf: Leaf<'_>) -> io::Result<()> {
        self.fields.field(&self.memory.path, leaf);
        Ok(())
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        self.memory.text.push_str(text);
        Ok(())
    }

    /// Names may be numbers as well.
    fn number(&mut self, number: i128) -> io::Result<()> {
        if self.in_name {
            return self.push(&number.to_string());
        }
        let negative = || i64::try_from(number).map(Leaf::Negative);
        let leaf = u64::try_from(number).map(Leaf::Number).or_else(|_| negative());
        self.give(leaf.unwrap_or(Leaf::Fraction(number as f64)))
    }
}

/// Methods of [`Formatter`]: within a list its JSON is written, elsewhere this is done.
macro_rules! handle {
    ($(fn $method:ident($this:ident $(, $value:ident: $type:ty)?) $body:block)+) => {$(
        #[inline]
        fn $method<W: Write + ?Sized>(&mut self, _: &mut W $(, $value: $type)?) -> io::Result<()> {
            match self.lists {
                0 => {
                    let $this = self;
                    $body
                }
                _ if F::LISTS => CompactFormatter.$method(&mut self.memory.list $(, $value)?),
                _ => Ok(()),
            }
        }
    )+};
}

macro_rules! numbers {
    ($($method:ident $type:ty),+) => {
        handle! { $(fn $method(this, number: $type) { this.number(number.into()) })+ }
    };
}

impl<F: Fields> Formatter for Flattener<'_, F> {
    numbers!(write_i8 i8, write_i16 i16, write_i32 i32, write_i64 i64);
    numbers!(write_u8 u8, write_u16 u16, write_u32 u32, write_u64 u64);

    handle! {
        fn write_null(_this) { Ok(()) }
        fn write_bool(this, flag: bool) { this.give(Leaf::Flag(flag)) }
        fn write_f32(this, fraction: f32) { this.give(Leaf::Fraction(fraction.into())) }
        fn write_f64(this, fraction: f64) { this.give(Leaf::Fraction(fraction)) }
        fn write_string_fragment(this, text: &str) { this.push(text) }

        fn write_char_escape(this, escape: CharEscape) {
            let c = match escape {
                CharEscape::Quote => '"',
                CharEscape::ReverseSolidus => '\\',
                CharEscape::Solidus => '/',
                CharEscape::Backspace => '\x08',
                CharEscape::FormFeed => '\x0c',
                CharEscape::LineFeed => '\n',
                CharEscape::CarriageReturn => '\r',
                CharEscape::Tab => '\t',
                CharEscape::AsciiControl(byte) => char::from(byte),
            };
            this.push(c.encode_utf8(&mut [0; 4]))
        }

        fn begin_string(this) {
            this.memory.text.clear();
            Ok(())
        }

        fn end_string(this) {
            if !this.in_name {
                this.fields.field(&this.memory.path, Leaf::Text(&this.memory.text));
            }
            Ok(())
        }

        fn begin_object(this) {
            let Memory { path, objects, .. } = &mut *this.memory;
            objects.push(path.len());
            Ok(())
        }

        fn begin_object_key(this, _first: bool) {
            this.in_name = true;
            Ok(())
        }

        fn end_object_key(this) {
            this.in_name = false;
            let Memory { path, objects, text, .. } = &mut *this.memory;
            path.truncate(objects.last().copied().unwrap_or(0));
            if !path.is_empty() {
                path.push(F::SEPARATOR);
            }
            path.push_str(text);
            Ok(())
        }

        fn begin_object_value(_this) { Ok(()) }

        fn end_object(this) {
            let Memory { path, objects, .. } = &mut *this.memory;
            path.truncate(objects.pop().unwrap_or(0));
            Ok(())
        }
    }

    fn begin_array<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        if self.lists == 0 {
            self.memory.list.clear();
        }
        self.lists += 1;
        CompactFormatter.begin_array(&mut self.memory.list)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        CompactFormatter.begin_array_value(&mut self.memory.list, first)
    }

    fn end_array<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.end_array(&mut self.memory.list)?;
        self.lists -= 1;
        if self.lists > 0 || !F::LISTS {
            return Ok(());
        }
        let list = serde_json::from_slice(&self.memory.list)?;
        self.give(Leaf::List(list))
    }
}
