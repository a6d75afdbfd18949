//! The investigation of an incident: CREATED → ANALYZING → DECIDED →
//! WAITING_FOR_HUMAN → CLOSED (SEN-14). Its stream is named by the incident.
//! Beside the chain it can be closed from any status, because an incident can
//! end before its investigation does.

use crate::authority;
use kernel::names::Name;
use kernel::{
    Aggregate, ApprovalId, DirectiveId, Impossible, IncidentId, Lifecycle, Refs, Refusal, Stamp,
    Timestamp, Unit, limits,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

kernel::names! {
    /// Where an investigation stands.
    pub enum InvestigationStatus {
        /// Nobody has looked yet.
        Created = "CREATED",
        /// Grounds are being weighed.
        Analyzing = "ANALYZING",
        /// It is decided what to propose.
        Decided = "DECIDED",
        /// A person must agree.
        WaitingForHuman = "WAITING_FOR_HUMAN",
        /// It is over.
        Closed = "CLOSED",
    }
}
kernel::names! {
    /// What moves an investigation.
    pub enum InvestigationTrigger {
        /// Someone begins to look.
        Analyze = "analyze",
        /// It is decided what to propose.
        Decide = "decide",
        /// A person is asked.
        WaitForHuman = "wait_for_human",
        /// It ends.
        Close = "close",
    }
}

/// The lifecycle of an investigation.
pub const LIFECYCLE: Lifecycle<InvestigationStatus, InvestigationTrigger> = {
    use InvestigationStatus as S;
    use InvestigationTrigger as T;
    Lifecycle {
        noun: "an investigation",
        rows: &[
            (S::Created, T::Analyze, S::Analyzing),
            (S::Created, T::Close, S::Closed),
            (S::Analyzing, T::Decide, S::Decided),
            (S::Analyzing, T::Close, S::Closed),
            (S::Decided, T::WaitForHuman, S::WaitingForHuman),
            (S::Decided, T::Close, S::Closed),
            (S::WaitingForHuman, T::Close, S::Closed),
        ],
    }
};

/// An investigation began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// Of what.
    pub incident: IncidentId,
}

/// Someone began to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analyzing {}

/// It was decided what to propose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The directive, if one is proposed.
    pub directive: Option<DirectiveId>,
    /// Why, in a few words.
    pub summary: String,
}

/// A person was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// What they were asked.
    pub approval: ApprovalId,
}

/// It ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to an investigation.
    pub enum InvestigationEvent {
        /// It began.
        Created(Created) = "investigation.created" in Decision,
        /// Someone began to look.
        Analyzing(Analyzing) = "investigation.analyzing" in Decision,
        /// It was decided what to propose.
        Decided(Decided) = "investigation.decided" in Decision,
        /// A person was asked.
        Waiting(Waiting) = "investigation.waiting_for_human" in Decision,
        /// It ended.
        Closed(Closed) = "investigation.closed" in Outcome,
    }
}

/// An investigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Investigation {
    /// Of what.
    pub incident: IncidentId,
    /// Where it stands.
    pub status: InvestigationStatus,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// What is proposed.
    pub directive: Option<DirectiveId>,
    /// Why that is proposed.
    pub summary: String,
    /// What a person is asked.
    pub approval: Option<ApprovalId>,
    /// Why it ended.
    pub closed_because: Option<String>,
}

impl Investigation {
    fn moved(mut self, trigger: InvestigationTrigger, stamp: &Stamp) -> Result<Self, Impossible> {
        self.status = LIFECYCLE.next(self.status, trigger)?;
        self.updated_at = stamp.at;
        Ok(self)
    }
}

impl Aggregate for Investigation {
    const KIND: &'static str = "investigation";
    type Event = InvestigationEvent;

