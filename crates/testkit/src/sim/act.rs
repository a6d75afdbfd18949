//! What people, agents and sources do: the same calls as the shells of
//! production make.

use super::Action;
use super::cluster::{Ack, Cluster, Node};
use super::moves::Chance;
use crate::alerts::{Alert, webhook};
use crate::{Person, checks, sample};
use act::engine;
use flow::Delivery;
use gate::budget::{self, Call};
use gate::kill::{self, Scope};
use gate::operations::{self, Approve, EditAndApprove, Reject};
use gate::{Approval, CostClass, Directive, GateEnv, KillSwitch};
use kernel::{
    Actor, Money, PrincipalKind, Refusal, ReservationId, Role, RunId, Span, Subject, TenantId, Unit,
};
use ledger::Store as _;
use std::sync::PoisonError;

/// What a command came to: what it answers, and where it stands.
type Done = Result<Option<Ack>, Refusal>;

impl Cluster {
    /// Does this at a node that is up.
    pub(super) async fn act(&self, number: usize, action: &Action) -> Done {
        let node = self.at(number);
        match action {
            Action::Alert(chance) => self.alert(node, *chance).await,
            Action::Tick([skip, count, _]) => self.tick(node, *skip, count % 4 + 1).await,
            Action::Decide(chance) => self.decide(node, *chance).await,
            Action::Edit(chance) => self.edit(node, *chance).await,
            Action::Steer(chance) => self.steer(node, *chance).await,
            Action::Kill(chance) => self.kill(node, *chance).await,
            Action::Spend(chance) => self.spend(node, *chance).await,
            Action::Load([tenant, caps, _]) => {
                let tenant = self.tenant_of(*tenant);
                let ctx = node.control.system_ctx(tenant, "setup");
                let files = self.sample(*caps).files();
                node.control.load_pack(ctx, None, files).await.map(|_| None)
            }
        }
    }

    fn tenant_of(&self, number: usize) -> TenantId {
        self.tenants[number % self.tenants.len()]
    }

    fn machine(&self, tenant: TenantId, number: usize) -> String {
        let whose = self.tenants.iter().position(|t| *t == tenant);
        format!("t{}-press-{}", whose.unwrap_or(0), number % 3)
    }

    fn person(&self, number: usize) -> &Person {
        &self.people[number % self.people.len()]
    }

