//! The kill switch against the start of a call outside: once an engagement is
//! acknowledged, no call leaves any node, not one that was admitted before and
//! was just about to leave either.

use act::{Run, RunStatus, TaskStatus};
use async_trait::async_trait;
use flow::identity::Standing;
use flow::{Control, Delivery};
use gate::budget::{Reservation, ReservationStatus};
use gate::directive::Status;
use gate::kill;
use gate::operations::{self, Approve};
use gate::{Approval, Directive, GateEnv};
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest, Secrets};
use kernel::{Actor, Aggregate, Ctx, PrincipalKind, Refusal, Role, Span, StreamId, TenantId, Unit};
use ledger::{DocumentQuery, EntryQuery, Store};
use pack::Files;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use store::{Postgres, Sqlite};
use testkit::alerts::{Alert, webhook};
use testkit::{Person, PostgresDatabase, PostgresServer, Sample, World, eventually, sample};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Records when each call left, and answers a little later.
#[derive(Default)]
struct Outside {
    left: Mutex<Vec<Instant>>,
    /// How long an answer takes, in milliseconds, where not 3.
    takes: AtomicU64,
}

impl Outside {
    fn calls(&self) -> usize {
        self.left.lock().unwrap().len()
    }
    fn last(&self) -> Option<Instant> {
        self.left.lock().unwrap().last().copied()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of what takes how long")]
fn instant() -> Instant {
    Instant::now()
}

#[async_trait]
impl Http for Outside {
    async fn send(&self, _: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        self.left.lock().unwrap().push(instant());
        let takes = self.takes.load(Ordering::SeqCst).max(3);
        tokio::time::sleep(Duration::from_millis(takes)).await;
        Ok(HttpAnswer {
            status: 200,
            headers: BTreeMap::new(),
            body: b"{}".to_vec(),
        })
    }
}

/// Secrets that a module waits for: the last thing before its call.
#[derive(Default)]
struct Stalling {
    stalls: AtomicBool,
    waiting: AtomicUsize,
    go: (Mutex<bool>, Condvar),
}

impl Stalling {
    fn release(&self) {
        *self.go.0.lock().unwrap() = true;
        self.go.1.notify_all();
    }
}

impl Secrets for Stalling {
    fn resolve(&self, _: &str) -> Result<Vec<u8>, Refusal> {
        if self.stalls.load(Ordering::SeqCst) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            // Other tasks of this thread go on.
            tokio::task::block_in_place(|| {
                let going = self.go.0.lock().unwrap();
                drop(self.go.1.wait_while(going, |go| !*go).unwrap());
            });
        }
        Ok(b"token".to_vec())
    }
}

/// Where the nodes keep their log.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresDatabase),
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }
    fn postgres() -> Self {
        Self::Postgres(PostgresServer::shared().database())
    }
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(folder) => Arc::new(Sqlite::open(folder.path()).unwrap()),
            Self::Postgres(database) => Arc::new(Postgres::open(&database.url()).await.unwrap()),
        }
    }
}

/// What the nodes of a test share.
struct Plant {
    world: World,
    place: Place,
    outside: Arc<Outside>,
    secrets: Arc<Stalling>,
}

impl Plant {
    fn new(place: Place) -> Self {
        let world = World::new(1);
        world.clock.run();
        Self {
            world,
            place,
            outside: Arc::default(),
            secrets: Arc::default(),
        }
    }

    async fn node(&self) -> Node {
        let ports = act::Ports {
            clock: self.world.clock.clone(),
            http: self.outside.clone(),
            secrets: self.secrets.clone(),
        };
        let store = self.place.open().await;
        let modules = act::builtin::registry(&World::outside()).unwrap();
        let control = self.world.control_through(store, ports, modules).await;
        let (stop, _) = watch::channel(false);
        Node {
            control: Arc::new(control.unwrap()),
            stop,
            scheduler: None,
        }
    }

    /// Lets time go on until this has come to be.
    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        eventually(what, async || {
            self.world.clock.pass(Span::from_millis(200));
            done().await
        })
        .await;
    }
}

