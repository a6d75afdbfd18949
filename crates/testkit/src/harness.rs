//! The control loop driven by hand: the same commands and ticks as in
//! production, one after another, under a clock that stands still. What
//! outlives a process (disk, time, the outside) is the [`World`]; a [`Loop`] is
//! one process in it.

use crate::alerts::{Alert, webhook};
use crate::http::TwinHttp;
use crate::sample::{self, Sample};
use crate::store::MemoryStore;
use crate::{MemoryFiles, SeededEntropy, TestClock, TwinCache, TwinKeyring, TwinSecrets};
use act::builtin::HttpSettings;
use flow::identity::Standing;
use flow::{Control, Delivery, Ports, Received};
use gate::operations::{self, Approve, Decided};
use gate::{Approval, Directive, GateEnv};
use kernel::names::Name;
use kernel::port::{Clock, Entropy, Http};
use kernel::{
    Actor, Aggregate, ApprovalId, Ctx, DirectiveId, PrincipalKind, Refusal, Role, Span, StreamId,
    TenantId, Timestamp, Unit,
};
use ledger::checkpoint::{LogName, Signer};
use ledger::{Ledger, Settings, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rounds of ticks at one instant; a loop that needs more never rests.
const ROUNDS_MAX: usize = 200;
/// Instants that [`Loop::run_until`] visits at most.
const INSTANTS_MAX: usize = 5_000;

/// What outlives a process.
pub struct World {
    /// The clock.
    pub clock: Arc<TestClock>,
    /// The outside.
    pub http: Arc<TwinHttp>,
    /// The cache.
    pub cache: Arc<TwinCache>,
    /// What is personal is sealed under these keys.
    pub keyring: Arc<TwinKeyring>,
    /// The private halves of the logs' keys.
    pub log_keys: Arc<MemoryFiles>,
    entropy: Arc<SeededEntropy>,
}

impl World {
    /// A world at a fixed instant, whose chance comes from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let start = Timestamp::parse("2026-03-01T10:00:00Z").expect("an instant");
        let clock = Arc::new(TestClock::at(start));
        Self {
            http: Arc::new(TwinHttp::new(clock.clone())),
            cache: Arc::default(),
            clock,
            keyring: Arc::new(TwinKeyring::default()),
            log_keys: MemoryFiles::new(),
            entropy: Arc::new(SeededEntropy::new(seed)),
        }
    }

    /// Who signs the logs of this world.
    #[must_use]
    pub fn signer(&self) -> Signer {
        let (files, entropy) = (self.log_keys.clone(), self.entropy.clone());
        Signer::new(files, entropy, LogName::default())
    }

    /// The control loop of one process over this store.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn control(&self, store: Arc<dyn Store>) -> Result<Control, Refusal> {
        self.control_over(store, self.http.clone()).await
    }

    /// The same with another outside.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn control_over(
        &self,
        store: Arc<dyn Store>,
        http: Arc<dyn Http>,
    ) -> Result<Control, Refusal> {
        let modules = act::builtin::registry(&Self::outside())?;
        self.control_with(store, http, modules).await
    }

    /// What modules may reach of the outside.
    #[must_use]
    pub fn outside() -> HttpSettings {
        HttpSettings {
            hosts_allowed: vec![sample::HOST.to_owned()],
            ..HttpSettings::default()
        }
    }

    /// The same with other modules.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn control_with(
        &self,
        store: Arc<dyn Store>,
        http: Arc<dyn Http>,
        modules: act::Registry,
    ) -> Result<Control, Refusal> {
        let act = act::Ports {
            clock: self.clock.clone(),
            http,
            secrets: Arc::new(TwinSecrets::default()),
        };
        self.control_through(store, act, modules).await
    }

    /// The same with these ports for modules.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn control_through(
        &self,
        store: Arc<dyn Store>,
        act: act::Ports,
        modules: act::Registry,
    ) -> Result<Control, Refusal> {
        let ledger = Ledger::open(store, flow::registry(), Settings::default())?;
        let ports = Ports {
            act,
            entropy: self.entropy.clone(),
            source_secrets: Arc::new(TwinSecrets::of(&[("file:alertmanager", "secret")])),
            cache: self.cache.clone(),
            keyring: self.keyring.clone(),
        };
        Control::open(ledger, ports, modules).await
    }
}

/// A person or an agent with their roles.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub actor: Actor,
    /// As what.
    pub roles: Vec<Role>,
}

impl Person {
    /// A person of this name who may approve, operate and stop.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            actor: Actor::new(PrincipalKind::Human, name),
            roles: vec![Role::Operator, Role::Approver],
        }
    }
}

