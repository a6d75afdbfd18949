//! Where new signals of one subject belong: to an open incident, to a
//! candidate, to an incident that is over, or to a new candidate. Sessions that
//! a signal connects become one.
//!
//! A signal belongs, in this order,
//! 1. when it is the end of an alert: to the incident that knows its beginning;
//! 2. to an open incident whose session holds its beginning;
//! 3. to the candidates whose sessions hold its beginning, as one;
//! 4. when it says nothing of the present (the end of an alert, or the beginning
//!    of one whose end is known): to an incident that is over;
//! 5. to a new candidate.

use super::Intake;
use crate::candidate::{self, Arrival, Candidate, CandidateStatus, Member};
use crate::catalog::Catalog;
use crate::incident::{self, Incident, alert_key};
use crate::severity::SignalStatus;
use crate::signal::Signal;
use crate::watch::{Session, SessionSet, Watch, WatchEvent};
use kernel::{CandidateId, IncidentId, Refusal, Span, Subject, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A session while signals are being routed.
struct Draft {
    session: Session,
    arrived: Vec<Arc<Signal>>,
    absorbed: Vec<CandidateId>,
    changed: bool,
}

pub(super) fn route(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    subject: &Subject,
    mut signals: Vec<Arc<Signal>>,
    intake: &mut Intake,
) -> Result<(), Refusal> {
    let gap = catalog.correlation().gap;
    let watch = unit.find::<Watch>(subject)?;
    let mut drafts = Vec::new();
    let mut incidents: BTreeMap<IncidentId, Arc<Incident>> = BTreeMap::new();
    for session in watch.iter().flat_map(|w| &w.sessions) {
        if let Some(id) = session.incident {
            incidents.insert(id, unit.get::<Incident>(id)?);
        }
        drafts.push(Draft {
            session: session.clone(),
            arrived: Vec::new(),
            absorbed: Vec::new(),
            changed: false,
        });
    }
    signals.sort_by_key(|s| (s.began_at, s.id));
    for signal in signals {
        let place = place(&drafts, &incidents, &signal, gap);
        let mut draft = match place {
            Place::New => Draft {
                session: Session {
                    candidate: unit.ctx().next_id(),
                    incident: None,
                    first: signal.began_at,
                    last: signal.began_at,
                    ended_at: None,
                },
                arrived: Vec::new(),
                absorbed: Vec::new(),
                changed: true,
            },
            Place::Sessions(candidates) => merged(&mut drafts, &candidates)?,
        };
        let before = draft.session.clone();
        // An incident that is over does not grow: its stretch of time stays.
        if draft.session.ended_at.is_none() {
            draft.session.extend(signal.began_at);
        }
        draft.changed |= draft.session != before;
        draft.arrived.push(signal);
        drafts.push(draft);
    }
    for draft in drafts {
        record(unit, catalog, subject, draft, intake)?;
    }
    Ok(())
}

enum Place {
    /// These sessions, named by candidate; the first takes the others.
    Sessions(Vec<CandidateId>),
    New,
}

fn place(
    drafts: &[Draft],
    incidents: &BTreeMap<IncidentId, Arc<Incident>>,
    signal: &Signal,
    gap: Span,
) -> Place {
    let alert = alert_key(signal);
    let known = |session: &Session| {
        let incident = session.incident.and_then(|id| incidents.get(&id))?;
        incident.alerts.get(&alert)
    };
    let resolved = signal.status == SignalStatus::Resolved;
    let sessions = || drafts.iter().map(|d| &d.session);
    if resolved {
        let begun =
            sessions().find(|s| known(s).is_some_and(|a| a.firing_at == Some(signal.began_at)));
        if let Some(session) = begun {
            return Place::Sessions(vec![session.candidate]);
        }
    }
    let mut holding: Vec<&Session> = sessions()
        .filter(|s| s.holds(signal.began_at, gap))
        .collect();
    holding.sort_by_key(|s| (s.first, s.candidate));
    let open = holding.iter().rfind(|s| s.is_open_incident());
    let candidates = holding.iter().filter(|s| s.incident.is_none());
    let candidates = candidates.map(|s| s.candidate);
    if let Some(open) = open {
        return Place::Sessions(std::iter::once(open.candidate).chain(candidates).collect());
    }
    let candidates: Vec<_> = candidates.collect();
    if !candidates.is_empty() {
        return Place::Sessions(candidates);
    }
    let over = holding.iter().rfind(|s| {
        let ended = known(s).and_then(|a| a.resolved_at);
        resolved || ended.is_some_and(|at| at >= signal.observed_at)
    });
    match over {
        Some(session) => Place::Sessions(vec![session.candidate]),
        None => Place::New,
    }
}

/// Takes these sessions out of the drafts and makes one of them.
fn merged(drafts: &mut Vec<Draft>, names: &[CandidateId]) -> Result<Draft, Refusal> {
    let mut one: Option<Draft> = None;
    for name in names {
        let Some(index) = drafts.iter().position(|d| d.session.candidate == *name) else {
            continue;
        };
        let taken = drafts.remove(index);
        one = Some(match one {
            None => taken,
            Some(mut head) => {
                head.session.extend(taken.session.first);
                head.session.extend(taken.session.last);
                head.arrived.extend(taken.arrived);
                head.absorbed.push(taken.session.candidate);
                head.absorbed.extend(taken.absorbed);
                head.changed = true;
                head
            }
        });
    }
    one.ok_or_else(|| Refusal::integrity("a session that was chosen is gone"))
}

/// Records what became of a session: the signals, then the session itself.
fn record(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    subject: &Subject,
    draft: Draft,
    intake: &mut Intake,
) -> Result<(), Refusal> {
    if draft.arrived.is_empty() && draft.absorbed.is_empty() {
        return Ok(());
    }
    let id = draft.session.candidate;
    let cause = draft.arrived.iter().filter_map(|s| s.entry).max();
    let outer = unit.caused_by(cause);
    let done = record_caused(unit, catalog, subject, draft, intake, id);
    unit.caused_by(outer);
    done
}

fn record_caused(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    subject: &Subject,
    draft: Draft,
    intake: &mut Intake,
    id: CandidateId,
) -> Result<(), Refusal> {
    let mut arrival = Arrival {
        members: draft.arrived.iter().map(|s| member(s)).collect(),
        count: u64::try_from(draft.arrived.len()).unwrap_or(u64::MAX),
    };
    let mut joining = draft.arrived;
    for other in &draft.absorbed {
        // A candidate that was drafted by this payload has nothing recorded.
        if unit.find::<Candidate>(other)?.is_none() {
            continue;
        }
        let taken = candidate::merge(unit, *other, id)?;
        intake.candidates.remove(other);
        if draft.session.incident.is_some() {
            for member in &taken.members {
                joining.push(unit.get::<Signal>(member.signal)?);
            }
        }
        arrival.members.extend(taken.members);
        arrival.count = arrival.count.saturating_add(taken.count);
    }
    match draft.session.incident {
        Some(incident) => {
            incident::join(unit, incident, &joining)?;
            intake.incidents_joined.insert(incident);
        }
        None => {
            let decided = unit.find::<Candidate>(id)?;
            if decided.is_some_and(|c| c.status == CandidateStatus::Promoted) {
                return Err(Refusal::integrity(format!(
                    "candidate `{id}` is promoted but its session names no incident"
                )));
            }
            candidate::collect(unit, catalog, subject, id, arrival)?;
            intake.candidates.insert(id);
        }
    }
    if draft.changed {
        let set = SessionSet {
            subject: subject.clone(),
            session: draft.session,
            absorbed: draft.absorbed,
        };
        unit.record::<Watch>(subject, WatchEvent::SessionSet(set))?;
    }
    Ok(())
}

fn member(signal: &Signal) -> Member {
    Member {
        began_at: signal.began_at,
        signal: signal.id,
    }
}