struct Node {
    control: Arc<Control>,
    stop: watch::Sender<bool>,
    scheduler: Option<JoinHandle<()>>,
}

impl Node {
    fn works(&mut self) {
        let scheduler = flow::scheduler::run(self.control.clone(), self.stop.subscribe());
        self.scheduler = Some(tokio::spawn(scheduler));
    }

    /// Another hand on the same node.
    fn beside(&self) -> Self {
        Self {
            control: self.control.clone(),
            stop: self.stop.clone(),
            scheduler: None,
        }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        if let Some(scheduler) = self.scheduler {
            scheduler.await.unwrap();
        }
    }

    fn ctx(&self, tenant: TenantId, who: &Person) -> Ctx {
        let entropy = &self.control.ports().entropy;
        let (trace, bits) = (entropy.trace(), entropy.bits());
        Ctx::new(tenant, self.control.now(), who.actor.clone(), trace, bits)
            .with_roles(who.roles.clone())
    }

    async fn run<R: Send + 'static>(
        &self,
        tenant: TenantId,
        who: &str,
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
        let ctx = self.ctx(tenant, &Person::named(who));
        Ok(self.control.ledger().run(ctx, decide).await?.answer)
    }

    async fn found(&self, files: Files) -> TenantId {
        self.found_as(Standing::Home, files).await
    }

    async fn found_as(&self, standing: Standing, files: Files) -> TenantId {
        let setup = Actor::system("setup");
        let founded = self.control.found("plant", standing, setup).await;
        let tenant = founded.unwrap().tenant;
        let ctx = self.control.system_ctx(tenant, "setup");
        self.control.load_pack(ctx, None, files).await.unwrap();
        tenant
    }

    async fn receive(&self, tenant: TenantId, machine: &str) {
        let source = Person {
            actor: Actor::new(PrincipalKind::Service, sample::SOURCE),
            roles: vec![Role::Source],
        };
        let delivery = Delivery {
            source: sample::SOURCE.to_owned(),
            content_type: "application/json".to_owned(),
            body: webhook(&Alert::pair(machine, self.control.now())),
        };
        let ctx = self.ctx(tenant, &source);
        self.control.receive(ctx, delivery).await.unwrap();
    }

    async fn all<A: Aggregate>(&self, tenant: TenantId) -> Vec<A> {
        let query = DocumentQuery {
            kind: A::KIND.to_owned(),
            limit: 1_000,
            ..DocumentQuery::default()
        };
        let store = self.control.ledger().store();
        let found = store.documents(tenant, &query).await.unwrap();
        let states = found.iter().map(|d| serde_json::from_str(&d.body));
        states.collect::<Result<_, _>>().unwrap()
    }

    async fn waiting(&self, tenant: TenantId) -> Vec<Directive> {
        let all = self.all::<Directive>(tenant).await.into_iter();
        all.filter(|d| d.status == Status::Proposed).collect()
    }

    /// Agrees to all that waits.
    async fn approve(&self, tenant: TenantId) {
        for directive in self.waiting(tenant).await {
            let approval = directive.approval.expect("it waits");
            let stream = StreamId::of::<Approval>(approval);
            let store = self.control.ledger().store();
            let found = store.document(tenant, &stream).await.unwrap().unwrap();
            let found: Approval = serde_json::from_str(&found.body).unwrap();
            let seen = found.request.binding.digest;
            let yes = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
                let yes = Approve::to(approval, seen);
                operations::approve(unit, env, &yes)
            };
            self.run(tenant, "ann", yes).await.unwrap();
        }
    }

    /// Engages; returns when it is acknowledged.
    async fn engage(&self, tenant: TenantId) {
        self.engage_scope(tenant, "tenant").await;
    }

    async fn engage_scope(&self, tenant: TenantId, scope: &'static str) {
        let stop = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
            kill::engage(unit, scope.parse()?, "stop").map(drop)
        };
        self.run(tenant, "ann", stop).await.unwrap();
        self.control.uphold(tenant).await.unwrap();
    }

    async fn release(&self, tenant: TenantId) {
        self.release_scope(tenant, "tenant").await;
    }

    async fn release_scope(&self, tenant: TenantId, scope: &'static str) {
        let ask = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
            kill::request_release(unit, &scope.parse()?, "go on").map(drop)
        };
        self.run(tenant, "ann", ask).await.unwrap();
        let agree = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
            kill::confirm_release(unit, &scope.parse()?).map(drop)
        };
        self.run(tenant, "bob", agree).await.unwrap();
    }

    async fn is_engaged(&self, tenant: TenantId) -> bool {
        let all = self.all::<gate::KillSwitch>(tenant).await;
        all.first().is_some_and(|switch| !switch.engaged.is_empty())
    }

    async fn count(&self, tenant: TenantId, kind: &str, part: &str) -> usize {
        let query = EntryQuery {
            kind: Some(kind.to_owned()),
            limit: 1_000,
            ..EntryQuery::default()
        };
        let store = self.control.ledger().store();
        let found = store.entries(tenant, &query).await.unwrap();
        found.iter().filter(|e| e.payload.contains(part)).count()
    }
}

