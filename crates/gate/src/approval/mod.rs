//! The approval: a person's decision on a directive, bound to what they saw.
//! This is the state and its fold; what may be done to it stands in
//! `operations`, and who must agree to what in [`settings`].

pub mod lifecycle;
pub mod settings;
pub mod statement;

pub use lifecycle::{LIFECYCLE, Status, Trigger};
pub use settings::{Duty, Kinds, Quorum, Settings, needs_approval};
pub use statement::{Choice, Signed, Statement, Word, shown};

use kernel::names::Name;
use kernel::{
    Actor, Aggregate, ApprovalId, Digest, DirectiveId, EntryId, Impossible, Refs, Role, SnapshotId,
    Stamp, Subject, Timestamp, VerdictId,
};
use serde::{Deserialize, Serialize};

/// What an approval is bound to. A change of any of it voids the approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The directive.
    pub directive: DirectiveId,
    /// The version of its contract.
    pub digest: Digest,
    /// The frozen world state.
    pub snapshot: SnapshotId,
    /// The verdicts that were shown.
    pub verdicts: Vec<VerdictId>,
    /// The hash of the rules that gave them.
    pub rules: Digest,
    /// The digest of what was shown; see [`shown`]: what you saw is what you
    /// signed.
    pub shown: Digest,
}

/// How an approval is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requested {
    /// Its id.
    pub approval: ApprovalId,
    /// What it is bound to.
    pub binding: Binding,
    /// What the directive is about.
    pub subject: Option<Subject>,
    /// Why a person must agree; empty when none must.
    pub because: Vec<String>,
    /// How many people must agree; 0 when none must.
    pub needed: u32,
    /// Roles that may decide; one of them is enough.
    pub among: Vec<Role>,
    /// Who may not agree, because they wrote it.
    pub barred: Vec<Actor>,
    /// From this instant on, silence was a refusal.
    pub expires_at: Timestamp,
    /// Whether each yes must be signed with the person's own key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, where they said.
    pub reason: Option<String>,
    /// What they signed, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// A person said yes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsed {
    /// The digest of the directive that they saw.
    pub seen: Digest,
    /// Why, where they said.
    pub reason: Option<String>,
    /// What they signed, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// It was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Whether a person decided; `false` for an approval that no one needed to
    /// give.
    pub human_override: bool,
    /// The digest of the directive that was agreed to.
    pub seen: Digest,
    /// Why, where someone said.
    pub reason: Option<String>,
    /// What the person signed, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// It ended without being given or used, for this reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Why.
    pub reason: String,
    /// What the person who refused signed, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl Ended {
    /// For this reason, signed by nobody.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            signed: None,
        }
    }
}

/// The directive started under it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The directive.
    pub directive: DirectiveId,
}

kernel::events! {
    /// What happens to an approval.
    pub enum ApprovalEvent {
        /// It was asked for.
        Requested(Requested) = "approval.requested" in Approval,
        /// A person said yes; more must.
        Endorsed(Endorsed) = "approval.endorsed" in Approval,
        /// It was given.
        Given(Given) = "approval.approved" in Approval,
        /// A person said no.
        Rejected(Ended) = "approval.rejected" in Approval,
        /// Nobody said anything in time.
        Expired(Ended) = "approval.expired" in Approval,
        /// What it was bound to changed.
        Voided(Ended) = "approval.voided" in Approval,
        /// The directive started under it.
        Used(Spent) = "approval.used" in Approval,
    }
}

/// An approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// How it was asked for.
    pub request: Requested,
    /// Where it stands.
    pub status: Status,
    /// Who said yes.
    pub votes: Vec<Vote>,
    /// Whether a person decided.
    pub human_override: bool,
    /// Why it was rejected, expired or voided.
    pub reason: Option<String>,
    /// What the person who refused signed, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Signed>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was given or ended.
    pub decided_at: Option<Timestamp>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

impl Approval {
    /// Why it does not hold for this version, these rules and this status;
    /// empty when it holds.
    #[must_use]
    pub fn faults(&self, expected: Status, digest: Digest, rules: Digest) -> Vec<String> {
        let mut faults = Vec::new();
        if self.status != expected {
            faults.push(format!("the approval is {}", self.status));
        }
        if self.request.binding.digest != digest {
            faults.push("the directive changed since it was asked for".to_owned());
        }
        if self.request.binding.rules != rules {
            faults.push("the rules changed since it was asked for".to_owned());
        }
        faults
    }
}

impl Aggregate for Approval {
    const KIND: &'static str = "approval";
    type Event = ApprovalEvent;

    fn evolve(
        state: Option<Self>,
        event: &ApprovalEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let mut next = match (state, event) {
            (None, ApprovalEvent::Requested(request)) => {
                return Ok(Self {
                    request: request.clone(),
                    status: Status::Pending,
                    votes: Vec::new(),
                    human_override: false,
                    reason: None,
                    refusal: None,
                    requested_at: stamp.at,
                    decided_at: None,
                    entry: stamp.entry,
                });
            }
            (None, _) => return Err(Impossible::new("an approval begins with its request")),
            (Some(state), _) => state,
        };
        let vote = |reason: &Option<String>, signed: &Option<Signed>| Vote {
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: reason.clone(),
            signed: signed.clone(),
        };
        let trigger = match event {
            ApprovalEvent::Requested(_) => {
                return Err(Impossible::new("an approval is requested once"));
            }
            ApprovalEvent::Endorsed(endorsed) => {
                if next.status != Status::Pending {
                    return Err(Impossible::new("an endorsement of what is decided"));
                }
                next.votes.push(vote(&endorsed.reason, &endorsed.signed));
                next.entry = stamp.entry;
                return Ok(next);
            }
            ApprovalEvent::Given(given) => {
                if given.human_override {
                    next.votes.push(vote(&given.reason, &given.signed));
                    next.human_override = true;
                }
                Trigger::Approve
            }
            ApprovalEvent::Rejected(ended) => {
                next.reason = Some(ended.reason.clone());
                next.refusal.clone_from(&ended.signed);
                next.human_override = true;
                Trigger::Reject
            }
            ApprovalEvent::Expired(ended) => {
                next.reason = Some(ended.reason.clone());
                Trigger::Expire
            }
            ApprovalEvent::Voided(ended) => {
                next.reason = Some(ended.reason.clone());
                Trigger::Void
            }
            ApprovalEvent::Used(_) => Trigger::Use,
        };
        next.status = LIFECYCLE.next(next.status, trigger)?;
        if trigger != Trigger::Use {
            next.decided_at = Some(stamp.at);
        }
        next.entry = stamp.entry;
        Ok(next)
    }

    fn status(&self) -> &str {
        self.status.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.request.subject.clone(),
            directive: Some(self.request.binding.directive),
            snapshot: Some(self.request.binding.snapshot),
        }
    }

    fn due(&self) -> Option<Timestamp> {
        (self.status == Status::Pending).then_some(self.request.expires_at)
    }
}
