//! The control loop as one thing that the shells hold: the ledger, the ports,
//! the modules, and what is in force for each tenant.

use crate::archive::Archiver;
use crate::checkpoints::Signing;
use crate::fence::Log;
use crate::force::{Force, InForce};
use crate::identity::Caller;
use crate::runner::Outcomes;
use crate::session::Cached;
use act::{Fence, Registry as Modules};
use gate::Capabilities;
use kernel::port::{Cache, Entropy, Keyring, Secrets};
use kernel::{Actor, Ctx, Refusal, TenantId, Timestamp, TraceId};
use ledger::Ledger;
use ledger::archive::Archive;
use std::sync::Arc;

/// The ports that the loop reaches the outside through.
#[derive(Clone)]
pub struct Ports {
    /// What modules are given: time, the network, the secrets that the operator
    /// listed for them.
    pub act: act::Ports,
    /// Unpredictable bits.
    pub entropy: Arc<dyn Entropy>,
    /// Secrets that prove where a delivery comes from; modules do not see them.
    pub source_secrets: Arc<dyn Secrets>,
    /// What stands in front of the states of sessions.
    pub cache: Arc<dyn Cache>,
    /// What seals and opens what is personal, and keeps the keys.
    pub keyring: Arc<dyn Keyring>,
}

/// The control loop.
pub struct Control {
    ledger: Ledger,
    ports: Ports,
    modules: Arc<Modules>,
    capabilities: Arc<Capabilities>,
    force: Arc<Force>,
    fence: Arc<Fence>,
    sessions: Cached,
    signing: Option<Signing>,
    archiver: Option<Archiver>,
    outcomes: Outcomes,
}

impl Control {
    /// The loop over this ledger, with what each tenant has loaded in force.
    ///
    /// # Errors
    /// When storage does not answer or a recorded pack does not load.
    pub async fn open(ledger: Ledger, ports: Ports, modules: Modules) -> Result<Self, Refusal> {
        Self::open_on(ledger, ports, modules, Vec::new()).await
    }

    /// The same on a node that keeps data in these stores, which the rules of
    /// each tenant are held against.
    ///
    /// # Errors
    /// As [`Control::open`].
    pub async fn open_on(
        ledger: Ledger,
        ports: Ports,
        modules: Modules,
        stores: Vec<gate::residency::Store>,
    ) -> Result<Self, Refusal> {
        let capabilities = Arc::new(modules.capabilities());
        let force = Arc::new(Force::restore(ledger.store(), stores).await?);
        let log = Arc::new(Log::new(ledger.clone(), force.clone()));
        let fence = Arc::new(Fence::new(log, ports.act.clock.clone()));
        let sessions = Cached::new(ports.cache.clone(), ports.act.clock.clone());
        Ok(Self {
            ledger,
            sessions,
            ports,
            modules: Arc::new(modules),
            capabilities,
            force,
            fence,
            archiver: None,
            signing: None,
            outcomes: Outcomes::default(),
        })
    }

    /// The same, signing checkpoints of its logs.
    #[must_use]
    pub fn with_signing(mut self, signing: Signing) -> Self {
        self.signing = Some(signing);
        self
    }

    /// How checkpoints are signed and who cosigns them.
    ///
    /// # Errors
    /// `unavailable` when this writ signs none.
    pub fn signing(&self) -> Result<&Signing, Refusal> {
        self.signing.as_ref().ok_or_else(|| {
            Refusal::unavailable("this writ signs no checkpoints")
                .hint("start it with `writ up` on a data directory")
        })
    }

    /// The same with an archive.
    #[must_use]
    pub fn with_archive(mut self, archive: Archive) -> Self {
        self.archiver = Some(Archiver::new(archive));
        self
    }

    pub(crate) fn archiver_set(&self) -> Option<&Archiver> {
        self.archiver.as_ref()
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
    /// The ports.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }
    /// What came of steps and is not recorded yet.
    pub(crate) fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }
    /// The modules that exist.
    #[must_use]
    pub fn modules(&self) -> &Arc<Modules> {
        &self.modules
    }
    /// What the gate knows of the modules.
    #[must_use]
    pub fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }
    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.act.clock.now()
    }

    /// What is in force for a tenant.
    ///
    /// # Errors
    /// `unavailable` when the tenant has no pack: nothing is allowed then.
    pub fn in_force(&self, tenant: TenantId) -> Result<Arc<InForce>, Refusal> {
        self.force.of(tenant)
    }

    pub(crate) fn sessions(&self) -> &Cached {
        &self.sessions
    }

    /// What the last moment before a call of this node is decided by.
    pub(crate) fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    pub(crate) fn force(&self) -> &Force {
        &self.force
    }

    /// The circumstances of a command of this caller.
    #[must_use]
    pub fn ctx(&self, caller: &Caller, trace: TraceId) -> Ctx {
        let seed = self.ports.entropy.bits();
        Ctx::new(caller.tenant, self.now(), caller.actor.clone(), trace, seed)
            .with_roles(caller.roles.clone())
    }

    /// The circumstances of a command of writ's own.
    #[must_use]
    pub fn system_ctx(&self, tenant: TenantId, part: &str) -> Ctx {
        let entropy = &self.ports.entropy;
        Ctx::new(
            tenant,
            self.now(),
            Actor::system(part),
            entropy.trace(),
            entropy.bits(),
        )
    }
}