/// A pack whose runbook has `steps` steps, each with a secret.
fn files(steps: usize) -> Files {
    let sample = Sample {
        tenant_hard: "1000000 EUR".into(),
        machine_hard: "1000000 EUR".into(),
        ..Sample::default()
    };
    let mut files = sample.files();
    let name = "runbooks/cool-down.yaml";
    let text = String::from_utf8(files[name].clone()).unwrap();
    let (head, _) = text.split_once("    - id: cool").unwrap();
    let mut text = head.replace("budget: 2 EUR", "budget: 100 EUR");
    for step in 0..steps {
        text.push_str(&format!(
            "    - id: s{step}\n\
             \x20     module: http.request\n\
             \x20     cost: 0.01 EUR\n\
             \x20     input:\n\
             \x20       method: PUT\n\
             \x20       url: \"http://plant.example/{step}/${{subject.id}}\"\n\
             \x20       secret_headers: {{ authorization: {{ reference: \"file:token\" }} }}\n\
             \x20       json: {{ incident: \"${{incident.id}}\" }}\n\
             \x20       compensate:\n\
             \x20         method: PUT\n\
             \x20         url: \"http://plant.example/undo/{step}\"\n\
             \x20         json: {{ incident: \"${{incident.id}}\" }}\n"
        ));
    }
    files.insert(name.to_owned(), text.into_bytes());
    files
}

async fn proposed(plant: &Plant, node: &Node, tenant: TenantId, machines: &[String]) {
    for machine in machines {
        node.receive(tenant, machine).await;
    }
    plant
        .until("the directives wait", async || {
            node.waiting(tenant).await.len() == machines.len()
        })
        .await;
}

