//! What is governed: `type/id`, for example `service/checkout`.

use crate::{Refusal, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A subject. The type is `[a-z][a-z0-9_-]*`; the id is any printable text
/// without white space or control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    kind: String,
    id: String,
}

impl Subject {
    /// The subject of this type with this id.
    ///
    /// # Errors
    /// When either part is not of the form above or too long.
    pub fn new(kind: &str, id: &str) -> Result<Self, Refusal> {
        if !Self::is_formed(kind, id) {
            return Err(Refusal::invalid(format!(
                "`{kind}/{}` is not a subject",
                id.escape_debug()
            ))
            .hint("write `type/id`, the type in lower case, the id without white space"));
        }
        Ok(Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Whether this text is a subject; nothing is made.
    #[must_use]
    pub fn is_text(text: &str) -> bool {
        let (kind, id) = text.split_once('/').unwrap_or((text, ""));
        Self::is_formed(kind, id)
    }

    fn is_formed(kind: &str, id: &str) -> bool {
        let kind_fine = kind.starts_with(|c: char| c.is_ascii_lowercase())
            && kind
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        let id_fine = !id.is_empty() && !id.chars().any(|c| c.is_whitespace() || c.is_control());
        kind_fine && id_fine && kind.len() + id.len() <= limits::NAME_BYTES_MAX
    }

    /// Parses `type/id`; the id may hold further slashes.
    ///
    /// # Errors
    /// As [`Subject::new`], and when there is no slash.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (kind, id) = text.split_once('/').unwrap_or((text, ""));
        Self::new(kind, id)
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }
    /// The id within the type.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::str::FromStr for Subject {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::parse(text)
    }
}
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(e.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let s = Subject::parse("repository/org/name").unwrap();
        assert_eq!((s.kind(), s.id()), ("repository", "org/name"));
        assert!(Subject::is_text("repository/org/name"));
        for bad in [
            "",
            "service",
            "service/",
            "/x",
            "Service/x",
            "service/a b",
            "service/a\u{0}b",
        ] {
            assert!(Subject::parse(bad).is_err(), "{bad:?}");
            assert!(!Subject::is_text(bad), "{bad:?}");
        }
    }
}
