//! The directive: a contract of intent and how far it has come. This is the
//! state and its fold; what may be done to it stands in `operations`.

pub mod lifecycle;

pub use lifecycle::{LIFECYCLE, Status, Trigger};

use crate::Contract;
use kernel::names::Name;
use kernel::{
    Actor, Aggregate, ApprovalId, Digest, DirectiveId, EntryId, Impossible, Refs, Role, RunId,
    Stamp, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most versions that a contract may have.
pub const REVISIONS_MAX: usize = 32;
/// How many of the latest moves the state keeps; the ledger keeps all.
pub const MOVES_KEPT: usize = 64;

/// A version of the contract that a newer one replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The digest of that version.
    pub digest: Digest,
    /// Who replaced it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// The fields that the newer version changed.
    pub changed: Vec<String>,
}

/// One move of a directive, for the explanation of how it came here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Where it went.
    pub to: Status,
    /// Who moved it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// The entry that records it.
    pub entry: EntryId,
}

/// A directive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directive {
    /// Its id.
    pub id: DirectiveId,
    /// The contract in force.
    pub contract: Contract,
    /// The digest of the contract in force.
    pub digest: Digest,
    /// Where it stands.
    pub status: Status,
    /// The version of the contract, from 1.
    pub revision: u32,
    /// How often the gate is asked afresh, from 1: an edit, a retry or a
    /// resumption, which someone decides, begins another round.
    pub round: u32,
    /// What it came from, for example the id of an incident.
    pub origin: Option<String>,
    /// The roles of the issuer when it was drafted.
    pub issuer_roles: Vec<Role>,
    /// Who, besides the issuer, wrote on the contract in force.
    pub editors: BTreeSet<Actor>,
    /// When it was drafted.
    pub drafted_at: Timestamp,
    /// When it was first proposed.
    pub proposed_at: Option<Timestamp>,
    /// When the timebox ends: counted from the first proposal, and until then
    /// from the draft.
    pub expires_at: Timestamp,
    /// The approval that is pending or in force.
    pub approval: Option<ApprovalId>,
    /// The run, once it began.
    pub run: Option<RunId>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Why it is blocked, paused, aborted or expired.
    pub reason: Option<String>,
    /// Whom it waits for: they change the same subjects and were asked for
    /// before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waits_for: BTreeSet<DirectiveId>,
    /// Earlier versions of the contract, oldest first.
    pub replaced: Vec<Replaced>,
    /// The latest moves, oldest first.
    pub moves: Vec<Moved>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

/// It was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drafted {
    /// Its id.
    pub directive: DirectiveId,
    /// The contract.
    pub contract: Contract,
    /// The contract's digest.
    pub digest: Digest,
    /// What it came from.
    pub origin: Option<String>,
    /// The issuer's roles.
    pub issuer_roles: Vec<Role>,
}

/// Its contract was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edited {
    /// The digest of the version that was replaced.
    pub from: Digest,
    /// The contract in force from here on.
    pub contract: Contract,
    /// Its digest.
    pub digest: Digest,
    /// The fields that changed.
    pub changed: Vec<String>,
}

/// It waits for this approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Awaited {
    /// The approval.
    pub approval: ApprovalId,
}

/// Whom it waits for has changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queued {
    /// Those right before it in the queues of its subjects; empty when it is
    /// first everywhere.
    pub behind: BTreeSet<DirectiveId>,
}

/// It was agreed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// The approval that says so.
    pub approval: ApprovalId,
    /// The version that was approved.
    pub digest: Digest,
}

/// A run began.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// The approval that it used up.
    pub approval: ApprovalId,
}

/// Moved, for this reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why.
    pub reason: String,
}

/// Moved; the kind of the event says it all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// The version that was moved.
    pub digest: Digest,
}

