//! `noop`: does nothing, successfully.

use crate::module::{Manifest, Module, ModuleCtx, Outcome};
use async_trait::async_trait;
use gate::Permit;
use gate::budget::Actual;
use serde_json::{Map, Value, json};

/// The module `noop`.
pub struct Noop(Manifest);

impl Noop {
    /// The module.
    #[must_use]
    pub fn new() -> Self {
        Self(super::inner("noop", json!({ "type": "object" })))
    }
}

impl Default for Noop {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Module for Noop {
    fn manifest(&self) -> &Manifest {
        &self.0
    }
    async fn execute(&self, _: Permit, _: &Map<String, Value>, _: &ModuleCtx) -> Outcome {
        Outcome::success(Value::Null).costing(Actual::Nothing)
    }
}
