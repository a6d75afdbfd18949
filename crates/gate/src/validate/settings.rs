//! What a pack declares for the validators. Every section must stand: a
//! missing one is a fault when the pack is loaded, never "no limit".

use super::rule::{RULES_MAX, Rule};
use kernel::{Refusal, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The data class of an input field that no pattern names.
pub const UNCLASSIFIED: &str = "unclassified";

/// Settings of the validators. Grounding has none: evidence either is in the
/// snapshot or is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How old what is known may be.
    pub freshness: Freshness,
    /// Where sources may not contradict each other.
    pub contradiction: Contradiction,
    /// What steps may touch.
    pub compliance: Compliance,
    /// The pack's own validators, in the order in which they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// How old what is known may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// For every field that has no limits of its own.
    pub default: Ttl,
    /// For single fields.
    #[serde(default)]
    pub fields: BTreeMap<String, Ttl>,
    /// For the evidence that steps cite, by source type. Evidence of another
    /// type is held by the limits of the fields that it carries.
    #[serde(default)]
    pub evidence: BTreeMap<String, Ttl>,
}

/// Two limits of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ttl {
    /// From this age on: WARN.
    pub soft_ttl: Span,
    /// From this age on: BLOCK.
    pub hard_ttl: Span,
}

/// Where sources may not contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// The fields that are looked at; at least one.
    pub fields: BTreeSet<String>,
    /// Whether a field that is unknown, or null on one side, counts as
    /// contradicted.
    pub null_is_contradiction: bool,
}

/// What steps may touch. In every list deny wins over allow, and an empty
/// allow list allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compliance {
    /// Modules by name.
    pub tools: Lists,
    /// Fields of a step's input, as dotted paths: `body` covers everything
    /// below it, `*.password` a field of that name at any depth, `*` every
    /// field.
    pub fields: Lists,
    /// Hosts, exact or `*.example.com`, with `:port` where it is not the
    /// scheme's own.
    pub destinations: Lists,
    /// Classes of data.
    pub data_classes: DataClasses,
}

/// What is allowed and what is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// Allowed.
    pub allow: BTreeSet<String>,
    /// Denied, even where allowed.
    #[serde(default)]
    pub deny: BTreeSet<String>,
}

/// Which input fields hold which class of data, and which classes are
/// allowed. A field that no pattern names is of class [`UNCLASSIFIED`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataClasses {
    /// From pattern (as in `fields`) to class.
    #[serde(default)]
    pub of: BTreeMap<String, String>,
    /// Allowed classes.
    pub allow: BTreeSet<String>,
    /// Denied classes, even where allowed.
    #[serde(default)]
    pub deny: BTreeSet<String>,
}

impl Settings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first fault, with the path of its field.
    pub fn check(&self) -> Result<(), Refusal> {
        let freshness = &self.freshness;
        freshness.default.check("freshness.default")?;
        for (section, ttls) in [
            ("fields", &freshness.fields),
            ("evidence", &freshness.evidence),
        ] {
            for (name, ttl) in ttls {
                ttl.check(&format!("freshness.{section}.{name}"))?;
            }
        }
        if self.contradiction.fields.is_empty() {
            return Err(
                Refusal::invalid("names no field, so nothing would be checked")
                    .at("contradiction.fields"),
            );
        }
        let compliance = &self.compliance;
        let classes = &compliance.data_classes;
        for (section, allow, deny) in [
            ("tools", &compliance.tools.allow, &compliance.tools.deny),
            ("fields", &compliance.fields.allow, &compliance.fields.deny),
            (
                "destinations",
                &compliance.destinations.allow,
                &compliance.destinations.deny,
            ),
            ("data_classes", &classes.allow, &classes.deny),
        ] {
            if let Some(both) = allow.intersection(deny).next() {
                return Err(
                    Refusal::invalid(format!("`{both}` is both allowed and denied"))
                        .at(format!("compliance.{section}")),
                );
            }
            if allow.iter().chain(deny).any(|name| name.trim().is_empty()) {
                return Err(
                    Refusal::invalid("holds an empty name").at(format!("compliance.{section}"))
                );
            }
        }
        self.check_rules()
    }

    fn check_rules(&self) -> Result<(), Refusal> {
        if self.rules.len() > RULES_MAX {
            let count = self.rules.len();
            return Err(
                Refusal::invalid(format!("has {count} rules, allowed are {RULES_MAX}")).at("rules"),
            );
        }
        let mut names = BTreeSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|e| e.at(format!("rules[{at}]")))?;
            if !names.insert(&rule.name) {
                return Err(
                    Refusal::invalid(format!("the name `{}` stands twice", rule.name))
                        .at(format!("rules[{at}].name")),
                );
            }
        }
        Ok(())
    }
}

impl Ttl {
    fn check(&self, place: &str) -> Result<(), Refusal> {
        if self.hard_ttl == Span::ZERO || self.soft_ttl > self.hard_ttl {
            return Err(Refusal::invalid(format!(
                "soft_ttl `{}` and hard_ttl `{}` do not fit",
                self.soft_ttl, self.hard_ttl
            ))
            .hint("hard_ttl must be longer than nothing and not shorter than soft_ttl")
            .at(place));
        }
        Ok(())
    }
}
