//! A small world in memory: states, the entries that made them, a clock, rules
//! and modules. What an operation returns `Ok` for is applied, nothing else.

use crate::budget::{Counter, Reservation};
use crate::contract::Scope;
use crate::kill::StoppedBy;
use crate::operations::{self, Proposed};
use crate::{
    ActionClass, Admission, AdmitRequest, Approval, Capabilities, Capability, Contract, CostClass,
    Directive, GateEnv, Grounding, KillSwitch, PermitRecord, Rules, RulesSource, Step,
    VerdictRecord,
};
use kernel::aggregate::{Fold, State};
use kernel::belief::SnapshotEvent;
use kernel::{
    Actor, Aggregate, ApprovalId, Belief, Claim, Ctx, Digest, DirectiveId, Draft, EntryId, Ground,
    Held, Money, PrincipalKind, Ratio, Reader, Refusal, Role, RunId, SchemaRef, Snapshot,
    SnapshotId, Span, Stamp, StreamId, Subject, TenantId, Timestamp, TraceId, Trust, Unit,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Who acts, in which roles.
#[derive(Clone, Debug)]
pub(crate) struct Who(pub(super) Actor, pub(super) Vec<Role>);

/// A person with one role.
pub(crate) fn person(name: &str, role: Role) -> Who {
    Who(Actor::new(PrincipalKind::Human, name), vec![role])
}
/// An agent.
pub(crate) fn agent(name: &str) -> Who {
    Who(Actor::new(PrincipalKind::Agent, name), vec![Role::Agent])
}
/// A part of writ.
pub(crate) fn engine() -> Who {
    Who(Actor::system("engine"), Vec::new())
}

#[derive(Default)]
struct Memory(BTreeMap<StreamId, (u64, Arc<dyn State>)>);

impl Reader for Memory {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let found = self.0.get(stream);
        Ok(found.map(|(version, state)| Held::Typed(*version, state.clone())))
    }
}

pub(crate) struct World {
    memory: Memory,
    /// Every entry, with the time and actor of its command.
    pub(crate) entries: Vec<(Draft, Timestamp, Actor)>,
    pub(crate) now: Timestamp,
    pub(crate) rules: Rules,
    pub(crate) modules: Capabilities,
    pub(crate) everywhere: Option<StoppedBy>,
    pub(crate) snapshot: SnapshotId,
    seed: u128,
}

/// Permits everything of the modules below on services, but `doubtful` only
/// with advice.
pub(crate) const POLICY: &str = r#"
@id("tools")
permit(principal, action, resource)
when { resource in [Tool::"look", Tool::"mend", Tool::"tell", Tool::"dear", Tool::"unmend"] };
@id("doubtful")
@advice("warn")
permit(principal, action, resource in Tool::"doubtful");
@id("scope")
forbid(principal, action, resource) unless { resource in SubjectType::"service" };
"#;

/// An endpoint that may be reached until this world is ten years old.
pub(crate) fn in_eu() -> Value {
    json!({ "region": "eu", "attestation": {
        "retention": "none", "training": false, "logging": "none", "by": "operations",
        "at": Timestamp::from_micros(START), "until": Timestamp::from_micros(START).plus(Span::parse("3650d").unwrap()),
    } })
}

pub(crate) fn source() -> Value {
    json!({
        "validators": {
            "freshness": { "default": { "soft_ttl": "1h", "hard_ttl": "2h" } },
            "contradiction": { "fields": ["error_rate"], "null_is_contradiction": true },
            "compliance": {
                "tools": { "allow": ["look", "mend", "tell", "dear", "doubtful", "unmend"] },
                "fields": { "allow": ["*"], "deny": ["password"] },
                "destinations": { "allow": [] },
                "data_classes": { "allow": ["unclassified"] },
            },
        },
        "budgets": [
            { "name": "all", "scope": "tenant", "period": "total", "unit": "money", "hard": "20 EUR" },
            { "name": "mend", "scope": "tool", "period": "total", "unit": "money", "hard": "15 EUR" },
        ],
        "approvals": {
            "quorum": { "external_human_touch": { "needed": 2, "among": ["approver", "admin"] } },
            "expires_after": "30m",
            "autonomous": { "thing.mend_alone": { "confidence_min": 0.9 } },
        },
        "residency": {
            "regions": ["eu"],
            "demands": { "retention_max": "30d", "training_allowed": false, "logging_max": "metadata" },
            "tools": { "mend": in_eu(), "tell": in_eu(), "dear": in_eu(), "unmend": in_eu() },
        },
    })
}

