//! Candidates: signals of one subject that belong together, collected until no
//! more come, then assessed over the whole set and promoted or rejected. A
//! rejected candidate that gets new signals collects again.

use crate::assessment::{Assessment, Decision, Outcome, assess, decide};
use crate::bundle::{Bundle, BundleEvent};
use crate::catalog::Catalog;
use crate::confidence::Band;
use crate::detection::{Detection, DetectionEvent};
use crate::incident;
use crate::signal::Signal;
use crate::watch::{SessionSet, Watch, WatchEvent};
use kernel::names::Name;
use kernel::{
    Aggregate, BundleId, CandidateId, EntryId, Impossible, IncidentId, Lifecycle, Ratio, Refs,
    Refusal, SignalId, Stamp, Subject, Timestamp, Unit,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

kernel::names! {
    /// Where a candidate stands.
    pub enum CandidateStatus {
        /// Signals may still come.
        Collecting = "collecting",
        /// It is an incident.
        Promoted = "promoted",
        /// It was not enough, so far.
        Rejected = "rejected",
        /// Another candidate or an incident took its signals.
        Merged = "merged",
    }
}
kernel::names! {
    /// What moves a candidate.
    pub enum CandidateTrigger {
        /// Signals came.
        Collect = "collect",
        /// The gate said PROMOTE.
        Promote = "promote",
        /// The gate said REJECT.
        Reject = "reject",
        /// Its session and another turned out to be one.
        Merge = "merge",
    }
}

/// The lifecycle of a candidate.
pub const LIFECYCLE: Lifecycle<CandidateStatus, CandidateTrigger> = {
    use CandidateStatus as S;
    use CandidateTrigger as T;
    Lifecycle {
        noun: "a candidate",
        rows: &[
            (S::Collecting, T::Collect, S::Collecting),
            (S::Collecting, T::Promote, S::Promoted),
            (S::Collecting, T::Reject, S::Rejected),
            (S::Collecting, T::Merge, S::Merged),
            (S::Rejected, T::Collect, S::Collecting),
            (S::Rejected, T::Merge, S::Merged),
        ],
    }
};

/// A signal of a candidate, in the order in which the set is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// When the signal began.
    pub began_at: Timestamp,
    /// The signal.
    pub signal: SignalId,
}

/// What the rules say before all signals have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisional {
    /// The different rules that match.
    pub rules: Vec<String>,
    /// How many detections there are.
    pub detections: u32,
    /// How sure that is.
    pub confidence: Ratio,
    /// In words.
    pub band: Band,
}

/// Signals were collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collected {
    /// About what.
    pub subject: Subject,
    /// The signals that came.
    pub members: Vec<Member>,
    /// How many came, those that were only counted included.
    pub count: u64,
    /// How many are kept: the earliest.
    pub keep_max: u32,
    /// When the candidate is assessed unless more come.
    pub settles_at: Timestamp,
    /// What the rules say so far.
    pub provisional: Provisional,
}

/// The gate decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The decision with all its inputs.
    pub decision: Decision,
}

/// Another session took the signals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// The candidate whose session it is.
    pub into: CandidateId,
}

kernel::events! {
    /// What happens to a candidate.
    pub enum CandidateEvent {
        /// It began.
        Opened(Collected) = "candidate.opened" in Decision,
        /// It grew.
        Collected(Collected) = "candidate.collected" in Decision,
        /// It became an incident.
        Promoted(Decided) = "candidate.promoted" in Decision,
        /// It was not enough.
        Rejected(Decided) = "candidate.rejected" in Decision,
        /// Its session and another turned out to be one.
        Merged(Merged) = "candidate.merged" in Decision,
    }
}

/// A candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// About what.
    pub subject: Subject,
    /// Where it stands.
    pub status: CandidateStatus,
    /// The signals that are kept: the earliest.
    pub members: BTreeSet<Member>,
    /// How many signals came.
    pub signals_total: u64,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it is assessed unless more come.
    pub settles_at: Timestamp,
    /// What the rules say so far.
    pub provisional: Provisional,
    /// The gate's last decision.
    pub decision: Option<Decision>,
    /// The candidate that took the signals.
    pub merged_into: Option<CandidateId>,
}

impl Candidate {
    fn moved(mut self, trigger: CandidateTrigger) -> Result<Self, Impossible> {
        self.status = LIFECYCLE.next(self.status, trigger)?;
        Ok(self)
    }