    fn evolve(
        state: Option<Self>,
        event: &InvestigationEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        use InvestigationTrigger as T;
        match (state, event) {
            (None, InvestigationEvent::Created(created)) => Ok(Self {
                incident: created.incident,
                status: InvestigationStatus::Created,
                created_at: stamp.at,
                updated_at: stamp.at,
                directive: None,
                summary: String::new(),
                approval: None,
                closed_because: None,
            }),
            (Some(_), InvestigationEvent::Created(_)) => {
                Err(Impossible::new("an investigation begins once"))
            }
            (None, _) => Err(Impossible::new("no such investigation")),
            (Some(it), InvestigationEvent::Analyzing(_)) => it.moved(T::Analyze, stamp),
            (Some(it), InvestigationEvent::Decided(decided)) => Ok(Self {
                directive: decided.directive,
                summary: decided.summary.clone(),
                ..it.moved(T::Decide, stamp)?
            }),
            (Some(it), InvestigationEvent::Waiting(waiting)) => Ok(Self {
                approval: Some(waiting.approval),
                ..it.moved(T::WaitForHuman, stamp)?
            }),
            (Some(it), InvestigationEvent::Closed(closed)) => Ok(Self {
                closed_because: Some(closed.reason.clone()),
                ..it.moved(T::Close, stamp)?
            }),
        }
    }
    /// At once while nobody has begun it.
    fn due(&self) -> Option<Timestamp> {
        (self.status == InvestigationStatus::Created).then_some(self.created_at)
    }
    fn status(&self) -> &str {
        self.status.name()
    }
    fn refs(&self) -> Refs {
        Refs {
            directive: self.directive,
            ..Refs::default()
        }
    }
}

/// Begins the investigation of an incident that is being opened.
///
/// # Errors
/// When it exists already or storage does not answer.
pub(crate) fn create(unit: &mut Unit<'_>, incident: IncidentId) -> Result<(), Refusal> {
    let event = InvestigationEvent::Created(Created { incident });
    unit.record::<Investigation>(incident, event)?;
    Ok(())
}

/// Begins to look.
///
/// # Errors
/// `forbidden`, `illegal_move`, `not_found`.
pub fn analyze(unit: &mut Unit<'_>, incident: IncidentId) -> Result<Arc<Investigation>, Refusal> {
    move_by(
        unit,
        incident,
        InvestigationTrigger::Analyze,
        InvestigationEvent::Analyzing(Analyzing {}),
    )
}

/// Says what is proposed: a directive, or nothing, and why.
///
/// # Errors
/// As [`analyze`]; `limit_exceeded` for a long summary.
pub fn decide(
    unit: &mut Unit<'_>,
    incident: IncidentId,
    directive: Option<DirectiveId>,
    summary: &str,
) -> Result<Arc<Investigation>, Refusal> {
    bounded(summary)?;
    let decided = Decided {
        directive,
        summary: summary.to_owned(),
    };
    move_by(
        unit,
        incident,
        InvestigationTrigger::Decide,
        InvestigationEvent::Decided(decided),
    )
}

/// Says that a person is asked.
///
/// # Errors
/// As [`analyze`].
pub fn wait_for_human(
    unit: &mut Unit<'_>,
    incident: IncidentId,
    approval: ApprovalId,
) -> Result<Arc<Investigation>, Refusal> {
    move_by(
        unit,
        incident,
        InvestigationTrigger::WaitForHuman,
        InvestigationEvent::Waiting(Waiting { approval }),
    )
}

/// Ends an investigation.
///
/// # Errors
/// As [`decide`].
pub fn close(
    unit: &mut Unit<'_>,
    incident: IncidentId,
    reason: &str,
) -> Result<Arc<Investigation>, Refusal> {
    bounded(reason)?;
    let closed = Closed {
        reason: reason.to_owned(),
    };
    move_by(
        unit,
        incident,
        InvestigationTrigger::Close,
        InvestigationEvent::Closed(closed),
    )
}

/// Ends an investigation that has not ended.
///
/// # Errors
/// As [`close`].
pub(crate) fn close_if_open(
    unit: &mut Unit<'_>,
    incident: IncidentId,
    reason: &str,
) -> Result<(), Refusal> {
    match unit.find::<Investigation>(incident)? {
        Some(it) if it.status != InvestigationStatus::Closed => {
            close(unit, incident, reason).map(|_| ())
        }
        _ => Ok(()),
    }
}

fn move_by(
    unit: &mut Unit<'_>,
    incident: IncidentId,
    trigger: InvestigationTrigger,
    event: InvestigationEvent,
) -> Result<Arc<Investigation>, Refusal> {
    authority::check(unit, &format!("{trigger} investigations"))?;
    LIFECYCLE.next(unit.get::<Investigation>(incident)?.status, trigger)?;
    Ok(unit.record::<Investigation>(incident, event)?.1)
}

fn bounded(text: &str) -> Result<(), Refusal> {
    if text.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::limit(format!(
            "the text has {} bytes, allowed are {}",
            text.len(),
            limits::TEXT_BYTES_MAX
        )));
    }
    Ok(())
}