kernel::events! {
    /// What happens to a directive.
    pub enum DirectiveEvent {
        /// It was written.
        Drafted(Drafted) = "directive.drafted" in Intent,
        /// Its contract was replaced.
        Edited(Edited) = "directive.edited" in Intent,
        /// It was asked for.
        Proposed(Plain) = "directive.proposed" in Intent,
        /// It waits for an approval.
        Awaited(Awaited) = "directive.approval_awaited" in Approval,
        /// It took its place behind others, or came forward.
        Queued(Queued) = "directive.queued" in Decision,
        /// It was agreed to.
        Approved(Approved) = "directive.approved" in Approval,
        /// It was stopped.
        Blocked(Because) = "directive.blocked" in Decision,
        /// It was asked for again.
        Retried(Plain) = "directive.retried" in Intent,
        /// A run began.
        Started(Started) = "directive.started" in Action,
        /// It was halted.
        Paused(Because) = "directive.paused" in Action,
        /// It goes on.
        Resumed(Plain) = "directive.resumed" in Action,
        /// It was done.
        Completed(Plain) = "directive.completed" in Outcome,
        /// It was given up.
        Aborted(Because) = "directive.aborted" in Outcome,
        /// Its timebox ended.
        Expired(Because) = "directive.expired" in Outcome,
    }
}

impl DirectiveEvent {
    /// The trigger of the move, where the event is one.
    #[must_use]
    pub fn trigger(&self) -> Option<Trigger> {
        match self {
            Self::Drafted(_) | Self::Edited(_) | Self::Awaited(_) | Self::Queued(_) => None,
            Self::Proposed(_) => Some(Trigger::Propose),
            Self::Approved(_) => Some(Trigger::Approve),
            Self::Blocked(_) => Some(Trigger::Block),
            Self::Retried(_) => Some(Trigger::Retry),
            Self::Started(_) => Some(Trigger::Start),
            Self::Paused(_) => Some(Trigger::Pause),
            Self::Resumed(_) => Some(Trigger::Resume),
            Self::Completed(_) => Some(Trigger::Complete),
            Self::Aborted(_) => Some(Trigger::Abort),
            Self::Expired(_) => Some(Trigger::Expire),
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Blocked(b) | Self::Paused(b) | Self::Aborted(b) | Self::Expired(b) => {
                Some(&b.reason)
            }
            _ => None,
        }
    }
}

impl Directive {
    /// Whether the timebox has ended at `now`; the instant itself is outside.
    #[must_use]
    pub fn is_over_at(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Whether the contract can be replaced in this status. An approved one
    /// cannot: what was agreed to is what is done.
    #[must_use]
    pub fn is_editable(&self) -> bool {
        matches!(
            self.status,
            Status::Draft | Status::Proposed | Status::Blocked
        )
    }

    /// The fields that changed since the version `seen`; `None` when no
    /// version of this directive had that digest.
    #[must_use]
    pub fn changed_since(&self, seen: Digest) -> Option<Vec<String>> {
        let from = self.replaced.iter().position(|r| r.digest == seen)?;
        let mut changed: Vec<String> = Vec::new();
        for replaced in self.replaced.iter().skip(from) {
            changed.extend(replaced.changed.iter().cloned());
        }
        changed.sort_unstable();
        changed.dedup();
        Some(changed)
    }

    fn drafted(drafted: &Drafted, stamp: &Stamp) -> Self {
        let moved = Moved {
            to: Status::Draft,
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: None,
            entry: stamp.entry,
        };
        Self {
            id: drafted.directive,
            contract: drafted.contract.clone(),
            digest: drafted.digest,
            status: Status::Draft,
            revision: 1,
            round: 1,
            origin: drafted.origin.clone(),
            issuer_roles: drafted.issuer_roles.clone(),
            editors: BTreeSet::new(),
            drafted_at: stamp.at,
            proposed_at: None,
            expires_at: stamp.at.plus(drafted.contract.timebox),
            approval: None,
            run: None,
            started_at: None,
            reason: None,
            waits_for: BTreeSet::new(),
            replaced: Vec::new(),
            moves: vec![moved],
            entry: stamp.entry,
        }
    }

    fn edit(&mut self, edited: &Edited, stamp: &Stamp) -> Result<(), Impossible> {
        if !self.is_editable() || edited.from != self.digest {
            return Err(Impossible::new(format!(
                "an edit of version `{}` in status `{}` at version `{}`",
                edited.from, self.status, self.digest
            )));
        }
        self.replaced.push(Replaced {
            digest: self.digest,
            by: stamp.actor.clone(),
            at: stamp.at,
            changed: edited.changed.clone(),
        });
        self.contract = edited.contract.clone();
        self.digest = edited.digest;
        self.revision += 1;
        // An edit back to an earlier version must not find a verdict that was
        // given under other rules.
        self.round += 1;
        self.approval = None;
        if stamp.actor != self.contract.issued_by {
            self.editors.insert(stamp.actor.clone());
        }
        let from = self.proposed_at.unwrap_or(self.drafted_at);
        self.expires_at = from.plus(self.contract.timebox);
        Ok(())
    }

    fn follow(&mut self, event: &DirectiveEvent, stamp: &Stamp) -> Result<(), Impossible> {
        match event {
            DirectiveEvent::Proposed(_) => {
                self.proposed_at = Some(stamp.at);
                self.expires_at = stamp.at.plus(self.contract.timebox);
            }
            DirectiveEvent::Retried(_) | DirectiveEvent::Resumed(_) => {
                self.round += 1;
            }
            DirectiveEvent::Approved(approved) if approved.digest != self.digest => {
                return Err(Impossible::new(format!(
                    "version `{}` was approved, `{}` is in force",
                    approved.digest, self.digest
                )));
            }
            DirectiveEvent::Approved(approved) => self.approval = Some(approved.approval),
            DirectiveEvent::Started(started) if self.approval != Some(started.approval) => {
                return Err(Impossible::new(
                    "started under an approval that is not its own",
                ));
            }
            DirectiveEvent::Started(started) => {
                self.run = Some(started.run);
                self.started_at = Some(stamp.at);
            }
            DirectiveEvent::Blocked(_) => {
                self.approval = None;
                self.waits_for.clear();
            }
            DirectiveEvent::Expired(_) => self.waits_for.clear(),
            _ => {}
        }
        Ok(())
    }
}

impl Aggregate for Directive {
    const KIND: &'static str = "directive";
    type Event = DirectiveEvent;

