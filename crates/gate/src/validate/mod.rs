//! The validators: freshness, grounding, contradiction and compliance, then
//! those that the pack adds, in the order of its file. Each is a pure function
//! of one bound snapshot, one evaluation time and the pack's settings. All
//! always run, in this order, and all answers are kept.

mod compliance;
mod contradiction;
mod freshness;
mod grounding;
mod rule;
mod settings;
mod url;

#[cfg(test)]
mod tests;

pub use compliance::destinations;
pub(crate) use compliance::{classes, holds, hosts, reaches};
pub use rule::{Condition, RULES_MAX, Rule, VARIABLES};
pub use settings::{
    Compliance, Contradiction, DataClasses, Freshness, Lists, Settings, Ttl, UNCLASSIFIED,
};

pub(crate) use url::Destination;

use crate::contract::{Contract, Step};
use kernel::names::Name;
use kernel::{Snapshot, Timestamp, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

kernel::names! {
    /// A validator that every pack has.
    pub enum Validator {
        /// Is what is known recent enough?
        Freshness = "freshness",
        /// Does each step rest on evidence of the snapshot?
        Grounding = "grounding",
        /// Do sources contradict each other where it matters?
        Contradiction = "contradiction",
        /// Are fields, tools, data classes and destinations allowed?
        Compliance = "compliance",
    }
}

/// What the validators look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The contract.
    pub contract: &'a Contract,
    /// The step that is about to happen; `None` asks for all steps.
    pub step: Option<&'a Step>,
    /// The snapshot that the contract is bound to.
    pub snapshot: &'a Snapshot,
    /// The one evaluation time.
    pub now: Timestamp,
    /// The pack's settings.
    pub settings: &'a Settings,
    /// The conditions of the pack's own validators, in their order.
    pub conditions: &'a [Arc<dyn Condition>],
}

impl<'a> Input<'a> {
    /// The steps that are asked about.
    pub(crate) fn steps(&self) -> Vec<&'a Step> {
        match self.step {
            Some(step) => vec![step],
            None => self.contract.steps.iter().collect(),
        }
    }
}

/// What one validator found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The name of the validator.
    pub validator: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, as a sentence that a person understands.
    pub reason: String,
    /// What decided it: fields, ages, limits, evidence.
    pub inputs: Value,
    /// Where it is written what to do, where the pack says so.
    pub runbook: Option<String>,
}

/// The names of all validators, in the order in which they run.
pub fn names(settings: &Settings) -> impl Iterator<Item = &str> {
    let own = settings.rules.iter().map(|rule| rule.name.as_str());
    Validator::ALL.iter().map(|v| v.name()).chain(own)
}

/// Runs all, in the order of [`names`]; none cuts the others short.
#[must_use]
pub fn run_all(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = vec![
        freshness::run(input),
        grounding::run(input),
        contradiction::run(input),
        compliance::run(input),
    ];
    findings.extend(run_own(input));
    findings
}

/// Runs those that the pack adds.
pub fn run_own<'a>(input: &'a Input<'_>) -> impl Iterator<Item = Finding> + 'a {
    let rules = input.settings.rules.iter().enumerate();
    rules.map(|(at, rule)| {
        let condition = input.conditions.get(at);
        rule::run(input, rule, condition.map(AsRef::as_ref))
    })
}

/// Why the snapshot has grown too old to act on; `None` when it has not.
#[must_use]
pub fn stale(input: &Input<'_>) -> Option<String> {
    let finding = freshness::run(input);
    (finding.verdict == Verdict::Block).then_some(finding.reason)
}

/// Most single reasons in a finding; the rest is counted.
const LISTED_MAX: usize = 16;

/// The finding of a validator.
fn report(validator: Validator, verdict: Verdict, reason: String, inputs: Value) -> Finding {
    Finding {
        validator: validator.name().to_owned(),
        verdict,
        reason,
        inputs,
        runbook: None,
    }
}

/// One sentence for all faults: the first, and how many more there are; or
/// what to say when there is none.
pub(crate) fn sentence(fine: String, faults: impl IntoIterator<Item = String>) -> String {
    let mut faults = faults.into_iter();
    let Some(first) = faults.next() else {
        return fine;
    };
    match faults.count() {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

/// A list of bounded length: what is over the bound is counted in a last item.
pub(crate) fn listed(items: impl IntoIterator<Item = Value>) -> Value {
    let mut items: Vec<_> = items.into_iter().collect();
    let over = items.len().saturating_sub(LISTED_MAX);
    if over > 0 {
        items.truncate(LISTED_MAX);
        items.push(serde_json::json!({ "more": over }));
    }
    Value::Array(items)
}
