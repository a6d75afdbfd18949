//! The rules of a tenant, compiled once from what its packs declare: policy,
//! validators, budgets, approvals and where data may be. Missing parts are faults, never "allow".

use crate::history::{Definition, Fact, FactSet};
use crate::kill::{self, StoppedBy};
use crate::policy::{Fault, PolicySet};
use crate::{Capabilities, approval, budget, conflict, residency, validate};
use kernel::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules as a pack declares them, beside its policy files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesSource {
    /// For the validators.
    pub validators: validate::Settings,
    /// What may be spent.
    pub budgets: budget::Book,
    /// Who must agree to what.
    pub approvals: approval::Settings,
    /// What becomes of steps under way when the kill switch is engaged.
    #[serde(default)]
    pub kill_switch: kill::Settings,
    /// Where data may be; without it nothing outside may be reached.
    #[serde(default)]
    pub residency: Option<residency::Settings>,
    /// What becomes of a directive behind another that changes the same
    /// subject.
    #[serde(default)]
    pub conflicts: conflict::Settings,
    /// What policy may ask about before now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Fact>,
}

/// Compiled rules.
#[derive(Debug)]
pub struct Rules {
    /// The policies.
    pub policy: PolicySet,
    /// Policies that are asked beside them, and whose answers are recorded and
    /// count for nothing.
    pub shadow: Option<PolicySet>,
    /// For the validators.
    pub validators: validate::Settings,
    /// The conditions of the pack's own validators, in their order.
    pub conditions: Conditions,
    /// What may be spent.
    pub budgets: budget::Book,
    /// Who must agree to what.
    pub approvals: approval::Settings,
    /// What becomes of steps under way when the kill switch is engaged. Not
    /// part of the hash: it changes nothing about what may start.
    pub kill_switch: kill::Settings,
    /// Where data may be; without it nothing outside may be reached.
    pub residency: Option<residency::Settings>,
    /// What becomes of a directive behind another that changes the same
    /// subject. Not part of the hash: who is behind is decided once, when it is
    /// asked for.
    pub conflicts: conflict::Settings,
    /// Where this node keeps data. Not part of the hash: nodes may differ.
    pub stores: Vec<residency::Store>,
    /// What policy may ask about before now.
    pub history: FactSet,
    /// SHA-256 over `writ.rules.v1`, a line feed and the canonical JSON of the
    /// policy set's hash, the validators' settings, the approvals' settings,
    /// where data may be and what is counted for policy: the version that
    /// approvals are bound to. Budgets are not part
    /// of it: caps are asked at every reservation, and raising one voids
    /// nothing.
    pub hash: Digest,
}

/// The compiled conditions of a pack's own validators.
pub type Conditions = Vec<Arc<dyn validate::Condition>>;

#[derive(Serialize)]
struct Hashed<'a> {
    policy: Digest,
    validators: &'a validate::Settings,
    approvals: &'a approval::Settings,
    #[serde(skip_serializing_if = "Option::is_none")]
    residency: Option<&'a residency::Settings>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    history: BTreeMap<Digest, Definition>,
}

impl Rules {
    /// Checks and compiles rules with these policy files (name, text) and the
    /// conditions of the pack's own validators.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn compile(
        source: RulesSource,
        conditions: Conditions,
        policies: &[(String, String)],
    ) -> Result<Self, Vec<Fault>> {
        let mut faults: Vec<Fault> = source
            .approvals
            .faults()
            .into_iter()
            .map(|message| fault("rules", message))
            .collect();
        if let Err(refusal) = source.validators.check() {
            faults.push(fault("rules", refusal.at("validators").to_string()));
        }
        if let Err(refusal) = validate::Rule::fit(&source.validators.rules, &conditions) {
            faults.push(fault("rules", refusal.at("validators.rules").to_string()));
        }
        if let Err(refusal) = source.budgets.check() {
            faults.push(fault("rules", refusal.at("budgets").to_string()));
        }
        let pairs = source.conflicts.faults().into_iter();
        faults
            .extend(pairs.map(|(at, why)| fault("rules", format!("conflicts.pairs[{at}]: {why}"))));
        if let Some(Err(refusal)) = source.residency.as_ref().map(residency::Settings::check) {
            faults.push(fault("rules", refusal.at("residency").to_string()));
        }
        let classes = &source.validators.compliance.data_classes.of;
        let history = FactSet::compile(&source.history, classes).unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(|(at, path, refusal)| {
                let place = format!("history[{at}].{}", path.join("."));
                fault("rules", refusal.at(place).to_string())
            }));
            FactSet::default()
        });
        let policy = match PolicySet::with_history(&history, policies) {
            Ok(set) if faults.is_empty() => set,
            Ok(_) => return Err(faults),
            Err(more) => {
                faults.extend(more);
                return Err(faults);
            }
        };
        Self::of(policy, conditions, history, source)
    }

    /// The same rules with these policies in place of their own, and a set
    /// that runs in shadow.
    ///
    /// # Errors
    /// Every fault of the policies, with its place.
    pub fn with_policies(
        &self,
        policies: &[(String, String)],
        shadow: Option<PolicySet>,
    ) -> Result<Self, Vec<Fault>> {
        let source = RulesSource {
            validators: self.validators.clone(),
            budgets: self.budgets.clone(),
            approvals: self.approvals.clone(),
            kill_switch: self.kill_switch,
            residency: self.residency.clone(),
            conflicts: self.conflicts.clone(),
            history: self.history.iter().cloned().collect(),
        };
        let policy = PolicySet::with_history(&self.history, policies)?;
        let conditions = self.conditions.clone();
        let mut rules = Self::of(policy, conditions, self.history.clone(), source)?;
        rules.shadow = shadow;
        rules.stores.clone_from(&self.stores);
        Ok(rules)
    }

    fn of(
        policy: PolicySet,
        conditions: Conditions,
        history: FactSet,
        source: RulesSource,
    ) -> Result<Self, Vec<Fault>> {
        let hashed = Hashed {
            policy: policy.hash(),
            validators: &source.validators,
            approvals: &source.approvals,
            residency: source.residency.as_ref(),
            history: history.definitions(),
        };
        let hash = Digest::of_value("writ.rules.v1", &hashed)
            .map_err(|e| vec![fault("rules", e.to_string())])?;
        Ok(Self {
            policy,
            shadow: None,
            validators: source.validators,
            conditions,
            budgets: source.budgets,
            approvals: source.approvals,
            kill_switch: source.kill_switch,
            residency: source.residency,
            conflicts: source.conflicts,
            stores: Vec::new(),
            history,
            hash,
        })
    }
}

fn fault(file: &str, message: String) -> Fault {
    Fault {
        file: file.to_owned(),
        line: 0,
        column: 0,
        message,
    }
}

/// What the gate decides with, besides the record: the tenant's rules and the
/// modules that exist.
#[derive(Clone, Copy, Debug)]
pub struct GateEnv<'a> {
    /// The tenant's rules.
    pub rules: &'a Rules,
    /// The modules that exist.
    pub capabilities: &'a Capabilities,
    /// What stops the steps of every tenant, as far as this node knows.
    pub everywhere: Option<&'a StoppedBy>,
}
