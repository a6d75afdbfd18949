//! Contradiction: do live sources disagree on a field that matters? Looks at
//! the bound snapshot, the one that planning used, and at the fields that the
//! pack lists; others may disagree without consequence.

use super::{Finding, Input, Validator, report};
use kernel::{Belief, Claim, Verdict};
use serde_json::{Value, json};

pub(super) fn run(input: &Input<'_>) -> Finding {
    let settings = &input.settings.contradiction;
    if settings.fields.is_empty() {
        return report(
            Validator::Contradiction,
            Verdict::Block,
            "no field is listed, so nothing could be checked".to_owned(),
            json!({ "fields": settings.fields }),
        );
    }
    let mut faults = Vec::new();
    for field in &settings.fields {
        let belief = input.snapshot.fields.get(field);
        let fault = match settings.null_is_contradiction {
            true => unknown(field, belief).or_else(|| dispute(field, belief?, |_| true)),
            false => belief.and_then(|b| dispute(field, b, |claim| !claim.value.is_null())),
        };
        faults.extend(fault);
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Allow,
        false => Verdict::Block,
    };
    let fine = format!(
        "no source contradicts another on the {} listed fields",
        settings.fields.len()
    );
    let reason = super::sentence(fine, faults.iter().map(|(text, _)| text.clone()));
    report(
        Validator::Contradiction,
        verdict,
        reason,
        json!({
            "fields": super::listed(settings.fields.iter().map(|f| json!(f))),
            "null_is_contradiction": settings.null_is_contradiction,
            "contradicted": super::listed(faults.into_iter().map(|(_, value)| value)),
        }),
    )
}

/// A field of which nothing is known, where the pack says that this counts.
fn unknown(field: &str, belief: Option<&Belief>) -> Option<(String, Value)> {
    match belief {
        Some(belief) if !belief.claim.value.is_null() => None,
        _ => Some((
            format!("field `{field}` is unknown, which counts as contradicted here"),
            json!({ "field": field, "unknown": true }),
        )),
    }
}

/// A field on which claims disagree, of those claims that count.
fn dispute(
    field: &str,
    belief: &Belief,
    counts: impl Fn(&Claim) -> bool,
) -> Option<(String, Value)> {
    let against: Vec<_> = belief.contradictions.iter().filter(|c| counts(c)).collect();
    let first = against.first().filter(|_| counts(&belief.claim))?;
    let side = |claim: &Claim| json!({ "source": claim.source, "evidence": claim.evidence });
    Some((
        format!(
            "`{}` and `{}` disagree on field `{field}`",
            belief.claim.source, first.source
        ),
        json!({
            "field": field, "believed": side(&belief.claim),
            "against": super::listed(against.into_iter().map(side)),
        }),
    ))
}
