//! Delegation: a person lets another decide in their place, until an instant
//! (GATE-15). What one person gave is one aggregate, so that it ends as a whole
//! when they lose their roles. Only what a person may do by their own roles can
//! be given, so a delegation is never handed on.

mod operations;

pub use operations::{Grant, grant, revoke, withdraw};

use crate::ActionClass;
use crate::approval::Kinds;
use kernel::{Actor, Aggregate, DelegationId, EntryId, Impossible, Role, Span, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

/// A delegation lasts no longer.
pub const LASTS_MAX: Span = Span::from_secs(30 * 24 * 60 * 60);
/// One person has no more delegations in force.
pub const AT_ONCE_MAX: usize = 20;
/// One delegation names no more types of directives.
pub const TYPES_MAX: usize = 50;

/// A person let another decide in their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The delegation.
    pub delegation: DelegationId,
    /// Who decides in their place.
    pub to: Actor,
    /// The roles of theirs by which they may decide.
    pub roles: Vec<Role>,
    /// What it is for; everything when nothing is named.
    #[serde(default, skip_serializing_if = "Kinds::is_empty")]
    pub kinds: Kinds,
    /// From this instant on it gives nothing.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A delegation was taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Which.
    pub delegation: DelegationId,
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to the delegations of a person.
    pub enum DelegationEvent {
        /// They let another decide in their place.
        Granted(Granted) = "delegation.granted" in Approval,
        /// It was taken back.
        Revoked(Revoked) = "delegation.revoked" in Approval,
    }
}

/// How a delegation was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Who took it back.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// As it was given.
    pub granted: Granted,
    /// When.
    pub at: Timestamp,
    /// How it was taken back, where it was.
    pub revoked: Option<Revocation>,
}

impl Delegation {
    /// Whether it gives anything at this instant.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.granted.until
    }
}

/// What is to be decided, as far as a delegation looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// What the directive does and its type; `None` for requests of before that
    /// was recorded, which only a delegation of everything covers.
    pub kind: Option<(ActionClass, &'a str)>,
    /// The roles that may decide.
    pub among: &'a [Role],
}

/// The delegations of a person: those in force when the latest was given, and
/// it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegations {
    /// Whose place it is.
    pub by: Actor,
    /// What they gave, oldest first.
    pub given: Vec<Delegation>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

impl Delegations {
    /// The delegation by which this person may decide this at this instant.
    #[must_use]
    pub fn to(&self, person: &Actor, matter: Matter<'_>, now: Timestamp) -> Option<&Delegation> {
        self.given.iter().find(|delegation| {
            let granted = &delegation.granted;
            let covers = granted.kinds.is_empty()
                || matter
                    .kind
                    .is_some_and(|(class, kind)| granted.kinds.has(class, kind));
            let may = granted.roles.iter().any(|role| matter.among.contains(role));
            granted.to == *person && covers && may && delegation.is_in_force(now)
        })
    }
}

impl Aggregate for Delegations {
    const KIND: &'static str = "delegation";
    type Event = DelegationEvent;

    fn evolve(
        state: Option<Self>,
        event: &DelegationEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        match (state, event) {
            (state, DelegationEvent::Granted(granted)) => {
                let mut next = state.unwrap_or_else(|| Self {
                    by: stamp.actor.clone(),
                    given: Vec::new(),
                    entry: stamp.entry,
                });
                if next.by != stamp.actor {
                    return Err(Impossible::new("a delegation in another's name"));
                }
                next.given.retain(|known| known.is_in_force(stamp.at));
                next.given.push(Delegation {
                    granted: granted.clone(),
                    at: stamp.at,
                    revoked: None,
                });
                next.entry = stamp.entry;
                Ok(next)
            }
            (Some(mut next), DelegationEvent::Revoked(revoked)) => {
                let mut given = next.given.iter_mut();
                let found = given
                    .find(|known| known.granted.delegation == revoked.delegation)
                    .filter(|known| known.revoked.is_none())
                    .ok_or_else(|| Impossible::new("a delegation that does not stand"))?;
                found.revoked = Some(Revocation {
                    by: stamp.actor.clone(),
                    at: stamp.at,
                    reason: revoked.reason.clone(),
                });
                next.entry = stamp.entry;
                Ok(next)
            }
            (None, DelegationEvent::Revoked(_)) => {
                Err(Impossible::new("nothing was delegated yet"))
            }
        }
    }

    /// Whether any was not taken back; that its time ended is for who asks.
    fn status(&self) -> &str {
        match self.given.iter().any(|known| known.revoked.is_none()) {
            true => "granted",
            false => "revoked",
        }
    }
}
