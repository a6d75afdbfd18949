//! A small world for tests of the engine: streams in memory, a clock that is
//! moved by hand, the real gate with permissive rules, and a simulated outside
//! that honours idempotency keys (or, for one module, does not).

use act::builtin::HttpSettings;
use act::fence::Sight;
use act::{
    Compensation, Manifest, Module, ModuleCtx, Outcome, Phase, Ports, Registry, RetryPolicy, Run,
};
use async_trait::async_trait;
use gate::budget::Reservation;
use gate::{
    ActionClass, Capabilities, Contract, CostClass, Directive, GateEnv, Grounding, KillSwitch,
    Permit, Rules, RulesSource, Step,
};
use kernel::aggregate::{Fold, State};
use kernel::names::Name as _;
use kernel::port::{Clock, Http, HttpAnswer, HttpFault, HttpRequest, Secrets};
use kernel::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The future's value; nothing in these tests ever waits.
pub(crate) fn now_or_never<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test future waits"),
    }
}

/// What the simulated outside does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Does it and answers.
    Answer,
    /// Does it, and the answer is lost.
    LoseReply,
    /// The request is lost, and so is any answer.
    LoseRequest,
    /// Says no.
    Refuse,
    /// It never left.
    NotSent,
}

/// One effect that happened outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) key: String,
    pub(crate) what: String,
}

/// The simulated outside.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) effects: Vec<Effect>,
    pub(crate) refused: Vec<String>,
    pub(crate) requests: u32,
    pub(crate) fates: Vec<Fate>,
}

impl Outside {
    /// One request arrives. With `honours`, a known key gets its first answer
    /// again and does nothing new.
    fn request(&mut self, key: &str, what: &str, honours: bool) -> Outcome {
        self.requests += 1;
        let fate = self.fates.pop().unwrap_or(Fate::Answer);
        match fate {
            Fate::NotSent => return Outcome::error("not sent"),
            Fate::LoseRequest => return Outcome::unknown("the request was lost"),
            _ => {}
        }
        let done = self.effects.iter().any(|e| e.key == key);
        let refused = self.refused.iter().any(|k| k == key);
        let no = match (honours, done, refused) {
            (true, true, _) => false,
            (true, _, true) => true,
            _ => fate == Fate::Refuse,
        };
        if no {
            self.refused.push(key.to_owned());
            return Outcome::failure("it said no");
        }
        if !(honours && done) {
            self.effects.push(Effect {
                key: key.to_owned(),
                what: what.to_owned(),
            });
        }
        match fate {
            Fate::LoseReply => Outcome::unknown("the reply was lost"),
            _ => Outcome::success(json!({ "did": what })),
        }
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.effects.iter().filter(|e| e.what == what).count()
    }
}

/// `sim.keyed` honours the key, `sim.once` does not. Input: `do`, and `undo`
/// where it can be undone.
struct Sim {
    manifest: Manifest,
    outside: Arc<Mutex<Outside>>,
}

impl Sim {
    fn new(name: &str, idempotent: bool, outside: &Arc<Mutex<Outside>>) -> Arc<Self> {
        Self::of(name, "1.0.0", idempotent, outside)
    }

    fn of(name: &str, version: &str, idempotent: bool, outside: &Arc<Mutex<Outside>>) -> Arc<Self> {
        let text = json!({ "type": "string" });
        Arc::new(Self {
            outside: outside.clone(),
            manifest: Manifest {
                name: name.to_owned(),
                version: version.to_owned(),
                input_schema: json!({
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["do"],
                    "properties": { "do": text, "undo": text },
                }),
                output_schema: json!({ "type": "object" }),
                cost_class: CostClass::Cheap,
                action_class: ActionClass::InternalMutation,
                requires_approval: true,
                writes_outside: true,
                reversible: true,
                idempotent,
                timeout: Span::from_secs(10),
                retry: RetryPolicy {
                    attempts_max: 3,
                    base: Span::from_secs(8),
                    factor: 2,
                    cap: Span::from_secs(60),
                },
            },
        })
    }
}

#[async_trait]
impl Module for Sim {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }
    async fn execute(&self, _: Permit, input: &Map<String, Value>, ctx: &ModuleCtx) -> Outcome {
        let what = input["do"].as_str().unwrap();
        let honours = self.manifest.idempotent;
        let mut outside = self.outside.lock().unwrap();
        outside.request(&ctx.idempotency_key, what, honours)
    }
    fn compensation(&self, input: &Map<String, Value>, _: &Value) -> Option<Compensation> {
        let undo = input.get("undo")?;
        Some(Compensation {
            module: "sim.keyed".to_owned(),
            input: Map::from_iter([("do".to_owned(), undo.clone())]),
        })
    }
}

