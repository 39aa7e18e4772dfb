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
    /// A value as `AnyValue` without its length.
    fn put(mut self, any: &[u8]) {
        self.key_and(any.len());
        self.out.extend_from_slice(any);
    }

    /// All of a `KeyValue` but its value, of `len` bytes.
    fn key_and(&mut self, len: usize) {
        let key = self.key.as_bytes();
        let both = 1
            + encoded_len_varint(key.len() as u64)
            + key.len()
            + 1
            + encoded_len_varint(len as u64)
            + len;
        self.out.push(self.field << 3 | LEN);
        encode_varint(both as u64, self.out);
        bytes(1, key, self.out);
        self.out.push(2 << 3 | LEN);
        encode_varint(len as u64, self.out);
    }

    fn text(mut self, text: &str) {
        let len = text.len();
        self.key_and(1 + encoded_len_varint(len as u64) + len);
        bytes(STRING, text.as_bytes(), self.out);
    }

    fn int(mut self, value: i64) {
        // Negative numbers take ten bytes.
        self.key_and(1 + encoded_len_varint(value as u64));
        varint(INT, value as u64, self.out);
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

    fn close(self) {
        self.flat.key.truncate(self.len);
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<Value, Unsupported> {
    serde_json::to_value(value).map_err(ser::Error::custom)
}

impl<'a> Serializer for Flat<'a> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Impossible<(), Unsupported>;
    type SerializeTupleVariant = Impossible<(), Unsupported>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), Unsupported>;

    fn serialize_bool(mut self, value: bool) -> Result<(), Unsupported> {
        self.key_and(2);
        varint(BOOL, u64::from(value), self.out);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unsupported> {
        self.int(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unsupported> {
        match i64::try_from(value) {
            Ok(value) => self.int(value),
            // OTLP has no larger numbers.
            Err(_) => self.text(&value.to_string()),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unsupported> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(mut self, value: f64) -> Result<(), Unsupported> {
        self.key_and(9);
        fixed64(DOUBLE, value.to_bits(), self.out);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unsupported> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Unsupported> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unsupported> {
        Err(Unsupported("bytes".into()))
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
        fields.name(variant);
        fields.value(value)?;
        fields.close();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unsupported> {
        Ok(Items { flat: self, values: Vec::new() })
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'a>, Unsupported> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unsupported> {
        Err(Unsupported("a tuple with a name".into()))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unsupported> {
        Err(Unsupported("a variant that is a tuple".into()))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, Unsupported> {
        Ok(Fields::new(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Unsupported> {
        Ok(Fields::new(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unsupported> {
        Err(Unsupported("a variant with fields".into()))
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
        self.close();
        Ok(())
    }
}

impl SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unsupported> {
        match json(key)? {
            Value::String(name) => self.name(&name),
            other => self.name(&other.to_string()),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unsupported> {
        self.close();
        Ok(())
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        self.values.push(json(value)?);
        Ok(())
    }

    fn end(self) -> Result<(), Unsupported> {
        let mut array = Vec::new();
        any(&Value::Array(self.values), &mut array);
        self.flat.put(&array);
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
