use std::io::Read as _;

use proptest::prelude::*;
use rstest::rstest;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Value, json};

use super::{MAGIC, Packer, Unpacker};
use crate::json::Take as _;

/// These lines as a recording.
fn packed(lines: &[Value], per_block: usize, compress: bool) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let mut packer = Packer::default();
    for some in lines.chunks(per_block) {
        some.iter().for_each(|line| packer.take(line));
        let block = packer.block().unwrap();
        assert_eq!(block.lines, some.len() as u64);
        file.extend_from_slice(block.stored(compress).unwrap().bytes());
    }
    file
}

fn unpacked(file: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let read = Unpacker::new(file).read_to_string(&mut text);
    read.map(|_| text).map_err(|error| format!("{error:?}"))
}

fn damaged(what: &str) -> String {
    format!("Custom {{ kind: InvalidData, error: Damaged({what:?}) }}")
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Anything that events consist of.
fn value() -> impl Strategy<Value = Value> {
    let text =
        prop_oneof!["[a-z]{0,6}", ".{0,300}", "20[0-9]{2}-01-02T03:04:0[0-9]\\.[0-9]{8,10}Z",];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_u64..300).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn lines_come_back_byte_for_byte(
        values in prop::collection::vec(value(), 1..20),
        per_block in 1..8_usize,
        compress: bool,
    ) {
        let file = packed(&values, per_block, compress);
        prop_assert_eq!(unpacked(&file), Ok(lines(&values)));
    }

    #[test]
    fn of_a_file_that_breaks_off_the_whole_lines_are_read(
        values in prop::collection::vec(value(), 1..20),
        compress: bool,
        at: prop::sample::Index,
    ) {
        let file = packed(&values, 5, compress);
        let cut = at.index(file.len());
        let text = unpacked(&file[..cut]).unwrap();
        let (whole, rest) = text.split_at(text.rfind('\n').map_or(0, |at| at + 1));
        prop_assert!(lines(&values).starts_with(whole), "{text}");
        // What is missing can be seen, unless it breaks off between two blocks.
        prop_assert!(["", "{"].contains(&rest), "{rest}");
    }

    #[test]
    fn other_bytes_are_refused_in_one_line(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let file = [&MAGIC[..], &[0], &(bytes.len() as u32).to_le_bytes(), &bytes].concat();
        if let Err(error) = unpacked(&file) {
            prop_assert!(error.contains("Damaged("), "{}", error);
        }
        bytes.insert(0, MAGIC[0]);
        let _ = unpacked(&bytes);
    }
}

#[test]
fn more_texts_than_have_a_number_are_written_all_the_same() {
    let values: Vec<Value> =
        (0..6000).map(|number| json!({ format!("k{number}"): number })).collect();
    assert_eq!(unpacked(&packed(&values, 10_000, false)), Ok(lines(&values)));
}

/// Holds what events do not, behind a name and a text that are new.
struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Bytes", 3)?;
        object.serialize_field("kind", "a new text")?;
        object.serialize_field("another", &[1, 2])?;
        object.serialize_field("bytes", &Raw)?;
        object.end()
    }
}

struct Raw;

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(b"raw")
    }
}

#[test]
fn what_cannot_be_packed_is_left_out_and_spoils_nothing() {
    let value = json!({"kind": "loss", "count": {"another": "a new text", "kind": 1}});
    let mut packer = Packer::default();
    packer.take(&value);
    packer.take(&Bytes);
    packer.take(&value);
    packer.take(&Bytes);
    let block = packer.block().unwrap();
    assert_eq!(block.lines, 2);
    let file = [&MAGIC, block.stored(false).unwrap().bytes()].concat();
    assert_eq!(unpacked(&file), Ok(lines(&[value.clone(), value])));
}

#[derive(Serialize)]
struct Named {
    kind: u8,
    count: Counts,
}

#[derive(Serialize)]
struct Counts {
    some: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<u8>,
    rest: u8,
}

#[test]
fn a_name_that_follows_as_last_time_takes_no_byte() {
    let line = |others| Named { kind: 1, count: Counts { some: 1, others, rest: 2 } };
    let (mut packer, mut sizes, mut text) = (Packer::default(), vec![0], String::new());
    for others in [None, None, Some(3), Some(3), None, None, Some(3)] {
        packer.take(&line(others));
        sizes.push(packer.len());
        text += &(serde_json::to_string(&line(others)).unwrap() + "\n");
    }
    let sizes: Vec<usize> = sizes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Two objects, as many ends, three or four numbers; a mark and a name where it is another one, a
    // mark where that has been here before.
    assert_eq!(sizes[1..], [7, 8 + 2 + 5 + 3, 8, 7 + 1, 7, 8 + 1]);
    let file = [&MAGIC, packer.block().unwrap().stored(false).unwrap().bytes()].concat();
    assert_eq!(unpacked(&file), Ok(text));
}

