//! What a pack declares of a runbook: plain serde types.

use gate::ActionClass;
use kernel::{Money, Span};
use sense::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A runbook, one file of `runbooks/`. The order of the file names is the
/// order in which runbooks are asked; the first that applies proposes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, unique in the pack.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// For subjects of this type.
    pub subject_type: String,
    /// At least one of these rules matched; empty for any.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The incident is at least this bad.
    pub min_severity: Severity,
    /// CEL over `incident`, `subject` and `state`.
    #[serde(default = "always")]
    pub when: String,
    /// What it proposes.
    pub directive: DirectiveTemplate,
}

fn always() -> String {
    "true".to_owned()
}

/// The contract that a runbook proposes, with placeholders in its texts. The
/// subject, the snapshot and the evidence come from the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectiveTemplate {
    /// The type of directive, for example `service.restart`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The role that it is addressed to.
    pub role: String,
    /// What it is for, in a sentence.
    pub objective: String,
    /// What it does to the world.
    pub action_class: ActionClass,
    /// What it must keep to, by name.
    #[serde(default)]
    pub constraints: BTreeMap<String, Value>,
    /// How success is known; at least one.
    pub success_metrics: Vec<String>,
    /// The most that it may cost.
    pub budget: Money,
    /// How long it may take from its proposal.
    pub timebox: Span,
    /// What is done, in order.
    pub steps: Vec<StepTemplate>,
}

/// One step of the contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTemplate {
    /// Its name, unique within the directive.
    pub id: String,
    /// The module that does it.
    pub module: String,
    /// The module's input.
    pub input: Map<String, Value>,
    /// What is set aside for it before it starts.
    pub cost: Money,
}
