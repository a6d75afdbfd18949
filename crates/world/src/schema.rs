//! Entity schemas: what a pack declares of an entity type's state, the checks
//! of a state against it, and the tier of a state. Fails closed: a field that
//! the schema does not know is refused.

use crate::state::State;
use kernel::{Digest, Refusal, SchemaRef, Sealed, Subject, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most fields that one entity may have.
pub const FIELDS_MAX: usize = 256;

/// What a pack declares of an entity type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaDefinition {
    /// The entity type, the first part of its subjects: `service`.
    pub entity: String,
    /// Rises with each change of the fields, from 1.
    pub version: u32,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// JSON Schema (2020-12) of each field, by name.
    pub fields: BTreeMap<String, Value>,
    /// Fields without which no decision may be made.
    #[serde(default)]
    pub critical: Vec<String>,
    /// Fields that are personal: their values stand sealed, and no rule, no
    /// runbook and no policy can see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub personal: Vec<String>,
}

kernel::names! {
    /// What a state is good for.
    pub enum Tier {
        /// Every critical field is known.
        Complete = "complete",
        /// Some critical fields are known.
        Partial = "partial",
        /// No critical field is known.
        Unusable = "unusable",
    }
}

/// A schema, checked and compiled.
pub struct Schema {
    definition: SchemaDefinition,
    reference: SchemaRef,
    fields: BTreeMap<String, jsonschema::Validator>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.reference).finish()
    }
}

