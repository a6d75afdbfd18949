//! Uploading, shadowing, promoting and withdrawing sets of policies.

use super::record::{
    ID, LIFECYCLE, Moved, Policies, PoliciesEvent, SetStatus, Shadowed, Trigger, Uploaded,
};
use kernel::{Digest, Refusal, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

/// The tenant's sets as they stand.
///
/// # Errors
/// When storage does not answer.
pub fn current(unit: &mut Unit<'_>) -> Result<Policies, Refusal> {
    let found = unit.find::<Policies>(ID)?;
    Ok(found.map(Arc::unwrap_or_clone).unwrap_or_default())
}

/// Puts a set into shadow, after it was uploaded where it is not there yet. A
/// set that is in shadow already stays there.
pub(super) fn shadow(
    unit: &mut Unit<'_>,
    set: Digest,
    texts: &BTreeMap<String, String>,
) -> Result<Policies, Refusal> {
    let sets = current(unit)?;
    let status = sets.sets.get(&set).map(|record| record.status);
    if status == Some(SetStatus::Shadow) {
        return Ok(sets);
    }
    if let Some((other, _)) = sets.in_status(SetStatus::Shadow) {
        return Err(Refusal::conflict(format!(
            "the set `{other}` is in shadow, and one is at a time"
        ))
        .hint("promote it, or withdraw it"));
    }
    if status.is_none_or(|status| status == SetStatus::Withdrawn) {
        let keep = |(name, text): (&String, &String)| {
            let digest = unit.keep_object(text.clone().into_bytes());
            (name.clone(), digest)
        };
        let files = texts.iter().map(keep).collect();
        let event = PoliciesEvent::Uploaded(Uploaded { set, files });
        unit.record::<Policies>(ID, event)?;
    } else if let Some(status) = status {
        LIFECYCLE.next(status, Trigger::Shadow)?;
    }
    let event = PoliciesEvent::Shadowed(Shadowed { set });
    let (_, state) = unit.record::<Policies>(ID, event)?;
    Ok(Arc::unwrap_or_clone(state))
}

/// Enforces the set that is in shadow; the one that was enforced is withdrawn.
///
/// # Errors
/// When there is no such set, it is not in shadow, or no reason is given.
pub fn promote(unit: &mut Unit<'_>, set: Digest, reason: &str) -> Result<Policies, Refusal> {
    move_to(unit, set, reason, Trigger::Promote)
}

/// Asks a set no more.
///
/// # Errors
/// When there is no such set, it is withdrawn already, or no reason is given.
pub fn withdraw(unit: &mut Unit<'_>, set: Digest, reason: &str) -> Result<Policies, Refusal> {
    move_to(unit, set, reason, Trigger::Withdraw)
}

fn move_to(
    unit: &mut Unit<'_>,
    set: Digest,
    reason: &str,
    trigger: Trigger,
) -> Result<Policies, Refusal> {
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(
            Refusal::invalid(format!("is empty or longer than {REASON_BYTES_MAX} bytes"))
                .at("reason"),
        );
    }
    let sets = current(unit)?;
    let record = sets.sets.get(&set).ok_or_else(|| {
        Refusal::not_found(format!("no set of policies `{set}`"))
            .hint("`writ policy list` shows those that there are")
    })?;
    LIFECYCLE.next(record.status, trigger)?;
    let moved = Moved { set, reason };
    let event = match trigger {
        Trigger::Promote => PoliciesEvent::Promoted(moved),
        _ => PoliciesEvent::Withdrawn(moved),
    };
    let (_, state) = unit.record::<Policies>(ID, event)?;
    Ok(Arc::unwrap_or_clone(state))
}
