//! Several nodes over one disk, and what outlives them.

use super::{Fate, Move, Tally};
use crate::alerts::Alert;
use crate::judge::{Fault, Judge, Quorums};
use crate::{Death, MemoryStore, Person, Sample, World};
use flow::Control;
use flow::identity::Standing;
use gate::kill::Scope;
use kernel::{Actor, Ctx, Refusal, ReservationId, Role, Span, TenantId, TraceId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

const TENANTS: usize = 2;
/// Steps that policy lets through in a day, by what the ledger tells.
const STEPS_PER_DAY: usize = 5;
const FACTS: &str = "\
facts:
  - name: steps_today
    happening: step_permitted
    per: tenant
    within: day
    zone: UTC
    measure: count
";
const LIMIT: &str = r#"
@id("steps-per-day") forbid (principal, action == Action::"step_execution", resource)
when { context.history.steps_today >= 5 };
"#;

/// More of `approvals.yaml`, and how many people must agree by it.
const APPROVALS: [(&str, u64); 3] = [
    ("", 1),
    (
        "\
quorum:
  internal_mutation: { needed: 2, among: [approver] }
  external_human_touch: { needed: 2, among: [approver] }
",
        2,
    ),
    (
        "\
escalation:
  - after: 2m
    to: [operator]
",
        1,
    ),
];

/// The same for the judge.
fn quorums() -> Quorums {
    let file = |(text, needed): &(&str, u64)| {
        let mut files = approvals(text).files();
        (files.remove("approvals.yaml").unwrap_or_default(), *needed)
    };
    let files: Vec<_> = APPROVALS.iter().map(file).collect();
    Quorums::of(
        files
            .iter()
            .map(|(file, needed)| (file.as_slice(), *needed)),
    )
}

fn approvals(more: &str) -> Sample {
    Sample {
        approval_expires: "10m".into(),
        autonomous: more.into(),
        ..Sample::default()
    }
}

pub(super) struct Node {
    pub(super) store: Arc<MemoryStore>,
    pub(super) control: Arc<Control>,
}

/// The simulated world.
pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) disk: Arc<MemoryStore>,
    pub(super) nodes: Vec<Node>,
    pub(super) tenants: Vec<TenantId>,
    pub(super) people: Vec<Person>,
    pub(super) agent: Person,
    /// What was ever delivered, to be delivered again.
    pub(super) alerts: Mutex<BTreeMap<TenantId, Vec<Alert>>>,
    /// What agents asked for.
    pub(super) reservations: Mutex<BTreeMap<TenantId, Vec<ReservationId>>>,
    /// What was acknowledged of the kill switch and the judge must know.
    switched: Mutex<Vec<(Option<TenantId>, Option<usize>)>>,
    pub(super) judge: Judge,
    pub(super) tally: Tally,
    /// Whether the far side honours keys.
    note: &'static str,
}

/// A command that was answered: whose, at which positions, under which trace.
pub(super) type Ack = (TenantId, (u64, u64), TraceId);

impl Cluster {
    pub(super) async fn found(seed: u64) -> Self {
        let world = World::new(seed);
        world.http.chaos(seed, 40);
        let disk = MemoryStore::of_several_nodes();
        let mut cluster = Self {
            nodes: Vec::new(),
            tenants: Vec::new(),
            people: ["ann", "bob", "eve"].map(Person::named).into(),
            agent: Person {
                actor: Actor::new(kernel::PrincipalKind::Agent, "clerk"),
                roles: vec![Role::Operator],
            },
            alerts: Mutex::default(),
            reservations: Mutex::default(),
            switched: Mutex::default(),
            judge: Judge::with_limit(STEPS_PER_DAY).with_quorums(quorums()),
            tally: Tally::default(),
            note: if seed.is_multiple_of(2) {
                "honoured"
            } else {
                "ignored"
            },
            disk,
            world,
        };
        // Two nodes, or three.
        for _ in 0..2 + seed % 3 / 2 {
            let node = cluster.open(cluster.disk.beside()).await.expect("opens");
            cluster.nodes.push(node);
        }
        for number in 0..TENANTS {
            cluster.tenant(number).await;
        }
        cluster
    }

    async fn tenant(&mut self, number: usize) {
        let standing = match number {
            0 => Standing::Home,
            _ => Standing::Member,
        };
        let control = self.nodes.first().expect("a node").control.clone();
        let name = format!("tenant-{number}");
        let founded = control.found(&name, standing, Actor::system("setup"));
        let tenant = founded.await.expect("a tenant is founded").tenant;
        let ctx = control.system_ctx(tenant, "setup");
        let loaded = control.load_pack(ctx, None, self.sample(0).files()).await;
        loaded.expect("the pack loads");
        self.tenants.push(tenant);
    }

