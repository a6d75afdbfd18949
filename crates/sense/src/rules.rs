//! Detection rules, compiled and evaluated. Evaluation is a pure function of
//! the set of signals: order, repetition and the time of arrival do not matter
//! (but for a rule that bounds lateness). A fault in a condition is no match,
//! with the fault told.

mod compile;
mod measure;

use crate::catalog::Fault;
use crate::definition::{Quantity, Rule};
use crate::detection::Detection;
use crate::expression::Expression;
use crate::signal::Signal;
use kernel::{Digest, Refusal, SignalId, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A rule, checked and compiled.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    /// What the pack declared.
    pub definition: Rule,
    /// SHA-256 over `writ.rule.v1`, a line feed and the rule's canonical JSON.
    pub version: Digest,
    pub(crate) condition: Expression,
}

/// The rules of a pack.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    by_id: BTreeMap<String, Arc<CompiledRule>>,
    by_type: BTreeMap<String, Vec<Arc<CompiledRule>>>,
}

/// What a rule made of a set of signals.
#[derive(Clone, Debug)]
pub struct RuleReport {
    /// The rule.
    pub rule: String,
    /// SHA-256 of the rule's content.
    pub version: Digest,
    /// The matches, by id.
    pub detections: Vec<Detection>,
    /// Signals of the rule's types and statuses.
    pub considered: usize,
    /// Those that met the condition.
    pub met: usize,
    /// Signals on which the condition failed, and how.
    pub faults: Vec<(SignalId, String)>,
    /// The largest measure of all windows, when there was any.
    pub highest: Option<Quantity>,
    /// Why it matched or did not, in words.
    pub why: String,
}

impl RuleReport {
    /// Whether the rule matched.
    #[must_use]
    pub fn matched(&self) -> bool {
        !self.detections.is_empty()
    }
}

impl Rules {
    /// Checks and compiles rules.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn compile(rules: &[Rule]) -> Result<Self, Vec<Fault>> {
        compile::compile(rules)
    }

    /// Every rule, by id.
    pub fn iter(&self) -> impl Iterator<Item = &CompiledRule> {
        self.by_id.values().map(AsRef::as_ref)
    }

    /// The rule with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&CompiledRule> {
        self.by_id.get(id).map(AsRef::as_ref)
    }

    /// Every match over these signals, by rule and id.
    ///
    /// # Errors
    /// Never in practice: identities always have a canonical form.
    pub fn evaluate(&self, signals: &[Arc<Signal>]) -> Result<Vec<Detection>, Refusal> {
        let types: BTreeSet<&str> = signals.iter().map(|s| s.signal_type.as_str()).collect();
        let mut concerned: BTreeMap<&str, &CompiledRule> = BTreeMap::new();
        for rule in types.iter().filter_map(|t| self.by_type.get(*t)).flatten() {
            concerned.insert(&rule.definition.id, rule);
        }
        let mut found = Vec::new();
        for rule in concerned.values() {
            found.extend(measure::report(rule, signals)?.detections);
        }
        Ok(found)
    }

    /// What every rule made of these signals, matched or not.
    ///
    /// # Errors
    /// As [`Rules::evaluate`].
    pub fn explain(&self, signals: &[Arc<Signal>]) -> Result<Vec<RuleReport>, Refusal> {
        self.iter()
            .map(|rule| measure::report(rule, signals))
            .collect()
    }

    /// Why a rule did not match these signals; `None` when it did.
    ///
    /// # Errors
    /// `not_found` when there is no such rule.
    pub fn why_not(&self, id: &str, signals: &[Arc<Signal>]) -> Result<Option<String>, Refusal> {
        let rule = self
            .get(id)
            .ok_or_else(|| Refusal::not_found(format!("no rule `{id}`")))?;
        let report = measure::report(rule, signals)?;
        Ok((!report.matched()).then_some(report.why))
    }
}

/// What makes a group: the subject, and the keys of the rule.
type GroupKey = (Subject, BTreeMap<String, String>);
