//! Grounding: does each step rest on evidence that stands in the bound
//! snapshot? Evidence is looked up in the snapshot alone, so what is another
//! tenant's, or came later, does not resolve.

use super::{Finding, Input, Validator, report};
use crate::contract::Grounding;
use kernel::{Ground, Verdict};
use serde_json::{Value, json};

pub(super) fn run(input: &Input<'_>) -> Finding {
    let mut faults: Vec<(String, Value)> = binding_fault(input).into_iter().collect();
    let mut resolved = Vec::new();
    let steps = input.steps();
    for step in &steps {
        if step.evidence.is_empty() {
            let sentence = format!("step `{}` names no evidence", step.id);
            faults.push((sentence, json!({ "step": step.id, "reference": null })));
        }
        for reference in &step.evidence {
            match resolve(reference, &input.snapshot.grounds) {
                Some(ground) => resolved.push(json!({
                    "step": step.id, "evidence": ground.evidence, "entry": ground.entry,
                })),
                None => faults.push((
                    format!(
                        "step `{}` rests on {}, which is not in the bound snapshot",
                        step.id,
                        words(reference)
                    ),
                    json!({ "step": step.id, "reference": reference }),
                )),
            }
        }
    }
    if steps.is_empty() {
        faults.push(("there is no step to ground".to_owned(), Value::Null));
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Allow,
        false => Verdict::Block,
    };
    let fine = format!(
        "all {} references are in the bound snapshot",
        resolved.len()
    );
    let reason = super::sentence(fine, faults.iter().map(|(text, _)| text.clone()));
    report(
        Validator::Grounding,
        verdict,
        reason,
        json!({
            "snapshot": input.contract.snapshot,
            "resolved": super::listed(resolved),
            "unresolved": super::listed(faults.into_iter().map(|(_, value)| value)),
        }),
    )
}

/// The evidence of the snapshot that the steps cite, once each, in the
/// snapshot's order.
pub(super) fn cited<'a>(input: &Input<'a>) -> Vec<&'a Ground> {
    let steps = input.steps();
    let cites = |ground: &Ground| {
        steps
            .iter()
            .flat_map(|step| &step.evidence)
            .any(|reference| names(reference, ground))
    };
    let grounds = input.snapshot.grounds.iter();
    grounds.filter(|ground| cites(ground)).collect()
}

/// Whether the snapshot is the one that the contract is bound to.
fn binding_fault(input: &Input<'_>) -> Option<(String, Value)> {
    let (bound, snapshot) = (input.contract.snapshot, input.snapshot);
    match snapshot.id() {
        Err(refusal) => Some((refusal.message, json!({ "snapshot": bound }))),
        Ok(given) if given != bound => Some((
            format!("the directive is bound to snapshot `{bound}`, not to `{given}`"),
            json!({ "snapshot": given }),
        )),
        Ok(_) if input.contract.subject() != Some(&snapshot.subject) => Some((
            format!(
                "the bound snapshot is of `{}`, which is not the directive's first subject",
                snapshot.subject
            ),
            json!({ "subject": snapshot.subject }),
        )),
        Ok(_) => None,
    }
}

fn resolve<'a>(reference: &Grounding, grounds: &'a [Ground]) -> Option<&'a Ground> {
    grounds.iter().find(|ground| names(reference, ground))
}

fn names(reference: &Grounding, ground: &Ground) -> bool {
    match reference {
        Grounding::Source {
            source_type,
            source_id,
        } => *source_type == ground.source_type && *source_id == ground.source_id,
        Grounding::Entry(entry) => *entry == ground.entry,
        // An unknown locator is empty, and nothing is found by it.
        Grounding::Locator(locator) => !locator.is_empty() && *locator == ground.locator,
    }
}

fn words(reference: &Grounding) -> String {
    match reference {
        Grounding::Source {
            source_type,
            source_id,
        } => format!("{source_type} `{source_id}`"),
        Grounding::Entry(entry) => format!("entry `{entry}`"),
        Grounding::Locator(locator) => format!("the record at `{locator}`"),
    }
}
