//! The one way through an event: a serde serializer that hands what it meets to a [`Visitor`], which
//! writes JSON, or fields with their paths.
//!
//! For the shapes of events: the keys of maps are text; there are no bytes, and no tuples with a
//! name.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{
        self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple,
    },
};

/// Something that events do not hold.
#[derive(Debug, thiserror::Error)]
#[error("not to be written: {0}")]
pub struct Unsupported(String);

impl ser::Error for Unsupported {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn unsupported<T>(what: &str) -> Result<T, Unsupported> {
    Err(Unsupported(what.into()))
}

/// Takes what an event consists of, in its order.
pub trait Visitor {
    /// No value.
    fn null(&mut self);
    /// Yes or no.
    fn flag(&mut self, flag: bool);
    /// A whole number from 0.
    fn unsigned(&mut self, number: u64);
    /// A whole number.
    fn signed(&mut self, number: i64);
    /// A fraction.
    fn fraction(&mut self, number: f64);
    /// Any text.
    fn text(&mut self, text: &str);
    /// The name of a variant, which needs no escape.
    fn word(&mut self, word: &'static str);
    /// An object begins; its names and values follow.
    fn begin_object(&mut self);
    /// The name of the next value, which needs no escape; whether it is the first one of the object.
    fn name(&mut self, name: &'static str, is_first: bool);
    /// The same of a map: what comes until [`Self::end_name`] is the name.
    fn begin_name(&mut self, is_first: bool);
    /// The value follows.
    fn end_name(&mut self);
    /// An object ends.
    fn end_object(&mut self);
    /// A list begins.
    fn begin_list(&mut self);
    /// An item of the list follows; whether it is the first one.
    fn item(&mut self, is_first: bool);
    /// A list ends.
    fn end_list(&mut self);
}

/// Shows `value` to `visitor`.
///
/// # Errors
///
/// Where it holds something that events do not; the visitor has seen what came before that.
#[inline]
pub fn visit(value: &impl Serialize, visitor: &mut impl Visitor) -> Result<(), Unsupported> {
    value.serialize(Walk(visitor))
}

struct Walk<'a, V>(&'a mut V);

/// An object or a list, of which more may follow.
struct Open<'a, V> {
    visitor: &'a mut V,
    is_first: bool,
    /// Ends it.
    end: fn(&mut V),
}

impl<'a, V: Visitor> Open<'a, V> {
    #[inline(always)]
    fn object(visitor: &'a mut V) -> Self {
        visitor.begin_object();
        Self { visitor, is_first: true, end: V::end_object }
    }

    #[inline(always)]
    fn list(visitor: &'a mut V) -> Self {
        visitor.begin_list();
        Self { visitor, is_first: true, end: V::end_list }
    }

    #[inline(always)]
    fn first(&mut self) -> bool {
        std::mem::take(&mut self.is_first)
    }

    #[inline(always)]
    fn field(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Unsupported> {
        let is_first = self.first();
        self.visitor.name(name, is_first);
        value.serialize(Walk(self.visitor))
    }

    #[inline(always)]
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        let is_first = self.first();
        self.visitor.item(is_first);
        value.serialize(Walk(self.visitor))
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty => $visit:ident,)+) => {$(
        #[inline(always)]
        fn $method(self, number: $type) -> Result<(), Unsupported> {
            self.0.$visit(number.into());
            Ok(())
        }
    )+};
}

impl<'a, V: Visitor> Serializer for Walk<'a, V> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Open<'a, V>;
    type SerializeTuple = Open<'a, V>;
    type SerializeTupleStruct = Impossible<(), Unsupported>;
    type SerializeTupleVariant = Impossible<(), Unsupported>;
    type SerializeMap = Open<'a, V>;
    type SerializeStruct = Open<'a, V>;
    type SerializeStructVariant = Open<'a, V>;

    numbers! {
        serialize_bool: bool => flag,
        serialize_i8: i8 => signed, serialize_i16: i16 => signed,
        serialize_i32: i32 => signed, serialize_i64: i64 => signed,
        serialize_u8: u8 => unsigned, serialize_u16: u16 => unsigned,
        serialize_u32: u32 => unsigned, serialize_u64: u64 => unsigned,
        serialize_f32: f32 => fraction, serialize_f64: f64 => fraction,
    }

    fn serialize_char(self, value: char) -> Result<(), Unsupported> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<(), Unsupported> {
        self.0.text(value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unsupported> {
        unsupported("bytes")
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Unsupported> {
        self.serialize_unit()
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Unsupported> {
        self.0.null();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unsupported> {
        self.serialize_unit()
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unsupported> {
        self.0.word(variant);
        Ok(())
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unsupported> {
        let mut open = Open::object(self.0);
        open.field(variant, value)?;
        SerializeStruct::end(open)
    }

    #[inline(always)]
    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'a, V>, Unsupported> {
        Ok(Open::list(self.0))
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a, V>, Unsupported> {
        Ok(Open::list(self.0))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unsupported> {
        unsupported("a tuple with a name")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unsupported> {
        unsupported("a variant that is a tuple")
    }

    #[inline(always)]
    fn serialize_map(self, _: Option<usize>) -> Result<Open<'a, V>, Unsupported> {
        Ok(Open::object(self.0))
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'a, V>, Unsupported> {
        Ok(Open::object(self.0))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a, V>, Unsupported> {
        self.0.begin_object();
        self.0.name(variant, true);
        let end = |visitor: &mut V| {
            visitor.end_object();
            visitor.end_object();
        };
        Ok(Open { end, ..Open::object(self.0) })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        self.serialize_str(&value.to_string())
    }
}

/// What serde has a trait of its own for, and is the same here.
macro_rules! open {
    ($($trait:ident: $method:ident $($name:ident)?, $with:ident;)+) => {$(
        impl<V: Visitor> $trait for Open<'_, V> {
            type Ok = ();
            type Error = Unsupported;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Unsupported> {
                self.$with($($name,)? value)
            }

            #[inline(always)]
            fn end(self) -> Result<(), Unsupported> {
                (self.end)(self.visitor);
                Ok(())
            }
        }
    )+};
}

open! {
    SerializeStruct: serialize_field name, field;
    SerializeStructVariant: serialize_field name, field;
    SerializeSeq: serialize_element, item;
    SerializeTuple: serialize_element, item;
}

impl<V: Visitor> SerializeMap for Open<'_, V> {
    type Ok = ();
    type Error = Unsupported;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unsupported> {
        let is_first = self.first();
        self.visitor.begin_name(is_first);
        key.serialize(Walk(self.visitor))?;
        self.visitor.end_name();
        Ok(())
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        value.serialize(Walk(self.visitor))
    }

    #[inline(always)]
    fn end(self) -> Result<(), Unsupported> {
        (self.end)(self.visitor);
        Ok(())
    }
}
