//! From a template of the pack to a contract on what is known now: the
//! subject's state is frozen in the same unit.

use crate::force::{self, InForce};
use gate::Contract;
use kernel::{Refusal, Snapshot, Subject, Unit};
use pack::templates::Asked;
use serde_json::{Map, Value};

/// What a contract is made from.
#[derive(Clone, Copy, Debug)]
pub struct FromTemplate<'a> {
    /// The template's name.
    pub template: &'a str,
    /// What it is about.
    pub subject: &'a Subject,
    /// The parameters by name.
    pub parameters: &'a Map<String, Value>,
}

/// The contract that a template makes for the actor.
///
/// # Errors
/// `not_found` when the pack has no such template, what the template refuses,
/// and `conflict` when another pack was loaded meanwhile.
pub fn contract(
    unit: &mut Unit<'_>,
    in_force: &InForce,
    asked: &FromTemplate<'_>,
) -> Result<Contract, Refusal> {
    force::still(unit, in_force)?;
    let template = in_force.pack.templates.get(asked.template);
    let template =
        template.ok_or_else(|| Refusal::not_found(format!("no template `{}`", asked.template)))?;
    let schema = in_force.pack.schema_of(asked.subject)?;
    let id = world::take(unit, schema, asked.subject)?;
    let snapshot = unit.get::<Snapshot>(id)?;
    let issued_by = unit.ctx().actor.clone();
    template.contract(&Asked {
        subject: asked.subject,
        snapshot: &snapshot,
        parameters: asked.parameters,
        issued_by: &issued_by,
    })
}
