//! Taking snapshots: a state frozen under its schema, refused while critical
//! fields are missing. The record itself is the kernel's.

use crate::schema::Schema;
use crate::state::State;
use kernel::belief::SnapshotEvent;
use kernel::{Ground, Refusal, Snapshot, SnapshotId, Subject, Unit};
use std::collections::BTreeSet;

/// Freezes what is believed of a subject. The same state gives the same
/// snapshot, which is recorded once.
///
/// # Errors
/// When the subject has no state, the state does not fit the schema, or
/// critical fields are missing; the refusal names them.
pub fn take(
    unit: &mut Unit<'_>,
    schema: &Schema,
    subject: &Subject,
) -> Result<SnapshotId, Refusal> {
    schema.check_subject(subject)?;
    let state = unit.find::<State>(subject)?.ok_or_else(|| {
        Refusal::not_found(format!("nothing is known of `{subject}`"))
            .hint("a state begins with the first evidence")
    })?;
    schema.check_state(&state)?;
    let missing = schema.missing(&state);
    if !missing.is_empty() {
        return Err(Refusal::unavailable(format!(
            "`{subject}` has no value for the critical fields `{}`",
            missing.join("`, `")
        ))
        .hint("decisions wait until evidence of each has come"));
    }
    let snapshot = Snapshot {
        subject: subject.clone(),
        schema: schema.reference().clone(),
        state_version: unit.version::<State>(subject)?,
        fields: state.fields.clone(),
        grounds: grounds(&state),
    };
    let id = snapshot.id()?;
    if unit.find::<Snapshot>(id)?.is_none() {
        unit.record::<Snapshot>(id, SnapshotEvent::Taken(snapshot))?;
    }
    Ok(id)
}

/// The records behind the winning and the contradicting claims, sorted.
fn grounds(state: &State) -> Vec<Ground> {
    let mut sorted = BTreeSet::new();
    for belief in state.fields.values() {
        let claims = std::iter::once(&belief.claim).chain(&belief.contradictions);
        for claim in claims {
            sorted.extend(state.grounds.get(&claim.evidence).cloned());
        }
    }
    sorted.into_iter().collect()
}
