//! Sources and signal types: where observations come from, how a foreign
//! payload is mapped to them, and which facts of a subject they assert.

use crate::severity::Severity;
use kernel::{EvidenceType, Span, Trust};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A source that pushes observations to writ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name, also the last part of its webhook's path.
    pub name: String,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// What kind of evidence its bodies are.
    pub evidence: EvidenceType,
    /// How far it is trusted.
    pub trust: Trust,
    /// How a request proves that it comes from the source.
    pub authentication: Authentication,
    /// How its payload is read.
    pub mapping: Mapping,
    /// Which fields of the subject's state its signals set.
    #[serde(default)]
    pub facts: Vec<FactRule>,
    /// Whether what it says is personal: its raw body, the attributes and
    /// fingerprints of its signals and its dead letters are kept sealed under
    /// the keys of the subjects that it names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
    /// Attributes of a personal source that are not personal and that rules
    /// may see.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub plain_attributes: BTreeSet<String>,
}

impl Source {
    /// The names of the attributes that it gives its signals.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<&str> {
        match &self.mapping {
            Mapping::AlertmanagerV4(m) => m.attributes.keys().map(String::as_str).collect(),
            Mapping::Json(m) => m.attributes.keys().map(String::as_str).collect(),
        }
    }

    /// Whether this attribute of its signals stands sealed.
    #[must_use]
    pub fn seals(&self, attribute: &str) -> bool {
        self.personal && !self.plain_attributes.contains(attribute)
    }

    /// Whether its signals may be of this type.
    #[must_use]
    pub fn may_give(&self, signal_type: &str) -> bool {
        match &self.mapping {
            Mapping::AlertmanagerV4(m) => {
                let mut types = m.signal_type.map.values().chain(&m.signal_type.default);
                types.any(|name| name == signal_type)
            }
            // A text that the map does not know is the type itself.
            Mapping::Json(_) => true,
        }
    }
}

/// How a request proves where it comes from. Secrets stand by reference only
/// (`env:NAME`, `file:PATH`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Authentication {
    /// `Authorization: Bearer …` equals the secret.
    Bearer {
        /// The secret's reference.
        secret: String,
    },
    /// A header holds HMAC-SHA-256 of the body under the secret, in hex.
    Hmac {
        /// The secret's reference.
        secret: String,
        /// The header's name, in lower case.
        header: String,
        /// What stands before the hex digits, for example `sha256=`.
        #[serde(default)]
        prefix: String,
    },
    /// As Standard Webhooks 1.0.0 signs: the headers `webhook-id`,
    /// `webhook-timestamp` and `webhook-signature`. What was signed longer ago
    /// than the tolerance, or is signed for later, is refused, so that a
    /// delivery that somebody recorded is of no use to them afterwards.
    StandardWebhooks {
        /// The secret's reference.
        secret: String,
        /// How far the sender's clock may be from this one's.
        #[serde(default = "tolerance_default")]
        tolerance: Span,
    },
}

/// What the standard's own libraries allow.
fn tolerance_default() -> Span {
    Span::from_secs(300)
}

impl Authentication {
    /// The reference of the secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Bearer { secret }
            | Self::Hmac { secret, .. }
            | Self::StandardWebhooks { secret, .. } => secret,
        }
    }
}

/// How a source's payload is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mapping {
    /// Prometheus Alertmanager's webhook, version 4.
    AlertmanagerV4(AlertmanagerMapping),
    /// Any JSON, by pointers and expressions.
    Json(Box<JsonMapping>),
}

/// How an alert of Alertmanager becomes a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerMapping {
    /// Which labels name the subject.
    pub subject: SubjectMapping,
    /// Which label gives the type.
    #[serde(rename = "type")]
    pub signal_type: LabelMapping,
    /// Which label gives the severity.
    pub severity: SeverityMapping,
    /// Attributes of the signal, by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeMapping>,
}

/// Which labels name the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectMapping {
    /// The subject's type, for example `service`.
    pub kind: String,
    /// Labels that may hold its id; the first that the alert has counts.
    pub labels: Vec<String>,
}