    /// The pack with the caps and the approvals of this number.
    pub(super) fn sample(&self, number: usize) -> Sample {
        let (tenant, machine) =
            [("6 EUR", "4 EUR"), ("9 EUR", "3 EUR"), ("4 EUR", "4 EUR")][number % 3];
        let (more, _) = APPROVALS[number / 3 % APPROVALS.len()];
        Sample {
            tenant_hard: tenant.into(),
            machine_hard: machine.into(),
            timebox: "20m".into(),
            note_idempotency: self.note.into(),
            history: FACTS.into(),
            policies: LIMIT.into(),
            ..approvals(more)
        }
    }

    async fn open(&self, store: Arc<MemoryStore>) -> Result<Node, Refusal> {
        let control = Arc::new(self.world.control(store.clone()).await?);
        control.recover().await?;
        Ok(Node { store, control })
    }

    /// The node of this number, started again if it has died.
    pub(super) async fn node(&mut self, number: usize) -> usize {
        let number = number % self.nodes.len();
        if self.nodes.get(number).is_some_and(|n| n.store.is_dead()) {
            self.restart(number).await;
        }
        number
    }

    /// The process of this node dies, and the next one opens the same disk.
    pub(super) async fn restart(&mut self, number: usize) {
        self.tally.died += 1;
        let store = match self.nodes.get(number) {
            Some(node) => node.store.reopen(),
            None => return,
        };
        let node = self.open(store).await.expect("the next process comes up");
        if let Some(place) = self.nodes.get_mut(number) {
            *place = node;
        }
    }

    pub(super) fn at(&self, number: usize) -> &Node {
        self.nodes.get(number % self.nodes.len()).expect("a node")
    }

    pub(super) fn ctx(&self, tenant: TenantId, person: &Person, control: &Control) -> Ctx {
        let entropy = &control.ports().entropy;
        let (trace, bits) = (entropy.trace(), entropy.bits());
        Ctx::new(tenant, control.now(), person.actor.clone(), trace, bits)
            .with_roles(person.roles.clone())
    }

    /// Makes one move, and has it judged.
    pub(super) async fn make(&mut self, each: &Move) -> Result<(), Fault> {
        self.tally.moves += 1;
        match each {
            Move::Act(node, action) => {
                let node = self.node(*node).await;
                let done = self.act(node, action).await;
                self.answered(done).await?;
            }
            Move::Race(first, second) => self.race(first, second).await?,
            Move::Pass(seconds) => self.pass(Span::from_secs(*seconds)).await?,
            Move::Stall(seconds) => self.world.clock.pass(Span::from_secs(*seconds)),
            Move::Befall(node, fate) => self.befall(*node, *fate).await,
        }
        self.look().await
    }

    /// An engagement of this scope was acknowledged.
    pub(super) fn stopped(&self, tenant: TenantId, scope: &Scope) {
        self.switch(tenant, scope, true);
    }

    /// A release of this scope was.
    pub(super) fn released(&self, tenant: TenantId, scope: &Scope) {
        self.switch(tenant, scope, false);
    }

    fn switch(&self, tenant: TenantId, scope: &Scope, is_engaged: bool) {
        let whose = match scope {
            Scope::Global => None,
            Scope::Tenant => Some(tenant),
            Scope::Tool(_) | Scope::Agent(_) => return,
        };
        let asked = self.world.http.asked().len();
        let at = is_engaged.then_some(asked);
        let mut all = self.switched.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((whose, at));
    }

    pub(super) async fn look(&mut self) -> Result<(), Fault> {
        let switched = std::mem::take(
            self.switched
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for (whose, at) in switched {
            self.tally.stopped += usize::from(at.is_some());
            self.judge.switched(whose, at);
        }
        self.judge.look(self.disk.as_ref(), &self.world.http).await
    }

    /// Notes what came of a command; what was acknowledged must be there.
    pub(super) async fn answered(
        &mut self,
        done: Result<Option<Ack>, Refusal>,
    ) -> Result<(), Fault> {
        match done {
            Err(_) => self.tally.refused += 1,
            Ok(ack) => {
                self.tally.acknowledged += 1;
                self.look().await?;
                if let Some((tenant, seqs, trace)) = ack {
                    self.judge.acknowledged(tenant, seqs, trace)?;
                }
            }
        }
        Ok(())
    }

    async fn befall(&mut self, number: usize, fate: Fate) {
        let number = number % self.nodes.len();
        let store = self.at(number).store.clone();
        let next = store.appends() + 1;
        match fate {
            Fate::FailAppend => store.fail_appends(1),
            Fate::LoseReply => store.lose_replies(1),
            Fate::Lie => store.lie(1),
            Fate::DieBefore => store.die_at(next, Death::Before),
            Fate::DieAfter => store.die_at(next, Death::After),
            Fate::DieAt(calls) => store.die_after_calls(calls),
            Fate::Part => store.go_down(),
            Fate::Heal => store.recover(),
            Fate::Crash => self.restart(number).await,
            Fate::Hang => self.hang(number).await,
        }
    }
}
