//! A tenant's keyring as the ledger knows it: that there is one, so that one
//! that was lost is not taken for a new one, and which tenant key wraps.

use kernel::{Actor, Aggregate, Impossible, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

/// The id of a tenant's only keyring.
pub const ID: &str = "main";

/// The first personal fact was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founded {}

/// A new tenant key wraps every data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantKeyRotated {
    /// Its number.
    pub generation: u32,
    /// How many subjects' keys it wraps.
    pub subjects: u64,
}

kernel::events! {
    /// What happens to a keyring.
    pub enum RingEvent {
        /// It came into use.
        Founded(Founded) = "keyring.founded" in System,
        /// Its tenant key was renewed.
        Rotated(TenantKeyRotated) = "keyring.rotated" in System,
    }
}

/// A tenant's keyring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Since when it is in use.
    pub founded_at: Timestamp,
    /// The number of the tenant key that wraps.
    pub generation: u32,
    /// When it was last renewed, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<(Timestamp, Actor)>,
}

impl Aggregate for Ring {
    const KIND: &'static str = "keyring";
    type Event = RingEvent;

    fn evolve(state: Option<Self>, event: &RingEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        match (state, event) {
            (None, RingEvent::Founded(_)) => Ok(Self {
                founded_at: stamp.at,
                generation: 1,
                rotated: None,
            }),
            (Some(ring), RingEvent::Rotated(rotated)) => Ok(Self {
                generation: rotated.generation,
                rotated: Some((stamp.at, stamp.actor.clone())),
                ..ring
            }),
            (Some(_), RingEvent::Founded(_)) => Err(Impossible::new("a keyring is founded once")),
            (None, RingEvent::Rotated(_)) => Err(Impossible::new("there is no keyring")),
        }
    }
    fn status(&self) -> &'static str {
        "in_use"
    }
}
