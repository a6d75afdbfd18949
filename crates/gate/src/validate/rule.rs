//! Validators that a pack declares beside the four: a condition that must
//! hold, over the contract, one step, the fields of the bound snapshot and the
//! evaluation time. What cannot be evaluated blocks. The language of the
//! conditions is not known here: who loads the pack hands them over compiled.

use super::{Finding, Input, Validator};
use crate::contract::Step;
use kernel::names::Name;
use kernel::{Belief, Money, Refusal, Sealed, Verdict, json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Most validators that a pack may add.
pub const RULES_MAX: usize = 32;
/// Longest name of one, in bytes.
const RULE_NAME_BYTES_MAX: usize = 64;
/// Most values that a result shows of one evaluation.
const SHOWN_MAX: usize = 32;
/// Largest value that a result shows, in bytes of its JSON.
const SHOWN_BYTES_MAX: usize = 256;

/// What a condition may look at, and the members of each; those of a field
/// stand under the field's name.
pub const VARIABLES: [(&str, &[&str]); 4] = [
    (
        "contract",
        &[
            "type",
            "role",
            "objective",
            "action_class",
            "issued_by",
            "budget",
            "cost",
            "timebox_seconds",
            "constraints",
            "subject",
            "subjects",
            "steps",
        ],
    ),
    ("step", &["id", "module", "input", "cost"]),
    (
        "fields",
        &[
            "value",
            "confidence",
            "age_seconds",
            "source",
            "trust",
            "contradicted",
            "sealed",
        ],
    ),
    ("now", &["text", "unix"]),
];

/// Names of checks that no rule may take.
const RESERVED: [&str; 5] = [
    "policy",
    "policy_shadow",
    "budget",
    "approval",
    "kill_switch",
];

/// A validator of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name: that of its results.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The condition that must hold.
    pub require: String,
    /// What it says when the condition does not hold: WARN or BLOCK.
    pub verdict: Verdict,
    /// Why, for a person.
    pub reason: String,
    /// Where it is written what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Only for steps with these modules; empty for every step.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub modules: BTreeSet<String>,
    /// Only for directives of these types; empty for every type.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub types: BTreeSet<String>,
}

/// A condition, compiled by who knows its language. A pure function of the
/// variables.
pub trait Condition: fmt::Debug + Send + Sync {
    /// As it was written.
    fn text(&self) -> &str;
    /// Every value that it looks at, each from its variable downwards.
    fn paths(&self) -> &[Vec<String>];
    /// Whether it holds.
    ///
    /// # Errors
    /// When a value is missing, types do not fit, or it gives no boolean. The
    /// message repeats no value.
    fn holds(&self, variables: &[(&str, &Value)]) -> Result<bool, Refusal>;
}

impl Rule {
    /// Checks what types cannot.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let name = &self.name;
        let well_formed = name.len() <= RULE_NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_formed {
            let refusal = Refusal::invalid(format!("`{name}` is no name"));
            return Err(refusal
                .hint("lower-case letters, digits and `_`, at most 64, a letter first")
                .at("name"));
        }
        let taken = Validator::ALL.iter().any(|v| v.name() == name);
        if taken || RESERVED.contains(&name.as_str()) {
            let refusal = Refusal::invalid(format!("`{name}` is the name of a check of its own"));
            return Err(refusal.at("name"));
        }
        if self.verdict == Verdict::Allow {
            let refusal = Refusal::invalid("a rule that says ALLOW checks nothing");
            return Err(refusal.hint("write WARN or BLOCK").at("verdict"));
        }
        crate::contract::bounded("reason", &self.reason)?;
        for (field, text) in [("title", &self.title), ("runbook", &self.runbook)] {
            if let Some(text) = text {
                crate::contract::bounded(field, text)?;
            }
        }
        Ok(())
    }

    /// Pairs rules with their conditions.
    ///
    /// # Errors
    /// When they are not each other's: then the text that is hashed would not
    /// be the one that decides.
    pub(crate) fn fit(rules: &[Self], conditions: &[Arc<dyn Condition>]) -> Result<(), Refusal> {
        let fits = rules.len() == conditions.len()
            && rules
                .iter()
                .zip(conditions)
                .all(|(rule, condition)| rule.require == condition.text());
        match fits {
            true => Ok(()),
            false => Err(Refusal::invalid(
                "the rules and their compiled conditions are not the same",
            )),
        }
    }
}

