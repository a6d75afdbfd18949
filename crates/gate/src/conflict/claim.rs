//! The queue of one subject: who changes it, and who waits to. This is the
//! state and its fold; who comes and goes is decided in `operations`.

use super::QUEUE_MAX;
use kernel::names::Name;
use kernel::{Aggregate, DirectiveId, EntryId, Impossible, Refs, Stamp, Subject, Timestamp};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// How a subject stands.
    pub enum Status {
        /// Nobody changes it.
        Free = "free",
        /// One directive changes it, or is about to.
        Held = "held",
        /// Others wait for that one.
        Contended = "contended",
    }
}

/// A directive's place in the queue of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The directive.
    pub directive: DirectiveId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it took the place.
    pub since: Timestamp,
}

/// A directive took its place: behind all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The subject.
    pub subject: Subject,
    /// The directive.
    pub directive: DirectiveId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A directive left.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The directive.
    pub directive: DirectiveId,
}

kernel::events! {
    /// What happens to the queue of a subject.
    pub enum ClaimEvent {
        /// A directive took its place behind all others.
        Joined(Joined) = "claim.joined" in Decision,
        /// A directive that is rolled back took the first place.
        Returned(Joined) = "claim.returned" in Decision,
        /// A directive left.
        Left(Left) = "claim.left" in Decision,
    }
}

/// The queue of a subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The subject.
    pub subject: Subject,
    /// Who changes it, and who waits to, in order.
    pub queue: Vec<Place>,
    /// The latest entry.
    pub entry: EntryId,
}

impl Claim {
    /// Where this directive stands, from 0.
    #[must_use]
    pub fn place(&self, directive: DirectiveId) -> Option<usize> {
        self.queue.iter().position(|p| p.directive == directive)
    }

    /// Those before this directive; all, where it has no place.
    pub fn ahead(&self, directive: DirectiveId) -> impl Iterator<Item = &Place> {
        self.queue
            .iter()
            .take_while(move |p| p.directive != directive)
    }

    fn take(mut self, joined: &Joined, at: usize, stamp: &Stamp) -> Result<Self, Impossible> {
        if self.place(joined.directive).is_some() || self.queue.len() > QUEUE_MAX {
            return Err(Impossible::new("a place is taken once, and places are few"));
        }
        let place = Place {
            directive: joined.directive,
            kind: joined.kind.clone(),
            since: stamp.at,
        };
        self.queue.insert(at.min(self.queue.len()), place);
        Ok(self)
    }
}

impl Aggregate for Claim {
    const KIND: &'static str = "claim";
    type Event = ClaimEvent;

    fn evolve(state: Option<Self>, event: &ClaimEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let mut next = match (state, event) {
            (state, ClaimEvent::Joined(joined) | ClaimEvent::Returned(joined)) => {
                let state = state.unwrap_or_else(|| Self {
                    subject: joined.subject.clone(),
                    queue: Vec::new(),
                    entry: stamp.entry,
                });
                let at = match event {
                    ClaimEvent::Returned(_) => 0,
                    _ => state.queue.len(),
                };
                state.take(joined, at, stamp)?
            }
            (Some(mut state), ClaimEvent::Left(left)) => {
                let place = state.place(left.directive);
                let place = place.ok_or_else(|| Impossible::new("who leaves had a place"))?;
                state.queue.remove(place);
                state
            }
            (None, ClaimEvent::Left(_)) => return Err(Impossible::new("nobody had a place")),
        };
        next.entry = stamp.entry;
        Ok(next)
    }

    fn status(&self) -> &str {
        match self.queue.len() {
            0 => Status::Free,
            1 => Status::Held,
            _ => Status::Contended,
        }
        .name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            directive: self.queue.first().map(|place| place.directive),
            snapshot: None,
        }
    }
}