/// A clock that is moved by hand.
pub(crate) struct Hand(Mutex<Timestamp>);
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    fn monotonic(&self) -> Span {
        self.now().since(Timestamp::EPOCH)
    }
}
struct Nowhere;
#[async_trait]
impl Http for Nowhere {
    async fn send(&self, _: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        Err(HttpFault::NotSent("there is no network here".into()))
    }
}
impl Secrets for Nowhere {
    fn resolve(&self, _: &str) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::unavailable("there are no secrets here"))
    }
}

/// What the log says at the moment of use.
struct Lookout {
    switch: Arc<KillSwitch>,
    held: bool,
    policy: Digest,
}
#[async_trait]
impl act::Lookout for Lookout {
    async fn kill_switch(&self, _: TenantId) -> Result<Sight, Refusal> {
        let switch = self.switch.clone();
        Ok(Sight { version: 1, switch })
    }
    async fn is_held(&self, _: TenantId, _: ReservationId) -> Result<bool, Refusal> {
        Ok(self.held)
    }
    fn home(&self) -> Option<TenantId> {
        None
    }
    fn policy(&self, _: TenantId) -> Option<Digest> {
        Some(self.policy)
    }
}

/// An entry, as far as tests look at it.
pub(crate) struct Logged {
    pub(crate) stream: StreamId,
    pub(crate) kind: &'static str,
    pub(crate) payload: Value,
    pub(crate) stamp: Stamp,
}

pub(crate) struct World {
    pub(crate) clock: Arc<Hand>,
    pub(crate) outside: Arc<Mutex<Outside>>,
    pub(crate) registry: Registry,
    pub(crate) log: Vec<Logged>,
    pub(crate) snapshot: SnapshotId,
    states: BTreeMap<StreamId, (u64, Arc<dyn State>)>,
    rules: Rules,
    capabilities: Capabilities,
    units: u128,
}

impl Reader for World {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let found = self.states.get(stream);
        Ok(found.map(|(version, state)| Held::Typed(*version, state.clone())))
    }
}

pub(crate) fn person(name: &str) -> Actor {
    Actor::new(PrincipalKind::Human, name)
}
pub(crate) fn engine() -> Actor {
    Actor::system("engine")
}

fn rules() -> Rules {
    let long = json!({ "soft_ttl": "300d", "hard_ttl": "365d" });
    let all = json!({ "allow": ["*"] });
    let attested = json!({ "region": "eu", "attestation": {
        "retention": "none", "training": false, "logging": "none", "by": "operations",
        "at": "2020-01-01T00:00:00Z",
    } });
    let source: RulesSource = serde_json::from_value(json!({
        "validators": {
            "freshness": { "default": long },
            "contradiction": { "fields": ["health"], "null_is_contradiction": false },
            "compliance": {
                "tools": { "allow": ["sim.keyed", "sim.once", "noop", "echo", "fail_intentionally"] },
                "fields": all,
                "destinations": all,
                "data_classes": { "allow": ["unclassified"] },
            },
        },
        "budgets": [{
            "name": "all", "scope": "tenant", "period": "total", "unit": "money",
            "hard": "1000000 EUR",
        }],
        "approvals": { "expires_after": "1h" },
        "residency": {
            "regions": "any",
            "demands": { "retention_max": "none", "training_allowed": false, "logging_max": "none" },
            "tools": { "sim.keyed": attested, "sim.once": attested },
        },
    }))
    .unwrap();
    let policy = "@id(\"all\") permit(principal, action, resource);".to_owned();
    Rules::compile(source, Vec::new(), &[("all.cedar".to_owned(), policy)]).unwrap()
}

fn snapshot() -> Snapshot {
    let evidence = EvidenceId(Digest::of(b"evidence"));
    let observed_at = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let claim = Claim {
        value: json!("bad"),
        source: "monitor".into(),
        trust: Trust::SystemOfRecord,
        observed_at,
        evidence,
    };
    Snapshot {
        subject: subject(),
        schema: SchemaRef {
            entity: "service".into(),
            version: 1,
            hash: Digest::of(b"schema"),
        },
        state_version: 1,
        fields: BTreeMap::from([(
            "health".to_owned(),
            Belief {
                claim,
                confidence: Ratio::ONE,
                contradictions: Vec::new(),
            },
        )]),
        grounds: vec![Ground {
            evidence,
            entry: "ent_00000000000070008000000000000001".parse().unwrap(),
            source_type: "alert".into(),
            source_id: "a1".into(),
            locator: String::new(),
            observed_at,
        }],
    }
}

fn subject() -> Subject {
    Subject::parse("service/checkout").unwrap()
}

