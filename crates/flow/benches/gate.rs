//! Full decisions of the gate per second on the embedded store: four
//! validators on a bound snapshot, Cedar with 100 policies, the budgets, all
//! of it recorded and synced to disk before the caller hears of it. Each
//! decision is on a directive of its own. The same on storage in memory shows
//! how much of it is deciding and how much is the disk.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use act::engine::Begun;
use flow::Control;
use gate::operations::{self, Approve, Proposed};
use gate::{Contract, GateEnv, Step};
use kernel::{DirectiveId, Refusal, RunId, Span, Subject, TenantId, Unit};
use ledger::Store;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::alerts::{Alert, webhook};
use testkit::{MemoryStore, Person, Sample, World, sample};

/// Policies in the pack, those of the sample among them.
const POLICIES: usize = 100;
const DECISIONS: usize = 6_000;
const DECISIONS_ALONE: usize = 1_500;

/// The sample with policies that the gate has to evaluate and none of which
/// decides.
fn pack() -> Sample {
    let more = (2..POLICIES).map(|n| {
        format!(
            "@id(\"limit-{n}\") forbid (principal, action, resource) when {{ \
             context.steps > {n} && resource.directive_type == \"machine.type_{n}\" }};\n"
        )
    });
    Sample {
        policies: more.collect(),
        tenant_hard: "100000000 EUR".into(),
        machine_hard: "100000000 EUR".into(),
        timebox: "20h".into(),
        ..Sample::default()
    }
}

struct Bench {
    world: World,
    control: Arc<Control>,
    tenant: TenantId,
}

impl Bench {
    /// A loop over this store.
    async fn over(store: Arc<dyn Store>) -> Self {
        let world = World::new(1);
        let control = Arc::new(world.control(store).await.expect("opens"));
        let founded = control.first_start().await.expect("founds");
        let tenant = founded.expect("an empty store").tenant;
        let ctx = control.system_ctx(tenant, "bench");
        let loaded = control.load_pack(ctx, None, pack().files()).await;
        loaded.expect("the pack loads");
        Self {
            world,
            control,
            tenant,
        }
    }

    async fn run<R: Send + 'static>(
        &self,
        person: &Person,
        work: impl Fn(&mut Unit<'_>, &GateEnv<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> R {
        let in_force = self.control.in_force(self.tenant).expect("a pack");
        let capabilities = self.control.capabilities().clone();
        let decide = move |unit: &mut Unit<'_>| {
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: None,
            };
            work(unit, &env)
        };
        let mut ctx = self.control.system_ctx(self.tenant, "bench");
        ctx.actor = person.actor.clone();
        ctx.roles.clone_from(&person.roles);
        let done = self.control.ledger().run(ctx, decide).await;
        done.expect("no refusal").answer
    }

    /// Machines of these numbers become known.
    async fn heat(&self, numbers: std::ops::Range<usize>) {
        let numbers: Vec<usize> = numbers.collect();
        for some in numbers.chunks(50) {
            let pairs = some
                .iter()
                .flat_map(|n| Alert::pair(&machine(*n), self.control.now()));
            let delivery = flow::Delivery {
                source: sample::SOURCE.into(),
                content_type: "application/json".into(),
                body: webhook(&pairs.collect::<Vec<_>>()),
            };
            let ctx = self.control.system_ctx(self.tenant, "bench");
            self.control.receive(ctx, delivery).await.expect("received");
        }
    }
}

fn machine(number: usize) -> String {
    format!("press-{number}")
}

/// A contract on the state of this machine as it is now.
fn contract(
    unit: &mut Unit<'_>,
    in_force: &flow::InForce,
    issuer: &Person,
    number: usize,
) -> Result<Contract, Refusal> {
    let subject = Subject::parse(&format!("machine/{}", machine(number)))?;
    let snapshot = world::take(unit, in_force.pack.schema_of(&subject)?, &subject)?;
    let taken = unit.get::<kernel::Snapshot>(snapshot)?;
    let ground = taken.grounds.first().expect("evidence");
    let step = Step {
        id: "cool".into(),
        module: "http.request".into(),
        input: serde_json::json!({
            "method": "PUT",
            "url": "http://plant.example/machines/press/mode",
            "json": { "mode": "cool" },
        })
        .as_object()
        .expect("an object")
        .clone(),
        cost: kernel::Money::parse("1 EUR", None)?,
        evidence: vec![gate::Grounding::Source {
            source_type: ground.source_type.clone(),
            source_id: ground.source_id.clone(),
        }],
    };
    Ok(Contract {
        issued_by: issuer.actor.clone(),
        role: "operator".into(),
        kind: "machine.cool_down".into(),
        objective: "cool it down".into(),
        scope: gate::contract::Scope {
            subjects: vec![subject],
        },
        constraints: std::collections::BTreeMap::new(),
        success_metrics: vec!["it is cool".into()],
        budget: kernel::Money::parse("2 EUR", None)?,
        timebox: Span::parse("10h")?,
        action_class: gate::ActionClass::InternalMutation,
        steps: vec![step],
        snapshot,
    })
}

/// What `count` operations took, `at_once` at a time.
struct Measured {
    wall: Duration,
    each: Vec<Duration>,
}

impl Measured {
    fn row(&mut self, what: &str, storage: &str, at_once: usize) {
        self.each.sort_unstable();
        let at = |share: usize| {
            let index = (self.each.len() * share / 100).min(self.each.len() - 1);
            self.each[index].as_secs_f64() * 1e3
        };
        println!(
            "{what:<30} {storage:<8} {at_once:>4} {:>9.0} {:>9.2} {:>9.2}",
            self.each.len() as f64 / self.wall.as_secs_f64(),
            at(50),
            at(99),
        );
    }
}