/// What one rule found in one evaluation.
struct Outcome {
    verdict: Verdict,
    fault: Option<String>,
    shown: Value,
}

/// Runs one rule: for each step that it concerns, or once where it looks at no
/// step.
pub(super) fn run(input: &Input<'_>, rule: &Rule, condition: Option<&dyn Condition>) -> Finding {
    let report = |verdict, reason, inputs| Finding {
        validator: rule.name.clone(),
        verdict,
        reason,
        inputs,
        runbook: rule.runbook.clone(),
    };
    let Some(condition) = condition.filter(|c| c.text() == rule.require) else {
        let reason = "its condition was not compiled".to_owned();
        return report(Verdict::Block, reason, json!({ "require": rule.require }));
    };
    let concerned: Vec<&Step> = input
        .steps()
        .into_iter()
        .filter(|step| rule.modules.is_empty() || rule.modules.contains(&step.module))
        .collect();
    let of_type = rule.types.is_empty() || rule.types.contains(&input.contract.kind);
    if concerned.is_empty() || !of_type {
        let inputs = json!({
            "type": input.contract.kind, "modules": rule.modules, "types": rule.types,
        });
        let reason = "concerns neither this type of directive nor these steps".to_owned();
        return report(Verdict::Allow, reason, inputs);
    }
    let outcomes = outcomes(input, rule, condition, &concerned);
    let verdict = Verdict::aggregate(outcomes.iter().map(|o| o.verdict));
    let inputs = json!({
        "require": rule.require,
        "at": input.now,
        "checked": outcomes.len(),
        // What decided comes first.
        "looked_at": super::listed(worst_first(&outcomes).map(|o| o.shown.clone())),
    });
    let decided = worst_first(&outcomes).next();
    let reason = match decided.and_then(|o| o.fault.as_ref()) {
        Some(fault) => format!("it cannot be evaluated, so it blocks: {fault}"),
        None if verdict == Verdict::Allow => "what it requires holds".to_owned(),
        None => rule.reason.clone(),
    };
    report(verdict, reason, inputs)
}

fn worst_first(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    [Verdict::Block, Verdict::Warn, Verdict::Allow]
        .into_iter()
        .flat_map(|verdict| outcomes.iter().filter(move |o| o.verdict == verdict))
}

fn outcomes(
    input: &Input<'_>,
    rule: &Rule,
    condition: &dyn Condition,
    steps: &[&Step],
) -> Vec<Outcome> {
    let roots: BTreeSet<&str> = condition
        .paths()
        .iter()
        .filter_map(|path| path.first().map(String::as_str))
        .collect();
    let common: Result<Vec<(&str, Value)>, Refusal> = VARIABLES
        .iter()
        .filter(|(name, _)| *name != "step" && roots.contains(name))
        .map(|(name, _)| Ok((*name, variable(input, name)?)))
        .collect();
    let common = match common {
        Ok(common) => common,
        Err(refusal) => return vec![failed(refusal, json!({}))],
    };
    let once: Vec<Option<&Step>> = match roots.contains("step") {
        true => steps.iter().copied().map(Some).collect(),
        false => vec![None],
    };
    once.into_iter()
        .map(|step| outcome(rule, condition, &common, step))
        .collect()
}

fn outcome(
    rule: &Rule,
    condition: &dyn Condition,
    common: &[(&str, Value)],
    step: Option<&Step>,
) -> Outcome {
    let of_step = match step.map(of_step).transpose() {
        Ok(value) => value,
        Err(refusal) => return failed(refusal, json!({ "step": step.map(|s| &s.id) })),
    };
    let variables: Vec<(&str, &Value)> = common
        .iter()
        .map(|(name, value)| (*name, value))
        .chain(of_step.as_ref().map(|value| ("step", value)))
        .collect();
    let shown = shown(condition, &variables, step);
    match condition.holds(&variables) {
        Err(refusal) => failed(refusal, shown),
        Ok(held) => Outcome {
            verdict: if held { Verdict::Allow } else { rule.verdict },
            fault: None,
            shown,
        },
    }
}

fn failed(refusal: Refusal, shown: Value) -> Outcome {
    Outcome {
        verdict: Verdict::Block,
        fault: Some(refusal.message),
        shown,
    }
}