/// A step: its id, its module, and its input.
pub(crate) fn step(id: &str, module: &str, input: Value) -> Step {
    Step {
        id: id.to_owned(),
        module: module.to_owned(),
        input: input.as_object().unwrap().clone(),
        cost: Money::parse("1 EUR", None).unwrap(),
        evidence: vec![Grounding::Source {
            source_type: "alert".into(),
            source_id: "a1".into(),
        }],
    }
}

/// A step that does `do-ID` and is undone by `undo-ID`.
pub(crate) fn reversible(id: &str, module: &str) -> Step {
    let input = json!({ "do": format!("do-{id}"), "undo": format!("undo-{id}") });
    step(id, module, input)
}

impl World {
    pub(crate) fn new() -> Self {
        let outside = Arc::new(Mutex::new(Outside::default()));
        let mut registry = act::builtin::registry(&HttpSettings::default()).unwrap();
        registry.add(Sim::new("sim.keyed", true, &outside)).unwrap();
        registry.add(Sim::new("sim.once", false, &outside)).unwrap();
        let start = Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
        let taken = snapshot();
        let id = taken.id().unwrap();
        let mut world = Self {
            clock: Arc::new(Hand(Mutex::new(start))),
            outside,
            capabilities: registry.capabilities(),
            registry,
            log: Vec::new(),
            snapshot: id,
            states: BTreeMap::new(),
            rules: rules(),
            units: 0,
        };
        world
            .unit(engine(), |unit, _, _| {
                let event = belief::SnapshotEvent::Taken(taken.clone());
                unit.record::<Snapshot>(id, event)
            })
            .unwrap();
        world
    }

    /// Another version of a module takes its place.
    pub(crate) fn renew(&mut self, name: &str, version: &str) {
        self.registry = Registry::new();
        let renewed = Sim::of(name, version, false, &self.outside);
        self.registry.add(renewed).unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
    pub(crate) fn pass(&self, span: Span) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.plus(span);
    }

    /// Runs one operation as one unit: all of it, or nothing.
    pub(crate) fn unit<T>(
        &mut self,
        actor: Actor,
        work: impl FnOnce(&mut Unit<'_>, &GateEnv<'_>, &Registry) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.units += 1;
        let tenant = TenantId::parse("ten_00000000000070008000000000000001").unwrap();
        let trace = TraceId::new(self.units).unwrap();
        let roles = vec![Role::Admin, Role::Approver, Role::Operator];
        let ctx = Ctx::new(tenant, self.now(), actor.clone(), trace, self.units).with_roles(roles);
        let env = GateEnv {
            rules: &self.rules,
            capabilities: &self.capabilities,
            everywhere: None,
        };
        let mut unit = Unit::new(self, &ctx);
        let reply = work(&mut unit, &env, &self.registry)?;
        let done = unit.finish();
        for draft in done.drafts {
            self.log.push(Logged {
                payload: serde_json::from_str(&draft.payload).unwrap(),
                stamp: Stamp {
                    at: ctx.now,
                    actor: actor.clone(),
                    entry: draft.id,
                    version: draft.version,
                },
                stream: draft.stream,
                kind: draft.kind,
            });
        }
        for changed in done.changed {
            let state = (changed.version, changed.state);
            self.states.insert(changed.stream, state);
        }
        Ok(reply)
    }

    /// A directive with these steps, approved by a person.
    pub(crate) fn approved(&mut self, timebox: Span, steps: Vec<Step>) -> DirectiveId {
        let contract = Contract {
            issued_by: person("issuer"),
            role: "operator".into(),
            kind: "service.mitigate".into(),
            objective: "make it well".into(),
            scope: serde_json::from_value(json!({ "subjects": ["service/checkout"] })).unwrap(),
            constraints: BTreeMap::new(),
            success_metrics: vec!["health".into()],
            budget: Money::parse("100 EUR", None).unwrap(),
            timebox,
            action_class: ActionClass::InternalMutation,
            steps,
            snapshot: self.snapshot,
        };
        self.registry.check_contract(&contract).unwrap();
        let proposed = self.unit(person("issuer"), |unit, env, _| {
            let id = gate::operations::draft(unit, contract.clone(), None)?;
            Ok((id, gate::operations::propose(unit, env, id)?))
        });
        let (id, proposed) = proposed.unwrap();
        let gate::operations::Proposed::Waiting { approval } = proposed else {
            panic!("{proposed:?}");
        };
        let seen = contract.digest().unwrap();
        self.unit(person("approver"), |unit, env, _| {
            let yes = gate::operations::Approve::to(approval, seen);
            gate::operations::approve(unit, env, &yes)
        })
        .unwrap();
        id
    }