    /// Runs a command as the API would.
    async fn run<R: Send + 'static>(
        &self,
        node: &Node,
        (tenant, person): (TenantId, &Person),
        work: impl Fn(&mut Unit<'_>, &GateEnv<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<(R, Option<Ack>), Refusal> {
        let control = &node.control;
        let in_force = control.in_force(tenant)?;
        let everywhere = control.everywhere(tenant).await?;
        let capabilities = control.capabilities().clone();
        let decide = move |unit: &mut Unit<'_>| {
            flow::force::still(unit, &in_force)?;
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: everywhere.as_ref(),
            };
            work(unit, &env)
        };
        let ctx = self.ctx(tenant, person, control);
        let trace = ctx.trace;
        let done = control.ledger().run(ctx, decide).await;
        // Nodes hear of each other's packs a moment later; here, when a command
        // was refused because of one.
        if done.is_err() {
            drop(control.follow_pack(tenant).await);
        }
        let done = done?;
        Ok((done.answer, done.seqs.map(|seqs| (tenant, seqs, trace))))
    }

    async fn alert(&self, node: &Node, [which, machine, how]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let machine = self.machine(tenant, machine);
        let now = node.control.now();
        let some = {
            let mut all = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
            let known = all.entry(tenant).or_default();
            match how % 6 {
                0..=2 => known.extend(Alert::pair(&machine, now)),
                // What began an hour ago and comes only now.
                3 => known.push(Alert::firing(
                    "TooHot",
                    &machine,
                    now.minus(Span::from_secs(3_600)),
                )),
                4 => {
                    let ended: Vec<_> = known.iter().map(|a| a.ended(now)).collect();
                    known.extend(ended.into_iter().take(4));
                }
                _ => {}
            }
            crate::Dice::new(how as u64).shuffle(known);
            known.iter().take(6).cloned().collect::<Vec<_>>()
        };
        let source = Person {
            actor: Actor::new(PrincipalKind::Service, sample::SOURCE),
            roles: vec![Role::Source],
        };
        let delivery = Delivery {
            source: sample::SOURCE.to_owned(),
            content_type: "application/json".to_owned(),
            body: webhook(&some),
        };
        let ctx = self.ctx(tenant, &source, &node.control);
        node.control.receive(ctx, delivery).await.map(|_| None)
    }

    /// Ticks some of what is due, as the scheduler of this node would.
    pub(super) async fn tick(&self, node: &Node, skip: usize, count: usize) -> Done {
        let due = node.store.due(node.control.now(), 100).await?;
        let skip = skip % due.len().max(1);
        for (tenant, stream) in due.into_iter().skip(skip).take(count) {
            node.control.follow_pack(tenant).await?;
            flow::tick(&node.control, tenant, &stream).await?;
        }
        Ok(None)
    }

    async fn decide(&self, node: &Node, [which, who, pick]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let person = (tenant, self.person(who));
        let all = checks::all_in::<Approval>(self.disk.as_ref(), tenant).await;
        // Mostly one that waits, now and then one that does not.
        let waits = |a: &Approval| a.status == gate::approval::Status::Pending || pick % 7 == 0;
        let open: Vec<_> = all.iter().rev().filter(|(_, a)| waits(a)).collect();
        let Some((id, found)) = open.get(pick / 8 % open.len().max(1)) else {
            return Ok(None);
        };
        let id = id.parse()?;
        let seen = found.request.binding.digest;
        let done = match pick % 5 {
            0 => {
                self.run(node, person, move |unit, _| {
                    operations::reject(unit, &Reject::of(id, seen, "no")).map(drop)
                })
                .await?
            }
            _ => {
                self.run(node, person, move |unit, env| {
                    operations::approve(unit, env, &Approve::to(id, seen)).map(drop)
                })
                .await?
            }
        };
        Ok(done.1)
    }

    async fn edit(&self, node: &Node, [which, who, pick]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let person = (tenant, self.person(who));
        let all = checks::all_in::<Directive>(self.disk.as_ref(), tenant).await;
        let fits = |d: &Directive| d.is_editable() || pick % 7 == 0;
        let some: Vec<_> = all.iter().rev().filter(|(_, d)| fits(d)).collect();
        let Some((id, found)) = some.get(pick / 8 % some.len().max(1)) else {
            return Ok(None);
        };
        let id = id.parse()?;
        let again = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
            operations::retry(unit, env, id).map(drop)
        };
        let is_waiting = found.status == gate::directive::Status::Proposed;
        let Some(approval) = found.approval.filter(|_| is_waiting) else {
            return Ok(self.run(node, person, again).await?.1);
        };
        let mut contract = found.contract.clone();
        contract.objective.push('!');
        let seen = found.digest;
        let edit = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
            let asked = EditAndApprove {
                approval,
                seen,
                contract: contract.clone(),
                reason: None,
            };
            operations::edit_and_approve(unit, env, asked).map(drop)
        };
        Ok(self.run(node, person, edit).await?.1)
    }

    /// Halts, resumes, gives up, takes back or resolves a run.
    async fn steer(&self, node: &Node, [which, who, pick]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let person = (tenant, self.person(who));
        let all = checks::all_in::<act::Run>(self.disk.as_ref(), tenant).await;
        let Some((id, run)) = all.iter().rev().nth(pick % all.len().clamp(1, 4)) else {
            return Ok(None);
        };
        let id: RunId = id.parse()?;
        let mut tasks = run.tasks();
        let lost = tasks.find(|(_, _, task)| task.status == act::TaskStatus::Unknown);
        if let Some((phase, step, _)) = lost {
            let step = step.to_owned();
            // The person looks at what really happened.
            let key = engine::idempotency_key(id, phase, &step)?;
            let effects = self.world.http.effects();
            let resolution = match effects.iter().any(|e| e.key.as_ref() == Some(&key)) {
                true => act::run::Resolution::Succeeded,
                false => act::run::Resolution::Failed,
            };
            let modules = node.control.modules().clone();
            let work = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
                engine::resolve_unknown(unit, &modules, id, phase, &step, resolution, "I looked")
                    .map(drop)
            };
            return Ok(self.run(node, person, work).await?.1);
        }
        let work = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| match pick % 4 {
            0 => engine::pause(unit, id, "wait"),
            1 => engine::resume(unit, id, "go on").map(drop),
            2 => engine::abort(unit, id, "enough").map(drop),
            _ => engine::rollback(unit, id, "undo", Span::from_secs(3_600)).map(drop),
        };
        Ok(self.run(node, person, work).await?.1)
    }

    async fn kill(&self, node: &Node, [which, who, pick]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let person = (tenant, self.person(who));
        let scopes = ["tenant", "tool:http.request", "agent:runbooks", "global"];
        let mut scope: Scope = scopes[pick / 8 % scopes.len()].parse()?;
        // Who wants something released looks at what is engaged.
        let switch = checks::all_in::<KillSwitch>(self.disk.as_ref(), tenant).await;
        let mut engaged = switch.iter().flat_map(|(_, switch)| switch.engaged.keys());
        if let Some(found) = engaged.next().cloned().filter(|_| pick % 8 > 1) {
            scope = found;
        }
        let is_home = self.tenants.first() == Some(&tenant);
        if scope == Scope::Global && !is_home {
            return Ok(None);
        }
        let named = scope.clone();
        let work = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| match pick % 8 {
            0 | 1 => kill::engage(unit, named.clone(), "stop").map(drop),
            2..=4 => kill::request_release(unit, &named, "go").map(drop),
            _ => kill::confirm_release(unit, &named).map(drop),
        };
        let done = self.run(node, person, work).await;
        node.control.look_again(tenant).await;
        let done = done?;
        match pick % 8 {
            0 | 1 => {
                // As `Control::uphold` waits, by the clock of the simulation.
                self.world.clock.pass(act::limits::SETTLE);
                self.stopped(tenant, &scope);
            }
            2..=4 => {}
            _ => self.released(tenant, &scope),
        }
        Ok(done.1)
    }

    async fn spend(&self, node: &Node, [which, amount, pick]: Chance) -> Done {
        let tenant = self.tenant_of(which);
        let agent = (tenant, &self.agent);
        let known = {
            let all = self
                .reservations
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            all.get(&tenant).cloned().unwrap_or_default()
        };
        let cents = format!("{}.{:02} EUR", amount % 3, amount / 3 % 100);
        let money = Money::parse(&cents, None)?;
        let known = known.get(pick / 8 % known.len().max(1)).copied();
        let done = match (known, pick % 8) {
            (Some(id), 0 | 1) => {
                let cost = (pick % 16 < 12).then_some(money);
                self.run(node, agent, move |unit, _| {
                    budget::settle_call(unit, id, cost, None).map(drop)
                })
                .await?
            }
            (Some(id), 2) => {
                self.run(node, agent, move |unit, _| {
                    budget::release_call(unit, id).map(drop)
                })
                .await?
            }
            (Some(id), 3) => {
                let lease = Span::from_secs(600);
                self.run(node, agent, move |unit, _| {
                    budget::extend(unit, id, lease).map(drop)
                })
                .await?
            }
            _ => return self.reserve(node, tenant, money, amount).await,
        };
        Ok(done.1)
    }

    async fn reserve(&self, node: &Node, tenant: TenantId, amount: Money, machine: usize) -> Done {
        let in_force = node.control.in_force(tenant)?;
        let subject = Subject::parse(&format!("machine/{}", self.machine(tenant, machine)))?;
        let call = Call {
            amount,
            tokens: 0,
            cost_class: CostClass::Cheap,
            directive: None,
            subject: machine.is_multiple_of(2).then_some(subject),
            tool: "chat".into(),
            model: None,
            lease: Span::from_secs(120),
            justification: None,
        };
        let work = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
            let (rules, id) = (&in_force.pack.rules, unit.ctx().next_id());
            let register = rules.residency.as_ref();
            budget::reserve_call(unit, &rules.budgets, register, id, call.clone())?;
            Ok(id)
        };
        let (id, ack): (ReservationId, _) = self.run(node, (tenant, &self.agent), work).await?;
        let mut all = self
            .reservations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.entry(tenant).or_default().push(id);
        Ok(ack)
    }
}
