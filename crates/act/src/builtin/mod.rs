//! The built-in modules, one file each.

mod echo;
mod exchange;
mod fail;
mod http_request;
mod noop;
pub mod outside;
mod webhook_send;

pub use echo::Echo;
pub use fail::FailIntentionally;
pub use http_request::HttpRequestModule;
pub use noop::Noop;
pub use outside::HttpSettings;
pub use webhook_send::{WebhookSend, signature};

use crate::module::Manifest;
use crate::registry::Registry;
use crate::retry::RetryPolicy;
use gate::{ActionClass, CostClass};
use kernel::{Refusal, Span};
use serde_json::{Value, json};
use std::sync::Arc;

/// Every built-in module; those that reach the network do so within `http`.
///
/// # Errors
/// When `http` is not well-formed.
pub fn registry(http: &HttpSettings) -> Result<Registry, Refusal> {
    let mut registry = Registry::new();
    registry.add(Arc::new(Noop::new()))?;
    registry.add(Arc::new(Echo::new()))?;
    registry.add(Arc::new(FailIntentionally::new()))?;
    registry.add(Arc::new(HttpRequestModule::new(http)?))?;
    registry.add(Arc::new(WebhookSend::new(http)?))?;
    Ok(registry)
}

/// The manifest of a module that touches nothing outside itself.
fn inner(name: &str, input_schema: Value) -> Manifest {
    Manifest {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        input_schema,
        output_schema: json!({}),
        cost_class: CostClass::Cheap,
        action_class: ActionClass::InternalNonDestructive,
        requires_approval: false,
        writes_outside: false,
        reversible: false,
        idempotent: true,
        timeout: Span::from_secs(5),
        retry: RetryPolicy::ONCE,
    }
}

#[cfg(test)]
mod tests;
