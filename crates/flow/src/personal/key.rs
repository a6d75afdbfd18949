//! The keys of a subject as the ledger knows them: that they were made,
//! renewed, used to open something, and destroyed, by whom and why. The keys
//! themselves are in the keyring only.

use kernel::names::Name;
use kernel::{Actor, Aggregate, DataKeyId, Impossible, Lifecycle, Refs, Stamp, Subject, Timestamp};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Where the keys of a subject stand.
    pub enum Status {
        /// What is personal is sealed under them.
        Active = "active",
        /// They are to be destroyed; nothing is sealed any more.
        Erasing = "erasing",
        /// They were destroyed, and nothing personal is taken in.
        Erased = "erased",
        /// What is personal is taken in again, under a new key.
        Readmitted = "readmitted",
    }
}

kernel::names! {
    /// What moves the keys of a subject.
    pub enum Trigger {
        /// The first use after a readmission makes a key.
        Create = "create",
        /// Someone wants what is personal erased.
        Erase = "erase",
        /// The keys are destroyed.
        Confirm = "confirm",
        /// Someone lets what is personal in again.
        Readmit = "readmit",
    }
}

/// The life of a subject's keys.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "the keys of a subject",
    rows: &[
        (Status::Active, Trigger::Erase, Status::Erasing),
        (Status::Erasing, Trigger::Confirm, Status::Erased),
        (Status::Erased, Trigger::Readmit, Status::Readmitted),
        (Status::Readmitted, Trigger::Create, Status::Active),
        (Status::Readmitted, Trigger::Erase, Status::Erasing),
    ],
};

/// A key was made, with the first fact that it seals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// Whose.
    pub subject: Subject,
    /// The key.
    pub key: DataKeyId,
}

/// A new key seals from now on; older ones open what they sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotated {
    /// The new key.
    pub key: DataKeyId,
}

/// Someone wants everything erased that is sealed under the subject's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureOrdered {
    /// Why.
    pub reason: String,
}

/// The keys are destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// What the keyring held and destroyed; empty when an earlier try did.
    pub keys: Vec<DataKeyId>,
}

/// What is personal of the subject is taken in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readmitted {
    /// Why.
    pub reason: String,
}

/// Someone was shown what is sealed. Recorded before it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// What, as the stream that holds it.
    pub what: String,
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to the keys of a subject.
    pub enum SubjectKeyEvent {
        /// A key was made.
        Created(Created) = "subject_key.created" in System,
        /// A new key seals.
        Rotated(Rotated) = "subject_key.rotated" in System,
        /// They are to be destroyed.
        ErasureOrdered(ErasureOrdered) = "subject_key.erasure_ordered" in System,
        /// They are destroyed.
        Erased(Erased) = "subject_key.erased" in System,
        /// The subject may have keys again.
        Readmitted(Readmitted) = "subject_key.readmitted" in System,
        /// Something was opened.
        Opened(Opened) = "subject_key.opened" in System,
    }
}

/// An erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// Since when it is wanted.
    pub ordered_at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// The keys that were in use until then.
    pub keys: Vec<DataKeyId>,
    /// When they were destroyed; absent while they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

/// The keys of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectKey {
    /// Whose.
    pub subject: Subject,
    /// Where they stand.
    pub status: Status,
    /// Those that were made and not erased, oldest first; the last one seals.
    pub keys: Vec<DataKeyId>,
    /// Every erasure, oldest first.
    pub erasures: Vec<Erasure>,
    /// How often something was opened.
    pub opened: u64,
}

impl SubjectKey {
    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> Option<DataKeyId> {
        self.keys.last().copied()
    }

    /// The erasure that took this key.
    #[must_use]
    pub fn erasure_of(&self, key: DataKeyId) -> Option<&Erasure> {
        self.erasures.iter().find(|e| e.keys.contains(&key))
    }

    fn moved(self, trigger: Trigger) -> Result<Self, Impossible> {
        let status = LIFECYCLE.next(self.status, trigger)?;
        Ok(Self { status, ..self })
    }

    fn after(mut self, event: &SubjectKeyEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        match event {
            SubjectKeyEvent::Created(created) => {
                self = self.moved(Trigger::Create)?;
                self.keys.push(created.key);
            }
            SubjectKeyEvent::Rotated(rotated) if self.status == Status::Active => {
                self.keys.push(rotated.key);
            }
            SubjectKeyEvent::Rotated(_) => {
                return Err(Impossible::new("only keys in use are renewed"));
            }
            SubjectKeyEvent::ErasureOrdered(ordered) => {
                self = self.moved(Trigger::Erase)?;
                self.erasures.push(Erasure {
                    ordered_at: stamp.at,
                    by: stamp.actor.clone(),
                    reason: ordered.reason.clone(),
                    keys: std::mem::take(&mut self.keys),
                    erased_at: None,
                });
            }
            SubjectKeyEvent::Erased(_) => {
                self = self.moved(Trigger::Confirm)?;
                if let Some(erasure) = self.erasures.last_mut() {
                    erasure.erased_at = Some(stamp.at);
                }
            }
            SubjectKeyEvent::Readmitted(_) => self = self.moved(Trigger::Readmit)?,
            SubjectKeyEvent::Opened(_) => self.opened = self.opened.saturating_add(1),
        }
        Ok(self)
    }
}

impl Aggregate for SubjectKey {
    const KIND: &'static str = "subject_key";
    type Event = SubjectKeyEvent;

    fn evolve(
        state: Option<Self>,
        event: &SubjectKeyEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        match (state, event) {
            (Some(state), event) => state.after(event, stamp),
            (None, SubjectKeyEvent::Created(created)) => Ok(Self {
                subject: created.subject.clone(),
                status: Status::Active,
                keys: vec![created.key],
                erasures: Vec::new(),
                opened: 0,
            }),
            (None, _) => Err(Impossible::new("the subject has no keys")),
        }
    }
    fn status(&self) -> &str {
        self.status.name()
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
    /// An erasure that was ordered is carried out, also after a crash.
    fn due(&self) -> Option<Timestamp> {
        let last = self.erasures.last();
        last.filter(|_| self.status == Status::Erasing)
            .map(|erasure| erasure.ordered_at)
    }
}