pub(crate) fn rules(source: Value, policy: &str) -> Rules {
    let source: RulesSource = serde_json::from_value(source).unwrap();
    Rules::compile(
        source,
        Vec::new(),
        &[("policy.cedar".to_owned(), policy.to_owned())],
    )
    .unwrap()
}

pub(crate) fn modules() -> Capabilities {
    use ActionClass::{ExternalHumanTouch, InternalMutation, InternalNonDestructive};
    use CostClass::{Cheap, Expensive, Medium};
    [
        ("look", InternalNonDestructive, Cheap, false, false),
        ("mend", InternalMutation, Medium, true, true),
        ("tell", ExternalHumanTouch, Medium, true, false),
        ("dear", InternalNonDestructive, Expensive, true, false),
        ("doubtful", InternalNonDestructive, Cheap, false, false),
        ("unmend", InternalMutation, Cheap, true, false),
    ]
    .into_iter()
    .map(
        |(name, action_class, cost_class, writes_outside, reversible)| {
            let capability = Capability {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                cost_class,
                action_class,
                requires_approval: false,
                writes_outside,
                reversible,
                traits: crate::TraitsOf::new(move |input| crate::Traits {
                    idempotent: !input.contains_key("once"),
                    reversible,
                }),
            };
            (name.to_owned(), capability)
        },
    )
    .collect()
}

pub(crate) const START: i64 = 1_700_000_000_000_000;

