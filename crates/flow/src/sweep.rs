//! The tick of a kill switch that was engaged: finds the steps that are under
//! way within its scope, undoes what the policy says is undone, and records
//! what came of each. Cutting off is done by the node that makes the call.

use crate::control::Control;
use act::{Phase, Run, limits};
use gate::kill::{self, Engagement, OnEngage, Scope, UnderWay, sweep};
use gate::{Directive, KillSwitch};
use kernel::names::Name;
use kernel::{Aggregate, Refusal, StreamId, TenantId};
use ledger::DocumentQuery;
use serde::de::DeserializeOwned;

/// Runs that are looked at in one page.
const PAGE: usize = 200;

impl Control {
    /// What becomes of a step under way, by the tenant's pack.
    pub(crate) fn on_engage(&self, tenant: TenantId, scope: &Scope) -> OnEngage {
        let in_force = self.in_force(tenant);
        let settings = in_force.map(|found| found.pack.rules.kill_switch);
        settings.unwrap_or_default().on_engage(scope)
    }

    /// Sweeps what this tenant's kill switch has engaged.
    ///
    /// # Errors
    /// `blocked` while steps are under way: it is looked again.
    pub(crate) async fn sweep(&self, tenant: TenantId) -> Result<(), Refusal> {
        let Some(switch) = self.recorded::<KillSwitch>(tenant, kill::ID).await? else {
            return Ok(());
        };
        for (scope, engagement) in switch.engaged {
            if !engagement.is_swept() {
                self.sweep_scope(tenant, &scope, &engagement).await?;
            }
        }
        Ok(())
    }

    async fn sweep_scope(
        &self,
        tenant: TenantId,
        scope: &Scope,
        engagement: &Engagement,
    ) -> Result<(), Refusal> {
        let tenants = match scope {
            Scope::Global => self.ledger().store().tenants().await?,
            Scope::Tenant | Scope::Tool(_) | Scope::Agent(_) => vec![tenant],
        };
        let mut found = Vec::new();
        for tenant in tenants {
            found.extend(self.under_way(tenant, scope).await?);
        }
        for step in found.iter().filter(|s| s.on_engage == OnEngage::Compensate) {
            self.give_up(step, &engagement.reason).await?;
        }
        let waiting = found.len();
        let (ctx, own) = (self.system_ctx(tenant, "sweep"), scope.clone());
        let work = move |unit: &mut kernel::Unit<'_>| sweep::sweeping(unit, &own, found.clone());
        self.ledger().run(ctx, work).await?;
        if waiting > 0 || self.now() < engagement.at.plus(limits::SWEEP_AFTER) {
            return Err(Refusal::blocked(format!(
                "{waiting} steps within `{scope}` are under way"
            )));
        }
        self.close(tenant, scope).await
    }

    /// Records what came of the steps that were found.
    async fn close(&self, tenant: TenantId, scope: &Scope) -> Result<(), Refusal> {
        let switch = self.recorded::<KillSwitch>(tenant, kill::ID).await?;
        let engagement = switch.and_then(|mut switch| switch.engaged.remove(scope));
        let sweep = engagement.and_then(|engagement| engagement.sweep);
        let mut steps = sweep.map(|sweep| sweep.steps).unwrap_or_default();
        for step in &mut steps {
            let run = self.recorded::<Run>(step.tenant, step.run).await?;
            let task = run.as_ref().and_then(|r| r.task(Phase::Step, &step.step));
            step.came_to = task.map(|task| task.status.name().to_owned());
        }
        let (ctx, scope) = (self.system_ctx(tenant, "sweep"), scope.clone());
        let work = move |unit: &mut kernel::Unit<'_>| sweep::swept(unit, &scope, steps.clone());
        self.ledger().run(ctx, work).await.map(drop)
    }

    /// Stops the run, so that what it did is undone; once.
    async fn give_up(&self, step: &UnderWay, reason: &str) -> Result<(), Refusal> {
        let (ctx, run) = (self.system_ctx(step.tenant, "sweep"), step.run);
        let reason = format!("the kill switch was engaged: {reason}");
        let work = move |unit: &mut kernel::Unit<'_>| {
            let found = unit.get::<Run>(run)?;
            if found.stop.is_some() || found.is_over() {
                return Ok(());
            }
            let reason = act::module::bounded_reason(&reason);
            act::engine::abort(unit, run, &reason).map(drop)
        };
        self.ledger().run(ctx, work).await.map(drop)
    }

    /// The steps under way within this scope.
    async fn under_way(&self, tenant: TenantId, scope: &Scope) -> Result<Vec<UnderWay>, Refusal> {
        let on_engage = self.on_engage(tenant, scope);
        let mut found = Vec::new();
        let mut beyond_seq = None;
        loop {
            let query = DocumentQuery {
                kind: Run::KIND.into(),
                statuses: vec!["running".into()],
                beyond_seq,
                limit: PAGE,
                ..DocumentQuery::default()
            };
            let page = self.ledger().store().documents(tenant, &query).await?;
            for document in &page {
                let run: Run = parsed(&document.stream, &document.body)?;
                let Some((Phase::Step, step, task)) = run.started() else {
                    continue;
                };
                let directive = self.recorded::<Directive>(tenant, run.directive).await?;
                let issuer = directive.map(|d| d.contract.issued_by);
                if issuer.is_some_and(|issuer| scope.covers(&task.module, &issuer)) {
                    found.push(UnderWay {
                        tenant,
                        run: run.id,
                        step: step.to_owned(),
                        on_engage,
                        came_to: None,
                    });
                }
            }
            beyond_seq = page.last().map(|d| d.created_seq);
            if page.len() < PAGE {
                return Ok(found);
            }
        }
    }

    pub(crate) async fn recorded<A: Aggregate + DeserializeOwned>(
        &self,
        tenant: TenantId,
        id: impl ToString,
    ) -> Result<Option<A>, Refusal> {
        let stream = StreamId::of::<A>(id.to_string());
        let found = self.ledger().store().document(tenant, &stream).await?;
        found.map(|d| parsed(&stream, &d.body)).transpose()
    }
}

fn parsed<A: DeserializeOwned>(stream: &StreamId, body: &str) -> Result<A, Refusal> {
    serde_json::from_str(body).map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))
}
