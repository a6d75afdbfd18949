//! What a pack declares about where data may be: the allowed regions, what an
//! attestation must say, and the register of everything that is reached.

use crate::validate::Destination;
use kernel::{Refusal, Span, Timestamp, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// This machine, as the place of a store.
pub const LOCAL: &str = "local";

/// Where data may be, who says so of each endpoint, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The allowed regions.
    pub regions: Regions,
    /// Narrower, for steps that send data of a class of the compliance
    /// settings, and for stores, which keep data of every class.
    #[serde(default)]
    pub data_classes: BTreeMap<String, Regions>,
    /// What every attestation must say.
    pub demands: Demands,
    /// Hosts that steps reach, written as in the compliance settings; the most
    /// exact pattern counts.
    #[serde(default)]
    pub destinations: BTreeMap<String, Endpoint>,
    /// Modules that write outside and name no host in their input.
    #[serde(default)]
    pub tools: BTreeMap<String, Endpoint>,
    /// Providers of models that are called outside of writ.
    #[serde(default)]
    pub providers: BTreeMap<String, Endpoint>,
    /// Where writ itself keeps data, by host; `local` is this machine.
    #[serde(default)]
    pub stores: BTreeMap<StoreRole, BTreeMap<String, Endpoint>>,
}

kernel::names! {
    /// What a node keeps in a store.
    pub enum StoreRole {
        /// The ledger and everything that is made from it.
        Ledger = "ledger",
        /// Sealed segments of the ledger.
        Archive = "archive",
        /// The keys of what is personal.
        Keyring = "keyring",
        /// States of sessions, for some minutes.
        SessionCache = "session_cache",
        /// Checkpoints, which a witness cosigns.
        Witness = "witness",
    }
}

impl StoreRole {
    /// Whether data of every class is kept there: the keyring has keys only,
    /// and a witness hashes.
    #[must_use]
    pub fn keeps_data(self) -> bool {
        match self {
            Self::Ledger | Self::Archive | Self::SessionCache => true,
            Self::Keyring | Self::Witness => false,
        }
    }
}

/// Which regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regions {
    /// Every region; written down as `any`.
    Any,
    /// These.
    Only(BTreeSet<String>),
}

/// What every attestation must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demands {
    /// The longest that others may keep data; writ's own stores keep the ledger.
    pub retention_max: Retention,
    /// Whether models may be trained on data.
    pub training_allowed: bool,
    /// The most that may be logged.
    pub logging_max: Logging,
}

/// Something that is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The region that it is in.
    pub region: String,
    /// What someone answers for; without it nothing may be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// What someone answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// How long data is kept there.
    pub retention: Retention,
    /// Whether models are trained on it.
    pub training: bool,
    /// What is logged of it.
    pub logging: Logging,
    /// Who attests it.
    pub by: String,
    /// From when on it holds.
    pub at: Timestamp,
    /// Until when it holds; without it, until it is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How long data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retention {
    /// Not at all.
    None,
    /// For this long.
    For(Span),
    /// Nobody says how long.
    Unbounded,
}

kernel::names! {
    /// What is logged of data, from least to most.
    pub enum Logging {
        /// Nothing.
        None = "none",
        /// That it came, when and from whom.
        Metadata = "metadata",
        /// The data itself.
        Content = "content",
    }
}

impl Regions {
    /// Whether this region is one of them.
    #[must_use]
    pub fn hold(&self, region: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(regions) => regions.contains(region),
        }
    }
}

impl fmt::Display for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Only(regions) => {
                let names: Vec<_> = regions.iter().map(|r| format!("`{r}`")).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}
impl Serialize for Regions {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => s.serialize_str("any"),
            Self::Only(regions) => regions.serialize(s),
        }
    }
}
impl<'de> Deserialize<'de> for Regions {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("write `any` or a list of regions");
        match Value::deserialize(d)? {
            Value::String(text) if text == "any" => Ok(Self::Any),
            Value::Array(items) => {
                let names = items.iter().map(|item| item.as_str().map(str::to_owned));
                let names: Option<BTreeSet<String>> = names.collect();
                names.map(Self::Only).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::For(span) => span.fmt(f),
            Self::Unbounded => f.write_str("unbounded"),
        }
    }
}
impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            "unbounded" => Ok(Self::Unbounded),
            other => Span::parse(other).map(Self::For).map_err(|_| {
                serde::de::Error::custom(format!(
                    "`{other}` is not how long data is kept; write `none`, `unbounded` or a \
                     length of time like `30d`"
                ))
            }),
        }
    }
}

impl Settings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first fault, with the path of its field.
    pub fn check(&self) -> Result<(), Refusal> {
        regions(&self.regions).map_err(|e| e.at("regions"))?;
        for (class, of_class) in &self.data_classes {
            regions(of_class).map_err(|e| e.at(format!("data_classes.{class}")))?;
        }
        for pattern in self.destinations.keys() {
            if !Destination::is_pattern(pattern) {
                return Err(Refusal::invalid(format!(
                    "`{}` is not a host",
                    pattern.escape_debug()
                ))
                .hint("write `host`, `host:port` or `*.example.com`")
                .at(format!("destinations.{pattern}")));
            }
        }
        for (group, endpoints) in [
            ("destinations", &self.destinations),
            ("tools", &self.tools),
            ("providers", &self.providers),
        ] {
            each(group, endpoints)?;
        }
        for (role, places) in &self.stores {
            each(&format!("stores.{role}"), places)?;
        }
        Ok(())
    }
}

fn each(group: &str, endpoints: &BTreeMap<String, Endpoint>) -> Result<(), Refusal> {
    for (name, endpoint) in endpoints {
        let place = format!("{group}.{name}");
        if name.trim().is_empty() || name.len() > limits::NAME_BYTES_MAX {
            return Err(Refusal::invalid("holds an empty or too long name").at(group));
        }
        region(&endpoint.region).map_err(|e| e.at(format!("{place}.region")))?;
        let Some(attestation) = &endpoint.attestation else {
            continue;
        };
        crate::contract::bounded("by", &attestation.by)
            .map_err(|e| e.at(format!("{place}.attestation")))?;
        if attestation
            .until
            .is_some_and(|until| until <= attestation.at)
        {
            return Err(
                Refusal::invalid("ends before it begins").at(format!("{place}.attestation.until"))
            );
        }
    }
    Ok(())
}

fn regions(regions: &Regions) -> Result<(), Refusal> {
    match regions {
        Regions::Any => Ok(()),
        Regions::Only(names) if names.is_empty() => {
            Err(Refusal::invalid("names no region").hint("name at least one, or write `any`"))
        }
        Regions::Only(names) => names.iter().try_for_each(|name| region(name)),
    }
}

fn region(name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = !name.is_empty() && name.len() <= limits::NAME_BYTES_MAX;
    match fits && name != "any" && name.chars().all(plain) {
        true => Ok(()),
        false => Err(
            Refusal::invalid(format!("`{}` is no region", name.escape_debug()))
                .hint("use lower-case letters, digits and `-`, for example `eu-central-1`"),
        ),
    }
}
