//! Random interleavings: several tenants, several people, alerts in any order,
//! ticks, crashes, storage and an outside that fail. A failure names its seed;
//! `SEED_ONLY` replays it.

use act::engine;
use gate::kill::{self, Scope};
use gate::operations::{self, EditAndApprove};
use gate::{Approval, Directive};
use kernel::{Refusal, Span, TenantId};
use testkit::alerts::Alert;
use testkit::{Death, Dice, Loop, Person, Sample, checks};

const SEEDS: u64 = 12;
const MOVES: usize = 50;
/// Set it to the seed of a failure to replay only that.
const SEED_ONLY: Option<u64> = None;

struct Named(u64);
impl Drop for Named {
    #[allow(
        clippy::print_stderr,
        reason = "the seed must be seen with the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}

#[derive(Default, Debug)]
struct Tally {
    crashes: u32,
    refused: u32,
    effects: usize,
    stopped: u32,
}

struct Chaos {
    control: Loop,
    dice: Dice,
    people: [Person; 3],
    alerts: Vec<Alert>,
    tally: Tally,
}

impl Chaos {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let idempotency = if dice.roll(2) == 0 {
            "honoured"
        } else {
            "ignored"
        };
        let sample = Sample {
            tenant_hard: "6 EUR".into(),
            machine_hard: "4 EUR".into(),
            timebox: "20m".into(),
            approval_expires: "10m".into(),
            note_idempotency: idempotency.into(),
            ..Sample::default()
        };
        let mut control = Loop::start(seed, &sample).await;
        control.found(&sample).await;
        control.world.http.chaos(seed, 40);
        Self {
            control,
            dice,
            people: ["ann", "bob", "eve"].map(Person::named),
            alerts: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn tenant(&mut self) -> TenantId {
        let tenants = &self.control.tenants;
        *self.dice.pick(tenants).unwrap()
    }
    fn person(&mut self) -> Person {
        self.dice.pick(&self.people).unwrap().clone()
    }

    async fn step(&mut self) {
        let tenant = self.tenant();
        let done = match self.dice.roll(16) {
            0..=2 => self.alert(tenant).await,
            3..=5 => self.decide(tenant).await,
            6 => self.edit(tenant).await,
            7 => self.steer(tenant).await,
            8 => self.kill(tenant).await,
            9 => {
                self.crash().await;
                Ok(())
            }
            10 => {
                self.storage();
                Ok(())
            }
            11 => self.pass(&[300, 900]).await,
            _ => self.pass(&[0, 1, 2, 30]).await,
        };
        self.tally.refused += u32::from(done.is_err());
        if self.control.store.is_dead() {
            self.crash().await;
        }
    }

    async fn pass(&mut self, seconds: &[u32]) -> Result<(), Refusal> {
        let span = Span::from_secs(*self.dice.pick(seconds).unwrap());
        self.control.pass(span).await
    }

    async fn alert(&mut self, tenant: TenantId) -> Result<(), Refusal> {
        let machine = *self.dice.pick(&["press-1", "press-2", "press-3"]).unwrap();
        match self.dice.roll(4) {
            0 | 1 => {
                let pair = Alert::pair(machine, self.control.now());
                self.alerts.extend(pair);
            }
            2 => {
                let now = self.control.now();
                let ended: Vec<_> = self.alerts.iter().map(|a| a.ended(now)).collect();
                self.alerts.extend(ended.into_iter().take(4));
            }
            _ => {}
        }
        self.dice.shuffle(&mut self.alerts);
        let some: Vec<_> = self.alerts.iter().take(6).cloned().collect();
        self.control.receive(tenant, &some).await.map(drop)
    }

    async fn decide(&mut self, tenant: TenantId) -> Result<(), Refusal> {
        let person = self.person();
        let approvals = self.control.all::<Approval>(tenant).await;
        let Some((id, found)) = self.dice.pick(&approvals).cloned() else {
            return Ok(());
        };
        let id = id.parse()?;
        if self.dice.roll(5) > 0 {
            return self.control.approve(tenant, &person, id).await.map(drop);
        }
        let seen = found.request.binding.digest;
        let no = move |unit: &mut kernel::Unit<'_>, _: &gate::GateEnv<'_>| {
            operations::reject(unit, &operations::Reject::of(id, seen, "no"))
        };
        self.control.run(tenant, &person, no).await
    }

    async fn edit(&mut self, tenant: TenantId) -> Result<(), Refusal> {
        let person = self.person();
        let directives = self.control.all::<Directive>(tenant).await;
        let Some((id, found)) = self.dice.pick(&directives).cloned() else {
            return Ok(());
        };
        let id: kernel::DirectiveId = id.parse()?;
        if self.dice.roll(2) == 0 {
            let work = move |unit: &mut kernel::Unit<'_>, env: &gate::GateEnv<'_>| {
                operations::retry(unit, env, id).map(drop)
            };
            return self.control.run(tenant, &person, work).await;
        }
        let Some(approval) = found.approval else {
            return Ok(());
        };
        let mut contract = found.contract.clone();
        contract.objective.push('!');
        let seen = found.digest;
        let work = move |unit: &mut kernel::Unit<'_>, env: &gate::GateEnv<'_>| {
            let asked = EditAndApprove {
                approval,
                seen,
                contract: contract.clone(),
                reason: None,
            };
            operations::edit_and_approve(unit, env, asked).map(drop)
        };
        self.control.run(tenant, &person, work).await
    }

    /// Halts, resumes, gives up, takes back or resolves a run.
    async fn steer(&mut self, tenant: TenantId) -> Result<(), Refusal> {
        let person = self.person();
        let runs = self.control.all::<act::Run>(tenant).await;
        let Some((id, run)) = self.dice.pick(&runs).cloned() else {
            return Ok(());
        };
        let id: kernel::RunId = id.parse()?;
        let lost = run
            .tasks()
            .find(|(_, _, task)| task.status == act::TaskStatus::Unknown)
            .map(|(phase, step, _)| (phase, step.to_owned()));
        if let Some((phase, step)) = lost {
            // The person looks at what really happened.
            let key = engine::idempotency_key(id, phase, &step)?;
            let effects = self.control.world.http.effects();
            let happened = effects.iter().any(|e| e.key.as_ref() == Some(&key));
            let resolution = match happened {
                true => act::run::Resolution::Succeeded,
                false => act::run::Resolution::Failed,
            };
            let modules = self.control.control.modules().clone();
            let work = move |unit: &mut kernel::Unit<'_>, _: &gate::GateEnv<'_>| {
                engine::resolve_unknown(unit, &modules, id, phase, &step, resolution, "I looked")
                    .map(drop)
            };
            return self.control.run(tenant, &person, work).await;
        }
        let which = self.dice.roll(4);
        let work = move |unit: &mut kernel::Unit<'_>, _: &gate::GateEnv<'_>| match which {
            0 => engine::pause(unit, id, "wait"),
            1 => engine::resume(unit, id, "go on").map(drop),
            2 => engine::abort(unit, id, "enough").map(drop),
            _ => engine::rollback(unit, id, "undo", Span::from_secs(3600)).map(drop),
        };
        self.control.run(tenant, &person, work).await
    }

    async fn kill(&mut self, tenant: TenantId) -> Result<(), Refusal> {
        let person = self.person();
        let scopes = ["tenant", "tool:http.request", "agent:runbooks"];
        let scope: Scope = self.dice.pick(&scopes).unwrap().parse()?;
        let which = self.dice.roll(5);
        let work = move |unit: &mut kernel::Unit<'_>, _: &gate::GateEnv<'_>| match which {
            0 => kill::engage(unit, scope.clone(), "stop").map(drop),
            1 | 2 => kill::request_release(unit, &scope, "go").map(drop),
            _ => kill::confirm_release(unit, &scope).map(drop),
        };
        let done = self.control.run(tenant, &person, work).await;
        self.tally.stopped += u32::from(which == 0 && done.is_ok());
        done
    }

    fn storage(&mut self) {
        let store = &self.control.store;
        match self.dice.roll(4) {
            0 => store.fail_appends(1),
            1 => store.lose_replies(1),
            2 => store.die_at(store.appends() + 1, Death::Before),
            _ => store.die_at(store.appends() + 1, Death::After),
        }
    }

    async fn crash(&mut self) {
        self.tally.crashes += 1;
        self.control
            .crash()
            .await
            .expect("the next process comes up");
    }

    /// Peace: everything that can end ends.
    async fn calm(&mut self) {
        self.control.store.recover();
        self.control.world.http.calm();
        self.crash().await;
        self.control
            .pass(Span::from_secs(3 * 60 * 60))
            .await
            .unwrap();
        checks::all(&self.control).await;
        for tenant in self.control.tenants.clone() {
            for (id, run) in self.control.all::<act::Run>(tenant).await {
                assert!(run.started().is_none(), "an attempt of {id} never ends");
            }
            for (id, counter) in self.control.all::<gate::budget::Counter>(tenant).await {
                assert!(counter.reserved.is_zero(), "budget is stranded in {id}");
            }
        }
        self.tally.effects = self.control.world.http.effects().len();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_what_must_hold_holds() {
    let seeds = match SEED_ONLY {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let mut total = Tally::default();
    for seed in seeds {
        let _named = Named(seed);
        let mut chaos = Chaos::new(seed).await;
        for _ in 0..MOVES {
            chaos.step().await;
            checks::all(&chaos.control).await;
        }
        chaos.calm().await;
        total.crashes += chaos.tally.crashes;
        total.refused += chaos.tally.refused;
        total.effects += chaos.tally.effects;
        total.stopped += chaos.tally.stopped;
    }
    // The moves did meet what they are about.
    if SEED_ONLY.is_none() {
        assert!(total.crashes > 30 && total.refused > 50, "{total:?}");
        assert!(total.effects > 12 && total.stopped > 3, "{total:?}");
    }
}
