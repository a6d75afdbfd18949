//! What people signed, verified from a file alone: a signed statement, an
//! approval, or a bundle of the ledger. `docs/ledger-format/verify.py` does the
//! same without a line of this, and is held to the same verdicts.

use super::{ApprovalEvent, Requested, Signed, Statement, shown};
use crate::Contract;
use crate::directive::DirectiveEvent;
use crate::signing_key::PublicKey;
use crate::verdict::{Given, VerdictEvent};
use kernel::aggregate::Event;
use kernel::{ApprovalId, Digest, Impossible, Refusal, VerdictId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A signed decision and what is wrong with it, or with what it stands in.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What was signed.
    pub signed: Signed,
    /// What is wrong; empty when it verifies.
    pub faults: Vec<String>,
}

/// The signed decisions in a text, each verified with these keys, and compared
/// with what it stands at: an approval's request; in a bundle also contract,
/// verdict and reasons.
///
/// # Errors
/// `invalid` when the text is none of these.
pub fn decisions(text: &str, keys: &[PublicKey]) -> Result<Vec<Decision>, Refusal> {
    let document = serde_json::from_str::<Value>(text);
    let mut found = match document {
        Ok(document) => in_document(&document),
        Err(_) if text.trim_end().contains('\n') => in_bundle(text)?,
        Err(error) => return Err(Refusal::invalid(error.to_string())),
    };
    for decision in &mut found {
        decision.faults.extend(fault(&decision.signed, keys));
    }
    Ok(found)
}

/// Why none of these keys stands behind a signed statement; `None` when one
/// does.
fn fault(signed: &Signed, keys: &[PublicKey]) -> Option<String> {
    let named = signed.statement.key;
    let mut ids = keys.iter().map(|key| (key.id().ok(), key));
    match ids.find(|(id, _)| *id == Some(named)) {
        None => Some(format!(
            "it names the key `{named}`, which is none of yours"
        )),
        Some((_, key)) => signed.verified(key).err().map(|refusal| refusal.message),
    }
}

/// The signed decisions in a statement or an approval.
fn in_document(document: &Value) -> Vec<Decision> {
    if let Ok(signed) = serde_json::from_value::<Signed>(document.clone()) {
        let faults = Vec::new();
        return vec![Decision { signed, faults }];
    }
    let state = document.get("state").unwrap_or(document);
    let Ok(approval) = serde_json::from_value::<super::Approval>(state.clone()) else {
        return Vec::new();
    };
    let votes = approval.votes.iter().filter_map(|v| v.signed.clone());
    votes
        .chain(approval.refusal.clone())
        .map(|signed| Decision {
            faults: misfits(&signed.statement, &approval.request),
            signed,
        })
        .collect()
}

/// Where a statement does not fit the request that it stands at.
fn misfits(said: &Statement, request: &Requested) -> Vec<String> {
    let expected = Statement::of(request, said.word());
    let differ = said.differences(&expected);
    match differ.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "the request it stands at differs in: {}",
            differ.join(", ")
        )],
    }
}

/// What of a log a decision rests on.
#[derive(Default)]
struct Rests {
    requests: BTreeMap<ApprovalId, Requested>,
    contracts: BTreeMap<Digest, Contract>,
    verdicts: BTreeMap<VerdictId, Arc<Given>>,
}

impl Rests {
    /// Where what was signed does not fit what the log says it was about. A
    /// part of a log may hold no contract or verdict; the request is needed.
    fn faults(&self, said: &Statement) -> Vec<String> {
        let Some(request) = self.requests.get(&said.approval) else {
            return vec![format!(
                "the request `{}` is not in the bundle",
                said.approval
            )];
        };
        let mut faults = misfits(said, request);
        let verdict = said.verdicts.first().and_then(|v| self.verdicts.get(v));
        let (Some(contract), Some(given)) = (self.contracts.get(&said.digest), verdict) else {
            faults.push("the contract or the verdict that was signed is not in the bundle".into());
            return faults;
        };
        let seen = shown(contract, given, said.rules, &request.because);
        if seen.ok() != Some(said.shown) {
            faults.push("contract, verdict and reasons in the log are not what was signed".into());
        }
        faults
    }
}

/// The signed decisions in a bundle, each compared with the contract, the
/// verdict and the request in it.
fn in_bundle(text: &str) -> Result<Vec<Decision>, Refusal> {
    let mut rests = Rests::default();
    let mut signed = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .map_err(|e| Refusal::invalid(format!("line {}: {e}", at + 1)))?;
        let kind = line.pointer("/header/kind");
        let (Some(kind), Some(payload)) = (kind.and_then(Value::as_str), line.get("payload"))
        else {
            continue;
        };
        let unknown = |e: Impossible| Refusal::invalid(format!("line {}: {e}", at + 1));
        if ApprovalEvent::KINDS.contains(&kind) {
            match ApprovalEvent::decode(kind, payload).map_err(unknown)? {
                ApprovalEvent::Requested(request) => {
                    rests.requests.insert(request.approval, request);
                }
                ApprovalEvent::Endorsed(yes) => signed.extend(yes.signed),
                ApprovalEvent::Given(yes) => signed.extend(yes.signed),
                ApprovalEvent::Rejected(no) => signed.extend(no.signed),
                _ => {}
            }
        } else if DirectiveEvent::KINDS.contains(&kind) {
            let contract = match DirectiveEvent::decode(kind, payload).map_err(unknown)? {
                DirectiveEvent::Drafted(drafted) => drafted.contract,
                DirectiveEvent::Edited(edited) => edited.contract,
                _ => continue,
            };
            // By what it is, not by what the log calls it.
            rests.contracts.insert(contract.digest()?, contract);
        } else if VerdictEvent::KINDS.contains(&kind)
            && let VerdictEvent::Given(given) =
                VerdictEvent::decode(kind, payload).map_err(unknown)?
        {
            rests.verdicts.insert(given.question.id()?, given);
        }
    }
    let found = signed.into_iter().map(|signed| Decision {
        faults: rests.faults(&signed.statement),
        signed,
    });
    Ok(found.collect())
}
