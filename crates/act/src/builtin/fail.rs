//! `fail_intentionally`: ends as its input says, so that people can see how
//! writ takes a failure.

use crate::module::{Manifest, Module, ModuleCtx, Outcome, OutcomeStatus};
use async_trait::async_trait;
use gate::Permit;
use gate::budget::Actual;
use kernel::names::Name;
use serde_json::{Map, Value, json};

/// The module `fail_intentionally`.
pub struct FailIntentionally(Manifest);

impl FailIntentionally {
    /// The module.
    #[must_use]
    pub fn new() -> Self {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "as": { "enum": ["failure", "error", "unknown"] },
                "reason": { "type": "string", "maxLength": 256 },
            },
        });
        let mut manifest = super::inner("fail_intentionally", schema);
        manifest.idempotent = false;
        Self(manifest)
    }
}

impl Default for FailIntentionally {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Module for FailIntentionally {
    fn manifest(&self) -> &Manifest {
        &self.0
    }
    async fn execute(&self, _: Permit, input: &Map<String, Value>, _: &ModuleCtx) -> Outcome {
        let text = |key: &str| input.get(key).and_then(Value::as_str);
        let reason = text("reason").unwrap_or("failed as it was asked to");
        let status = text("as").and_then(OutcomeStatus::parse);
        let outcome = match status {
            Some(OutcomeStatus::Error) => Outcome::error(reason),
            Some(OutcomeStatus::Unknown) => Outcome::unknown(reason),
            _ => Outcome::failure(reason),
        };
        outcome.costing(Actual::Nothing)
    }
}
