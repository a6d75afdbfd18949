//! The outside has its own record of what it was asked to do. It and the ledger
//! must tell the same story.

use super::acts::Attempt;
use super::{Fault, Judged};
use crate::http::{Asked, Effect, Fate};
use kernel::TenantId;
use std::collections::BTreeMap;

const RULE: &str = "outside";

/// Holds the outside against what the ledgers know of attempts, by their keys.
pub(super) fn judge(
    attempts: &BTreeMap<String, (TenantId, Attempt)>,
    asked: &[Asked],
    effects: &[Effect],
    stopped: &BTreeMap<Option<TenantId>, usize>,
) -> Judged {
    let mut by_key: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
    for (number, request) in asked.iter().enumerate() {
        let key = request.key.as_deref();
        let key = key.ok_or_else(|| Fault::new(RULE, format!("no key: {request:?}")))?;
        let (tenant, attempt) = attempts.get(key).ok_or_else(|| {
            Fault::new(RULE, format!("the ledger knows no attempt of {request:?}"))
        })?;
        let mut since = [None, Some(*tenant)]
            .into_iter()
            .filter_map(|whose| stopped.get(&whose));
        let is_late = since.any(|at| number >= *at);
        if is_late && !attempt.is_compensation {
            let what = format!("asked after everything was stopped: {request:?}");
            return Err(Fault::new("kill switch", what));
        }
        by_key.entry(key).or_default().push(request);
    }
    for (key, requests) in &by_key {
        let (_, attempt) = &attempts[*key];
        if requests.len() > attempt.started {
            let what = format!(
                "{} requests of {} attempts: {key}",
                requests.len(),
                attempt.started
            );
            return Err(Fault::new(RULE, what));
        }
        let arrived = requests.iter().filter(|r| may_have_arrived(r.fate)).count();
        if !attempt.idempotent && arrived > 1 {
            return Err(Fault::new(
                RULE,
                format!("{key} was sent again, and nobody honours it"),
            ));
        }
    }
    let mut happened: BTreeMap<&str, usize> = BTreeMap::new();
    for effect in effects {
        let key = effect.key.as_deref().unwrap_or_default();
        *happened.entry(key).or_default() += 1;
    }
    if let Some((key, _)) = happened.iter().find(|(_, times)| **times > 1) {
        return Err(Fault::new(RULE, format!("{key} happened twice")));
    }
    for (key, (_, attempt)) in attempts {
        let has_happened = happened.contains_key(key.as_str());
        let reaches_out = attempt.module == "http.request";
        if attempt.succeeded && reaches_out && !has_happened {
            return Err(Fault::new(
                RULE,
                format!("{key} succeeded, and never happened"),
            ));
        }
        let is_refused = attempt.refused && !attempt.succeeded && !attempt.unknown;
        if is_refused && has_happened {
            return Err(Fault::new(RULE, format!("{key} was refused, and happened")));
        }
    }
    Ok(())
}

fn may_have_arrived(fate: Fate) -> bool {
    matches!(
        fate,
        Fate::Answer | Fate::LoseReply | Fate::LoseRequest | Fate::Hang
    )
}