/// Runs one operation per item, `at_once` at a time.
async fn measure<T, F>(items: Vec<T>, at_once: usize, operation: impl Fn(T) -> F) -> Measured
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let operation = &operation;
    let began = Instant::now();
    let queue = Arc::new(Mutex::new(items));
    let each = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    // The futures are made as the workers come for them.
    let (sender, receiver) = tokio::sync::mpsc::channel::<F>(at_once);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    for _ in 0..at_once {
        let (receiver, each) = (receiver.clone(), each.clone());
        workers.spawn(async move {
            loop {
                let next = receiver.lock().await.recv().await;
                let Some(work) = next else { return };
                let began = Instant::now();
                work.await;
                each.lock().expect("no panic").push(began.elapsed());
            }
        });
    }
    loop {
        let item = queue.lock().expect("no panic").pop();
        let Some(item) = item else { break };
        if sender.send(operation(item)).await.is_err() {
            break;
        }
    }
    drop(sender);
    while workers.join_next().await.is_some() {}
    let wall = began.elapsed();
    let each = std::mem::take(&mut *each.lock().expect("no panic"));
    Measured { wall, each }
}

/// Drafts, each about a machine of its own: those about one would wait for each
/// other.
async fn drafts(
    bench: &Arc<Bench>,
    issuer: &Person,
    numbers: std::ops::Range<usize>,
) -> Vec<DirectiveId> {
    bench.heat(numbers.clone()).await;
    let in_force = bench.control.in_force(bench.tenant).expect("a pack");
    let numbers: Vec<usize> = numbers.collect();
    let mut all = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(50) {
        let (some, in_force, by) = (some.to_vec(), in_force.clone(), issuer.clone());
        let drafted = bench.run(issuer, move |unit, _| {
            some.iter()
                .map(|number| {
                    let contract = contract(unit, &in_force, &by, *number)?;
                    operations::draft(unit, contract, None)
                })
                .collect::<Result<Vec<_>, _>>()
        });
        all.extend(drafted.await);
    }
    all
}

/// Proposals, then approvals and starts beside the measurement, then
/// admissions of steps.
async fn all(bench: Arc<Bench>, storage: &str) {
    let (issuer, approver) = (Person::named("ann"), Person::named("bob"));
    let mut approvals = Vec::new();
    let alone = 0..DECISIONS_ALONE;
    let beside = DECISIONS_ALONE..DECISIONS_ALONE + DECISIONS;
    for (at_once, numbers) in [(1, alone), (64, beside)] {
        let drafted = drafts(&bench, &issuer, numbers).await;
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let mut measured = measure(drafted, at_once, |id| {
            let (bench, issuer, waiting) = (bench.clone(), issuer.clone(), waiting.clone());
            async move {
                let work = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
                    operations::propose(unit, env, id)
                };
                let Proposed::Waiting { approval } = bench.run(&issuer, work).await else {
                    panic!("the gate lets it through to a person");
                };
                waiting.lock().expect("no panic").push((id, approval));
            }
        })
        .await;
        measured.row("propose (plan approval)", storage, at_once);
        let waiting = std::mem::take(&mut *waiting.lock().expect("no panic"));
        approvals.push((at_once, waiting));
    }
    for (at_once, waiting) in approvals {
        let runs = started(&bench, &approver, waiting).await;
        let mut measured = measure(runs, at_once, |run| {
            let (bench, issuer) = (bench.clone(), issuer.clone());
            let modules = bench.control.modules().clone();
            async move {
                let work =
                    move |unit: &mut Unit<'_>, env: &GateEnv<'_>| match act::engine::begin_step(
                        unit, env, &modules, run,
                    )? {
                        Begun::Execute(_) => Ok(()),
                        other => Err(Refusal::conflict(format!("{other:?}"))),
                    };
                bench.run(&issuer, work).await;
            }
        })
        .await;
        measured.row("admit a step (2 choke points)", storage, at_once);
    }
}

async fn started(
    bench: &Arc<Bench>,
    approver: &Person,
    waiting: Vec<(DirectiveId, kernel::ApprovalId)>,
) -> Vec<RunId> {
    let mut runs = Vec::new();
    for some in waiting.chunks(20) {
        let some = some.to_vec();
        let work = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
            let mut runs = Vec::new();
            for (directive, approval) in &some {
                let seen = unit
                    .get::<gate::Approval>(*approval)?
                    .request
                    .binding
                    .digest;
                let yes = Approve::to(*approval, seen);
                operations::approve(unit, env, &yes)?;
                match act::engine::create_run(unit, env, *directive)? {
                    act::Creation::Created(run) => runs.push(run),
                    blocked => return Err(Refusal::conflict(format!("{blocked:?}"))),
                }
            }
            Ok(runs)
        };
        runs.extend(bench.run(approver, work).await);
    }
    runs
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "{POLICIES} policies, four validators, three budgets; each decision recorded and synced\n"
    );
    println!(
        "{:<30} {:<8} {:>4} {:>9} {:>9} {:>9}",
        "decision", "storage", "at", "per s", "p50 ms", "p99 ms"
    );
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let sqlite = store::Sqlite::open(directory.path()).expect("opens");
        let bench = Arc::new(Bench::over(Arc::new(sqlite)).await);
        all(bench.clone(), "SQLite").await;
        assert!(bench.world.http.asked().is_empty(), "nothing was executed");
        let bench = Arc::new(Bench::over(MemoryStore::new()).await);
        all(bench, "memory").await;
    });
    println!("\nmemory: the same commands without a disk, that is, what deciding alone takes");
}
