//! Canonical JSON (RFC 8785) out, strict JSON in. Strict means: UTF-8, within
//! a size, within a depth, no key twice, nothing after the value.

mod canonical;

pub use canonical::canonical;

use crate::limits;
use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What is wrong with a piece of JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonFault {
    /// The value has no canonical form.
    #[error("no canonical JSON: {0}")]
    NotCanonical(String),
    /// The text is JSON, but its canonical form is another text.
    #[error("not in canonical form")]
    OtherForm,
    /// The text is not strict JSON; the message carries line and column.
    #[error("{0}")]
    Malformed(String),
    /// The text is longer than allowed.
    #[error("{len} bytes of JSON, allowed are {max}")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// The JSON is fine but is not the expected type.
    #[error("{0}")]
    Shape(String),
}

/// Parses strict JSON of at most [`limits::JSON_BYTES_MAX`] bytes and
/// [`limits::JSON_DEPTH_MAX`] levels.
///
/// # Errors
/// Each fault of [`JsonFault`] but `NotCanonical` and `Shape`.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    if bytes.len() > limits::JSON_BYTES_MAX {
        return Err(JsonFault::TooLong {
            len: bytes.len(),
            max: limits::JSON_BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| JsonFault::NotUtf8 {
        at: e.valid_up_to(),
    })?;
    strict(
        text,
        Strict {
            depth: 0,
            depth_max: limits::JSON_DEPTH_MAX,
            numbers: Numbers::Exact,
        },
    )
}

/// Parses a text that is canonical already, nested at most
/// [`limits::LEDGER_JSON_DEPTH_MAX`] levels. What the ledger holds was
/// canonical when it was written, so another form is a fault. Its length is
/// the caller's business.
///
/// # Errors
/// [`JsonFault::Malformed`], and [`JsonFault::OtherForm`] when it is JSON in
/// another form than the canonical one.
pub fn parse_canonical(text: &str) -> Result<Value, JsonFault> {
    let value = strict(
        text,
        Strict {
            depth: 0,
            depth_max: limits::LEDGER_JSON_DEPTH_MAX,
            numbers: Numbers::Doubles,
        },
    )?;
    if canonical(&value)? == text {
        Ok(value)
    } else {
        Err(JsonFault::OtherForm)
    }
}

fn strict(text: &str, rules: Strict) -> Result<Value, JsonFault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = rules
        .deserialize(&mut deserializer)
        .map_err(|e| JsonFault::Malformed(e.to_string()))?;
    deserializer
        .end()
        .map_err(|e| JsonFault::Malformed(e.to_string()))?;
    Ok(value)
}

/// Parses strict JSON into `T`; unknown fields are `T`'s own business.
///
/// # Errors
/// As [`parse`], and [`JsonFault::Shape`] when the value is not a `T`.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonFault> {
    serde_json::from_value(parse(bytes)?).map_err(|e| JsonFault::Shape(e.to_string()))
}

/// Which numbers are read.
#[derive(Clone, Copy)]
enum Numbers {
    /// Those that the canonical form writes exactly (RFC 7493).
    Exact,
    /// All, as doubles.
    Doubles,
}

/// Reads a [`Value`] while refusing deep nesting and repeated keys.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    depth_max: usize,
    numbers: Numbers,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= self.depth_max {
            return Err(E::custom(format!(
                "nested deeper than {} levels",
                self.depth_max
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..*self
        })
    }

    /// Refuses integers that canonical JSON cannot write exactly.
    fn exact<E: serde::de::Error>(&self, magnitude: u64) -> Result<(), E> {
        match self.numbers {
            Numbers::Exact if magnitude > EXACT_MAX => Err(inexact()),
            Numbers::Exact | Numbers::Doubles => Ok(()),
        }
    }
}

const EXACT_MAX: u64 = (1 << 53) - 1;
/// Below it, the canonical form writes a number without an exponent.
const DIGITS_ONLY_BELOW: f64 = 1e21;

