//! The watch over one subject: which sessions of signals are known. A session
//! is a stretch of event time whose signals belong together; it is a candidate
//! and, once promoted, an incident. The watch decides where a new signal
//! belongs, by its beginning, so that the end of an alert finds its beginning.

use crate::limits;
use kernel::{
    Aggregate, CandidateId, Impossible, IncidentId, Refs, Span, Stamp, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

/// A stretch of event time whose signals belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The candidate that collects, or did before it was promoted.
    pub candidate: CandidateId,
    /// The incident that the candidate became.
    pub incident: Option<IncidentId>,
    /// The earliest beginning.
    pub first: Timestamp,
    /// The latest beginning.
    pub last: Timestamp,
    /// Whether the incident is over.
    pub ended_at: Option<Timestamp>,
}

impl Session {
    /// Whether it is an incident that is not over.
    #[must_use]
    pub fn is_open_incident(&self) -> bool {
        self.incident.is_some() && self.ended_at.is_none()
    }

    /// Whether a signal that began at this instant belongs here. What begins
    /// while an incident is open belongs to it however long it has been open.
    #[must_use]
    pub fn holds(&self, began_at: Timestamp, gap: Span) -> bool {
        let not_before = began_at.plus(gap) >= self.first;
        let until = self
            .ended_at
            .map_or(self.last.plus(gap), |ended| ended.max(self.last));
        not_before && (self.is_open_incident() || began_at <= until)
    }

    /// The session with this instant in it.
    pub fn extend(&mut self, began_at: Timestamp) {
        self.first = self.first.min(began_at);
        self.last = self.last.max(began_at);
    }
}

/// A session changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSet {
    /// Of what.
    pub subject: Subject,
    /// The session as it now is.
    pub session: Session,
    /// Candidates that were merged into it.
    pub absorbed: Vec<CandidateId>,
}

kernel::events! {
    /// What happens to a watch.
    pub enum WatchEvent {
        /// A session began, grew, absorbed others, was promoted or ended.
        SessionSet(SessionSet) = "watch.session_set" in Decision,
    }
}

/// The sessions of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Of what.
    pub subject: Subject,
    /// By beginning.
    pub sessions: Vec<Session>,
}

impl Watch {
    /// The session of this incident.
    #[must_use]
    pub fn of_incident(&self, incident: IncidentId) -> Option<&Session> {
        self.sessions.iter().find(|s| s.incident == Some(incident))
    }
    /// The session of this candidate.
    #[must_use]
    pub fn of_candidate(&self, candidate: CandidateId) -> Option<&Session> {
        self.sessions.iter().find(|s| s.candidate == candidate)
    }
    /// Incidents that are not over.
    #[must_use]
    pub fn open_incidents(&self) -> Vec<IncidentId> {
        let open = self.sessions.iter().filter(|s| s.is_open_incident());
        open.filter_map(|s| s.incident).collect()
    }

    /// Forgets the oldest session that is no open incident while there are too
    /// many.
    fn trim(&mut self) {
        while self.sessions.len() > limits::SESSIONS_MAX {
            let oldest = self
                .sessions
                .iter()
                .filter(|s| !s.is_open_incident())
                .min_by_key(|s| (s.last, s.candidate))
                .map(|s| s.candidate);
            match oldest {
                Some(candidate) => self.sessions.retain(|s| s.candidate != candidate),
                None => break,
            }
        }
    }
}

impl Aggregate for Watch {
    const KIND: &'static str = "watch";
    type Event = WatchEvent;

    fn evolve(state: Option<Self>, event: &WatchEvent, _: &Stamp) -> Result<Self, Impossible> {
        let WatchEvent::SessionSet(set) = event;
        let mut watch = state.unwrap_or_else(|| Self {
            subject: set.subject.clone(),
            sessions: Vec::new(),
        });
        if watch.subject != set.subject {
            return Err(Impossible::new("a watch is over one subject"));
        }
        watch.sessions.retain(|s| {
            s.candidate != set.session.candidate && !set.absorbed.contains(&s.candidate)
        });
        watch.sessions.push(set.session.clone());
        watch.sessions.sort_by_key(|s| (s.first, s.candidate));
        watch.trim();
        Ok(watch)
    }
    fn status(&self) -> &'static str {
        if self.sessions.iter().any(Session::is_open_incident) {
            "incident"
        } else {
            "watching"
        }
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
}
