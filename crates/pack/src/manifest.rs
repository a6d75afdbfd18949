//! The manifest of a pack: its name, its version and the writ that it needs.

use kernel::Refusal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A version of three numbers, `1.4.0`. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Rises when what was valid is no more.
    pub major: u32,
    /// Rises with what is new.
    pub minor: u32,
    /// Rises with corrections.
    pub patch: u32,
}

impl Version {
    /// The version with this text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let plain = !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'));
            plain.then(|| part.parse::<u32>().ok()).flatten()
        });
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Self {
            major,
            minor,
            patch,
        })
    }

    /// The version of this writ.
    #[must_use]
    pub fn of_writ() -> Option<Self> {
        Self::parse(env!("CARGO_PKG_VERSION"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Version {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a version; write `1.0.0`"))
        })
    }
}

/// The manifest, `pack.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What people call it.
    pub title: String,
    /// What it is for, in a few sentences.
    pub description: String,
    /// The oldest writ that can load it.
    pub requires_writ: Version,
    /// The book of `budgets/` that holds, by its name without `.yaml`; without
    /// one, `budgets.yaml` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<String>,
}

impl Manifest {
    /// What types cannot check, by field.
    pub(crate) fn check(&self) -> Vec<(&'static str, Refusal)> {
        let mut faults = Vec::new();
        let plain = self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !plain || self.name.len() > kernel::limits::NAME_BYTES_MAX {
            faults.push((
                "name",
                Refusal::invalid(format!("`{}` is no name", self.name.escape_debug()))
                    .hint("begin with a lower-case letter and use letters, digits and `-`"),
            ));
        }
        for (field, text) in [("title", &self.title), ("description", &self.description)] {
            if text.trim().is_empty() || text.len() > kernel::limits::TEXT_BYTES_MAX {
                faults.push((field, Refusal::invalid("is empty or too long")));
            }
        }
        match Version::of_writ() {
            Some(own) if own >= self.requires_writ => {}
            own => faults.push((
                "requires_writ",
                Refusal::invalid(format!("the pack needs writ `{}`", self.requires_writ)).hint(
                    match own {
                        Some(own) => format!("this is writ `{own}`: install a newer one"),
                        None => "this writ does not know its own version".to_owned(),
                    },
                ),
            )),
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for text in ["0.0.0", "1.2.3", "10.0.4294967295"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "v1.0.0",
            "01.0.0",
            "1.0.-1",
            "1.0.0-rc1",
            "1.0.4294967296",
            "1..0",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
        assert!(Version::parse("1.10.0") > Version::parse("1.9.9"));
        assert!(Version::of_writ().is_some());
    }
}
