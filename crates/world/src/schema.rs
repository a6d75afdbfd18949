//! Entity schemas: what a pack declares of an entity type's state, the checks
//! of a state against it, and the tier of a state. Fails closed: a field that
//! the schema does not know is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a pack declares of an entity type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaDefinition {
    /// The entity type, the first part of its subjects: `service`.
    pub entity: String,
    /// Rises with each change of the fields.
    pub version: u32,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// JSON Schema (2020-12) of each field, by name.
    pub fields: std::collections::BTreeMap<String, Value>,
    /// Fields without which no decision may be made.
    #[serde(default)]
    pub critical: Vec<String>,
}
