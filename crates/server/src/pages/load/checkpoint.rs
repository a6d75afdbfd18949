//! The newest checkpoint, and the proof of one entry against it.

use crate::http::problem::Answer;
use crate::pages::view::checkpoint::{CheckpointView, InclusionView};
use crate::pages::visit::Visit;
use kernel::{Code, Timestamp};
use ledger::checkpoint::record::{Cosignature, Signed};
use ledger::checkpoint::{checkpoints, prove};
use ledger::note::Signature;

async fn latest(visit: &Visit) -> Answer<Option<Signed>> {
    let store = visit.app.ledger().store();
    let recent = checkpoints(store, visit.caller.tenant()).await?;
    Ok(recent.latest().cloned())
}

/// The name of the witness, and when it says that it cosigned.
fn cosigner(cosignature: &Cosignature) -> (String, Timestamp) {
    let line = Signature::parse(&cosignature.signature).ok();
    let seconds = line.as_ref().and_then(Signature::cosigned_at_seconds);
    let at = seconds
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(|seconds| seconds.checked_mul(1_000_000))
        .map_or(cosignature.at, Timestamp::from_micros);
    (line.map_or_else(String::new, |l| l.name.to_string()), at)
}

pub(super) async fn newest(visit: &Visit, head: u64) -> Answer<Option<CheckpointView>> {
    let Some(signed) = latest(visit).await? else {
        return Ok(None);
    };
    Ok(Some(CheckpointView {
        size: signed.size,
        head,
        root: signed.root.to_string(),
        note: signed.cosigned_note()?.to_string(),
        cosigners: signed.cosignatures.iter().map(cosigner).collect(),
        key: signed.key,
        at: signed.at,
    }))
}

pub(super) async fn included(visit: &Visit, seq: u64) -> Answer<InclusionView> {
    let signed = match latest(visit).await? {
        Some(signed) if signed.size >= seq => signed,
        _ => return Ok(InclusionView::Waiting),
    };
    let store = visit.app.ledger().store();
    match prove(store, visit.caller.tenant(), seq, Some(signed.size)).await {
        Ok(proven) if proven.root == signed.root => Ok(InclusionView::Proven {
            size: proven.size,
            root: proven.root.to_string(),
            proof: proven.proof.iter().map(ToString::to_string).collect(),
            at: signed.at,
            cosigners: signed.cosignatures.len(),
        }),
        Ok(_) => Ok(InclusionView::Broken(
            "the tree has another root than the checkpoint that was signed".to_owned(),
        )),
        Err(refusal) if refusal.code == Code::Integrity => {
            Ok(InclusionView::Broken(refusal.message))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
