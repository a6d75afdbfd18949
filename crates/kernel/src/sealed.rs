//! Sealed values: what stands in payloads and states in the place of what is
//! personal. The kernel never opens one. It is equal for equal plaintexts of
//! the same subjects and place, by its nonce, so that folds can tell whether
//! two values differ without knowing either.
//!
//! In JSON a sealed value is an object with the one member `$sealed`:
//! `{"$sealed":{"algorithm":…,"ciphertext":…,"keys":[…],"nonce":…,"place":…}}`.

use crate::json::{self, JsonFault};
use crate::{DataKeyId, Digest, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};
use std::collections::BTreeSet;
use std::fmt;

/// The member that makes an object a sealed value.
pub const MEMBER: &str = "$sealed";
/// Most subjects that one sealed value may belong to.
pub const SUBJECTS_MAX: usize = 1_024;
/// Longest place, in bytes.
pub const PLACE_BYTES_MAX: usize = 2 * crate::limits::NAME_BYTES_MAX;

/// The place of a value of a subject: an attribute of a signal and the field
/// of the state that takes it have the same name and the same place.
#[must_use]
pub fn place_of_value(name: &str) -> String {
    format!("value/{name}")
}

crate::names! {
    /// How a value is sealed.
    pub enum Algorithm {
        /// XChaCha20-Poly1305 under a key that HKDF-SHA256 derives from the
        /// data keys of all subjects; the nonce is HMAC-SHA256 of place and
        /// plaintext under a key that lives as long as the subjects' keys.
        XChaCha20Poly1305 = "xchacha20-poly1305.v1",
    }
}

/// The key of a subject that a value is sealed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyUse {
    /// Whose key.
    pub subject: Subject,
    /// Which of its keys.
    pub key: DataKeyId,
}

/// A value that can be read with the keys of all its subjects only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// How it is sealed.
    pub algorithm: Algorithm,
    /// The keys, sorted by subject; without any one of them it stays shut.
    pub keys: Vec<KeyUse>,
    /// What kind of thing it is: where it belongs within its subjects.
    pub place: String,
    /// The nonce, in hex.
    pub nonce: String,
    /// What is sealed, with its tag, in Base64.
    pub ciphertext: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} {})", self.place, self.nonce)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<T> {
    #[serde(rename = "$sealed")]
    sealed: T,
}

impl Sealed {
    /// The value as it stands in payloads and states.
    ///
    /// # Errors
    /// Never in practice: a sealed value always has a JSON form.
    pub fn to_value(&self) -> Result<Value, JsonFault> {
        serde_json::to_value(Wire { sealed: self }).map_err(|e| JsonFault::Shape(e.to_string()))
    }

    /// The canonical JSON of [`Sealed::to_value`]: the body of sealed evidence.
    ///
    /// # Errors
    /// Never in practice, as above.
    pub fn to_text(&self) -> Result<String, JsonFault> {
        json::canonical(&Wire { sealed: self })
    }

    /// The sealed value that this is; `None` when it is not one.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        let only = value
            .as_object()
            .is_some_and(|o| o.len() == 1 && o.contains_key(MEMBER));
        if !only {
            return None;
        }
        let wire: Wire<Self> = serde_json::from_value(value.clone()).ok()?;
        wire.sealed.is_well_formed().then_some(wire.sealed)
    }

    /// The sealed value with this text.
    ///
    /// # Errors
    /// When the text is no sealed value.
    pub fn parse(text: &[u8]) -> Result<Self, JsonFault> {
        let wire: Wire<Self> =
            serde_json::from_slice(text).map_err(|e| JsonFault::Shape(e.to_string()))?;
        match wire.sealed.is_well_formed() {
            true => Ok(wire.sealed),
            false => Err(JsonFault::Shape("not a sealed value".into())),
        }
    }

    /// Whether it belongs to exactly these subjects.
    #[must_use]
    pub fn is_of(&self, subjects: &BTreeSet<Subject>) -> bool {
        self.keys.len() == subjects.len() && self.keys.iter().all(|k| subjects.contains(&k.subject))
    }

    /// A name for what is sealed: equal for equal plaintexts of the same
    /// subjects and place, and no help to whoever wants to guess it. SHA-256
    /// over `writ.sealed.v1`, a line feed and the canonical JSON of
    /// `{nonce, place, subjects}`.
    ///
    /// # Errors
    /// Never in practice, as above.
    pub fn mark(&self) -> Result<Digest, JsonFault> {
        Digest::of_value("writ.sealed.v1", &self.identity())
    }

    /// What two sealed values of the same plaintext share whatever key of
    /// their subjects was used.
    fn identity(&self) -> Value {
        let subjects: Vec<&Subject> = self.keys.iter().map(|k| &k.subject).collect();
        object!({"nonce": self.nonce, "place": self.place, "subjects": subjects})
    }

    fn is_well_formed(&self) -> bool {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let sorted = self.keys.is_sorted_by(|a, b| a.subject < b.subject);
        (1..=SUBJECTS_MAX).contains(&self.keys.len())
            && sorted
            && self.place.len() <= PLACE_BYTES_MAX
            && self.nonce.len() == 48
            && self.nonce.bytes().all(hex)
    }
}

