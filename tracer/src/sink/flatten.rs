//! The fields of an event one after the other, each with its path: for tables, for logs with
//! fields, and for OTLP's attributes.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple},
};
use serde_json::Value;

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

/// Something that has no place in a flat record.
#[derive(Debug, thiserror::Error)]
#[error("not to be written as a flat record: {0}")]
pub struct Unsupported(String);

impl ser::Error for Unsupported {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Takes the fields of an object.
pub trait Fields {
    /// What is between the names of a path.
    const SEPARATOR: char;
    /// Whether lists are wanted.
    const LISTS: bool;

    /// The next field.
    fn field(&mut self, path: &str, leaf: Leaf<'_>);
}

/// Gives the fields of `value` to `fields`; `path` is memory that is used again.
///
/// # Errors
///
/// Where there is something in it that events do not have.
pub fn flatten(
    value: &impl Serialize,
    path: &mut String,
    fields: &mut impl Fields,
) -> Result<(), Unsupported> {
    path.clear();
    value.serialize(At { path, fields })
}

/// What is at one path.
struct At<'a, F> {
    path: &'a mut String,
    fields: &'a mut F,
}

impl<F: Fields> At<'_, F> {
    fn give(self, leaf: Leaf<'_>) -> Result<(), Unsupported> {
        self.fields.field(self.path, leaf);
        Ok(())
    }
}

/// An object at one path, whose length that is.
struct Object<'a, F> {
    at: At<'a, F>,
    len: usize,
}

impl<F: Fields> Object<'_, F> {
    fn name(&mut self, name: &str) {
        let path = &mut *self.at.path;
        path.truncate(self.len);
        if self.len > 0 {
            path.push(F::SEPARATOR);
        }
        path.push_str(name);
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        let At { path, fields } = &mut self.at;
        value.serialize(At { path, fields: &mut **fields })
    }
}

/// A list at one path.
struct List<'a, F> {
    at: At<'a, F>,
    values: Vec<Value>,
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<Value, Unsupported> {
    serde_json::to_value(value).map_err(ser::Error::custom)
}

/// Methods of [`Serializer`] that pass a number on as another one.
macro_rules! convert {
    ($to:ident: $($method:ident $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<(), Unsupported> {
            self.$to(value.into())
        })+
    };
}

/// Methods of [`Serializer`] for what has no value.
macro_rules! omit {
    ($($method:ident($($argument:ty),*)),+) => {
        $(fn $method(self, $(_: $argument),*) -> Result<(), Unsupported> {
            Ok(())
        })+
    };
}

/// Methods of [`Serializer`] for what events do not have.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $result:ty: $what:literal),+ $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$result, Unsupported> {
            Err(Unsupported($what.into()))
        })+
    };
}

type Never = Impossible<(), Unsupported>;
type Name = &'static str;

impl<'a, F: Fields> Serializer for At<'a, F> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = List<'a, F>;
    type SerializeTuple = List<'a, F>;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Object<'a, F>;
    type SerializeStruct = Object<'a, F>;
    type SerializeStructVariant = Never;

    convert!(serialize_i64: serialize_i8 i8, serialize_i16 i16, serialize_i32 i32);
    convert!(serialize_u64: serialize_u8 u8, serialize_u16 u16, serialize_u32 u32);
    convert!(serialize_f64: serialize_f32 f32);
    omit!(serialize_none(), serialize_unit(), serialize_unit_struct(Name));
    refuse! {
        serialize_bytes(&[u8]) -> (): "bytes",
        serialize_tuple_struct(Name, usize) -> Never: "a tuple with a name",
        serialize_tuple_variant(Name, u32, Name, usize) -> Never: "a variant that is a tuple",
        serialize_struct_variant(Name, u32, Name, usize) -> Never: "a variant with fields",
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unsupported> {
        self.give(Leaf::Flag(value))
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unsupported> {
        self.give(u64::try_from(value).map_or(Leaf::Negative(value), Leaf::Number))
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unsupported> {
        self.give(Leaf::Number(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unsupported> {
        self.give(Leaf::Fraction(value))
    }

    fn serialize_char(self, value: char) -> Result<(), Unsupported> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Unsupported> {
        self.give(Leaf::Text(text))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: Name, _: u32, name: Name) -> Result<(), Unsupported> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: Name,
        value: &T,
    ) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: Name,
        _: u32,
        name: Name,
        value: &T,
    ) -> Result<(), Unsupported> {
        let mut object = self.serialize_map(None)?;
        object.serialize_field(name, value)?;
        SerializeStruct::end(object)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a, F>, Unsupported> {
        Ok(List { at: self, values: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a, F>, Unsupported> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'a, F>, Unsupported> {
        Ok(Object { len: self.path.len(), at: self })
    }

    fn serialize_struct(self, _: Name, _: usize) -> Result<Object<'a, F>, Unsupported> {
        self.serialize_map(None)
    }
}

impl<F: Fields> SerializeStruct for Object<'_, F> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: Name,
        value: &T,
    ) -> Result<(), Unsupported> {
        self.name(name);
        self.value(value)
    }

    fn end(self) -> Result<(), Unsupported> {
        self.at.path.truncate(self.len);
        Ok(())
    }
}

impl<F: Fields> SerializeMap for Object<'_, F> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Unsupported> {
        let name = json(name)?;
        self.name(name.as_str().unwrap_or(&name.to_string()));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unsupported> {
        SerializeStruct::end(self)
    }
}

impl<F: Fields> SerializeSeq for List<'_, F> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        if F::LISTS {
            self.values.push(json(value)?);
        }
        Ok(())
    }

    fn end(self) -> Result<(), Unsupported> {
        if F::LISTS { self.at.give(Leaf::List(self.values)) } else { Ok(()) }
    }
}

impl<F: Fields> SerializeTuple for List<'_, F> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Unsupported> {
        SerializeSeq::end(self)
    }
}
