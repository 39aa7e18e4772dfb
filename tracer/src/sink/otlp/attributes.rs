//! What is written as JSON elsewhere, as attributes: `{"network":{"peer":{"port":80}}}` is
//! `network.peer.port`. Written as protobuf at once
//! (opentelemetry/proto/common/v1/common.proto): messages in between would cost ten times as much
//! on the thread that reads the kernel's events.

use std::fmt::Display;

use prost::encoding::{encode_varint, encoded_len_varint};
use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple},
};
use serde_json::Value;

/// Fields of `AnyValue`.
const STRING: u8 = 1;
const BOOL: u8 = 2;
const INT: u8 = 3;
const DOUBLE: u8 = 4;
const ARRAY: u8 = 5;
const LIST: u8 = 6;
/// Wire types of protobuf.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(super) const LEN: u8 = 2;

/// Something that has no place in attributes.
#[derive(Debug, thiserror::Error)]
#[error("not to be written as attributes: {0}")]
pub(super) struct Unsupported(String);

impl ser::Error for Unsupported {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A field that holds bytes, text or a message. `field` < 16.
pub(super) fn bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | LEN);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A field of eight bytes.
pub(super) fn fixed64(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field that is a number.
pub(super) fn varint(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | VARINT);
    encode_varint(value, out);
}

/// Attributes, each as the field `field` of whatever message they belong to; no field `time` at
/// the top.
pub(super) fn write(
    value: &impl Serialize,
    field: u8,
    key: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), Unsupported> {
    key.clear();
    value.serialize(Flat { key, field, out })
}

/// Where the next value goes: under `key`.
struct Flat<'a> {
    key: &'a mut String,
    field: u8,
    out: &'a mut Vec<u8>,
}

impl Flat<'_> {
    /// All of a `KeyValue` but its value, an `AnyValue` of `len` bytes.
    fn key_and(&mut self, len: usize) {
        let key = self.key.as_bytes();
        let sized = |len: usize| 1 + encoded_len_varint(len as u64) + len;
        self.out.push(self.field << 3 | LEN);
        encode_varint((sized(key.len()) + sized(len)) as u64, self.out);
        bytes(1, key, self.out);
        self.out.push(2 << 3 | LEN);
        encode_varint(len as u64, self.out);
    }
}

/// `AnyValue` of what is in an array; those are rare.
fn any(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => varint(BOOL, u64::from(*value), out),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => varint(INT, int as u64, out),
            (None, Some(float)) => fixed64(DOUBLE, float.to_bits(), out),
            (None, None) => bytes(STRING, number.to_string().as_bytes(), out),
        },
        Value::String(text) => bytes(STRING, text.as_bytes(), out),
        Value::Array(values) => {
            let mut array = Vec::new();
            for value in values {
                let mut item = Vec::new();
                any(value, &mut item);
                bytes(1, &item, &mut array);
            }
            bytes(ARRAY, &array, out);
        }
        Value::Object(fields) => {
            let mut list = Vec::new();
            for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let (mut item, mut field) = (Vec::new(), Vec::new());
                any(value, &mut item);
                bytes(1, key.as_bytes(), &mut field);
                bytes(2, &item, &mut field);
                bytes(1, &field, &mut list);
            }
            bytes(LIST, &list, out);
        }
    }
}

/// The fields of an object: their names follow a dot.
struct Fields<'a> {
    flat: Flat<'a>,
    len: usize,
}

/// The items of an array.
struct Items<'a> {
    flat: Flat<'a>,
    values: Vec<Value>,
}

impl<'a> Fields<'a> {
    fn new(flat: Flat<'a>) -> Self {
        Self { len: flat.key.len(), flat }
    }

    fn name(&mut self, name: &str) {
        self.flat.key.truncate(self.len);
        if self.len > 0 {
            self.flat.key.push('.');
        }
        self.flat.key.push_str(name);
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        // The record has it as a number.
        if self.len == 0 && self.flat.key == "time" {
            return Ok(());
        }
        let Flat { key, field, out } = &mut self.flat;
        value.serialize(Flat { key, field: *field, out })
    }
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

/// Methods of [`Serializer`] for what events do not have.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $result:ty: $what:literal),+ $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$result, Unsupported> {
            Err(Unsupported($what.into()))
        })+
    };
}

type Never = Impossible<(), Unsupported>;

impl<'a> Serializer for Flat<'a> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Never;

    convert!(serialize_i64: serialize_i8 i8, serialize_i16 i16, serialize_i32 i32);
    convert!(serialize_i64: serialize_u8 u8, serialize_u16 u16, serialize_u32 u32);
    convert!(serialize_f64: serialize_f32 f32);

    refuse! {
        serialize_bytes(&[u8]) -> (): "bytes",
        serialize_tuple_struct(&'static str, usize) -> Never: "a tuple with a name",
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never:
            "a variant that is a tuple",
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never:
            "a variant with fields",
    }

    fn serialize_bool(mut self, value: bool) -> Result<(), Unsupported> {
        self.key_and(2);
        varint(BOOL, u64::from(value), self.out);
        Ok(())
    }

    fn serialize_i64(mut self, value: i64) -> Result<(), Unsupported> {
        // Negative numbers take ten bytes.
        self.key_and(1 + encoded_len_varint(value as u64));
        varint(INT, value as u64, self.out);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unsupported> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value),
            // OTLP has no larger numbers.
            Err(_) => self.serialize_str(&value.to_string()),
        }
    }

    fn serialize_f64(mut self, value: f64) -> Result<(), Unsupported> {
        self.key_and(9);
        fixed64(DOUBLE, value.to_bits(), self.out);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unsupported> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(mut self, text: &str) -> Result<(), Unsupported> {
        let len = text.len();
        self.key_and(1 + encoded_len_varint(len as u64) + len);
        bytes(STRING, text.as_bytes(), self.out);
        Ok(())
    }

    /// What is not known is left out.
    fn serialize_none(self) -> Result<(), Unsupported> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unsupported> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unsupported> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unsupported> {
        self.serialize_str(variant)
    }

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
        let mut fields = Fields::new(self);
        SerializeStruct::serialize_field(&mut fields, variant, value)?;
        SerializeStruct::end(fields)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unsupported> {
        Ok(Items { flat: self, values: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Unsupported> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, Unsupported> {
        Ok(Fields::new(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Unsupported> {
        Ok(Fields::new(self))
    }
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Unsupported> {
        self.name(key);
        self.value(value)
    }

    fn end(self) -> Result<(), Unsupported> {
        self.flat.key.truncate(self.len);
        Ok(())
    }
}

impl SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unsupported> {
        let key = json(key)?;
        self.name(key.as_str().unwrap_or(&key.to_string()));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unsupported> {
        SerializeStruct::end(self)
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        self.values.push(json(value)?);
        Ok(())
    }

    fn end(mut self) -> Result<(), Unsupported> {
        let mut array = Vec::new();
        any(&Value::Array(self.values), &mut array);
        self.flat.key_and(array.len());
        self.flat.out.extend_from_slice(&array);
        Ok(())
    }
}

impl SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Unsupported> {
        SerializeSeq::end(self)
    }
}
