//! A tenant's sets of policies apart from its pack, as recorded: which there
//! are, which runs in shadow and which is enforced.

use kernel::{Actor, Aggregate, Digest, Impossible, Lifecycle, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The id of the stream that holds a tenant's sets.
pub const ID: &str = "active";
/// How many withdrawn sets the state keeps; the ledger keeps all.
pub const WITHDRAWN_KEPT: usize = 16;

kernel::names! {
    /// Where a set stands.
    pub enum SetStatus {
        /// It is there and is not asked.
        Uploaded = "uploaded",
        /// It is asked beside what is enforced, and its answers are recorded.
        Shadow = "shadow",
        /// It is enforced together with the pack's policies.
        Enforced = "enforced",
        /// It is asked no more.
        Withdrawn = "withdrawn",
    }
}

kernel::names! {
    /// What moves a set.
    pub enum Trigger {
        /// It was uploaded again.
        Upload = "upload",
        /// Ask it beside what is enforced.
        Shadow = "shadow",
        /// Enforce it.
        Promote = "promote",
        /// Ask it no more.
        Withdraw = "withdraw",
    }
}

/// The life of a set. None is enforced that was not in shadow before.
pub const LIFECYCLE: Lifecycle<SetStatus, Trigger> = Lifecycle {
    noun: "the set of policies",
    rows: &[
        (SetStatus::Uploaded, Trigger::Shadow, SetStatus::Shadow),
        (SetStatus::Uploaded, Trigger::Withdraw, SetStatus::Withdrawn),
        (SetStatus::Shadow, Trigger::Promote, SetStatus::Enforced),
        (SetStatus::Shadow, Trigger::Withdraw, SetStatus::Withdrawn),
        (SetStatus::Enforced, Trigger::Withdraw, SetStatus::Withdrawn),
        (SetStatus::Withdrawn, Trigger::Upload, SetStatus::Uploaded),
    ],
};

/// A set was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploaded {
    /// SHA-256 over `writ.policies.v1`, a line feed and the canonical JSON of
    /// `files`: its name.
    pub set: Digest,
    /// Digest of each file by name.
    pub files: BTreeMap<String, Digest>,
}

/// A set was put into shadow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadowed {
    /// The set.
    pub set: Digest,
}

/// A set was enforced or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The set.
    pub set: Digest,
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to sets of policies.
    pub enum PoliciesEvent {
        /// One was uploaded.
        Uploaded(Uploaded) = "policy.uploaded" in System,
        /// One runs in shadow.
        Shadowed(Shadowed) = "policy.shadowed" in System,
        /// One is enforced, and the one before it no more.
        Promoted(Moved) = "policy.promoted" in Decision,
        /// One is asked no more.
        Withdrawn(Moved) = "policy.withdrawn" in Decision,
    }
}

/// A set, as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRecord {
    /// Where it stands.
    pub status: SetStatus,
    /// Digest of each file by name.
    pub files: BTreeMap<String, Digest>,
    /// Who moved it last.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// A tenant's sets of policies apart from its pack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// By the digest over their files. At most one is in shadow and at most
    /// one is enforced.
    pub sets: BTreeMap<Digest, SetRecord>,
}

impl Policies {
    /// The set in this status, where there is one.
    #[must_use]
    pub fn in_status(&self, status: SetStatus) -> Option<(Digest, &SetRecord)> {
        let found = self.sets.iter().find(|(_, record)| record.status == status);
        found.map(|(set, record)| (*set, record))
    }

    fn upload(&mut self, uploaded: &Uploaded, stamp: &Stamp) -> Result<(), Impossible> {
        let status = match self.sets.get(&uploaded.set) {
            None => SetStatus::Uploaded,
            Some(known) => LIFECYCLE.next(known.status, Trigger::Upload)?,
        };
        let record = SetRecord {
            status,
            files: uploaded.files.clone(),
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: None,
        };
        self.sets.insert(uploaded.set, record);
        Ok(())
    }

    fn step(
        &mut self,
        set: Digest,
        trigger: Trigger,
        reason: Option<&str>,
        stamp: &Stamp,
    ) -> Result<(), Impossible> {
        let record = self
            .sets
            .get_mut(&set)
            .ok_or_else(|| Impossible::new(format!("no set of policies `{set}`")))?;
        record.status = LIFECYCLE.next(record.status, trigger)?;
        record.by = stamp.actor.clone();
        record.at = stamp.at;
        record.reason = reason.map(str::to_owned);
        self.forget();
        Ok(())
    }

    /// Keeps only the latest of the withdrawn ones.
    fn forget(&mut self) {
        let withdrawn = |r: &SetRecord| r.status == SetStatus::Withdrawn;
        while self.sets.values().filter(|r| withdrawn(r)).count() > WITHDRAWN_KEPT {
            let gone = self.sets.iter().filter(|(_, r)| withdrawn(r));
            let Some(oldest) = gone.min_by_key(|(set, r)| (r.at, **set)).map(|(s, _)| *s) else {
                return;
            };
            self.sets.remove(&oldest);
        }
    }
}

impl Aggregate for Policies {
    const KIND: &'static str = "policy";
    type Event = PoliciesEvent;

    fn evolve(
        state: Option<Self>,
        event: &PoliciesEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let mut next = state.unwrap_or_default();
        match event {
            PoliciesEvent::Uploaded(uploaded) => next.upload(uploaded, stamp)?,
            PoliciesEvent::Shadowed(shadowed) => {
                if next.in_status(SetStatus::Shadow).is_some() {
                    return Err(Impossible::new("two sets of policies in shadow"));
                }
                next.step(shadowed.set, Trigger::Shadow, None, stamp)?;
            }
            PoliciesEvent::Promoted(moved) => {
                let reason = Some(moved.reason.as_str());
                let before = next.in_status(SetStatus::Enforced).map(|(set, _)| set);
                if let Some(before) = before {
                    next.step(before, Trigger::Withdraw, reason, stamp)?;
                }
                next.step(moved.set, Trigger::Promote, reason, stamp)?;
            }
            PoliciesEvent::Withdrawn(moved) => {
                let reason = Some(moved.reason.as_str());
                next.step(moved.set, Trigger::Withdraw, reason, stamp)?;
            }
        }
        Ok(next)
    }

    fn status(&self) -> &str {
        match self.in_status(SetStatus::Enforced) {
            Some(_) => "enforced",
            None => match self.in_status(SetStatus::Shadow) {
                Some(_) => "shadow",
                None => "idle",
            },
        }
    }
}
