//! How this node sees the kill switch at the last moment, and when what was
//! engaged here may be acknowledged. The rule stands in `act::fence`.

use crate::control::Control;
use crate::force::Force;
use act::fence::Sight;
use act::{Lookout, limits};
use async_trait::async_trait;
use gate::KillSwitch;
use gate::budget::{Reservation, ReservationStatus};
use kernel::{Aggregate, Digest, Refusal, ReservationId, StreamId, TenantId};
use ledger::Ledger;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The log, as the fence looks at it.
pub(crate) struct Log {
    ledger: Ledger,
    force: Arc<Force>,
}

impl Log {
    pub(crate) fn new(ledger: Ledger, force: Arc<Force>) -> Self {
        Self { ledger, force }
    }

    /// The version and the state of an aggregate, as storage holds them: what
    /// another node has recorded is among it.
    async fn state<A: Aggregate + DeserializeOwned>(
        &self,
        tenant: TenantId,
        id: impl ToString + Send,
    ) -> Result<Option<(u64, A)>, Refusal> {
        let stream = StreamId::of::<A>(id.to_string());
        let Some(found) = self.ledger.store().document(tenant, &stream).await? else {
            return Ok(None);
        };
        let state = serde_json::from_str(&found.body)
            .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))?;
        Ok(Some((found.version, state)))
    }
}

#[async_trait]
impl Lookout for Log {
    async fn kill_switch(&self, tenant: TenantId) -> Result<Sight, Refusal> {
        let found = self.state::<KillSwitch>(tenant, gate::kill::ID).await?;
        let (version, switch) = found.unwrap_or_default();
        Ok(Sight {
            version,
            switch: Arc::new(switch),
        })
    }

    async fn is_held(&self, tenant: TenantId, id: ReservationId) -> Result<bool, Refusal> {
        let found = self.state::<Reservation>(tenant, id).await?;
        Ok(found.is_some_and(|(_, state)| state.status == ReservationStatus::Held))
    }

    fn policy(&self, tenant: TenantId) -> Option<Digest> {
        let in_force = self.force.of(tenant).ok()?;
        Some(in_force.pack.rules.policy.hash())
    }
}

impl Control {
    /// Waits until what was recorded of these tenants' kill switches holds:
    /// from then on no call that they stop leaves this node, or another one of
    /// the same log. Call it between the record and its acknowledgement.
    ///
    /// # Errors
    /// When storage does not answer: the engagement is recorded, holds for
    /// every step that is not admitted yet, and may not be acknowledged.
    pub async fn uphold(&self, tenants: &[TenantId]) -> Result<(), Refusal> {
        for tenant in tenants {
            self.fence().look(*tenant).await?;
        }
        if self.ledger().store().others().is_some() {
            tokio::time::sleep(limits::SETTLE.to_std()).await;
        }
        Ok(())
    }
}
