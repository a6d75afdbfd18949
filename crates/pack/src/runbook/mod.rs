//! Runbooks: the deterministic proposers. A runbook says for which incidents
//! it is meant and which directive it proposes; the same situation always gives
//! the same contract. No model of any kind is asked. What a runbook proposes is
//! a proposal: the gate decides.

mod compile;
mod definition;
pub(crate) mod placeholder;
mod propose;

pub use definition::{Definition, DirectiveTemplate, StepTemplate};
pub use propose::{Choice, PassedOver, Situation, choose, propose};

pub(crate) use compile::{
    Known, compile, contract_fault, each_text, module_not_allowed, sealed_field, unknown_field,
};
pub(crate) use propose::{Frame, fill};

use sense::Expression;

/// A runbook that was checked and compiled.
#[derive(Clone, Debug)]
pub struct Runbook {
    definition: Definition,
    when: Expression,
}

impl Runbook {
    /// What the pack declared.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.definition.id
    }
}
