//! The canonical form beside that of another implementation.

use super::canonical;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,2}",
        "[ -~]{0,6}",
        "[\\x00-\\x1f\"\\\\/ab\u{7f}\u{80}é\u{2028}\u{fb33}\u{1f600}]{0,4}",
        "\\PC{0,6}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-4i64..5, any::<bool>()).prop_map(|(near, below)| {
            let edge = (1i64 << 53) + near;
            Value::from(if below { -edge } else { edge })
        }),
        (-1000i64..1000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1e25f64..1e25).prop_map(Value::from),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..8)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_is_what_another_implementation_writes(value in json()) {
        let other = serde_json_canonicalizer::to_string(&value).unwrap();
        prop_assert_eq!(canonical(&value).unwrap(), other);
    }
}

/// Members in an order of their own, of every kind that serde knows.
#[derive(Serialize)]
struct Everything<'a> {
    zoo: (u8, i8, u16, i16, u32, i32, u64, i64),
    wide: [i128; 2],
    unsigned: u128,
    half: f32,
    letter: char,
    bytes: &'a [u8],
    nothing: (),
    none: Option<u8>,
    some: Option<&'a Self>,
    unit: Unit,
    new: New,
    variants: Vec<Variant>,
    by_number: BTreeMap<i64, bool>,
    #[serde(flatten)]
    flat: BTreeMap<&'a str, u8>,
}
#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct New(&'static str);
#[derive(Serialize)]
enum Variant {
    Unit,
    New(u8),
    Tuple(u8, u8),
    Struct { b: u8, a: u8 },
}

fn everything<'a>(some: Option<&'a Everything<'a>>) -> Everything<'a> {
    Everything {
        zoo: (1, -1, 2, -2, 3, -3, u64::MAX, i64::MIN),
        wide: [i128::MIN, 7],
        unsigned: u128::MAX,
        half: 0.1,
        letter: '"',
        bytes: b"ab",
        nothing: (),
        none: None,
        some,
        unit: Unit,
        new: New("a\u{8}\u{c}\n\r\t\u{1}\\"),
        variants: vec![
            Variant::Unit,
            Variant::New(1),
            Variant::Tuple(1, 2),
            Variant::Struct { b: 1, a: 2 },
        ],
        by_number: BTreeMap::from([(-1, true), (10, false), (9, true)]),
        flat: BTreeMap::from([("aa", 1), ("zz", 2), ("z", 3)]),
    }
}

#[test]
fn everything_that_serde_knows_is_written() {
    let inner = everything(None);
    let outer = everything(Some(&inner));
    let other = serde_json_canonicalizer::to_string(&outer).unwrap();
    assert_eq!(canonical(&outer).unwrap(), other);
}

#[test]
fn what_has_no_canonical_form_is_refused() {
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        b: u8,
        #[serde(rename = "a")]
        again: u8,
    }
    let twice = Twice {
        a: 1,
        b: 2,
        again: 3,
    };
    let fault = canonical(&twice).unwrap_err().to_string();
    assert!(fault.contains("twice"), "{fault}");
    assert!(canonical(&BTreeMap::from([((1, 2), 3)])).is_err());
    let raw = serde_json::value::RawValue::from_string("{ }".into()).unwrap();
    assert!(canonical(&raw).is_err());
}
