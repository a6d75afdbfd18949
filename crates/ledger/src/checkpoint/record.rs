//! Signed checkpoints and cosignatures as facts of the log that they are
//! about. A checkpoint of size N stands in an entry after the N-th, so the
//! next checkpoint covers it.

use super::Checkpoint;
use crate::note::{Note, Signature, VerifierKey};
use kernel::{Aggregate, Digest, EntryId, Impossible, Refusal, Stamp, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// The id of the one stream of checkpoints that a log has.
pub const STREAM: &str = "log";
/// Checkpoints that the state keeps; all of them stand in the entries.
const RECENT_MAX: usize = 8;
/// Cosignatures of one checkpoint at most, as many as a note may carry.
const COSIGNATURES_MAX: usize = 32;

/// A checkpoint was signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedEvent {
    /// Entries in the tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The key that signed, `NAME+ID+BASE64`.
    pub key: String,
    /// The signed note.
    pub note: String,
}

/// A witness cosigned a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CosignedEvent {
    /// Entries in the tree of the checkpoint.
    pub size: u64,
    /// The witness's key, `NAME+ID+BASE64`.
    pub witness: String,
    /// The signature line.
    pub signature: String,
}

kernel::events! {
    /// What happens to checkpoints.
    pub enum CheckpointEvent {
        /// One was signed.
        Signed(SignedEvent) = "checkpoint.signed" in System,
        /// A witness cosigned one.
        Cosigned(CosignedEvent) = "checkpoint.cosigned" in System,
    }
}

/// A cosignature of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosignature {
    /// The witness's key.
    pub witness: String,
    /// The signature line.
    pub signature: String,
    /// When it was recorded.
    pub at: Timestamp,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Entries in the tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The key that signed.
    pub key: String,
    /// The note as the log signed it.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// The entry that says so.
    pub entry: EntryId,
    /// Who cosigned it.
    pub cosignatures: Vec<Cosignature>,
}

impl Signed {
    /// The note with every cosignature under it, as it is served.
    ///
    /// # Errors
    /// `integrity` when what is recorded is no note.
    pub fn cosigned_note(&self) -> Result<Note, Refusal> {
        let integrity = |e| Refusal::integrity(format!("the recorded checkpoint: {e}"));
        let mut note = Note::parse(self.note.as_bytes()).map_err(integrity)?;
        for cosignature in &self.cosignatures {
            note.add(Signature::parse(&cosignature.signature).map_err(integrity)?);
        }
        Ok(note)
    }
}

/// The newest checkpoints of a log, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoints {
    /// The checkpoints.
    pub recent: Vec<Signed>,
}

impl Checkpoints {
    /// The newest checkpoint.
    #[must_use]
    pub fn latest(&self) -> Option<&Signed> {
        self.recent.last()
    }

    /// The checkpoint of this size, when it is among the newest.
    #[must_use]
    pub fn of_size(&self, size: u64) -> Option<&Signed> {
        self.recent.iter().find(|signed| signed.size == size)
    }
}

impl Aggregate for Checkpoints {
    const KIND: &'static str = "checkpoint";
    type Event = CheckpointEvent;

    fn evolve(
        state: Option<Self>,
        event: &CheckpointEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let mut state = state.unwrap_or_default();
        match event {
            CheckpointEvent::Signed(signed) => {
                if state.latest().is_some_and(|last| last.size >= signed.size) {
                    return Err(Impossible::new(
                        "a checkpoint is larger than the one before",
                    ));
                }
                if state.recent.len() == RECENT_MAX {
                    state.recent.remove(0);
                }
                state.recent.push(Signed {
                    size: signed.size,
                    root: signed.root,
                    key: signed.key.clone(),
                    note: signed.note.clone(),
                    at: stamp.at,
                    entry: stamp.entry,
                    cosignatures: Vec::new(),
                });
            }
            CheckpointEvent::Cosigned(cosigned) => {
                let signed = state
                    .recent
                    .iter_mut()
                    .find(|signed| signed.size == cosigned.size)
                    .ok_or_else(|| Impossible::new("no recent checkpoint has this size"))?;
                signed.cosignatures.push(Cosignature {
                    witness: cosigned.witness.clone(),
                    signature: cosigned.signature.clone(),
                    at: stamp.at,
                });
            }
        }
        Ok(state)
    }

    fn status(&self) -> &'static str {
        match self.latest() {
            Some(latest) if !latest.cosignatures.is_empty() => "cosigned",
            _ => "signed",
        }
    }
}

/// Records a signed checkpoint, if it is still the next one after `last`.
///
/// # Errors
/// `conflict` when another was recorded meanwhile, `integrity` when it is not
/// larger.
pub fn record(
    unit: &mut Unit<'_>,
    checkpoint: &Checkpoint,
    (key, note): (&VerifierKey, &Note),
    last: Option<u64>,
) -> Result<Signed, Refusal> {
    let found = unit.find::<Checkpoints>(STREAM)?;
    let newest = found.as_ref().and_then(|c| c.latest()).map(|s| s.size);
    if newest != last {
        return Err(Refusal::conflict("another checkpoint was signed meanwhile").hint("try again"));
    }
    let event = SignedEvent {
        size: checkpoint.size,
        root: checkpoint.root,
        key: key.to_string(),
        note: note.to_string(),
    };
    let (_, state) = unit.record::<Checkpoints>(STREAM, CheckpointEvent::Signed(event))?;
    let latest = state.latest().cloned();
    latest.ok_or_else(|| Refusal::integrity("the checkpoint was not recorded"))
}

/// Records a witness's cosignature; one that is there already is left alone.
///
/// # Errors
/// `invalid` when it does not verify, `not_found` when no recent checkpoint has
/// this size.
pub fn cosign(
    unit: &mut Unit<'_>,
    size: u64,
    witness: &VerifierKey,
    signature: &Signature,
) -> Result<Signed, Refusal> {
    let found = unit.find::<Checkpoints>(STREAM)?;
    let signed = found
        .as_ref()
        .and_then(|c| c.of_size(size))
        .ok_or_else(|| Refusal::not_found(format!("no recent checkpoint has size {size}")))?;
    let mut note = signed.cosigned_note()?;
    note.add(signature.clone());
    note.verify([witness])
        .map_err(|e| Refusal::invalid(format!("the cosignature of `{}`: {e}", witness.name())))?;
    let witness = witness.to_string();
    if signed.cosignatures.iter().any(|c| c.witness == witness) {
        return Ok(signed.clone());
    }
    if signed.cosignatures.len() >= COSIGNATURES_MAX {
        return Err(Refusal::limit(format!(
            "a checkpoint has at most {COSIGNATURES_MAX} cosignatures"
        )));
    }
    let event = CosignedEvent {
        size,
        witness,
        signature: signature.to_string(),
    };
    let (_, state) = unit.record::<Checkpoints>(STREAM, CheckpointEvent::Cosigned(event))?;
    let cosigned = state.of_size(size).cloned();
    cosigned.ok_or_else(|| Refusal::integrity("the cosignature was not recorded"))
}
