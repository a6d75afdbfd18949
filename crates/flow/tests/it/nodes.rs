//! Several nodes over one store: what one loads is in force on the other, a
//! step is made once whoever ticks it, a kill switch stops both, and a node
//! that dies leaves the rest to the other.

use act::Run;
use flow::identity::Standing;
use flow::{Control, Delivery};
use gate::directive::Status;
use gate::kill;
use gate::operations::{self, Approve, Decided};
use gate::{Approval, Directive, GateEnv};
use kernel::port::Clock as _;
use kernel::{
    Actor, Aggregate, Code, Ctx, PrincipalKind, Refusal, Role, Span, StreamId, TenantId, Unit,
};
use ledger::{DocumentQuery, Store, replay, verify};
use std::sync::Arc;
use std::time::Duration;
use store::Postgres;
use testkit::alerts::{Alert, webhook};
use testkit::{
    Fate, MemoryStore, Person, PostgresDatabase, PostgresServer, Sample, World, eventually, sample,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(super) enum Place {
    Memory(Arc<MemoryStore>),
    Postgres(PostgresDatabase),
}

impl Place {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.beside(),
            Self::Postgres(database) => Arc::new(Postgres::open(&database.url()).await.unwrap()),
        }
    }
}

/// A node with its scheduler.
pub(super) struct Node {
    pub(super) control: Arc<Control>,
    pub(super) store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
    scheduler: JoinHandle<()>,
}

impl Node {
    pub(super) async fn start(world: &World, place: &Place) -> Self {
        let store = place.open().await;
        let control = Arc::new(world.control(store.clone()).await.unwrap());
        assert_eq!(
            control.recover().await.unwrap(),
            0,
            "the other may be alive"
        );
        let (stop, stopping) = watch::channel(false);
        let scheduler = tokio::spawn(flow::scheduler::run(control.clone(), stopping));
        Self {
            control,
            store,
            stop,
            scheduler,
        }
    }

    /// Dies without a word: what it was doing is dropped where it stood.
    async fn die(self) {
        self.scheduler.abort();
        assert!(self.scheduler.await.unwrap_err().is_cancelled());
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.scheduler.await.unwrap();
    }

    pub(super) fn ctx(&self, tenant: TenantId, actor: Actor, roles: Vec<Role>) -> Ctx {
        let entropy = &self.control.ports().entropy;
        let (trace, bits) = (entropy.trace(), entropy.bits());
        Ctx::new(tenant, self.control.now(), actor, trace, bits).with_roles(roles)
    }

    pub(super) async fn receive(&self, tenant: TenantId, machine: &str) {
        let actor = Actor::new(PrincipalKind::Service, sample::SOURCE);
        let delivery = Delivery {
            source: sample::SOURCE.to_owned(),
            content_type: "application/json".to_owned(),
            body: webhook(&Alert::pair(machine, self.control.now())),
        };
        let ctx = self.ctx(tenant, actor, vec![Role::Source]);
        self.control.receive(ctx, delivery).await.unwrap();
    }

    /// Runs a command of a person.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        tenant: TenantId,
        work: impl Fn(&mut Unit<'_>, &GateEnv<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Refusal> {
        let ann = Person::named("ann");
        let ctx = self.ctx(tenant, ann.actor, ann.roles);
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
        Ok(self.control.ledger().run(ctx, decide).await?.answer)
    }

    pub(super) async fn all<A: Aggregate>(&self, tenant: TenantId) -> Vec<A> {
        let query = DocumentQuery {
            kind: A::KIND.to_owned(),
            limit: 1_000,
            ..DocumentQuery::default()
        };
        let found = self.store.documents(tenant, &query).await.unwrap();
        let states = found.iter().map(|d| serde_json::from_str(&d.body));
        states.collect::<Result<_, _>>().unwrap()
    }

    /// Agrees to what is pending.
    pub(super) async fn approve(&self, tenant: TenantId) -> Result<Decided, Refusal> {
        let all = self.all::<Directive>(tenant).await;
        let waits = all.into_iter().find(|d| d.status == Status::Proposed);
        let approval = waits.and_then(|d| d.approval).expect("one waits");
        let stream = StreamId::of::<Approval>(approval);
        let found = self.store.document(tenant, &stream).await.unwrap().unwrap();
        let found: Approval = serde_json::from_str(&found.body).unwrap();
        let seen = found.request.binding.digest;
        self.run(tenant, move |unit, env| {
            let yes = Approve::to(approval, seen);
            operations::approve(unit, env, &yes)
        })
        .await
    }

    pub(super) async fn has(&self, tenant: TenantId, status: Status) -> bool {
        let all = self.all::<Directive>(tenant).await;
        all.iter().any(|directive| directive.status == status)
    }
}

/// Lets time go on until this has come to be.
pub(super) async fn until(world: &World, what: &str, done: impl AsyncFn() -> bool) {
    eventually(what, async || {
        world.clock.pass(Span::from_millis(200));
        done().await
    })
    .await;
}

pub(super) async fn found(node: &Node, sample: &Sample) -> TenantId {
    let setup = Actor::system("setup");
    let founded = node.control.found("home", Standing::Home, setup).await;
    let tenant = founded.unwrap().tenant;
    load(node, tenant, sample).await;
    tenant
}

async fn load(node: &Node, tenant: TenantId, sample: &Sample) {
    let ctx = node.control.system_ctx(tenant, "setup");
    let loaded = node.control.load_pack(ctx, None, sample.files()).await;
    loaded.unwrap();
}

pub(super) async fn is_intact(node: &Node, tenant: TenantId) {
    let verified = verify::log(node.store.as_ref(), tenant, |_| ()).await;
    let verified = verified.unwrap();
    assert!(verified.is_intact(), "{verified:?}");
    let registry = node.control.ledger().registry();
    let replayed = replay::log(node.store.as_ref(), registry, tenant, |_| ()).await;
    let replayed = replayed.unwrap();
    assert!(replayed.is_equal(), "{replayed:?}");
}