/// Fields of which each may be missing, and that stand in two types under the same names.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(bound = "")]
struct Sparse<const OTHER: bool> {
    #[serde(skip_serializing_if = "Option::is_none")]
    one: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    two: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    three: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<Box<Sparse<true>>>,
}

fn sparse() -> impl Strategy<Value = [Option<u8>; 7]> {
    prop::array::uniform7(prop::option::of(0_u8..3))
}

proptest! {
    #[test]
    fn names_of_any_order_come_back(lines in prop::collection::vec(sparse(), 1..60)) {
        let (mut packer, mut text) = (Packer::default(), String::new());
        for [one, two, three, four, five, six, has_inner] in lines {
            let inner = Sparse { one: four, two: five, three: six, inner: None };
            let inner = has_inner.map(|_| Box::new(inner));
            let line = Sparse::<false> { one, two, three, inner };
            packer.take(&line);
            text += &(serde_json::to_string(&line).unwrap() + "\n");
        }
        let file = [&MAGIC, packer.block().unwrap().stored(false).unwrap().bytes()].concat();
        prop_assert_eq!(unpacked(&file), Ok(text));
    }
}

#[test]
fn recordings_one_behind_the_other_are_one() {
    let values = [json!({"kind": "loss", "count": 1})];
    let twice = packed(&values, 1, true).repeat(2);
    assert_eq!(unpacked(&twice), Ok(lines(&values).repeat(2)));
}

#[test]
fn the_form_of_another_version_is_named() {
    let error = unpacked(b"\x89tracer\x02").unwrap_err();
    assert!(error.contains("the recording has form 2, and this tracer reads 3"), "{error}");
}

#[rstest]
#[case::large(b"\0\xff\xff\xff\x7f", "a block is too large")]
#[case::kind(b"\x07\x01\0\0\0\0", "an unknown kind of block")]
#[case::half(b"\0\x01\0\0\0\x0a", "a block ends within a line")]
#[case::end(b"\0\x01\0\0\0\x0c", "an end of nothing")]
#[case::name(b"\0\x02\0\0\0\x0a\xc0", "a value without a name")]
#[case::text(b"\0\x01\0\0\0\x20", "a text that is not there")]
#[case::no_fields(b"\0\x03\0\0\0\x0a\x0f\0", "a name or fields in the wrong place")]
#[case::fields_in_fields(b"\0\x03\0\0\0\x0a\x0d\x0d", "a name or fields in the wrong place")]
#[case::fields_of_a_list(b"\0\x02\0\0\0\x0b\x0d", "a name or fields in the wrong place")]
#[case::end_of_fields(b"\0\x02\0\0\0\x0a\x0e", "a name or fields in the wrong place")]
#[case::fields_without_a_name(b"\0\x03\0\0\0\x0a\x0d\x0e", "a name or fields in the wrong place")]
#[case::second_name(b"\0\x02\0\0\0\x0a\x12", "a name or fields in the wrong place")]
#[case::second_name_of_a_list(b"\0\x02\0\0\0\x0b\x12", "a name or fields in the wrong place")]
#[case::number(
    b"\0\x0c\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "a number without end"
)]
#[case::utf8(b"\0\x03\0\0\0\x06\x01\xff", "a text is not UTF-8")]
fn what_is_wrong_with_a_block_is_said(#[case] block: &[u8], #[case] what: &str) {
    let file = [&MAGIC[..], block].concat();
    assert_eq!(unpacked(&file), Err(damaged(what)));
}

#[test]
fn nothing_is_unpacked_to_more_than_a_line() {
    // A list of references to a long text, without an end.
    let text = [b"\x0b\x07\xff\x01".as_slice(), &[b'x'; 255]].concat();
    let body = [text, vec![0x20; 4 << 20]].concat();
    let file = [&MAGIC[..], &[0], &(body.len() as u32).to_le_bytes(), &body].concat();
    assert_eq!(unpacked(&file), Err(damaged("a line is too long")));
    let body = vec![0x0b; 1000];
    let file = [&MAGIC[..], &[0], &(body.len() as u32).to_le_bytes(), &body].concat();
    assert_eq!(unpacked(&file), Err(damaged("too deep")));
}
