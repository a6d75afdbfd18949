//! What the ledger knows of a session: the digest of its state and who did
//! what with it. The state itself is a large body beside the ledger, by its
//! digest. Readings stand in a stream of their own, so that the version of a
//! session counts its changes only.

use super::lifecycle::{SESSION, SessionMove, SessionStatus};
use kernel::names::Name;
use kernel::{Actor, Aggregate, Digest, Impossible, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

/// A session's state was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// SHA-256 of the state's canonical JSON.
    pub digest: Digest,
    /// The length of the state in bytes.
    pub bytes: u64,
}

/// A session was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to a session.
    pub enum SessionEvent {
        /// Its state was saved.
        Saved(Saved) = "session.saved" in Action,
        /// It was deleted.
        Deleted(Deleted) = "session.deleted" in Action,
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Where it stands.
    pub status: SessionStatus,
    /// SHA-256 of the state that was saved last.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// How often it was saved.
    pub saves: u64,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// Who changed it last.
    pub changed_by: Actor,
}

impl Aggregate for Session {
    const KIND: &'static str = "session";
    type Event = SessionEvent;

    fn evolve(
        state: Option<Self>,
        event: &SessionEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let (changed_at, changed_by) = (stamp.at, stamp.actor.clone());
        match (state, event) {
            (None, SessionEvent::Saved(saved)) => Ok(Self {
                status: SessionStatus::Saved,
                digest: saved.digest,
                bytes: saved.bytes,
                saves: 1,
                changed_at,
                changed_by,
            }),
            (Some(state), SessionEvent::Saved(saved)) => Ok(Self {
                status: SESSION.next(state.status, SessionMove::Save)?,
                digest: saved.digest,
                bytes: saved.bytes,
                saves: state.saves + 1,
                changed_at,
                changed_by,
            }),
            (Some(state), SessionEvent::Deleted(_)) => Ok(Self {
                status: SESSION.next(state.status, SessionMove::Delete)?,
                changed_at,
                changed_by,
                ..state
            }),
            (None, SessionEvent::Deleted(_)) => {
                Err(Impossible::new("a session that was never saved is deleted"))
            }
        }
    }
    fn status(&self) -> &'static str {
        self.status.name()
    }
}

/// The state of a session was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// SHA-256 of the state.
    pub digest: Digest,
}

/// The state of a session was compared with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// SHA-256 that the state must have.
    pub digest: Digest,
    /// What was found.
    pub finding: Finding,
}

kernel::names! {
    /// What a comparison of a session's state with its digest found.
    pub enum Finding {
        /// The stored state has its digest.
        Intact = "intact",
        /// It does not.
        Damaged = "damaged",
        /// It is not there.
        Missing = "missing",
    }
}

kernel::events! {
    /// What is done with a session without changing it.
    pub enum ReadingEvent {
        /// Its state was given out.
        Read(Read) = "session.read" in Action,
        /// Its state was verified.
        Verified(Verified) = "session.verified" in Validation,
    }
}

/// The readings of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// How often its state was given out.
    pub reads: u64,
    /// How often it was verified.
    pub verifications: u64,
    /// What the last verification found.
    pub finding: Option<Finding>,
}

impl Aggregate for Reading {
    const KIND: &'static str = "session_reading";
    type Event = ReadingEvent;

    fn evolve(state: Option<Self>, event: &ReadingEvent, _: &Stamp) -> Result<Self, Impossible> {
        let state = state.unwrap_or(Self {
            reads: 0,
            verifications: 0,
            finding: None,
        });
        Ok(match event {
            ReadingEvent::Read(_) => Self {
                reads: state.reads + 1,
                ..state
            },
            ReadingEvent::Verified(verified) => Self {
                verifications: state.verifications + 1,
                finding: Some(verified.finding),
                ..state
            },
        })
    }
    fn status(&self) -> &'static str {
        self.finding.map_or("unverified", Name::name)
    }
}