/// What is promoted on one node is enforced on the other; what was prepared
/// there with the set before is refused, never decided with half of each.
async fn policies_follow(world: &World, [first, second]: [&Node; 2], tenant: TenantId) {
    let text = "@id(\"no-agents\") forbid (principal is Agent, action, resource);\n";
    let texts = [("agents.cedar".to_owned(), text.to_owned())].into();
    let ann = Person::named("ann");
    let ctx = || first.ctx(tenant, ann.actor.clone(), ann.roles.clone());
    let before = second.control.in_force(tenant).unwrap();
    let shadowed = first.control.shadow_policies(ctx(), None, texts);
    let (set, _) = shadowed.await.unwrap();
    let promoted = first
        .control
        .promote_policies(ctx(), None, set, "tried".to_owned());
    promoted.await.unwrap();
    let enforced = first
        .control
        .in_force(tenant)
        .unwrap()
        .pack
        .rules
        .policy
        .hash();
    assert_ne!(before.pack.rules.policy.hash(), enforced);
    let stale = second.run(tenant, move |unit, _| flow::force::still(unit, &before));
    assert_eq!(stale.await.unwrap_err().code, Code::Conflict);
    until(world, "the second follows the policies", async || {
        let found = second.control.in_force(tenant).unwrap();
        found.pack.rules.policy.hash() == enforced
    })
    .await;
    assert!(
        second
            .control
            .in_force(tenant)
            .unwrap()
            .pack
            .rules
            .shadow
            .is_none()
    );
}

async fn two_nodes_act_as_one(place: &Place) {
    let world = World::new(1);
    let first = Node::start(&world, place).await;
    let second = Node::start(&world, place).await;
    let tenant = found(&first, &Sample::default()).await;
    until(&world, "the second follows the pack", async || {
        second.control.in_force(tenant).is_ok()
    })
    .await;

    // An alert on one, the approval on the other, each step made once.
    first.receive(tenant, "press-1").await;
    until(&world, "a directive waits", async || {
        first.has(tenant, Status::Proposed).await
    })
    .await;
    assert_eq!(second.approve(tenant).await.unwrap(), Decided::Approved);
    until(&world, "it is carried out", async || {
        first.has(tenant, Status::Complete).await
    })
    .await;
    assert_eq!(world.http.asked().len(), 2);
    assert_eq!(world.http.effects().len(), 2);

    // What one loads is in force on the other.
    let other = Sample {
        settle: "2s".into(),
        ..Sample::default()
    };
    load(&second, tenant, &other).await;
    let version = second.control.in_force(tenant).unwrap().version;
    until(&world, "the first follows the pack", async || {
        first.control.in_force(tenant).unwrap().version == version
    })
    .await;

    policies_follow(&world, [&first, &second], tenant).await;

    // What one stops, the other does not do.
    let stop = |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
        kill::engage(unit, "tenant".parse()?, "stop").map(drop)
    };
    second.receive(tenant, "press-2").await;
    until(&world, "another directive waits", async || {
        first.has(tenant, Status::Proposed).await
    })
    .await;
    first.run(tenant, stop).await.unwrap();
    match second.approve(tenant).await {
        Ok(_) => {}
        Err(refusal) => assert_eq!(refusal.code, Code::Blocked, "{refusal}"),
    }
    for _ in 0..20 {
        world.clock.pass(Span::from_millis(500));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        world.http.asked().len(),
        2,
        "the kill switch holds everywhere"
    );
    is_intact(&second, tenant).await;
    first.stop().await;
    second.stop().await;
}

async fn a_node_that_dies_leaves_its_step_to_the_other_when_the_lease_is_over(place: &Place) {
    let world = World::new(2);
    let first = Node::start(&world, place).await;
    let tenant = found(&first, &Sample::default()).await;
    first.receive(tenant, "press-1").await;
    until(&world, "a directive waits", async || {
        first.has(tenant, Status::Proposed).await
    })
    .await;
    world.http.script(&[Fate::Hang]);
    first.approve(tenant).await.unwrap();
    until(&world, "the first step is on its way", async || {
        world.http.asked().len() == 1
    })
    .await;
    let runs = first.all::<Run>(tenant).await;
    let lease = runs[0].due().expect("a run under way is due");
    first.die().await;
    let second = Node::start(&world, place).await;
    // The attempt may still be made by a node that is alive: its lease holds.
    for _ in 0..10 {
        assert!(world.clock.now() < lease);
        assert_eq!(world.http.asked().len(), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.clock.set(lease);
    until(&world, "it is carried out", async || {
        second.has(tenant, Status::Complete).await
    })
    .await;
    let asked = world.http.asked();
    let effects = world.http.effects();
    assert_eq!(effects.len(), 2, "each effect happened once");
    assert_eq!(asked.len(), 3, "the first step went out again");
    is_intact(&second, tenant).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_act_as_one_in_memory() {
    two_nodes_act_as_one(&Place::Memory(MemoryStore::of_several_nodes())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_act_as_one_on_postgresql() {
    let database = PostgresServer::shared().database();
    two_nodes_act_as_one(&Place::Postgres(database)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_nodes_step_is_taken_over_in_memory() {
    let place = Place::Memory(MemoryStore::of_several_nodes());
    a_node_that_dies_leaves_its_step_to_the_other_when_the_lease_is_over(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_nodes_step_is_taken_over_on_postgresql() {
    let place = Place::Postgres(PostgresServer::shared().database());
    a_node_that_dies_leaves_its_step_to_the_other_when_the_lease_is_over(&place).await;
}
