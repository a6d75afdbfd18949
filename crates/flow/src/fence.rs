//! How this node sees the kill switch at the last moment, and when what was
//! engaged here may be acknowledged. The rule stands in `act::fence`.

use crate::control::Control;
use crate::force::Force;
use crate::identity::{Standing, Tenant};
use act::fence::Sight;
use act::{Lookout, limits};
use async_trait::async_trait;
use gate::KillSwitch;
use gate::budget::{Reservation, ReservationStatus};
use gate::kill::StoppedBy;
use kernel::{Aggregate, Digest, Refusal, ReservationId, StreamId, TenantId};
use ledger::Ledger;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};

/// The log, as the fence looks at it.
pub(crate) struct Log {
    ledger: Ledger,
    force: Arc<Force>,
    home: OnceLock<TenantId>,
}

impl Log {
    pub(crate) fn new(ledger: Ledger, force: Arc<Force>) -> Self {
        let home = OnceLock::new();
        Self {
            ledger,
            force,
            home,
        }
    }

    /// Finds the home tenant; once found, it stays.
    async fn find_home(&self) -> Result<(), Refusal> {
        if self.home.get().is_some() {
            return Ok(());
        }
        for tenant in self.ledger.store().tenants().await? {
            let found = self.state::<Tenant>(tenant, tenant).await?;
            if found.is_some_and(|(_, found)| found.standing == Standing::Home) {
                self.home.get_or_init(|| tenant);
                return Ok(());
            }
        }
        Ok(())
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
        self.find_home().await?;
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

    fn home(&self) -> Option<TenantId> {
        self.home.get().copied()
    }

    fn policy(&self, tenant: TenantId) -> Option<Digest> {
        let in_force = self.force.of(tenant).ok()?;
        Some(in_force.pack.rules.policy.hash())
    }
}

impl Control {
    /// What stops the steps of every tenant, by a look that this node may go
    /// by. Asked for this tenant's sake.
    ///
    /// # Errors
    /// When storage did not answer in time: nothing may start then.
    pub async fn everywhere(&self, tenant: TenantId) -> Result<Option<StoppedBy>, Refusal> {
        self.fence().everywhere(tenant).await
    }

    /// Waits until what was recorded of this tenant's kill switch holds: from
    /// then on no call that it stops leaves this node, or another one of the
    /// same log; of the home tenant's, no call of any tenant. Call it between
    /// the record and its acknowledgement.
    ///
    /// # Errors
    /// When storage does not answer: the engagement is recorded, holds for
    /// every step that is not admitted yet, and may not be acknowledged.
    pub async fn uphold(&self, tenant: TenantId) -> Result<(), Refusal> {
        self.fence().look(tenant).await?;
        if self.ledger().store().others().is_some() {
            tokio::time::sleep(limits::SETTLE.to_std()).await;
        }
        Ok(())
    }

    /// Looks at this tenant's kill switch again, after a release: without it,
    /// what is let go waits for the next look.
    pub async fn look_again(&self, tenant: TenantId) {
        if let Err(refusal) = self.fence().look(tenant).await {
            tracing::warn!(%tenant, error = %refusal, "a release is not seen yet");
        }
    }
}