    /// A run of a directive with these steps.
    pub(crate) fn created(&mut self, timebox: Span, steps: Vec<Step>) -> RunId {
        let directive = self.approved(timebox, steps);
        let created = self.unit(engine(), |unit, env, _| {
            act::engine::create_run(unit, env, directive)
        });
        match created.unwrap() {
            act::Creation::Created(run) => run,
            blocked => panic!("{blocked:?}"),
        }
    }

    pub(crate) fn begin(&mut self, run: RunId) -> act::Begun {
        self.unit(engine(), |unit, env, registry| {
            act::engine::begin_step(unit, env, registry, run)
        })
        .unwrap()
    }

    pub(crate) fn perform(&self, assignment: act::Assignment) -> Outcome {
        let ports = Ports {
            clock: self.clock.clone(),
            http: Arc::new(Nowhere),
            secrets: Arc::new(Nowhere),
        };
        let lookout = Arc::new(Lookout {
            switch: self.seen::<KillSwitch>(gate::kill::ID).unwrap_or_default(),
            held: self
                .seen::<Reservation>(assignment.permit.reservation())
                .is_some_and(|r| r.status.name() == "held"),
            policy: self.rules.policy.hash(),
        });
        let fence = Arc::new(act::Fence::new(lookout, self.clock.clone()));
        now_or_never(act::execute(&self.registry, assignment, &ports, &fence))
    }

    pub(crate) fn finish(
        &mut self,
        report: &act::Report,
        outcome: Outcome,
    ) -> Result<act::Next, Refusal> {
        self.unit(engine(), |unit, _, registry| {
            act::engine::finish_step(unit, registry, report, outcome)
        })
    }

    pub(crate) fn recover(&mut self, run: RunId) -> act::Next {
        self.unit(engine(), |unit, _, _| act::engine::recover(unit, run))
            .unwrap()
    }

    /// Goes on until the run is over or nothing but a person helps, moving the
    /// clock over every wait.
    pub(crate) fn drive(&mut self, run: RunId) -> act::Begun {
        for _ in 0..200 {
            match self.begin(run) {
                act::Begun::Execute(assignment) => {
                    let report = assignment.report();
                    let outcome = self.perform(*assignment);
                    self.finish(&report, outcome).unwrap();
                }
                act::Begun::Waiting { until: Some(at) }
                    if self.run(run).parked.is_none() && self.run(run).paused.is_none() =>
                {
                    self.pass(at.since(self.now()));
                }
                other => return other,
            }
        }
        panic!("the run does not end");
    }

    pub(crate) fn state<A: Aggregate>(&self, id: impl std::fmt::Display) -> Arc<A> {
        self.seen(id).unwrap()
    }
    fn seen<A: Aggregate>(&self, id: impl std::fmt::Display) -> Option<Arc<A>> {
        let (_, state) = self.states.get(&StreamId::of::<A>(id))?;
        let any: Arc<dyn std::any::Any + Send + Sync> = state.clone();
        Some(any.downcast::<A>().unwrap())
    }
    pub(crate) fn run(&self, run: RunId) -> Arc<Run> {
        self.state::<Run>(run)
    }
    pub(crate) fn directive(&self, run: RunId) -> Arc<Directive> {
        self.state::<Directive>(self.run(run).directive)
    }

    /// The kinds of the run's entries, in order.
    pub(crate) fn story(&self, run: RunId) -> Vec<&'static str> {
        let stream = StreamId::of::<Run>(run);
        let own = self.log.iter().filter(|e| e.stream == stream);
        own.map(|e| e.kind).collect()
    }

    /// The tasks that were started, in order, each attempt.
    pub(crate) fn starts(&self) -> Vec<(Phase, String)> {
        let started = self.log.iter().filter(|e| e.kind == "run.step_started");
        started
            .map(|e| {
                let phase = serde_json::from_value(e.payload["phase"].clone()).unwrap();
                (phase, e.payload["step"].as_str().unwrap().to_owned())
            })
            .collect()
    }

    /// Folds the run's entries again from their JSON: the state must be the
    /// same.
    pub(crate) fn replay(&self, run: RunId) {
        let fold = Fold::of::<Run>();
        let stream = StreamId::of::<Run>(run);
        let mut state = None;
        for entry in self.log.iter().filter(|e| e.stream == stream) {
            state = Some((fold.step)(state, entry.kind, &entry.payload, &entry.stamp).unwrap());
        }
        let (_, held) = &self.states[&stream];
        assert_eq!(state.unwrap().body().unwrap(), held.body().unwrap());
    }

    /// No reservation is left held once nothing is on its way.
    pub(crate) fn held_reservations(&self) -> usize {
        let kind = Reservation::KIND;
        let all = self.states.iter().filter(|(s, _)| s.kind() == kind);
        all.filter(|(_, (_, state))| state.status() == "held")
            .count()
    }
}
