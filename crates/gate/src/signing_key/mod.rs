//! Signing keys: the public halves of the keys with which people sign their
//! decisions (GATE-15). A person registers their own and proves to hold it; a
//! second person confirms it before it counts, so that whoever gets hold of a
//! session or a token cannot slip a key of their own in. The private half
//! never comes here.

pub mod lifecycle;
mod operations;
mod passkey;
mod public;

pub use lifecycle::{LIFECYCLE, Status, Trigger};
pub(crate) use operations::count;
pub use operations::{Registration, confirm, register, revoke};
pub use passkey::{Assertion, Passkey};
pub use public::{Algorithm, PublicKey};

use kernel::names::Name;
use kernel::{
    Actor, Aggregate, EntryId, Impossible, Refusal, SigningKeyId, Stamp, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The domain of what a key signs when it is registered.
const POSSESSION_DOMAIN: &str = "writ.signing-key-possession.v1";

/// What a key signs when it is registered: that who registers it holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Possession {
    /// The key.
    pub key: SigningKeyId,
    /// Whose it is.
    pub principal: Actor,
    /// The tenant that it is registered with.
    pub tenant: TenantId,
}

impl Possession {
    /// The bytes that are signed: `writ.signing-key-possession.v1`, a line feed
    /// and the canonical JSON.
    ///
    /// # Errors
    /// Never for a value of this type.
    pub fn message(&self) -> Result<Vec<u8>, Refusal> {
        tagged(POSSESSION_DOMAIN, self)
    }
}

/// A domain, a line feed and the canonical JSON of a value.
pub(crate) fn tagged<T: Serialize>(domain: &str, value: &T) -> Result<Vec<u8>, Refusal> {
    Ok(format!("{domain}\n{}", kernel::json::canonical(value)?).into_bytes())
}

/// A person registered a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The key.
    pub key: SigningKeyId,
    /// Its public half.
    pub public: PublicKey,
    /// What its person calls it.
    pub name: String,
    /// Its signature over the [`Possession`], in base64.
    pub proof: String,
    /// What its authenticator signed, when it is a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
}

/// A second person confirmed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// Whose key it is.
    pub owner: Actor,
}

/// A passkey signed, and its authenticator counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// How often it says that it has signed.
    pub counter: u32,
}

/// It was taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to a signing key.
    pub enum SigningKeyEvent {
        /// Its person registered it.
        Registered(Registered) = "signing_key.registered" in System,
        /// A second person confirmed it.
        Confirmed(Confirmed) = "signing_key.confirmed" in System,
        /// A passkey signed, and its authenticator counts.
        Counted(Counted) = "signing_key.counted" in System,
        /// It was taken back.
        Revoked(Revoked) = "signing_key.revoked" in System,
    }
}

/// Who did something to a key, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// A person's signing key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// As it was registered.
    pub registered: Registered,
    /// Whose it is.
    pub owner: Actor,
    /// Where it stands.
    pub status: Status,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Who confirmed it.
    pub confirmed: Option<Hand>,
    /// Who took it back.
    pub revoked: Option<Hand>,
    /// Why.
    pub reason: Option<String>,
    /// How often its authenticator last said that it has signed; 0 when it does
    /// not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub counter: u32,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

fn is_zero(counter: &u32) -> bool {
    *counter == 0
}

impl Aggregate for SigningKey {
    const KIND: &'static str = "signing_key";
    type Event = SigningKeyEvent;

    fn evolve(
        state: Option<Self>,
        event: &SigningKeyEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let hand = || Hand {
            by: stamp.actor.clone(),
            at: stamp.at,
        };
        let mut next = match (state, event) {
            (None, SigningKeyEvent::Registered(registered)) => {
                return Ok(Self {
                    registered: registered.clone(),
                    owner: stamp.actor.clone(),
                    status: Status::Registered,
                    registered_at: stamp.at,
                    confirmed: None,
                    revoked: None,
                    reason: None,
                    counter: 0,
                    entry: stamp.entry,
                });
            }
            (Some(mut state), SigningKeyEvent::Counted(counted)) => {
                if counted.counter <= state.counter {
                    return Err(Impossible::new("a counter that does not count up"));
                }
                state.counter = counted.counter;
                state.entry = stamp.entry;
                return Ok(state);
            }
            (Some(state), SigningKeyEvent::Confirmed(_) | SigningKeyEvent::Revoked(_)) => state,
            _ => {
                return Err(Impossible::new(
                    "a signing key is registered once, and first",
                ));
            }
        };
        let trigger = match event {
            SigningKeyEvent::Revoked(revoked) => {
                next.revoked = Some(hand());
                next.reason = Some(revoked.reason.clone());
                Trigger::Revoke
            }
            _ if next.owner == stamp.actor => {
                return Err(Impossible::new("a signing key was confirmed by its owner"));
            }
            _ => {
                next.confirmed = Some(hand());
                Trigger::Confirm
            }
        };
        next.status = LIFECYCLE.next(next.status, trigger)?;
        next.entry = stamp.entry;
        Ok(next)
    }

    fn status(&self) -> &str {
        self.status.name()
    }
}
