//! A tenant: the isolation boundary.

use kernel::{Aggregate, Impossible, Stamp, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Whether a tenant is the installation's first.
    pub enum Standing {
        /// The first tenant; its admins run the installation.
        Home = "home",
        /// Any other.
        Member = "member",
    }
}

/// A tenant was founded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Founded {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Whether it is the first.
    pub standing: Standing,
}

kernel::events! {
    /// What happens to a tenant.
    pub enum TenantEvent {
        /// It was founded.
        Founded(Founded) = "tenant.founded" in System,
    }
}

/// A tenant; the stream's id is the tenant's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Whether it is the first.
    pub standing: Standing,
    /// Since when.
    pub founded_at: Timestamp,
}

impl Aggregate for Tenant {
    const KIND: &'static str = "tenant";
    type Event = TenantEvent;

    fn evolve(state: Option<Self>, event: &TenantEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let TenantEvent::Founded(founded) = event;
        match state {
            Some(_) => Err(Impossible::new("a tenant is founded once")),
            None => Ok(Self {
                id: founded.id,
                name: founded.name.clone(),
                standing: founded.standing,
                founded_at: stamp.at,
            }),
        }
    }
    fn status(&self) -> &'static str {
        "active"
    }
}