/// Which label gives the signal's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMapping {
    /// The label, for example `alertname`.
    pub label: String,
    /// Signal types by the label's value.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// The type when the map does not know the value; without it such an
    /// alert becomes a dead letter.
    #[serde(default)]
    pub default: Option<String>,
}

/// Which label gives the severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeverityMapping {
    /// The label, for example `severity`.
    pub label: String,
    /// Severities by the label's value.
    #[serde(default)]
    pub map: BTreeMap<String, Severity>,
    /// The severity when the label is missing or the map does not know it.
    #[serde(default)]
    pub default: Option<Severity>,
}

/// Where an attribute comes from in an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeMapping {
    /// `labels.NAME`, `annotations.NAME` or `generatorURL`.
    pub from: String,
    /// What the text is read as.
    #[serde(rename = "as", default)]
    pub form: ValueForm,
}

kernel::names! {
    /// What a text is read as.
    #[derive(Default)]
    pub enum ValueForm {
        /// As it stands.
        #[default]
        Text = "text",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
    }
}

/// How items of foreign JSON become signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonMapping {
    /// JSON Pointer to the list of items; empty for the whole body. What is
    /// not a list counts as one item.
    #[serde(default)]
    pub items: String,
    /// What tells one observed thing from another: the fingerprint.
    pub id: Extract,
    /// The signal's type.
    #[serde(rename = "type")]
    pub signal_type: TypeMapping,
    /// The subject.
    pub subject: SubjectExtract,
    /// The severity's text; the maps of the signal type and of `severities`
    /// read it.
    #[serde(default)]
    pub severity: Option<Extract>,
    /// Severities by text.
    #[serde(default)]
    pub severities: BTreeMap<String, Severity>,
    /// When it was so.
    pub observed_at: Extract,
    /// When what has now ended began; only of use with `status`.
    #[serde(default)]
    pub began_at: Option<Extract>,
    /// How instants are written.
    #[serde(default)]
    pub time: TimeForm,
    /// `firing` or `resolved`, or a boolean that says whether it is firing;
    /// without it everything is firing.
    #[serde(default)]
    pub status: Option<Extract>,
    /// Attributes, by name; those that are missing or null are left out.
    #[serde(default)]
    pub attributes: BTreeMap<String, Extract>,
}

/// How the type of an item is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeMapping {
    /// Its text.
    pub from: Extract,
    /// Signal types by that text; a text that is not here is the type itself.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
}

/// How the subject of an item is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectExtract {
    /// The subject's type.
    pub kind: String,
    /// Its id.
    pub id: Extract,
}

/// How one value is taken from an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extract {
    /// By JSON Pointer (RFC 6901) within the item.
    Pointer(String),
    /// By a CEL expression over `item`.
    Cel(String),
    /// Always the same.
    Constant(Value),
}

kernel::names! {
    /// How a source writes instants.
    #[derive(Default)]
    pub enum TimeForm {
        /// RFC 3339 text.
        #[default]
        Rfc3339 = "rfc3339",
        /// Whole seconds since 1970.
        UnixSeconds = "unix_seconds",
        /// Whole milliseconds since 1970.
        UnixMillis = "unix_millis",
    }
}

/// What a signal says of its subject's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactRule {
    /// The field of the state.
    pub field: String,
    /// For these signal types; empty for every one.
    #[serde(default)]
    pub signal_types: Vec<String>,
    /// What a firing signal says.
    #[serde(default)]
    pub firing: Option<FactValue>,
    /// What a resolved signal says.
    #[serde(default)]
    pub resolved: Option<FactValue>,
}

/// The value that a fact has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactValue {
    /// Always this.
    Constant(Value),
    /// The signal's attribute of this name; nothing when it has none.
    Attribute(String),
}

/// A type of signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalType {
    /// Its name, for example `ERROR_RATE_HIGH`.
    pub name: String,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// JSON Schema (2020-12) of the attributes.
    pub attributes: Value,
    /// How long a signal of this type holds when nothing more is heard.
    pub ttl: Span,
    /// Severities by the source's text; asked before the source's own map.
    #[serde(default)]
    pub severities: BTreeMap<String, Severity>,
    /// The severity when neither map gives one.
    #[serde(default)]
    pub severity: Option<Severity>,
}
