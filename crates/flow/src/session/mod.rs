//! Session state: what an agent keeps between its turns, under a name. Every
//! action is on the ledger; the state is a body beside it that is compared
//! with its SHA-256 whenever it is read, with a cache in front.

pub mod lifecycle;
pub mod operations;

mod cache;
mod record;

pub use cache::CacheCounts;
pub(crate) use cache::Cached;
pub use record::{Finding, Reading, Session};

use crate::control::Control;
use kernel::{Ctx, Digest, Refusal, TenantId};
use ledger::request::Key;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a session held when it was read.
#[derive(Clone, Debug)]
pub struct Held {
    /// What the ledger knows of it.
    pub session: Session,
    /// Its version: the number of changes.
    pub version: u64,
    /// The state.
    pub state: Value,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// SHA-256 that the state must have.
    pub digest: Digest,
    /// What the store holds.
    pub finding: Finding,
}

impl Control {
    /// Reads a session. The reading is on the ledger before the state is given
    /// out.
    ///
    /// # Errors
    /// `not_found`; `integrity` when the stored state is missing or does not
    /// have its digest.
    pub async fn read_session(&self, ctx: Ctx, name: String) -> Result<Held, Refusal> {
        let tenant = ctx.tenant;
        let read = move |unit: &mut kernel::Unit<'_>| operations::read(unit, &name);
        let (session, version) = self.ledger().run(ctx, read).await?.answer;
        let bytes = self.session_bytes(tenant, session.digest).await?;
        let state = serde_json::from_slice(&bytes)
            .map_err(|e| Refusal::integrity(format!("the session's state is no JSON: {e}")))?;
        Ok(Held {
            session,
            version,
            state,
        })
    }

    /// Puts a state that was saved into the cache.
    pub async fn cache_session(&self, tenant: TenantId, digest: Digest, bytes: Vec<u8>) {
        self.sessions().put(tenant, digest, bytes).await;
    }

    /// Takes a state out of the cache.
    pub async fn forget_session(&self, tenant: TenantId, digest: Digest) {
        self.sessions().remove(tenant, digest).await;
    }

    /// Compares the stored state of a session with its digest, past the cache,
    /// and records what was found.
    ///
    /// # Errors
    /// `not_found`, or what the ledger refuses. That the state is damaged is
    /// no error but a finding.
    pub async fn verify_session(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        name: String,
    ) -> Result<Verification, Refusal> {
        operations::check_name(&name)?;
        let tenant = ctx.tenant;
        let stream = kernel::StreamId::of::<Session>(&name);
        let store = self.ledger().store();
        let Some(document) = store.document(tenant, &stream).await? else {
            return Err(Refusal::not_found(format!("no session `{name}`")));
        };
        let session: Session = serde_json::from_str(&document.body)
            .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))?;
        let digest = session.digest;
        let finding = match store.object(tenant, digest).await {
            Ok(Some(bytes)) if Digest::of(&bytes) == digest => Finding::Intact,
            Ok(Some(_)) | Err(ledger::StoreFault::Damaged(_)) => Finding::Damaged,
            Ok(None) => Finding::Missing,
            Err(fault) => return Err(fault.into()),
        };
        let record = move |unit: &mut kernel::Unit<'_>| {
            operations::verified(unit, &name, digest, finding)?;
            Ok(Verification { digest, finding })
        };
        Ok(self.ledger().run_once(ctx, key, record).await?.answer)
    }

    /// How often the cache had what was read.
    #[must_use]
    pub fn session_cache(&self) -> CacheCounts {
        self.sessions().counts()
    }

    async fn session_bytes(&self, tenant: TenantId, digest: Digest) -> Result<Vec<u8>, Refusal> {
        if let Some(bytes) = self.sessions().get(tenant, digest).await {
            return Ok(bytes);
        }
        let stored = self.ledger().store().object(tenant, digest).await?;
        let bytes = stored.ok_or_else(|| {
            Refusal::integrity(format!(
                "the session's state `{digest}` is not in the store"
            ))
            .hint("restore it from a backup")
        })?;
        if Digest::of(&bytes) != digest {
            return Err(
                Refusal::integrity("the session's state does not have its digest")
                    .hint("run `writ session verify`, then restore it from a backup"),
            );
        }
        self.sessions().put(tenant, digest, bytes.clone()).await;
        Ok(bytes)
    }
}
