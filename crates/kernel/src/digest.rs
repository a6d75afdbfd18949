//! SHA-256 digests: of bytes, and of the canonical JSON of a value.

use crate::json;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A SHA-256 digest (FIPS 180-4), 32 bytes, written as 64 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// 32 zero bytes: the `prev_hash` of the first entry of a log.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of `domain`, a line feed, and the canonical JSON of `value`.
    /// The domain keeps digests of different kinds of things apart.
    ///
    /// # Errors
    /// When `value` has no canonical JSON form (a non-finite number, a map
    /// whose keys are not strings).
    pub fn of_value<T: Serialize>(domain: &str, value: &T) -> Result<Self, json::JsonFault> {
        let mut hasher = Sha256::new();
        hasher.update(domain.as_bytes());
        hasher.update(b"\n");
        hasher.update(json::canonical(value)?.as_bytes());
        Ok(Self(hasher.finalize().into()))
    }

    /// Parses 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let lowercase = text.bytes().all(|b| !b.is_ascii_uppercase());
        (lowercase && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not 64 lowercase hex digits"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let value = serde_json::json!({"b": 1, "a": [true, null]});
        let by_hand = Digest::of(b"writ.test.v1\n{\"a\":[true,null],\"b\":1}");
        assert_eq!(Digest::of_value("writ.test.v1", &value).unwrap(), by_hand);
    }

    #[test]
    fn text_form_is_strict() {
        let text = Digest::of(b"x").to_string();
        assert_eq!(Digest::parse(&text), Some(Digest::of(b"x")));
        assert_eq!(Digest::parse(&text.to_uppercase()), None);
        assert_eq!(Digest::parse(&text[1..]), None);
    }
}