/// A text that is equal for equal values: the canonical JSON, of sealed values
/// without what depends on the key that was in use.
///
/// # Errors
/// When the value has no canonical form.
pub fn sameness(value: &Value) -> Result<String, JsonFault> {
    match value {
        Value::Object(fields) if fields.contains_key(MEMBER) => match Sealed::of(value) {
            Some(sealed) => json::canonical(&object!({ MEMBER: sealed.identity() })),
            None => json::canonical(value),
        },
        other => json::canonical(other),
    }
}

/// As [`sameness`], of an object's members one by one.
///
/// # Errors
/// When a member has no canonical form.
pub fn sameness_of_members(fields: &serde_json::Map<String, Value>) -> Result<String, JsonFault> {
    let sealed = fields.values().any(|v| v.get(MEMBER).is_some());
    if !sealed {
        return json::canonical(fields);
    }
    let mut texts = std::collections::BTreeMap::new();
    for (name, value) in fields {
        texts.insert(name, sameness(value)?);
    }
    json::canonical(&texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(nonce: char, key: u128) -> Sealed {
        Sealed {
            algorithm: Algorithm::XChaCha20Poly1305,
            keys: vec![KeyUse {
                subject: Subject::new("person", "1").unwrap(),
                key: DataKeyId(uuid::Uuid::from_u128(key)),
            }],
            place: "value/email".into(),
            nonce: nonce.to_string().repeat(48),
            ciphertext: format!("c{key}"),
        }
    }

    #[test]
    fn the_json_form_is_fixed() {
        let text = sealed('a', 1).to_text().unwrap();
        assert_eq!(
            text,
            "{\"$sealed\":{\"algorithm\":\"xchacha20-poly1305.v1\",\"ciphertext\":\"c1\",\
             \"keys\":[{\"key\":\"dky_00000000000000000000000000000001\",\
             \"subject\":\"person/1\"}],\
             \"nonce\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\
             \"place\":\"value/email\"}}"
        );
        assert_eq!(Sealed::parse(text.as_bytes()).unwrap(), sealed('a', 1));
    }

    #[test]
    fn only_the_exact_form_is_a_sealed_value() {
        let good = sealed('a', 1).to_value().unwrap();
        assert_eq!(Sealed::of(&good), Some(sealed('a', 1)));
        let mut more = good.clone();
        more["more"] = 1.into();
        let mut upper = good.clone();
        upper[MEMBER]["nonce"] = "A".repeat(48).into();
        let mut nobody = good.clone();
        nobody[MEMBER]["keys"] = object!([]);
        let mut twice = good.clone();
        twice[MEMBER]["keys"] = object!([good[MEMBER]["keys"][0], good[MEMBER]["keys"][0]]);
        for bad in [
            more,
            upper,
            nobody,
            twice,
            object!({ MEMBER: 1 }),
            object!("x"),
        ] {
            assert_eq!(Sealed::of(&bad), None, "{bad}");
        }
    }

    #[test]
    fn sameness_goes_by_the_nonce_and_not_by_the_key() {
        let text = |s: Sealed| sameness(&s.to_value().unwrap()).unwrap();
        assert_eq!(text(sealed('a', 1)), text(sealed('a', 2)));
        assert_ne!(text(sealed('a', 1)), text(sealed('b', 1)));
        assert_eq!(
            sealed('a', 1).mark().unwrap(),
            sealed('a', 2).mark().unwrap()
        );
        assert_eq!(
            sameness(&object!({"b": 1, "a": 2})).unwrap(),
            "{\"a\":2,\"b\":1}"
        );
        let members = |key| {
            let mut map = serde_json::Map::new();
            map.insert("email".into(), sealed('a', key).to_value().unwrap());
            map.insert("plain".into(), object!(1));
            sameness_of_members(&map).unwrap()
        };
        assert_eq!(members(1), members(2));
    }
}
