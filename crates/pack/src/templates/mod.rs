//! Templates: contracts of directives with typed parameters, which a person or
//! an agent fills in by hand. The same engine as that of runbooks fills in the
//! placeholders; what comes out is a contract like any other, and the gate
//! decides.

mod compile;
mod definition;
mod instantiate;

pub use definition::Definition;
pub use instantiate::Asked;

pub(crate) use compile::compile;

use std::sync::Arc;
use world::Schema;

/// A template that was checked and compiled.
#[derive(Clone, Debug)]
pub struct Template {
    definition: Definition,
    /// The parameters, as the fields of an entity; `None` when there are none.
    parameters: Option<Arc<Schema>>,
}

impl Template {
    /// What the pack declared.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }
}