impl Schema {
    /// Checks and compiles a definition. The hash is SHA-256 over
    /// `writ.schema.v1`, a line feed and the definition's canonical JSON.
    ///
    /// # Errors
    /// Each fault of the definition, with the field named.
    pub fn compile(definition: SchemaDefinition) -> Result<Self, Refusal> {
        let named = |e: Refusal| e.at(format!("schema `{}`", definition.entity));
        Subject::new(&definition.entity, "x").map_err(|_| {
            Refusal::invalid(format!("`{}` is no entity type", definition.entity))
                .hint("write it in lower case, for example `service`")
        })?;
        if definition.version == 0 {
            return Err(named(Refusal::invalid("`version` begins with 1")));
        }
        if definition.fields.is_empty() || definition.fields.len() > FIELDS_MAX {
            return Err(named(Refusal::invalid(format!(
                "`fields` has {} fields, allowed are 1 to {FIELDS_MAX}",
                definition.fields.len()
            ))));
        }
        let lists = [
            ("critical", &definition.critical),
            ("personal", &definition.personal),
        ];
        for (list, names) in lists {
            for field in names {
                if !definition.fields.contains_key(field) {
                    return Err(named(
                        Refusal::invalid(format!("{list} field `{field}` is not in `fields`"))
                            .hint(format!("declare the field, or take it out of `{list}`")),
                    ));
                }
            }
        }
        let mut fields = BTreeMap::new();
        for (name, schema) in &definition.fields {
            if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
                return Err(named(Refusal::invalid(format!(
                    "`{name}` is no field name"
                ))));
            }
            let validator =
                compile_field(schema).map_err(|e| named(e.at(format!("field `{name}`"))))?;
            fields.insert(name.clone(), validator);
        }
        let reference = SchemaRef {
            entity: definition.entity.clone(),
            version: definition.version,
            hash: Digest::of_value("writ.schema.v1", &definition)?,
        };
        Ok(Self {
            definition,
            reference,
            fields,
        })
    }

    /// The name of this schema in snapshots.
    #[must_use]
    pub fn reference(&self) -> &SchemaRef {
        &self.reference
    }
    /// What the pack declared.
    #[must_use]
    pub fn definition(&self) -> &SchemaDefinition {
        &self.definition
    }

    /// Checks that this schema is the one of the subject's type.
    ///
    /// # Errors
    /// When it is another type's.
    pub fn check_subject(&self, subject: &Subject) -> Result<(), Refusal> {
        if subject.kind() == self.reference.entity {
            return Ok(());
        }
        Err(
            Refusal::invalid(format!("`{subject}` is not a `{}`", self.reference.entity))
                .hint("use the schema of the subject's type"),
        )
    }

    /// Whether a field is personal.
    #[must_use]
    pub fn is_personal(&self, field: &str) -> bool {
        self.definition.personal.iter().any(|name| name == field)
    }

    /// Checks one value of one field as it stands in a state: of a personal
    /// field it is sealed, of any other it is not. What a sealed value holds
    /// was checked by [`Schema::check_plain`] before it was sealed.
    ///
    /// # Errors
    /// When the field is unknown or the value does not fit; the message does
    /// not repeat the value.
    pub fn check_field(&self, field: &str, value: &Value) -> Result<(), Refusal> {
        let sealed = Sealed::of(value);
        match (self.is_personal(field), sealed) {
            (false, None) => self.check_plain(field, value),
            (true, Some(sealed)) if sealed.place == sealed_place(field) => Ok(()),
            (true, Some(sealed)) => Err(Refusal::integrity(format!(
                "what is sealed as `{}` is no `{field}`",
                sealed.place
            ))),
            (true, None) => Err(Refusal::invalid(format!(
                "field `{field}` of `{}` is personal and is taken sealed only",
                self.reference.entity
            ))
            .hint("let a source bring it that is marked `personal`")),
            (false, Some(_)) => Err(Refusal::invalid(format!(
                "field `{field}` of `{}` is not personal and takes no sealed value",
                self.reference.entity
            ))
            .hint("name it under `personal` in its schema")),
        }
    }

    /// Checks the plaintext of a value of a field.
    ///
    /// # Errors
    /// When the field is unknown or the value does not fit; the message does
    /// not repeat the value.
    pub fn check_plain(&self, field: &str, value: &Value) -> Result<(), Refusal> {
        let validator = self.fields.get(field).ok_or_else(|| {
            let known: Vec<_> = self.fields.keys().map(String::as_str).collect();
            Refusal::invalid(format!(
                "unknown field `{field}` of `{}`",
                self.reference.entity
            ))
            .hint(format!("known fields: {}", known.join(", ")))
        })?;
        validator.validate(value).map_err(|e| {
            Refusal::invalid(format!(
                "field `{field}` of `{}`{}: {}",
                self.reference.entity,
                e.instance_path(),
                e.masked()
            ))
        })
    }

    /// Checks every field of a state.
    ///
    /// # Errors
    /// As [`Schema::check_subject`] and [`Schema::check_field`].
    pub fn check_state(&self, state: &State) -> Result<(), Refusal> {
        self.check_subject(&state.subject)?;
        for (field, belief) in &state.fields {
            self.check_field(field, &belief.claim.value)?;
            check_owner(&state.subject, field, &belief.claim.value)?;
        }
        Ok(())
    }

    /// The critical fields that a state does not have, in the order in which
    /// they are declared.
    #[must_use]
    pub fn missing(&self, state: &State) -> Vec<String> {
        let critical = self.definition.critical.iter();
        critical
            .filter(|field| !state.fields.contains_key(*field))
            .cloned()
            .collect()
    }

    /// What a state is good for.
    #[must_use]
    pub fn tier(&self, state: &State) -> Tier {
        let missing = self.missing(state).len();
        if missing == 0 {
            Tier::Complete
        } else if missing < self.definition.critical.len() {
            Tier::Partial
        } else {
            Tier::Unusable
        }
    }
}

/// A sealed value belongs to the one subject in whose state it stands.
///
/// # Errors
/// When it belongs to another.
pub fn check_owner(subject: &Subject, field: &str, value: &Value) -> Result<(), Refusal> {
    match Sealed::of(value) {
        Some(sealed) if !sealed.is_of(&BTreeSet::from([subject.clone()])) => {
            Err(Refusal::integrity(format!(
                "`{field}` of `{subject}` is sealed under other keys"
            )))
        }
        _ => Ok(()),
    }
}

/// What place the values of a field have among what is sealed of its subject.
#[must_use]
pub fn sealed_place(field: &str) -> String {
    kernel::sealed::place_of_value(field)
}

/// Patterns run in linear time and nothing is fetched, so that a pack cannot
/// stall a decision or reach out of it.
fn compile_field(schema: &Value) -> Result<jsonschema::Validator, Refusal> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|e| {
            Refusal::invalid(format!("no JSON Schema at `{}`: {e}", e.instance_path()))
                .hint("write JSON Schema 2020-12")
        })
}
