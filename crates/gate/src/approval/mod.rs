//! The approval: a person's decision on a directive, bound to what they saw.
//! This is the state and its fold; what may be done to it stands in
//! `operations`, and who must agree to what in [`settings`].

pub mod lifecycle;
pub mod offline;
pub mod settings;
pub mod statement;

pub use lifecycle::{LIFECYCLE, Status, Trigger};
pub use settings::{Bulk, Duty, Escalation, Kinds, Quorum, Settings, needs_approval};
pub(crate) use statement::shown_as;
pub use statement::{Choice, Signed, Statement, Word, shown};

use crate::ActionClass;
use kernel::names::Name;
use kernel::{
    Actor, Aggregate, ApprovalId, DelegationId, Digest, DirectiveId, EntryId, Impossible, Refs,
    Role, SnapshotId, Stamp, Subject, Timestamp, VerdictId,
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

/// What a request is about, for who decides and for filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The type of the directive.
    pub directive_type: String,
    /// The strongest class of what it does.
    pub action_class: ActionClass,
    /// Who issued it.
    pub issued_by: Actor,
}

/// Further roles that may decide, from an instant on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// When.
    pub at: Timestamp,
    /// Which roles.
    pub to: Vec<Role>,
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
    /// What it is about. Requests of before it was recorded do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Who else may decide when nobody has, soonest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<EscalationStep>,
}

/// In whose place a person decided, and by which delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnBehalf {
    /// In whose place.
    pub principal: Actor,
    /// By which delegation.
    pub delegation: DelegationId,
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
    /// In whose place they decided, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalf>,
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
    /// In whose place they decided, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalf>,
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
    /// In whose place they decided, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalf>,
}

/// Nobody had decided: further roles may.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalated {
    /// When it was due.
    pub due_at: Timestamp,
    /// Which roles.
    pub to: Vec<Role>,
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
    /// In whose place they decided, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalf>,
}

impl Ended {
    /// For this reason, signed by nobody.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            signed: None,
            on_behalf_of: None,
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
        /// Nobody had decided: further roles may.
        Escalated(Escalated) = "approval.escalated" in Approval,
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
    /// Further roles that may decide, because nobody had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalated_to: Vec<Role>,
    /// How often it was escalated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub escalations: usize,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was given or ended.
    pub decided_at: Option<Timestamp>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Approval {
    /// The roles that may decide now: those asked first, and those that it was
    /// escalated to.
    #[must_use]
    pub fn deciders(&self) -> Vec<Role> {
        let mut roles = self.request.among.clone();
        let further = self
            .escalated_to
            .iter()
            .filter(|role| !self.request.among.contains(role));
        roles.extend(further);
        roles
    }

    /// The escalation that comes next, if it still waits for one.
    #[must_use]
    pub fn next_escalation(&self) -> Option<&EscalationStep> {
        self.request.escalation.get(self.escalations)
    }

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
                    escalated_to: Vec::new(),
                    escalations: 0,
                    requested_at: stamp.at,
                    decided_at: None,
                    entry: stamp.entry,
                });
            }
            (None, _) => return Err(Impossible::new("an approval begins with its request")),
            (Some(state), _) => state,
        };
        let vote = |reason: &Option<String>,
                    signed: &Option<Signed>,
                    on_behalf_of: &Option<OnBehalf>| Vote {
            by: stamp.actor.clone(),
            at: stamp.at,
            reason: reason.clone(),
            signed: signed.clone(),
            on_behalf_of: on_behalf_of.clone(),
        };
        let trigger = match event {
            ApprovalEvent::Requested(_) => {
                return Err(Impossible::new("an approval is requested once"));
            }
            ApprovalEvent::Endorsed(endorsed) => {
                if next.status != Status::Pending {
                    return Err(Impossible::new("an endorsement of what is decided"));
                }
                next.votes.push(vote(
                    &endorsed.reason,
                    &endorsed.signed,
                    &endorsed.on_behalf_of,
                ));
                next.entry = stamp.entry;
                return Ok(next);
            }
            ApprovalEvent::Escalated(escalated) => {
                if next.status != Status::Pending {
                    return Err(Impossible::new("an escalation of what is decided"));
                }
                for role in &escalated.to {
                    if !next.escalated_to.contains(role) {
                        next.escalated_to.push(*role);
                    }
                }
                next.escalations += 1;
                next.entry = stamp.entry;
                return Ok(next);
            }
            ApprovalEvent::Given(given) => {
                if given.human_override {
                    next.votes
                        .push(vote(&given.reason, &given.signed, &given.on_behalf_of));
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
        if self.status != Status::Pending {
            return None;
        }
        let end = self.request.expires_at;
        Some(self.next_escalation().map_or(end, |step| step.at.min(end)))
    }
}