/// One process.
pub struct Loop {
    /// What outlives it.
    pub world: World,
    /// Its storage.
    pub store: Arc<MemoryStore>,
    /// The control loop.
    pub control: Arc<Control>,
    /// Its tenants, in the order in which they were founded.
    pub tenants: Vec<TenantId>,
}

impl Loop {
    /// A loop over an empty disk with one tenant that runs this pack.
    pub async fn start(seed: u64, sample: &Sample) -> Self {
        let world = World::new(seed);
        let store = MemoryStore::new();
        let control = world.control(store.clone()).await;
        let control = Arc::new(control.expect("an empty disk opens"));
        let mut started = Self {
            world,
            store,
            control,
            tenants: Vec::new(),
        };
        started.found(sample).await;
        started
    }

    /// Founds another tenant that runs this pack.
    pub async fn found(&mut self, sample: &Sample) -> TenantId {
        let standing = match self.tenants.is_empty() {
            true => Standing::Home,
            false => Standing::Member,
        };
        let name = format!("tenant-{}", self.tenants.len());
        let founded = self.control.found(&name, standing, Actor::system("setup"));
        let tenant = founded.await.expect("a tenant is founded").tenant;
        self.load(tenant, sample).await.expect("the sample loads");
        self.tenants.push(tenant);
        tenant
    }

    /// The first tenant.
    #[must_use]
    pub fn home(&self) -> TenantId {
        *self.tenants.first().expect("a loop has a tenant")
    }

    /// Loads this variant of the pack.
    ///
    /// # Errors
    /// What the loop refuses.
    pub async fn load(&self, tenant: TenantId, sample: &Sample) -> Result<(), Refusal> {
        let ctx = self.control.system_ctx(tenant, "setup");
        let loaded = self.control.load_pack(ctx, None, sample.files()).await;
        loaded.map(drop)
    }

