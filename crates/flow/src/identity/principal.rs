//! A principal: a person, an agent, a program, with its roles in the tenant.

use kernel::names::Name;
use kernel::{Aggregate, Impossible, PrincipalId, PrincipalKind, Role, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Whether a principal may act.
    pub enum PrincipalStatus {
        /// It may.
        Active = "active",
        /// It may not any more.
        Disabled = "disabled",
    }
}

/// A principal was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Created {
    /// Its id.
    pub id: PrincipalId,
    /// Its kind.
    pub kind: PrincipalKind,
    /// What people call it.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
}

/// A principal's roles were replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolesSet {
    /// The roles from now on.
    pub roles: Vec<Role>,
}

/// A principal was disabled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to a principal.
    pub enum PrincipalEvent {
        /// It was created.
        Created(Created) = "principal.created" in System,
        /// Its roles were replaced.
        RolesSet(RolesSet) = "principal.roles_set" in System,
        /// It was disabled.
        Disabled(Disabled) = "principal.disabled" in System,
    }
}

/// A principal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// Its kind.
    pub kind: PrincipalKind,
    /// What people call it.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Whether it may act.
    pub status: PrincipalStatus,
    /// Since when.
    pub created_at: Timestamp,
}

impl Aggregate for Principal {
    const KIND: &'static str = "principal";
    type Event = PrincipalEvent;

    fn evolve(
        state: Option<Self>,
        event: &PrincipalEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        match (state, event) {
            (None, PrincipalEvent::Created(created)) => Ok(Self {
                id: created.id,
                kind: created.kind,
                name: created.name.clone(),
                roles: created.roles.clone(),
                status: PrincipalStatus::Active,
                created_at: stamp.at,
            }),
            (Some(state), PrincipalEvent::RolesSet(set)) => Ok(Self {
                roles: set.roles.clone(),
                ..state
            }),
            (Some(state), PrincipalEvent::Disabled(_)) => Ok(Self {
                status: PrincipalStatus::Disabled,
                ..state
            }),
            (_, event) => Err(Impossible::new(format!(
                "`{}` cannot happen to this principal",
                kernel::Event::kind(event)
            ))),
        }
    }
    fn status(&self) -> &'static str {
        self.status.name()
    }
}
