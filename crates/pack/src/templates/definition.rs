//! What a pack declares of a template: plain serde types.

use crate::runbook::DirectiveTemplate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A template, one file of `templates/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, unique in the pack.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// For subjects of this type.
    pub subject_type: String,
    /// JSON Schema (2020-12) of each parameter, by name. One with a `default`
    /// need not be given.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// The fields of the state whose evidence the steps rest on; at least one.
    pub evidence: Vec<String>,
    /// The contract, with `${subject}`, `${field.NAME}` and `${parameter.NAME}`
    /// in its texts.
    pub directive: DirectiveTemplate,
}
