//! Outcomes that the ledger does not take. What it could take later is kept;
//! what it can never take is given up, and the run goes on as after any attempt
//! without a result.

use act::builtin::HttpRequestModule;
use act::{Artifact, Compensation, Manifest, Module, ModuleCtx, Outcome, Registry, Verification};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use gate::directive::Status;
use gate::{Directive, Permit};
use kernel::limits::ENTRY_PAYLOAD_BYTES_MAX;
use kernel::{Actor, Code, Ctx, Refusal, Span, TenantId, Timestamp, TraceId, Unit};
use ledger::Ledger;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{Loop, Person, Sample, World, checks};

/// What goes wrong between the first request and the record of it.
#[derive(Clone, Default)]
enum Mishap {
    #[default]
    None,
    /// The outcome is longer than an entry may be.
    TooLong,
    /// Other commands fill the ledger's queue.
    QueueFull(Crowd),
}

/// Makes requests.
struct Requests {
    http: HttpRequestModule,
    first: Mutex<Mishap>,
}

#[async_trait]
impl Module for Requests {
    fn manifest(&self) -> &Manifest {
        self.http.manifest()
    }
    async fn execute(
        &self,
        permit: Permit,
        input: &Map<String, Value>,
        ctx: &ModuleCtx,
    ) -> Outcome {
        let mut outcome = self.http.execute(permit, input, ctx).await;
        let mishap = std::mem::take(&mut *self.first.lock().unwrap());
        match mishap {
            Mishap::None => {}
            Mishap::TooLong => outcome.artifacts.push(Artifact {
                name: "x".repeat(ENTRY_PAYLOAD_BYTES_MAX),
                media_type: "text/plain".into(),
                bytes: Vec::new(),
            }),
            Mishap::QueueFull(crowd) => crowd.come().await,
        }
        outcome
    }
    fn check(&self, input: &Map<String, Value>) -> Result<(), Refusal> {
        self.http.check(input)
    }
    fn idempotent(&self, input: &Map<String, Value>) -> bool {
        self.http.idempotent(input)
    }
    fn timeout(&self, input: &Map<String, Value>) -> Span {
        self.http.timeout(input)
    }
    fn compensation(&self, input: &Map<String, Value>, output: &Value) -> Option<Compensation> {
        self.http.compensation(input, output)
    }
    async fn verify(&self, input: &Map<String, Value>, ctx: &ModuleCtx) -> Verification {
        self.http.verify(input, ctx).await
    }
}

/// As many commands as may wait, behind one that takes its time.
#[derive(Clone, Default)]
struct Crowd {
    ledger: Arc<Mutex<Option<Ledger>>>,
    is_let_go: Arc<AtomicBool>,
}

impl Crowd {
    async fn come(&self) {
        let ledger = self.ledger.lock().unwrap().clone().unwrap();
        let has_begun = Arc::<AtomicBool>::default();
        let (begun, is_let_go) = (has_begun.clone(), self.is_let_go.clone());
        let wait = move |_: &mut Unit<'_>| {
            begun.store(true, Ordering::Relaxed);
            while !is_let_go.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        };
        let waits = ledger.run(anyone(), wait).now_or_never();
        assert!(waits.is_none(), "it waits");
        while !has_begun.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let one_more = || ledger.run(anyone(), |_| Ok(())).now_or_never();
        while one_more().is_none() {}
    }

    /// Lets everybody go, and waits for the last one.
    async fn go(&self) {
        self.is_let_go.store(true, Ordering::Relaxed);
        let ledger = self.ledger.lock().unwrap().take().unwrap();
        while ledger.run(anyone(), |_| Ok(())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn anyone() -> Ctx {
    let (tenant, trace) = (TenantId(uuid::Uuid::from_u128(9)), TraceId::new(9).unwrap());
    Ctx::new(tenant, Timestamp::EPOCH, Actor::system("crowd"), trace, 9)
}

/// A loop whose run has met this mishap at its first step.
async fn meets(mishap: Mishap) -> Loop {
    let mut control = Loop::start(1, &Sample::default()).await;
    control.store = control.store.reopen();
    let requests = Requests {
        http: HttpRequestModule::new(&World::outside()).unwrap(),
        first: Mutex::new(mishap.clone()),
    };
    let mut modules = Registry::new();
    modules.add(Arc::new(requests)).unwrap();
    let (world, store) = (&control.world, control.store.clone());
    let opened = world.control_with(store, world.http.clone(), modules);
    control.control = Arc::new(opened.await.unwrap());
    if let Mishap::QueueFull(crowd) = &mishap {
        *crowd.ledger.lock().unwrap() = Some(control.control.ledger().clone());
    }
    let tenant = control.home();
    let (_, approval) = control.incident(tenant, "press-1").await;
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    let refused = control.tick().await.unwrap();
    let codes: Vec<Code> = refused.iter().map(|(_, refusal)| refusal.code).collect();
    assert_eq!(codes, [Code::LimitExceeded], "{refused:?}");
    assert_eq!(control.world.http.asked().len(), 1);
    control
}

/// It is carried out, with this many requests.
async fn completes(control: &Loop, asked: usize) {
    control.pass(Span::from_secs(120)).await.unwrap();
    checks::all(control).await;
    let (_, directive) = control.only::<Directive>(control.home()).await;
    assert_eq!(directive.status, Status::Complete);
    assert_eq!(control.world.http.asked().len(), asked);
    assert_eq!(control.world.http.effects().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_meets_a_limit_is_not_kept() {
    let control = meets(Mishap::TooLong).await;
    // Nobody knows what came of the attempt: when its lease is over, it is made
    // again under its key.
    completes(&control, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_finds_the_queue_full_is_kept() {
    let crowd = Crowd::default();
    let control = meets(Mishap::QueueFull(crowd.clone())).await;
    crowd.go().await;
    completes(&control, 2).await;
}
