//! What two versions of a contract differ in, by the path of each field: what
//! it was, and what it is. A step is known by its id, wherever it stands.

use crate::Contract;
use kernel::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its path, for example `steps.shift.input.url`.
    pub path: String,
    /// What it was; `None` when it was not there.
    pub before: Option<Value>,
    /// What it is; `None` when it is gone.
    pub after: Option<Value>,
}

/// Every field in which `after` differs from `before`, sorted by path.
///
/// # Errors
/// When either has no JSON form.
pub fn difference(before: &Contract, after: &Contract) -> Result<Vec<Change>, Refusal> {
    let form = |contract: &Contract| match serde_json::to_value(contract) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Refusal::invalid("the contract has no JSON form")),
    };
    let (mut old, mut new) = (form(before)?, form(after)?);
    let mut changes = Vec::new();
    let order = |contract: &Contract| -> Vec<String> {
        contract.steps.iter().map(|s| s.id.clone()).collect()
    };
    let (was, is) = (order(before), order(after));
    if kept(&was, &is) != kept(&is, &was) {
        changes.push(Change {
            path: "steps".to_owned(),
            before: Some(was.into()),
            after: Some(is.into()),
        });
    }
    for (fields, contract) in [(&mut old, before), (&mut new, after)] {
        fields.insert("steps".to_owned(), Value::Object(by_id(contract)?));
    }
    compare("", &old, &new, &mut changes);
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Those of `all` that are among `others`, in their order.
fn kept<'a>(all: &'a [String], others: &[String]) -> Vec<&'a String> {
    all.iter().filter(|id| others.contains(id)).collect()
}

fn by_id(contract: &Contract) -> Result<Map<String, Value>, Refusal> {
    let mut steps = Map::new();
    for step in &contract.steps {
        let mut form = serde_json::to_value(step)
            .map_err(|_| Refusal::invalid("the contract has no JSON form"))?;
        if let Some(fields) = form.as_object_mut() {
            fields.remove("id");
        }
        steps.insert(step.id.clone(), form);
    }
    Ok(steps)
}

/// Lists are compared as a whole: where an item is added, all behind it move.
fn compare(
    above: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let path = match above {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                compare(&path, old, new, changes);
            }
            (old, new) if old == new => {}
            (old, new) => changes.push(Change {
                path,
                before: old.cloned(),
                after: new.cloned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::{World, agent};
    use serde_json::json;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Contract), expected: Value) {
        let world = World::new();
        let before = world.contract(&agent("scout"), &["look", "mend"]);
        let mut after = before.clone();
        change(&mut after);
        let found = difference(&before, &after).unwrap();
        let lines: Vec<_> = found
            .iter()
            .map(|c| json!([c.path, c.before, c.after]))
            .collect();
        assert_eq!(Value::from(lines), expected);
        // The other way round says the same, the other way round.
        let back = difference(&after, &before).unwrap();
        let turned: Vec<_> = back
            .into_iter()
            .map(|c| Change {
                path: c.path,
                before: c.after,
                after: c.before,
            })
            .collect();
        assert_eq!(turned, found);
    }

    #[test]
    fn every_field_by_its_path() {
        check(|_| {}, json!([]));
        check(
            |c| c.objective = "mend it".into(),
            json!([["objective", "make it whole", "mend it"]]),
        );
        check(
            |c| drop(c.steps[1].input.insert("note".into(), json!({ "a": 1 }))),
            json!([["steps.s1.input.note", "x", { "a": 1 }]]),
        );
        check(
            |c| drop(c.constraints.insert("why".into(), json!(1))),
            json!([["constraints.why", null, 1]]),
        );
        check(
            |c| c.success_metrics.push("and stays so".into()),
            json!([[
                "success_metrics",
                ["it is whole"],
                ["it is whole", "and stays so"]
            ]]),
        );
        check(
            |c| c.steps.reverse(),
            json!([["steps", ["s0", "s1"], ["s1", "s0"]]]),
        );
        // A step that goes moves nothing else.
        check(
            |c| drop(c.steps.remove(0)),
            json!([["steps.s0", {
                "module": "look", "input": { "note": "x" }, "cost": "2.00 EUR",
                "evidence": [{ "source": { "source_type": "alert", "source_id": "a-1" } }],
            }, null]]),
        );
    }
}
