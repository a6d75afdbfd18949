//! Entity schemas: what a pack declares of an entity type's state, the checks
//! of a state against it, and the tier of a state. Fails closed: a field that
//! the schema does not know is refused.

use crate::state::State;
use kernel::{Digest, Refusal, SchemaRef, Subject, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
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
        for field in &definition.critical {
            if !definition.fields.contains_key(field) {
                return Err(named(
                    Refusal::invalid(format!("critical field `{field}` is not in `fields`"))
                        .hint("declare the field, or take it out of `critical`"),
                ));
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

    /// Checks one value of one field.
    ///
    /// # Errors
    /// When the field is unknown or the value does not fit; the message does
    /// not repeat the value.
    pub fn check_field(&self, field: &str, value: &Value) -> Result<(), Refusal> {
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