    fn with(mut self, collected: &Collected) -> Self {
        keep(&mut self.members, &collected.members, collected.keep_max);
        self.signals_total = self.signals_total.saturating_add(collected.count);
        self.settles_at = collected.settles_at;
        self.provisional = collected.provisional.clone();
        self
    }
}

/// The earliest `max` of both: which ones are kept does not depend on the
/// order in which they came.
fn keep(members: &mut BTreeSet<Member>, added: &[Member], max: u32) {
    members.extend(added.iter().copied());
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    while members.len() > max {
        members.pop_last();
    }
}

impl Aggregate for Candidate {
    const KIND: &'static str = "candidate";
    type Event = CandidateEvent;

    fn evolve(
        state: Option<Self>,
        event: &CandidateEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        use CandidateTrigger as T;
        match (state, event) {
            (None, CandidateEvent::Opened(opened)) => Ok(Self {
                subject: opened.subject.clone(),
                status: CandidateStatus::Collecting,
                members: BTreeSet::new(),
                signals_total: 0,
                opened_at: stamp.at,
                settles_at: opened.settles_at,
                provisional: opened.provisional.clone(),
                decision: None,
                merged_into: None,
            }
            .with(opened)),
            (Some(candidate), CandidateEvent::Collected(collected)) => {
                Ok(candidate.moved(T::Collect)?.with(collected))
            }
            (Some(candidate), CandidateEvent::Promoted(decided)) => Ok(Self {
                decision: Some(decided.decision.clone()),
                ..candidate.moved(T::Promote)?
            }),
            (Some(candidate), CandidateEvent::Rejected(decided)) => Ok(Self {
                decision: Some(decided.decision.clone()),
                ..candidate.moved(T::Reject)?
            }),
            (Some(candidate), CandidateEvent::Merged(merged)) => Ok(Self {
                merged_into: Some(merged.into),
                ..candidate.moved(T::Merge)?
            }),
            (None, _) => Err(Impossible::new("no such candidate")),
            (Some(_), CandidateEvent::Opened(_)) => {
                Err(Impossible::new("a candidate is opened once"))
            }
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
    fn due(&self) -> Option<Timestamp> {
        (self.status == CandidateStatus::Collecting).then_some(self.settles_at)
    }
}

/// Signals for a candidate: `members` to keep, `count` that came.
pub(crate) struct Arrival {
    pub(crate) members: Vec<Member>,
    pub(crate) count: u64,
}

/// Opens a candidate or adds to it, with a provisional assessment.
///
/// # Errors
/// When the candidate cannot collect any more or storage does not answer.
pub(crate) fn collect(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    subject: &Subject,
    id: CandidateId,
    arrival: Arrival,
) -> Result<(), Refusal> {
    let correlation = catalog.correlation();
    let before = unit.find::<Candidate>(id)?;
    let mut members = before
        .as_ref()
        .map(|c| c.members.clone())
        .unwrap_or_default();
    keep(&mut members, &arrival.members, correlation.max_signals);
    let signals = load(unit, &members)?;
    let assessment = assess(catalog, subject, &signals)?;
    let rules: BTreeSet<String> = assessment
        .detections
        .iter()
        .map(|d| d.rule.clone())
        .collect();
    let collected = Collected {
        subject: subject.clone(),
        members: arrival.members,
        count: arrival.count,
        keep_max: correlation.max_signals,
        settles_at: unit.ctx().now.plus(correlation.settle),
        provisional: Provisional {
            rules: rules.into_iter().collect(),
            detections: u32::try_from(assessment.detections.len()).unwrap_or(u32::MAX),
            confidence: assessment.confidence.value,
            band: assessment.confidence.band,
        },
    };
    let event = if before.is_none() {
        CandidateEvent::Opened(collected)
    } else {
        CandidateEvent::Collected(collected)
    };
    unit.record::<Candidate>(id, event)?;
    Ok(())
}

/// Hands a candidate's signals over to another session.
///
/// # Errors
/// When the candidate is decided for good or storage does not answer.
pub(crate) fn merge(
    unit: &mut Unit<'_>,
    id: CandidateId,
    into: CandidateId,
) -> Result<Arrival, Refusal> {
    let candidate = unit.get::<Candidate>(id)?;
    LIFECYCLE.next(candidate.status, CandidateTrigger::Merge)?;
    unit.record::<Candidate>(id, CandidateEvent::Merged(Merged { into }))?;
    Ok(Arrival {
        members: candidate.members.iter().copied().collect(),
        count: candidate.signals_total,
    })
}

/// What settling a candidate came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It does not collect: there is nothing to settle.
    Idle,
    /// Signals may still come until then.
    NotDue(Timestamp),
    /// It was not enough.
    Rejected {
        /// Every threshold that was missed.
        reasons: Vec<String>,
    },
    /// It is an incident.
    Promoted {
        /// The incident.
        incident: IncidentId,
        /// Its grounds.
        bundle: BundleId,
        /// The entry of the promotion.
        entry: EntryId,
    },
}

/// The tick of a candidate: assesses it over its whole set of signals and
/// promotes or rejects it. Calling it again changes nothing.
///
/// # Errors
/// `not_found` when there is no such candidate; storage and bounds.
pub fn settle(unit: &mut Unit<'_>, catalog: &Catalog, id: CandidateId) -> Result<Settled, Refusal> {
    let candidate = unit.get::<Candidate>(id)?;
    if candidate.status != CandidateStatus::Collecting {
        return Ok(Settled::Idle);
    }
    if unit.ctx().now < candidate.settles_at {
        return Ok(Settled::NotDue(candidate.settles_at));
    }
    let signals = load(unit, &candidate.members)?;
    let assessment = assess(catalog, &candidate.subject, &signals)?;
    let decision = decide(
        catalog,
        &assessment,
        candidate.members.len(),
        candidate.signals_total,
    )?;
    // There is no other way to learn the cause in force than to replace it.
    let outer = unit.caused_by(None);
    unit.caused_by(outer);
    let cause = record_grounds(unit, &assessment, &signals)?.or(outer);
    unit.caused_by(cause);
    let outcome = conclude(unit, id, &candidate, decision, &assessment, &signals);
    unit.caused_by(outer);
    outcome
}

fn conclude(
    unit: &mut Unit<'_>,
    id: CandidateId,
    candidate: &Candidate,
    decision: Decision,
    assessment: &Assessment,
    signals: &[Arc<Signal>],
) -> Result<Settled, Refusal> {
    let decided = Decided {
        decision: decision.clone(),
    };
    let (Outcome::Promote, Some(incident), Some(bundle)) =
        (decision.outcome, decision.incident, decision.bundle)
    else {
        unit.record::<Candidate>(id, CandidateEvent::Rejected(decided))?;
        return Ok(Settled::Rejected {
            reasons: decision.reasons,
        });
    };
    let (entry, _) = unit.record::<Candidate>(id, CandidateEvent::Promoted(decided))?;
    unit.caused_by(Some(entry));
    incident::open(unit, id, bundle, assessment, signals)?;
    let watch = unit.find::<Watch>(&candidate.subject)?;
    if let Some(session) = watch.as_ref().and_then(|w| w.of_candidate(id)) {
        let set = SessionSet {
            subject: candidate.subject.clone(),
            session: crate::watch::Session {
                incident: Some(incident),
                ..session.clone()
            },
            absorbed: Vec::new(),
        };
        unit.record::<Watch>(&candidate.subject, WatchEvent::SessionSet(set))?;
    }
    Ok(Settled::Promoted {
        incident,
        bundle,
        entry,
    })
}

/// Records detections and bundle, each caused by what it rests on. Returns the
/// entry of the bundle, if there is one.
fn record_grounds(
    unit: &mut Unit<'_>,
    assessment: &Assessment,
    signals: &[Arc<Signal>],
) -> Result<Option<EntryId>, Refusal> {
    let mut last = None;
    for detection in &assessment.detections {
        if unit.find::<Detection>(detection.id)?.is_some() {
            continue;
        }
        let of = signals
            .iter()
            .filter(|s| detection.signals.contains(&s.id))
            .filter_map(|s| s.entry);
        let cause = of.max();
        if cause.is_some() {
            unit.caused_by(cause);
        }
        let event = DetectionEvent::Matched(detection.clone());
        last = Some(unit.record::<Detection>(detection.id, event)?.0);
    }
    if assessment.detections.is_empty() {
        return Ok(None);
    }
    let id = assessment.bundle.id()?;
    if unit.find::<Bundle>(id)?.is_some() {
        return Ok(last);
    }
    if last.is_some() {
        unit.caused_by(last);
    }
    let event = BundleEvent::Sealed(assessment.bundle.clone());
    Ok(Some(unit.record::<Bundle>(id, event)?.0))
}

fn load(unit: &mut Unit<'_>, members: &BTreeSet<Member>) -> Result<Vec<Arc<Signal>>, Refusal> {
    members
        .iter()
        .map(|member| unit.get::<Signal>(member.signal))
        .collect()
}
