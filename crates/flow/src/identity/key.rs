//! An API key: the hash of a secret, bound to one principal, expiring and
//! revocable.

use kernel::names::Name;
use kernel::{Aggregate, Digest, Impossible, KeyId, PrincipalId, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Whether a key opens anything.
    pub enum KeyStatus {
        /// It does, until it expires.
        Active = "active",
        /// It was revoked.
        Revoked = "revoked",
    }
}

/// A key was issued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyIssued {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret. The secret has 256 random bits, so that a slow
    /// hash would add nothing.
    pub secret_hash: Digest,
    /// When it stops working; `None` means when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A key was revoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Why.
    pub reason: String,
}

kernel::events! {
    /// What happens to a key.
    pub enum KeyEvent {
        /// It was issued.
        Issued(KeyIssued) = "key.issued" in System,
        /// It was revoked.
        Revoked(KeyRevoked) = "key.revoked" in System,
    }
}

/// A key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: Digest,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// Whether it opens anything.
    pub status: KeyStatus,
}

impl Aggregate for Key {
    const KIND: &'static str = "key";
    type Event = KeyEvent;

    fn evolve(state: Option<Self>, event: &KeyEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        match (state, event) {
            (None, KeyEvent::Issued(issued)) => Ok(Self {
                id: issued.id,
                principal: issued.principal,
                name: issued.name.clone(),
                secret_hash: issued.secret_hash,
                issued_at: stamp.at,
                expires_at: issued.expires_at,
                status: KeyStatus::Active,
            }),
            (Some(state), KeyEvent::Revoked(_)) if state.status == KeyStatus::Active => Ok(Self {
                status: KeyStatus::Revoked,
                ..state
            }),
            (_, event) => Err(Impossible::new(format!(
                "`{}` cannot happen to this key",
                kernel::Event::kind(event)
            ))),
        }
    }
    fn status(&self) -> &'static str {
        self.status.name()
    }
}

/// A key with its token. The token is not recorded: when the request is
/// repeated, it is absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    /// The key's id.
    pub key: KeyId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}