/// The values that the condition looks at, by path; `null` where there is
/// none.
fn shown(condition: &dyn Condition, variables: &[(&str, &Value)], step: Option<&Step>) -> Value {
    let mut values = Map::new();
    let paths: BTreeSet<&Vec<String>> = condition.paths().iter().collect();
    for path in paths.into_iter().take(SHOWN_MAX) {
        let Some((root, members)) = path.split_first() else {
            continue;
        };
        let Some((_, start)) = variables.iter().find(|(name, _)| name == root) else {
            continue;
        };
        let found = members
            .iter()
            .try_fold(*start, |value, member| value.get(member));
        values.insert(path.join("."), found.map_or(Value::Null, bounded));
    }
    match step {
        Some(step) => json!({ "step": step.id, "values": values }),
        None => json!({ "values": values }),
    }
}

/// The value, or how large it is.
fn bounded(value: &Value) -> Value {
    match json::canonical(value) {
        Ok(text) if text.len() <= SHOWN_BYTES_MAX => value.clone(),
        Ok(text) => json!({ "bytes": text.len() }),
        Err(_) => Value::Null,
    }
}

fn variable(input: &Input<'_>, name: &str) -> Result<Value, Refusal> {
    match name {
        "contract" => of_contract(input),
        "fields" => {
            let fields = input.snapshot.fields.iter();
            let fields = fields.map(|(name, belief)| (name.clone(), of_field(input, belief)));
            Ok(Value::Object(fields.collect()))
        }
        _ => Ok(json!({
            "text": input.now,
            "unix": input.now.as_micros().div_euclid(1_000_000),
        })),
    }
}

fn of_contract(input: &Input<'_>) -> Result<Value, Refusal> {
    let contract = input.contract;
    let constraints = contract.constraints.iter();
    let constraints: Map<String, Value> = constraints
        .filter_map(|(name, value)| Some((name.clone(), open(value)?)))
        .collect();
    let subject = contract
        .subject()
        .map(|s| json!({ "type": s.kind(), "id": s.id(), "text": s }));
    Ok(json!({
        "type": contract.kind,
        "role": contract.role,
        "objective": contract.objective,
        "action_class": contract.action_class,
        "issued_by": { "text": contract.issued_by, "kind": contract.issued_by.kind },
        "budget": of_money(&contract.budget)?,
        "cost": of_money(&contract.cost()?)?,
        "timebox_seconds": contract.timebox.to_std().as_secs(),
        "constraints": constraints,
        "subject": subject,
        "subjects": contract.scope.subjects,
        "steps": contract.steps.len(),
    }))
}

fn of_step(step: &Step) -> Result<Value, Refusal> {
    Ok(json!({
        "id": step.id,
        "module": step.module,
        "input": open(&Value::Object(step.input.clone())),
        "cost": of_money(&step.cost)?,
    }))
}

fn of_field(input: &Input<'_>, belief: &Belief) -> Value {
    let claim = &belief.claim;
    let value = open(&claim.value);
    let mut field = json!({
        "confidence": belief.confidence.to_f64(),
        "age_seconds": input.now.since(claim.observed_at).to_std().as_secs(),
        "source": claim.source,
        "trust": claim.trust,
        "contradicted": !belief.contradictions.is_empty(),
        "sealed": value.is_none(),
    });
    if let (Some(value), Some(members)) = (value, field.as_object_mut()) {
        members.insert("value".to_owned(), value);
    }
    field
}

/// Money with an exact whole number to compare.
fn of_money(money: &Money) -> Result<Value, Refusal> {
    let micros = money
        .micros()
        .ok_or_else(|| Refusal::invalid("an amount of money is too large to compare"))?;
    Ok(json!({ "text": money, "currency": money.currency().code(), "micros": micros }))
}

/// The value without what is sealed: a sealed member is left out, so that who
/// asks for it gets an error and not a ciphertext, and so is a list that holds
/// a sealed item.
fn open(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) if Sealed::of(value).is_some() => None,
        Value::Object(members) => {
            let members = members.iter();
            let open = members.filter_map(|(name, value)| Some((name.clone(), open(value)?)));
            Some(Value::Object(open.collect()))
        }
        Value::Array(items) => {
            let open: Option<Vec<Value>> = items.iter().map(open).collect();
            open.map(Value::Array)
        }
        other => Some(other.clone()),
    }
}
