//! Dead letters: items of a payload that are no valid signal, kept with the
//! reason and the failing field, so that nothing is lost and they can be driven
//! again when the mapping is mended. The id is SHA-256 over
//! `writ.dead_letter.v1`, a line feed and the canonical JSON of
//! `{item, source}`.

use crate::limits;
use crate::normalise::Rejected;
use crate::signal::EvidenceRef;
use kernel::names::Name;
use kernel::{Aggregate, Digest, Impossible, Lifecycle, Refusal, Sealed, Stamp, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

kernel::names! {
    /// Where a dead letter stands.
    pub enum DeadLetterStatus {
        /// It waits for someone.
        Kept = "kept",
        /// Its item was accepted after all.
        Redriven = "redriven",
    }
}
kernel::names! {
    /// What moves a dead letter.
    pub enum DeadLetterTrigger {
        /// Its item was accepted.
        Redrive = "redrive",
    }
}

/// The lifecycle of a dead letter.
pub const LIFECYCLE: Lifecycle<DeadLetterStatus, DeadLetterTrigger> = Lifecycle {
    noun: "a dead letter",
    rows: &[(
        DeadLetterStatus::Kept,
        DeadLetterTrigger::Redrive,
        DeadLetterStatus::Redriven,
    )],
};

/// An item that is no valid signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// By content.
    pub id: Digest,
    /// Who sent it.
    pub source: String,
    /// The failing field, from the root of the payload.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// The item; null when it is too long to keep here and stands in the
    /// evidence only.
    pub item: Value,
    /// The payload that it came in.
    pub evidence: EvidenceRef,
    /// When it came.
    pub received_at: Timestamp,
    /// Where it stands.
    pub status: DeadLetterStatus,
}

/// A dead letter was driven again, with success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redriven {}

kernel::events! {
    /// What happens to a dead letter.
    pub enum DeadLetterEvent {
        /// It was kept.
        Kept(DeadLetter) = "dead_letter.kept" in Signal,
        /// Its item was accepted after all.
        Redriven(Redriven) = "dead_letter.redriven" in Signal,
    }
}

impl Aggregate for DeadLetter {
    const KIND: &'static str = "dead_letter";
    type Event = DeadLetterEvent;

    fn evolve(state: Option<Self>, event: &DeadLetterEvent, _: &Stamp) -> Result<Self, Impossible> {
        match (state, event) {
            (None, DeadLetterEvent::Kept(letter)) => Ok(letter.clone()),
            (Some(letter), DeadLetterEvent::Redriven(_)) => Ok(Self {
                status: LIFECYCLE.next(letter.status, DeadLetterTrigger::Redrive)?,
                ..letter
            }),
            (Some(_), DeadLetterEvent::Kept(_)) => {
                Err(Impossible::new("a dead letter is kept once"))
            }
            (None, DeadLetterEvent::Redriven(_)) => Err(Impossible::new("no such dead letter")),
        }
    }
    fn status(&self) -> &str {
        self.status.name()
    }
}

#[derive(Serialize)]
struct Identity<'a> {
    source: &'a str,
    item: &'a Value,
}

/// Keeps a rejected item; the same item of the same source is one letter.
///
/// # Errors
/// When storage does not answer.
pub(crate) fn keep(
    unit: &mut Unit<'_>,
    source: &str,
    rejected: Rejected,
    evidence: EvidenceRef,
) -> Result<Digest, Refusal> {
    let id = match Sealed::of(&rejected.item) {
        // The mark tells nothing of the item and outlives a change of keys.
        Some(sealed) => {
            let identity = (source, sealed.mark()?);
            Digest::of_value("writ.sealed_dead_letter.v1", &identity)?
        }
        None => {
            let identity = Identity {
                source,
                item: &rejected.item,
            };
            Digest::of_value("writ.dead_letter.v1", &identity)?
        }
    };
    if unit.find::<DeadLetter>(id)?.is_some() {
        return Ok(id);
    }
    let short = kernel::json::canonical(&rejected.item)?.len() <= limits::DEAD_ITEM_BYTES_MAX;
    let letter = DeadLetter {
        id,
        source: source.to_owned(),
        path: rejected.path,
        reason: rejected.reason,
        item: if short { rejected.item } else { Value::Null },
        evidence,
        received_at: unit.ctx().now,
        status: DeadLetterStatus::Kept,
    };
    unit.record::<DeadLetter>(id, DeadLetterEvent::Kept(letter))?;
    Ok(id)
}

/// Marks a letter whose item was accepted.
///
/// # Errors
/// When there is no such letter or it was driven before.
pub(crate) fn mark_redriven(unit: &mut Unit<'_>, id: Digest) -> Result<(), Refusal> {
    let letter = unit.get::<DeadLetter>(id)?;
    LIFECYCLE.next(letter.status, DeadLetterTrigger::Redrive)?;
    unit.record::<DeadLetter>(id, DeadLetterEvent::Redriven(Redriven {}))?;
    Ok(())
}