    /// The process dies now, and the next one opens the same disk.
    ///
    /// # Errors
    /// When the next one does not come up; the loop is then without a process
    /// that works, and `crash` can be called again.
    pub async fn crash(&mut self) -> Result<(), Refusal> {
        self.store = self.store.reopen();
        let control = self.world.control(self.store.clone()).await?;
        self.control = Arc::new(control);
        self.control.recover().await.map(drop)
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// Circumstances of a command of this person.
    #[must_use]
    pub fn ctx(&self, tenant: TenantId, person: &Person) -> Ctx {
        let entropy = &self.world.entropy;
        let (trace, bits) = (entropy.trace(), entropy.bits());
        Ctx::new(tenant, self.now(), person.actor.clone(), trace, bits)
            .with_roles(person.roles.clone())
    }

    /// Runs a command of this person, with what the gate goes by.
    ///
    /// # Errors
    /// What the command refuses.
    pub async fn run<R: Send + 'static>(
        &self,
        tenant: TenantId,
        person: &Person,
        work: impl Fn(&mut Unit<'_>, &GateEnv<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Refusal> {
        let in_force = self.control.in_force(tenant)?;
        let capabilities = self.control.capabilities().clone();
        let decide = move |unit: &mut Unit<'_>| {
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: None,
            };
            work(unit, &env)
        };
        let ctx = self.ctx(tenant, person);
        Ok(self.control.ledger().run(ctx, decide).await?.answer)
    }

    /// Alertmanager sends these alerts.
    ///
    /// # Errors
    /// What the loop refuses.
    pub async fn receive(&self, tenant: TenantId, alerts: &[Alert]) -> Result<Received, Refusal> {
        let source = Person {
            actor: Actor::new(PrincipalKind::Service, sample::SOURCE),
            roles: vec![Role::Source],
        };
        let delivery = Delivery {
            source: sample::SOURCE.to_owned(),
            content_type: "application/json".to_owned(),
            body: webhook(alerts),
        };
        let ctx = self.ctx(tenant, &source);
        self.control.receive(ctx, delivery).await
    }

    /// Ticks what is due now until nothing is. A stream whose tick is refused
    /// is left alone for this instant. Returns the refusals.
    ///
    /// # Errors
    /// When storage cannot say what is due.
    ///
    /// # Panics
    /// When the loop never rests: a tick leaves its stream due and changes
    /// nothing, which would keep the scheduler busy for ever.
    pub async fn tick(&self) -> Result<Vec<(StreamId, Refusal)>, Refusal> {
        let mut refused = Vec::new();
        let mut left: BTreeSet<(TenantId, StreamId)> = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let due = self.store.due(self.now(), 1_000).await?;
            let due: Vec<_> = due.into_iter().filter(|key| !left.contains(key)).collect();
            if due.is_empty() {
                return Ok(refused);
            }
            for (tenant, stream) in due {
                if let Err(refusal) = self.tick_one(tenant, &stream).await {
                    left.insert((tenant, stream.clone()));
                    refused.push((stream, refusal));
                }
            }
        }
        let due = self.store.due(self.now(), 10).await;
        panic!("the loop never rests at {}: {due:?}", self.now());
    }

    /// Ticks one stream. A request that hangs is dropped with its process.
    async fn tick_one(&self, tenant: TenantId, stream: &StreamId) -> Result<(), Refusal> {
        let patience = std::time::Duration::from_secs(20);
        match tokio::time::timeout(patience, flow::tick(&self.control, tenant, stream)).await {
            Ok(done) => done,
            Err(_) => Err(Refusal::unavailable("the tick hangs")),
        }
    }

    /// Ticks at each instant at which something is due, until `until`, which
    /// is then the current instant. Refused ticks come again a second later.
    ///
    /// # Errors
    /// When storage cannot say what is due.
    pub async fn run_until(&self, until: Timestamp) -> Result<(), Refusal> {
        for _ in 0..INSTANTS_MAX {
            let refused = self.tick().await?;
            let again = (!refused.is_empty()).then(|| self.now().plus(Span::from_secs(1)));
            let due = self.store.next_due().await?;
            let due = due.filter(|at| *at > self.now());
            let Some(next) = again.into_iter().chain(due).min().filter(|at| *at <= until) else {
                self.world.clock.set(until.max(self.now()));
                return self.tick().await.map(drop);
            };
            self.world.clock.set(next);
        }
        panic!("nothing settles until {until}");
    }

    /// As [`Loop::run_until`], for this long.
    ///
    /// # Errors
    /// As [`Loop::run_until`].
    pub async fn pass(&self, span: Span) -> Result<(), Refusal> {
        self.run_until(self.now().plus(span)).await
    }

    /// The current state of one aggregate, read beside all faults.
    pub async fn find<A: Aggregate>(&self, tenant: TenantId, id: impl ToString) -> Option<A> {
        let stream = StreamId::of::<A>(id.to_string());
        let store = self.store.beside();
        let found = store.document(tenant, &stream).await.expect("no faults");
        found.map(|d| serde_json::from_str(&d.body).expect("a state parses"))
    }

    /// Every state of one kind in the order of creation, read beside all
    /// faults.
    pub async fn all<A: Aggregate>(&self, tenant: TenantId) -> Vec<(String, A)> {
        crate::checks::all_in(self.store.beside().as_ref(), tenant).await
    }

    /// The only state of one kind.
    ///
    /// # Panics
    /// When there is none or more than one.
    pub async fn only<A: Aggregate>(&self, tenant: TenantId) -> (String, A) {
        let mut all = self.all::<A>(tenant).await;
        assert_eq!(all.len(), 1, "{} of kind {}", all.len(), A::KIND);
        all.pop().expect("one")
    }

    /// The requests for approval that are pending.
    pub async fn pending(&self, tenant: TenantId) -> Vec<(ApprovalId, Approval)> {
        let all = self.all::<Approval>(tenant).await.into_iter();
        all.filter(|(_, a)| a.status.name() == "pending")
            .map(|(id, a)| (id.parse().expect("an id"), a))
            .collect()
    }

    /// A person agrees to what is pending under this id, having seen the
    /// version in force.
    ///
    /// # Errors
    /// What the gate refuses.
    pub async fn approve(
        &self,
        tenant: TenantId,
        person: &Person,
        approval: ApprovalId,
    ) -> Result<Decided, Refusal> {
        let found = self.find::<Approval>(tenant, approval).await;
        let found = found.ok_or_else(|| Refusal::not_found("no such approval"))?;
        let seen = found.request.binding.digest;
        self.run(tenant, person, move |unit, env| {
            let yes = Approve::to(approval, seen);
            operations::approve(unit, env, &yes)
        })
        .await
    }

    /// Lets an incident of this machine come up to its proposed directive.
    ///
    /// # Panics
    /// When none comes of it.
    pub async fn incident(&self, tenant: TenantId, machine: &str) -> (DirectiveId, ApprovalId) {
        let before = self.all::<Directive>(tenant).await.len();
        let alerts = Alert::pair(machine, self.now());
        self.receive(tenant, &alerts).await.expect("alerts come in");
        self.pass(Span::from_secs(2)).await.expect("storage works");
        let directives = self.all::<Directive>(tenant).await;
        let (id, directive) = directives.get(before).expect("a directive is proposed");
        let approval = directive.approval.expect("it waits for approval");
        (id.parse().expect("an id"), approval)
    }
}
