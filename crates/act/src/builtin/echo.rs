//! `echo`: answers with its input.

use crate::module::{Manifest, Module, ModuleCtx, Outcome};
use async_trait::async_trait;
use gate::Permit;
use gate::budget::Actual;
use serde_json::{Map, Value, json};

/// The module `echo`.
pub struct Echo(Manifest);

impl Echo {
    /// The module.
    #[must_use]
    pub fn new() -> Self {
        Self(super::inner("echo", json!({ "type": "object" })))
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Module for Echo {
    fn manifest(&self) -> &Manifest {
        &self.0
    }
    async fn execute(&self, _: Permit, input: &Map<String, Value>, _: &ModuleCtx) -> Outcome {
        Outcome::success(Value::Object(input.clone())).costing(Actual::Nothing)
    }
}