    fn evolve(
        state: Option<Self>,
        event: &DirectiveEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let mut next = match (state, event) {
            (None, DirectiveEvent::Drafted(drafted)) => return Ok(Self::drafted(drafted, stamp)),
            (None, _) => return Err(Impossible::new("a directive begins as a draft")),
            (Some(_), DirectiveEvent::Drafted(_)) => {
                return Err(Impossible::new("a directive is drafted once"));
            }
            (Some(state), _) => state,
        };
        match event {
            DirectiveEvent::Edited(edited) => next.edit(edited, stamp)?,
            DirectiveEvent::Awaited(awaited) if next.status == Status::Proposed => {
                next.approval = Some(awaited.approval);
            }
            DirectiveEvent::Queued(queued) => {
                if !matches!(next.status, Status::Proposed | Status::Approved) {
                    return Err(Impossible::new("only what is to begin waits for others"));
                }
                next.waits_for.clone_from(&queued.behind);
            }
            DirectiveEvent::Awaited(_) => {
                return Err(Impossible::new("only what is proposed waits for approval"));
            }
            _ => {}
        }
        if let Some(trigger) = event.trigger() {
            next.status = LIFECYCLE.next(next.status, trigger)?;
            next.reason = event.reason().map(str::to_owned);
            next.follow(event, stamp)?;
            next.moves.push(Moved {
                to: next.status,
                by: stamp.actor.clone(),
                at: stamp.at,
                reason: next.reason.clone(),
                entry: stamp.entry,
            });
            if next.moves.len() > MOVES_KEPT {
                next.moves.remove(0);
            }
        }
        next.entry = stamp.entry;
        Ok(next)
    }

    fn status(&self) -> &str {
        self.status.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.contract.subject().cloned(),
            directive: Some(self.id),
            snapshot: Some(self.contract.snapshot),
        }
    }

    /// At once when it is approved and waits for nobody: then it can start. While it is executed
    /// or paused its run watches the timebox; before, it ends with it.
    fn due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Approved if self.waits_for.is_empty() => self.moves.last().map(|m| m.at),
            Status::Executing | Status::Paused => None,
            status => (!LIFECYCLE.is_final(status)).then_some(self.expires_at),
        }
    }
}