fn snapshot() -> Snapshot {
    let observed_at = Timestamp::from_micros(START);
    let evidence = kernel::EvidenceId(Digest::of(b"alert"));
    let belief = Belief {
        claim: Claim {
            value: json!(0.4),
            source: "monitor".to_owned(),
            trust: Trust::Verified,
            observed_at,
            evidence,
        },
        confidence: Ratio::from_ppm(900_000),
        contradictions: Vec::new(),
    };
    Snapshot {
        subject: Subject::parse("service/checkout").unwrap(),
        schema: SchemaRef {
            entity: "service".to_owned(),
            version: 1,
            hash: Digest::of(b"schema"),
        },
        state_version: 1,
        fields: BTreeMap::from([("error_rate".to_owned(), belief)]),
        grounds: vec![Ground {
            evidence,
            entry: EntryId(Uuid::from_u128(1)),
            source_type: "alert".to_owned(),
            source_id: "a-1".to_owned(),
            locator: String::new(),
            observed_at,
        }],
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let snapshot = snapshot();
        let id = snapshot.id().unwrap();
        let mut world = Self {
            memory: Memory::default(),
            entries: Vec::new(),
            now: Timestamp::from_micros(START),
            rules: rules(source(), POLICY),
            modules: modules(),
            everywhere: None,
            snapshot: id,
            seed: 0,
        };
        world
            .run(&engine(), |unit, _| {
                unit.record::<Snapshot>(id, SnapshotEvent::Taken(snapshot))
            })
            .unwrap();
        world
    }

    /// Runs one command; `Err` leaves everything as it was.
    pub(crate) fn run<T>(
        &mut self,
        who: &Who,
        op: impl FnOnce(&mut Unit<'_>, &GateEnv<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.seed += 1;
        let tenant = TenantId(Uuid::from_u128(9));
        let trace = TraceId::new(1).unwrap();
        let ctx =
            Ctx::new(tenant, self.now, who.0.clone(), trace, self.seed).with_roles(who.1.clone());
        let env = GateEnv {
            rules: &self.rules,
            capabilities: &self.modules,
            everywhere: self.everywhere.as_ref(),
        };
        let mut unit = Unit::new(&self.memory, &ctx);
        let reply = op(&mut unit, &env)?;
        let work = unit.finish();
        for draft in work.drafts {
            self.entries.push((draft, self.now, who.0.clone()));
        }
        for changed in work.changed {
            self.memory
                .0
                .insert(changed.stream, (changed.version, changed.state));
        }
        Ok(reply)
    }

    /// The state of an aggregate.
    pub(crate) fn see<A: Aggregate>(&self, id: impl std::fmt::Display) -> Option<Arc<A>> {
        let ctx = Ctx::new(
            TenantId(Uuid::nil()),
            self.now,
            Actor::system("test"),
            TraceId::new(1).unwrap(),
            0,
        );
        Unit::new(&self.memory, &ctx).find::<A>(id).unwrap()
    }

    /// Every state of one kind.
    pub(crate) fn all<A: Aggregate>(&self) -> Vec<Arc<A>> {
        let of_kind = self.memory.0.keys().filter(|s| s.kind() == A::KIND);
        of_kind.filter_map(|s| self.see::<A>(s.id())).collect()
    }

    pub(crate) fn directive(&self, id: DirectiveId) -> Arc<Directive> {
        self.see::<Directive>(id).unwrap()
    }

    /// How many entries of this kind there are.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.entries.iter().filter(|(d, ..)| d.kind == kind).count()
    }

    pub(crate) fn pass(&mut self, span: &str) {
        self.now = self.now.plus(Span::parse(span).unwrap());
    }

    /// A contract with one step per module, each at 2 EUR.
    pub(crate) fn contract(&self, issuer: &Who, modules: &[&str]) -> Contract {
        let steps = modules.iter().enumerate().map(|(at, module)| Step {
            id: format!("s{at}"),
            module: (*module).to_owned(),
            input: serde_json::Map::from_iter([("note".to_owned(), json!("x"))]),
            cost: money("2 EUR"),
            evidence: vec![Grounding::Source {
                source_type: "alert".to_owned(),
                source_id: "a-1".to_owned(),
            }],
        });
        Contract {
            issued_by: issuer.0.clone(),
            role: "operator".to_owned(),
            kind: "thing.mend".to_owned(),
            objective: "make it whole".to_owned(),
            scope: Scope {
                subjects: vec![Subject::parse("service/checkout").unwrap()],
            },
            constraints: BTreeMap::new(),
            success_metrics: vec!["it is whole".to_owned()],
            budget: money("10 EUR"),
            timebox: Span::parse("1h").unwrap(),
            action_class: ActionClass::InternalNonDestructive,
            steps: steps.collect(),
            snapshot: self.snapshot,
        }
    }

    pub(crate) fn draft(&mut self, issuer: &Who, contract: Contract) -> DirectiveId {
        self.run(issuer, |unit, _| operations::draft(unit, contract, None))
            .unwrap()
    }

    pub(crate) fn propose(&mut self, id: DirectiveId) -> Proposed {
        self.run(&engine(), |unit, env| operations::propose(unit, env, id))
            .unwrap()
    }

    /// A proposed directive that waits for approval.
    pub(crate) fn waiting(&mut self, issuer: &Who, modules: &[&str]) -> (DirectiveId, ApprovalId) {
        let contract = self.contract(issuer, modules);
        let id = self.draft(issuer, contract);
        match self.propose(id) {
            Proposed::Waiting { approval } => (id, approval),
            other => panic!("{other:?}"),
        }
    }

    /// A directive that is executing in this run.
    pub(crate) fn executing(&mut self, issuer: &Who, modules: &[&str]) -> (DirectiveId, RunId) {
        let contract = self.contract(issuer, modules);
        let id = self.draft(issuer, contract);
        if let Proposed::Waiting { approval } = self.propose(id) {
            for name in ["ann", "bob"] {
                if self.see::<Approval>(approval).unwrap().decided_at.is_none() {
                    self.approve(name, approval).unwrap();
                }
            }
        }
        let run = RunId(Uuid::from_u128(77));
        self.start(id, run).unwrap();
        (id, run)
    }

    pub(crate) fn start(
        &mut self,
        id: DirectiveId,
        run: RunId,
    ) -> Result<operations::Started, Refusal> {
        self.run(&engine(), |unit, env| operations::start(unit, env, id, run))
    }

    pub(crate) fn approve(
        &mut self,
        name: &str,
        approval: ApprovalId,
    ) -> Result<operations::Decided, Refusal> {
        let seen = self
            .see::<Approval>(approval)
            .unwrap()
            .request
            .binding
            .digest;
        let asked = operations::Approve::to(approval, seen);
        self.run(&person(name, Role::Approver), |unit, env| {
            operations::approve(unit, env, &asked)
        })
    }

    pub(crate) fn admit(
        &mut self,
        directive: DirectiveId,
        run: RunId,
        step: &str,
        attempt: u32,
    ) -> Result<Admission, Refusal> {
        let request = AdmitRequest {
            directive,
            step: step.to_owned(),
            run,
            attempt,
        };
        self.run(&engine(), |unit, env| crate::admit(unit, env, &request))
    }

    /// Folds every entry again and compares with the states that stand.
    pub(crate) fn check_replay(&self) {
        let folds = [
            Fold::of::<Directive>(),
            Fold::of::<Approval>(),
            Fold::of::<crate::SigningKey>(),
            Fold::of::<crate::Delegations>(),
            Fold::of::<KillSwitch>(),
            Fold::of::<crate::Autonomy>(),
            Fold::of::<PermitRecord>(),
            Fold::of::<VerdictRecord>(),
            Fold::of::<Reservation>(),
            Fold::of::<Counter>(),
            Fold::of::<crate::history::Kept>(),
            Fold::of::<crate::history::Tally>(),
            Fold::of::<Snapshot>(),
            Fold::of::<crate::conflict::Claim>(),
        ];
        let mut again: BTreeMap<StreamId, (u64, Arc<dyn State>)> = BTreeMap::new();
        for (draft, at, actor) in &self.entries {
            let fold = folds
                .iter()
                .find(|f| f.kind == draft.stream.kind())
                .unwrap();
            let before = again.remove(&draft.stream).map(|(_, state)| state);
            let payload: Value = serde_json::from_str(&draft.payload).unwrap();
            let stamp = Stamp {
                at: *at,
                actor: actor.clone(),
                entry: draft.id,
                version: draft.version,
            };
            let state = (fold.step)(before, draft.kind, &payload, &stamp).unwrap();
            again.insert(draft.stream.clone(), (draft.version, state));
        }
        assert_eq!(again.len(), self.memory.0.len());
        for (stream, (version, state)) in &again {
            let (live_version, live) = &self.memory.0[stream];
            assert_eq!(version, live_version, "{stream}");
            let body = state.body().unwrap();
            assert_eq!(body, live.body().unwrap(), "{stream}");
            let fold = folds.iter().find(|f| f.kind == stream.kind()).unwrap();
            assert_eq!((fold.parse)(&body).unwrap().body().unwrap(), body);
        }
    }
}

pub(crate) fn money(text: &str) -> Money {
    Money::parse(text, None).unwrap()
}

/// The permit of an admission that must be one.
pub(crate) fn permitted(admission: Admission) -> crate::Permit {
    match admission {
        Admission::Permitted(permit) => permit,
        Admission::Blocked { reasons, .. } => panic!("blocked: {reasons:?}"),
    }
}

/// The reasons of an admission that must be blocked.
pub(crate) fn blocked(admission: Admission) -> String {
    match admission {
        Admission::Permitted(permit) => panic!("permitted: {permit:?}"),
        Admission::Blocked { reasons, .. } => reasons.join("; "),
    }
}
