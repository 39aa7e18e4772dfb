//! Against what `serde_json` writes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;

use super::write;

#[derive(Clone, Debug, Serialize)]
enum Kind {
    Unit,
    Newtype(u64),
    Struct { a: String, b: Option<bool> },
}

#[derive(Clone, Debug, Serialize)]
struct Shape {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u16>,
    number: i64,
    list: Vec<Option<u8>>,
    pair: (u32, char),
    map: BTreeMap<String, u32>,
    ratio: f64,
    address: std::net::IpAddr,
    kinds: Vec<Kind>,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        any::<u64>().prop_map(Kind::Newtype),
        any::<(String, Option<bool>)>().prop_map(|(a, b)| Kind::Struct { a, b }),
    ]
}

prop_compose! {
    fn shape()(
        text in any::<String>(),
        missing in any::<Option<u16>>(),
        number in any::<i64>(),
        list in any::<Vec<Option<u8>>>(),
        pair in any::<(u32, char)>(),
        map in any::<BTreeMap<String, u32>>(),
        ratio in -1e9..1e9_f64,
        address in any::<std::net::IpAddr>(),
        kinds in prop::collection::vec(kind(), 0..4),
    ) -> Shape {
        Shape { text, missing, number, list, pair, map, ratio, address, kinds }
    }
}

proptest! {
    #[test]
    fn it_is_what_serde_json_writes(shape in shape()) {
        let mut out = Vec::new();
        write(&shape, &mut out).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&shape).unwrap());
    }
}

#[test]
fn what_is_not_supported_is_an_error() {
    #[derive(Serialize)]
    struct Named(u8, u8);
    assert!(write(&Named(1, 2), &mut Vec::new()).is_err());
}