/// A node is about to call when another engages: the stall is over only after
/// the acknowledgement, and nothing leaves. What was begun is taken back.
async fn what_is_about_to_leave_stays(plant: &Plant, by: &Node, at: &mut Node) {
    let tenant = by.found(files(1)).await;
    at.works();
    let follow = async || at.control.in_force(tenant).is_ok();
    plant.until("the pack is in force", follow).await;
    proposed(plant, at, tenant, &["press-1".to_owned()]).await;
    plant.secrets.stalls.store(true, Ordering::SeqCst);
    at.approve(tenant).await;
    let stalled = async || plant.secrets.waiting.load(Ordering::SeqCst) == 1;
    plant.until("a call is about to leave", stalled).await;
    by.engage(tenant).await;
    plant.secrets.release();
    plant
        .until("the step is held back", async || {
            at.count(tenant, "run.step_held", "kill switch").await == 1
        })
        .await;
    assert_eq!(plant.outside.calls(), 0);
    let taken_back = at
        .count(tenant, "run.step_retry_scheduled", "not_begun")
        .await;
    assert_eq!(taken_back, 1, "it is recorded that nothing left");
    let run = at.all::<Run>(tenant).await.remove(0);
    let task = &run.steps[0].task;
    assert!(!task.in_doubt && task.next_attempt() == 1, "{task:?}");
    let directive = at.all::<Directive>(tenant).await.remove(0);
    assert_eq!(directive.status, Status::Paused);
    let reservations = at.all::<Reservation>(tenant).await;
    let held = reservations
        .iter()
        .any(|r| r.status == ReservationStatus::Held);
    assert!(!held, "{reservations:?}");

    // Released and resumed, it is done, once.
    by.release(tenant).await;
    let (run, id) = (run.id, directive.id);
    let resume = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
        act::engine::resume(unit, run, "go on").map(drop)
    };
    at.run(tenant, "ann", resume).await.unwrap();
    plant
        .until("it is carried out", async || {
            let all = at.all::<Directive>(tenant).await;
            all.iter()
                .any(|d| d.id == id && d.status == Status::Complete)
        })
        .await;
    assert_eq!(plant.outside.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_about_to_leave_stays_on_one_node() {
    let plant = Plant::new(Place::sqlite());
    let mut node = plant.node().await;
    let by = node.beside();
    what_is_about_to_leave_stays(&plant, &by, &mut node).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_about_to_leave_stays_on_another_node() {
    let plant = Plant::new(Place::postgres());
    let (by, mut at) = (plant.node().await, plant.node().await);
    what_is_about_to_leave_stays(&plant, &by, &mut at).await;
    at.stop().await;
}

/// A node that has looked just before may let its call leave, but not once the
/// engagement is acknowledged on the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_another_node_looked_at_before_is_waited_for() {
    let plant = Plant::new(Place::postgres());
    let (by, mut at) = (plant.node().await, plant.node().await);
    let tenant = by.found(files(1)).await;
    at.works();
    let follow = async || at.control.in_force(tenant).is_ok();
    plant.until("the pack is in force", follow).await;
    proposed(&plant, &at, tenant, &["press-1".to_owned()]).await;
    plant.secrets.stalls.store(true, Ordering::SeqCst);
    at.approve(tenant).await;
    while plant.secrets.waiting.load(Ordering::SeqCst) == 0 {
        plant.world.clock.pass(Span::from_millis(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let engaging = async {
        by.engage(tenant).await;
        instant()
    };
    let leaving = async {
        while !by.is_engaged(tenant).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Whoever does not wait has acknowledged it by now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        plant.secrets.release();
    };
    let (acknowledged, ()) = tokio::join!(engaging, leaving);
    if let Some(left) = plant.outside.last() {
        assert!(left < acknowledged, "{:?} late", left - acknowledged);
    }
    assert!(plant.outside.calls() <= 1);
    at.stop().await;
}

/// One switch stops every tenant on every node: the one that is about to call,
/// and one that is founded when it is engaged already.
async fn one_switch_stops_every_tenant(plant: &Plant, by: &Node, at: &mut Node) {
    let home = by.found(files(1)).await;
    let member = by.found_as(Standing::Member, files(1)).await;
    at.works();
    for tenant in [home, member] {
        let follow = async || at.control.in_force(tenant).is_ok();
        plant.until("the pack is in force", follow).await;
    }
    proposed(plant, at, member, &["press-1".to_owned()]).await;
    plant.secrets.stalls.store(true, Ordering::SeqCst);
    at.approve(member).await;
    let stalled = async || plant.secrets.waiting.load(Ordering::SeqCst) == 1;
    plant.until("a call is about to leave", stalled).await;
    by.engage_scope(home, "global").await;
    plant.secrets.release();
    plant
        .until("the step is held back", async || {
            at.count(member, "run.step_held", "global").await == 1
        })
        .await;

    let later = by.found_as(Standing::Member, files(1)).await;
    let follow = async || at.control.in_force(later).is_ok();
    plant.until("the pack is in force", follow).await;
    assert!(!at.is_engaged(later).await, "its own switch is not engaged");
    proposed(plant, at, later, &["press-2".to_owned()]).await;
    at.approve(later).await;
    for _ in 0..30 {
        plant.world.clock.pass(Span::from_millis(200));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(at.count(later, "run.created", "").await, 0);
    assert_eq!(plant.outside.calls(), 0);
    by.release_scope(home, "global").await;
    plant
        .until("the later tenant goes on", async || {
            let all = at.all::<Directive>(later).await;
            all.iter().any(|d| d.status == Status::Complete)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_switch_stops_every_tenant_on_one_node() {
    let plant = Plant::new(Place::sqlite());
    let mut node = plant.node().await;
    let by = node.beside();
    one_switch_stops_every_tenant(&plant, &by, &mut node).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_switch_stops_every_tenant_on_another_node() {
    let plant = Plant::new(Place::postgres());
    let (by, mut at) = (plant.node().await, plant.node().await);
    one_switch_stops_every_tenant(&plant, &by, &mut at).await;
    at.stop().await;
}

/// A step whose call has left when its tenant is stopped: what comes of it by
/// the pack's policy, and what the sweep records. Returns the run.
async fn what_is_under_way(plant: &Plant, by: &Node, at: &mut Node, policy: &str) -> Run {
    let mut pack = files(2);
    let text = format!("tenant: {policy}\n");
    pack.insert("kill_switch.yaml".to_owned(), text.into_bytes());
    let tenant = by.found(pack).await;
    at.works();
    let follow = async || at.control.in_force(tenant).is_ok();
    plant.until("the pack is in force", follow).await;
    proposed(plant, at, tenant, &["press-1".to_owned()]).await;
    let takes = if policy == "cancel" { 60_000 } else { 1_500 };
    plant.outside.takes.store(takes, Ordering::SeqCst);
    at.approve(tenant).await;
    let left = async || plant.outside.calls() == 1;
    plant.until("a call has left", left).await;
    by.engage(tenant).await;
    plant.outside.takes.store(0, Ordering::SeqCst);
    plant
        .until("it is swept", async || {
            at.count(tenant, "kill_switch.swept", "came_to").await == 1
        })
        .await;
    assert_eq!(at.count(tenant, "kill_switch.sweeping", policy).await, 1);
    let run = at.all::<Run>(tenant).await.remove(0);
    let status = run.steps[0].task.status;
    let recorded = format!("\"came_to\":\"{status}\"");
    assert_eq!(
        at.count(tenant, "kill_switch.swept", &recorded).await,
        1,
        "{recorded}"
    );
    for _ in 0..20 {
        plant.world.clock.pass(Span::from_millis(500));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    at.all::<Run>(tenant).await.remove(0)
}

async fn a_call_under_way_is_cut_off(plant: &Plant, by: &Node, at: &mut Node) {
    let begun = instant();
    let run = what_is_under_way(plant, by, at, "cancel").await;
    let task = &run.steps[0].task;
    assert_eq!(task.status, TaskStatus::Unknown);
    assert!(run.parked.is_some_and(|parked| !parked.held));
    assert!(begun.elapsed() < Duration::from_secs(30), "it was cut off");
    // The far side would take it for the same under its key. All the same:
    assert!(task.idempotent);
    assert_eq!(plant.outside.calls(), 1, "it is not made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_under_way_is_cut_off_on_one_node() {
    let plant = Plant::new(Place::sqlite());
    let mut node = plant.node().await;
    let by = node.beside();
    a_call_under_way_is_cut_off(&plant, &by, &mut node).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_under_way_is_cut_off_on_another_node() {
    let plant = Plant::new(Place::postgres());
    let (by, mut at) = (plant.node().await, plant.node().await);
    a_call_under_way_is_cut_off(&plant, &by, &mut at).await;
    at.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_under_way_is_drained() {
    let plant = Plant::new(Place::sqlite());
    let mut node = plant.node().await;
    let by = node.beside();
    let run = what_is_under_way(&plant, &by, &mut node, "drain").await;
    assert_eq!(run.steps[0].task.status, TaskStatus::Succeeded);
    assert!(run.parked.is_some_and(|parked| parked.held));
    assert_eq!(plant.outside.calls(), 1, "nothing follows it");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_under_way_is_undone() {
    let plant = Plant::new(Place::sqlite());
    let mut node = plant.node().await;
    let by = node.beside();
    let run = what_is_under_way(&plant, &by, &mut node, "compensate").await;
    assert_eq!(run.undone, ["s0"]);
    assert_eq!(run.status, RunStatus::Canceled);
    assert_eq!(plant.outside.calls(), 2, "done and undone");
    node.stop().await;
}

const ROUNDS: usize = 4;
const MACHINES: usize = 12;
const STEPS: usize = 12;

/// Engages while calls leave as fast as they can; from the acknowledgement on,
/// none does. Returns how long each acknowledgement took.
async fn nothing_leaves_after_the_acknowledgement(
    plant: &Plant,
    nodes: &mut [Node],
) -> Vec<Duration> {
    let tenant = nodes[0].found(files(STEPS)).await;
    nodes.iter_mut().for_each(Node::works);
    for node in &*nodes {
        let follow = async || node.control.in_force(tenant).is_ok();
        plant.until("the pack is in force", follow).await;
    }
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let names: Vec<String> = (0..MACHINES).map(|m| format!("m{round}-{m}")).collect();
        proposed(plant, &nodes[0], tenant, &names).await;
        let before = plant.outside.calls();
        nodes[0].approve(tenant).await;
        let enough = before + MACHINES * (1 + round);
        while plant.outside.calls() < enough {
            plant.world.clock.pass(Span::from_millis(20));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let node = &nodes[round % nodes.len()];
        let begun = instant();
        node.engage(tenant).await;
        let acknowledged = instant();
        took.push(acknowledged - begun);
        for _ in 0..30 {
            plant.world.clock.pass(Span::from_millis(100));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let last = plant.outside.last().unwrap();
        assert!(
            last <= acknowledged,
            "round {round}: a call left {:?} after the acknowledgement",
            last - acknowledged
        );
        let all = before + MACHINES * STEPS;
        assert!(
            plant.outside.calls() < all,
            "there was nothing left to stop"
        );
        node.release(tenant).await;
    }
    took
}

/// Each acknowledgement came soon, for a machine that is busy with other work.
fn limit(took: &[Duration], most: Duration) {
    assert!(took.iter().all(|took| *took < most), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_leaves_one_node_after_the_acknowledgement() {
    let plant = Plant::new(Place::sqlite());
    let mut nodes = [plant.node().await];
    let took = nothing_leaves_after_the_acknowledgement(&plant, &mut nodes).await;
    limit(&took, Duration::from_secs(5));
    let [node] = nodes;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_leaves_two_nodes_after_the_acknowledgement() {
    let plant = Plant::new(Place::postgres());
    let mut nodes = [plant.node().await, plant.node().await];
    let took = nothing_leaves_after_the_acknowledgement(&plant, &mut nodes).await;
    limit(&took, Duration::from_secs(5));
    for node in nodes {
        node.stop().await;
    }
}

/// A drill goes the way of a real engagement, measures it and stops nothing.
async fn a_drill_measures_the_real_way(node: &Node, least: Span) {
    let tenant = node.found(files(1)).await;
    let ann = Person::named("ann");
    for scope in ["tenant", "tool:http.request"] {
        let ctx = node.ctx(tenant, &ann);
        let drill = node
            .control
            .drill(ctx, scope.parse().unwrap(), "monthly".into());
        let drill = drill.await.unwrap();
        let measured = drill.measured.expect("a probe was sent");
        assert!(drill.passed && measured.held, "{drill:?}");
        assert!(
            measured.stopped_after <= measured.acknowledged_after,
            "{drill:?}"
        );
        assert!(measured.acknowledged_after >= least, "{drill:?}");
        assert!(
            measured.acknowledged_after < Span::from_secs(5),
            "{drill:?}"
        );
    }
    let switch = node.all::<gate::KillSwitch>(tenant).await.remove(0);
    assert_eq!((switch.drills.len(), switch.engaged.len()), (2, 0));
    assert_eq!(switch.drilling, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_measures_the_real_way_on_one_node() {
    let plant = Plant::new(Place::sqlite());
    let node = plant.node().await;
    a_drill_measures_the_real_way(&node, Span::ZERO).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_waits_for_what_other_nodes_may_do() {
    let plant = Plant::new(Place::postgres());
    let node = plant.node().await;
    a_drill_measures_the_real_way(&node, act::limits::SETTLE).await;
    node.stop().await;
}
