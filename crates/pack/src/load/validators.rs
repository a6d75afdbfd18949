//! The validators that a pack adds: their conditions are compiled, and must
//! look only at what there is and what stands open.

use super::cross::Names;
use super::read::Parts;
use crate::fault::Fault;
use crate::runbook::{sealed_field, unknown_field};
use gate::Conditions;
use gate::validate::{Condition, Rule, VARIABLES};
use kernel::Refusal;
use sense::Expression;
use serde_json::Value;
use std::sync::Arc;

/// A condition in CEL.
#[derive(Debug)]
struct Cel(Expression);

impl Condition for Cel {
    fn text(&self) -> &str {
        self.0.text()
    }
    fn paths(&self) -> &[Vec<String>] {
        self.0.paths()
    }
    fn holds(&self, variables: &[(&str, &Value)]) -> Result<bool, Refusal> {
        self.0.test(variables)
    }
}

/// Compiles the conditions; `None` when one of them cannot be.
pub(super) fn compile(
    parts: &Parts,
    names: &Names<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Conditions> {
    let document = parts.validators.as_ref()?;
    let before = faults.len();
    let mut conditions: Conditions = Vec::new();
    for (at, rule) in document.value.rules.iter().enumerate() {
        let at = at.to_string();
        let mut add = |below: &str, refusal| {
            let path = ["rules", at.as_str(), below];
            faults.push(document.places.fault(&path, refusal));
        };
        let allowed = &document.value.compliance.tools.allow;
        if let Some(module) = rule.modules.iter().find(|m| !allowed.contains(*m)) {
            let refusal = Refusal::invalid(format!(
                "the module `{module}` is not allowed, so the rule would never be asked of it"
            ));
            add(
                "modules",
                refusal.hint("allow it under `compliance.tools.allow`"),
            );
        }
        match compiled(rule, names) {
            Ok(expression) => conditions.push(Arc::new(Cel(expression))),
            Err(refusal) => add("require", refusal),
        }
    }
    (faults.len() == before).then_some(conditions)
}

fn compiled(rule: &Rule, names: &Names<'_>) -> Result<Expression, Refusal> {
    let variables = VARIABLES.map(|(name, _)| name);
    let expression = Expression::compile(&rule.require, &variables)?;
    for path in expression.paths() {
        members(path, names)?;
    }
    for field in names.personal.values().flatten() {
        if expression.reads(&["fields", field, "value"]) {
            return Err(sealed_field(field));
        }
    }
    Ok(expression)
}

/// Every member that is named must be one that there can be: a misspelt one
/// would block everything, and only when it is asked.
fn members(path: &[String], names: &Names<'_>) -> Result<(), Refusal> {
    let Some((root, mut below)) = path.split_first() else {
        return Ok(());
    };
    let Some((_, known)) = VARIABLES.iter().find(|(name, _)| name == root) else {
        return Ok(());
    };
    if root == "fields" {
        let Some((field, rest)) = below.split_first() else {
            return Ok(());
        };
        if let Some(fields) = names.every_field()
            && !fields.contains(field.as_str())
        {
            return Err(unknown_field(field, &fields));
        }
        below = rest;
    }
    match below.first() {
        Some(member) if !known.contains(&member.as_str()) => {
            let refusal = Refusal::invalid(format!("`{}` has no `{member}`", root));
            Err(refusal.hint(format!("known: {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}
