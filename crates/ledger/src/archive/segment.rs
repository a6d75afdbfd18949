//! A segment as the ledger lists it: an aggregate with the first position that
//! it holds as its id, so that no two can begin at one place.

use crate::archive::content::Outline;
use kernel::{Aggregate, Digest, Impossible, Lifecycle, Refusal, Stamp, Timestamp, Unit};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Where a segment stands.
    pub enum Status {
        /// What it will be is recorded.
        Sealed = "sealed",
        /// The object store holds it, locked.
        Stored = "stored",
        /// It was read back, and it is what was sealed.
        Verified = "verified",
    }
}

kernel::names! {
    /// What moves a segment.
    pub enum Trigger {
        /// The object store took it and locks it.
        Store = "store",
        /// It was read back and checked.
        Verify = "verify",
    }
}

/// The life of a segment.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "a segment",
    rows: &[
        (Status::Sealed, Trigger::Store, Status::Stored),
        (Status::Stored, Trigger::Verify, Status::Verified),
    ],
};

kernel::names! {
    /// How the object store keeps a segment from being changed.
    pub enum LockKind {
        /// A read-only file.
        ReadOnly = "read_only",
        /// Object Lock in compliance mode.
        Compliance = "compliance",
    }
}

/// A range of entries was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The range and what it holds.
    #[serde(flatten)]
    pub outline: Outline,
}

/// The object store holds the segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The object's name.
    pub object: String,
    /// SHA-256 of the object.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// How it is locked.
    pub lock: LockKind,
    /// Until when, where the store says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The segment was read back and holds what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// SHA-256 of the object that was read.
    pub digest: Digest,
}

kernel::events! {
    /// What happens to a segment.
    pub enum SegmentEvent {
        /// A range was sealed.
        Sealed(Sealed) = "segment.sealed" in System,
        /// The object store holds it.
        Stored(Stored) = "segment.stored" in System,
        /// It was read back.
        Verified(Verified) = "segment.verified" in System,
    }
}

/// A sealed range of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The range and what it holds.
    #[serde(flatten)]
    pub outline: Outline,
    /// Where it stands.
    pub status: Status,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The object that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// When it was read back and checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
}

impl Segment {
    /// The id of the segment that begins here.
    #[must_use]
    pub fn id(first: u64) -> String {
        format!("{first:013}")
    }

    fn moved(mut self, trigger: Trigger) -> Result<Self, Impossible> {
        self.status = LIFECYCLE.next(self.status, trigger)?;
        Ok(self)
    }
}

impl Aggregate for Segment {
    const KIND: &'static str = "segment";
    type Event = SegmentEvent;

    fn evolve(
        state: Option<Self>,
        event: &SegmentEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        match (state, event) {
            (None, SegmentEvent::Sealed(sealed)) => Ok(Self {
                outline: sealed.outline.clone(),
                status: Status::Sealed,
                sealed_at: stamp.at,
                stored: None,
                verified_at: None,
            }),
            (Some(segment), SegmentEvent::Stored(stored)) => {
                let mut segment = segment.moved(Trigger::Store)?;
                segment.stored = Some(stored.clone());
                Ok(segment)
            }
            (Some(segment), SegmentEvent::Verified(verified)) => {
                let mut segment = segment.moved(Trigger::Verify)?;
                if segment.stored.as_ref().map(|s| s.digest) != Some(verified.digest) {
                    return Err(Impossible::new(
                        "another object was verified than was stored",
                    ));
                }
                segment.verified_at = Some(stamp.at);
                Ok(segment)
            }
            (None, _) => Err(Impossible::new("the segment was not sealed")),
            (Some(_), SegmentEvent::Sealed(_)) => Err(Impossible::new("a segment is sealed once")),
        }
    }

    fn status(&self) -> &str {
        kernel::names::Name::name(self.status)
    }
}

/// Seals a range that follows the segment that begins at `before`, or the
/// start of the log.
pub(super) fn seal(
    unit: &mut Unit<'_>,
    outline: &Outline,
    before: Option<u64>,
) -> Result<Segment, Refusal> {
    let expected = match before {
        None => (1, Digest::ZERO),
        Some(first) => {
            let before = unit.get::<Segment>(Segment::id(first))?;
            (before.outline.last + 1, before.outline.last_hash)
        }
    };
    if (outline.first, outline.prev_hash) != expected {
        return Err(Refusal::integrity(format!(
            "a segment from entry {} does not follow the one before it, which ends before entry {}",
            outline.first, expected.0
        )));
    }
    let id = Segment::id(outline.first);
    if unit.find::<Segment>(&id)?.is_some() {
        return Err(Refusal::conflict(format!(
            "a segment from entry {} is sealed already",
            outline.first
        ))
        .hint("another archiver is at work; run again later"));
    }
    let sealed = Sealed {
        outline: outline.clone(),
    };
    let (_, segment) = unit.record::<Segment>(id, SegmentEvent::Sealed(sealed))?;
    Ok((*segment).clone())
}

/// Moves a segment on.
pub(super) fn advance(
    unit: &mut Unit<'_>,
    first: u64,
    event: SegmentEvent,
) -> Result<Segment, Refusal> {
    let id = Segment::id(first);
    let segment = unit.get::<Segment>(&id)?;
    let trigger = match &event {
        SegmentEvent::Stored(_) => Trigger::Store,
        SegmentEvent::Verified(_) | SegmentEvent::Sealed(_) => Trigger::Verify,
    };
    LIFECYCLE.next(segment.status, trigger)?;
    let (_, segment) = unit.record::<Segment>(id, event)?;
    Ok((*segment).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name;

    #[test]
    fn every_status_with_every_trigger() {
        for &status in Status::ALL {
            for &trigger in Trigger::ALL {
                let expected = match (status.name(), trigger.name()) {
                    ("sealed", "store") => Some(Status::Stored),
                    ("stored", "verify") => Some(Status::Verified),
                    _ => None,
                };
                assert_eq!(
                    LIFECYCLE.next(status, trigger).ok(),
                    expected,
                    "{status} {trigger}"
                );
            }
        }
    }
}
