//! Something happens: which tallies it belongs to, and that they are told, in
//! the unit that records it.

use super::kept::{ID, Kept};
use super::tally::{self, Tally};
use super::{Definition, Happening};
use crate::contract::{Contract, CostClass, Step};
use crate::{Directive, validate};
use kernel::{DirectiveId, Refusal, Unit};

/// Something that happened to a directive or to one of its steps.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// What.
    pub what: Happening,
    /// The contract in force.
    pub contract: &'a Contract,
    /// The step, where it was one.
    pub step: Option<&'a Step>,
    /// The cost class of the step's module, where it is known.
    pub cost_class: Option<CostClass>,
}

impl<'a> Happened<'a> {
    /// Something that happened to a directive as a whole.
    #[must_use]
    pub fn to(what: Happening, contract: &'a Contract) -> Self {
        Self {
            what,
            contract,
            step: None,
            cost_class: None,
        }
    }

    /// Whether it is one of those that a definition counts.
    #[must_use]
    pub fn counts_for(&self, definition: &Definition) -> bool {
        let only = &definition.only;
        let contract = self.contract;
        let kind = contract.subject().map(|s| s.kind()).unwrap_or_default();
        self.what == definition.happening
            && (only.directive_types.is_empty() || only.directive_types.contains(&contract.kind))
            && (only.subject_types.is_empty() || only.subject_types.contains(kind))
            && match self.step {
                Some(step) => self.step_counts(definition, step),
                None => contract
                    .steps
                    .iter()
                    .any(|s| self.step_counts(definition, s)),
            }
    }

    fn step_counts(&self, definition: &Definition, step: &Step) -> bool {
        let only = &definition.only;
        let class = |class: CostClass| only.cost_classes.contains(&class);
        (only.modules.is_empty() || only.modules.contains(&step.module))
            && (only.cost_classes.is_empty() || self.cost_class.is_some_and(class))
            && (only.data_classes.is_empty() || validate::holds(step, &definition.fields))
            && (only.destinations.is_empty() || validate::reaches(step, &only.destinations))
    }
}

/// The step that is named in a record: by its id, or as verdicts do from the
/// second round on, with `#N` after it.
#[must_use]
pub fn step_named<'a>(contract: &'a Contract, name: &str) -> Option<&'a Step> {
    let round = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let rounded = name.rsplit_once('#').filter(|(_, after)| round(after));
    contract
        .step(name)
        .or_else(|| contract.step(rounded.map(|(id, _)| id)?))
}

/// Records that a step of a directive ended.
///
/// # Errors
/// When storage does not answer.
pub fn step_ended(
    unit: &mut Unit<'_>,
    directive: DirectiveId,
    step: &str,
    what: Happening,
) -> Result<(), Refusal> {
    if unit.find::<Kept>(ID)?.is_none() {
        return Ok(());
    }
    let directive = unit.get::<Directive>(directive)?;
    let contract = &directive.contract;
    let step = contract.step(step);
    happened(
        unit,
        Happened {
            step,
            ..Happened::to(what, contract)
        },
    )
}

/// Records in every tally that it belongs to that something happened.
///
/// # Errors
/// When storage does not answer.
pub fn happened(unit: &mut Unit<'_>, happened: Happened<'_>) -> Result<(), Refusal> {
    let Some(kept) = unit.find::<Kept>(ID)? else {
        return Ok(());
    };
    let now = unit.ctx().now;
    for (digest, keeping) in &kept.facts {
        let definition = &keeping.definition;
        if happened.counts_for(definition) {
            let value = definition.value(happened.contract);
            let id = Tally::id_of(digest, keeping.number, &value);
            unit.record::<Tally>(id, tally::occurred(*digest, definition, value, now))?;
        }
    }
    Ok(())
}
