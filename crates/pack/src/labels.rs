//! What people call things, for the screens. Nothing decides by a label.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The labels of a pack. What has none is shown by its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Of subject types, for example `service: Service`.
    #[serde(default)]
    pub subject_types: BTreeMap<String, String>,
    /// Of fields of world states, by subject type and field.
    #[serde(default)]
    pub fields: BTreeMap<String, BTreeMap<String, String>>,
    /// Of directive types.
    #[serde(default)]
    pub directive_types: BTreeMap<String, String>,
    /// Of modules.
    #[serde(default)]
    pub modules: BTreeMap<String, String>,
}