fn inexact<E: serde::de::Error>() -> E {
    E::custom(format!(
        "an integer beyond ±{EXACT_MAX} has no exact form; write it as a string"
    ))
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Value, E> {
        self.exact(v.unsigned_abs())?;
        Ok(Value::from(v))
    }
    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Value, E> {
        self.exact(v)?;
        Ok(Value::from(v))
    }
    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        // INVARIANT(canonical-reads-back): `1e17` would be written as digits
        // only, and these would be refused when they are read.
        if v.abs() < DIGITS_ONLY_BELOW && v.abs() > EXACT_MAX as f64 {
            self.exact(u64::MAX)?;
        }
        serde_json::Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number beyond the range of a double"))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let inner = self.deeper()?;
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let inner = self.deeper()?;
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom(format!(
                    "key `{key}` stands twice"
                )));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], with: &str) {
        let fault = parse(bytes).unwrap_err().to_string();
        assert!(fault.contains(with), "`{fault}` does not say `{with}`");
    }

    #[test]
    fn hostile_json_is_refused_with_its_fault() {
        refused(b"{\"a\":1,\"a\":2}", "key `a` stands twice");
        refused(b"{\"o\":{\"a\":1,\"\\u0061\":2}}", "key `a` stands twice");
        refused(b"[1,2", "line 1 column 4");
        refused(b"{} x", "trailing characters");
        refused(&[b'"', 0xff, b'"'], "not UTF-8 at byte 1");
        refused("[".repeat(100_000).as_bytes(), "nested deeper than");
        refused(b"1e999", "out of range");
        refused(b"9007199254740992", "no exact form");
        refused(b"1e17", "no exact form");
        refused(b"-100000000000000000000", "no exact form");
        assert!(parse(b"1e21").is_ok());
        assert!(parse(b"-9007199254740991").is_ok());
        refused(b"", "EOF");
        refused(&vec![b' '; limits::JSON_BYTES_MAX + 1], "allowed are");
    }

    #[test]
    fn depth_boundary_is_exact() {
        let nest = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nest(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse(nest(limits::JSON_DEPTH_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn canonical_follows_rfc_8785() {
        // Appendix of RFC 8785, section 3.2.2 and 3.2.3 (shortened).
        let value = parse(
            "{\"numbers\":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],\
             \"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\
             \"literals\":[null,true,false],\"\\ud83d\\ude00\":1,\"\\ufb33\":2}"
                .as_bytes(),
        )
        .unwrap();
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"literals\":[null,true,false],\
             \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",\"😀\":1,\"\u{fb33}\":2}"
        );
    }

    #[test]
    fn only_the_canonical_form_is_canonical() {
        for text in [
            "null",
            "[]",
            "{\"a\":1e+21,\"b\":[0.000001,1e-7,100000000000000000000]}",
            "{\"\u{1f600}\":1,\"\u{fb33}\":\"\u{7f}\\u001f\"}",
        ] {
            assert_eq!(canonical(&parse_canonical(text).unwrap()).unwrap(), text);
        }
        for other in [
            " null",
            "{\"b\":1,\"a\":1}",
            "{\"\u{fb33}\":1,\"\u{1f600}\":1}",
            "\"\\u0041\"",
            "\"\\u000A\"",
            "\"\\/\"",
            "1.0",
            "-0",
            "1E2",
            "9007199254740993",
        ] {
            let fault = parse_canonical(other).unwrap_err();
            assert!(matches!(fault, JsonFault::OtherForm), "{other}: {fault}");
        }
        for broken in [
            "",
            "{\"a\":1,\"a\":1}",
            "1e999",
            "nul",
            "\"\\ud800\"",
            "\u{feff}1",
        ] {
            let fault = parse_canonical(broken).unwrap_err();
            assert!(
                matches!(fault, JsonFault::Malformed(_)),
                "{broken}: {fault}"
            );
        }
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let deepest = limits::LEDGER_JSON_DEPTH_MAX;
        assert!(parse_canonical(&nest(deepest)).is_ok());
        assert!(parse_canonical(&nest(deepest + 1)).is_err());
        assert!(parse_canonical(&nest(deepest).replace("[]", "{}")).is_ok());
        assert!(parse_canonical(&nest(deepest + 1).replace("[]", "{}")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn canonical_parses_back_to_itself(text in "\\PC{0,40}", n in proptest::num::i32::ANY, f in -1e15f64..1e15) {
            let value = serde_json::json!({ text.clone(): [n, f, text], "n": {"deep": [null, true]} });
            let once = canonical(&value).unwrap();
            let again = canonical(&parse(once.as_bytes()).unwrap()).unwrap();
            proptest::prop_assert_eq!(once, again);
        }
    }
}
