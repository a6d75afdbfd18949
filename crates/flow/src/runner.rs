//! Performs what runs decide: begins a step in the ledger, calls the module
//! with its permit, brings the outcome back. What is recorded is decided by
//! `act`; here it is only carried out.

use crate::control::Control;
use act::engine::{Assignment, Begun, Report};
use act::fence::Call;
use act::{Outcome, Run};
use gate::GateEnv;
use gate::kill::{OnEngage, StoppedBy};
use kernel::{Code, Refusal, RunId, StreamId, TenantId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Steps of one run that are performed without asking whether writ stops.
const STEPS_AT_A_TIME: usize = 64;

/// Takes a run as far as it goes now.
///
/// # Errors
/// What the ledger refuses; the scheduler comes again.
pub(crate) async fn drive(
    control: &Arc<Control>,
    tenant: TenantId,
    run: RunId,
) -> Result<(), Refusal> {
    for _ in 0..STEPS_AT_A_TIME {
        if control.outcomes().of(tenant, run).is_none() {
            let Some(assignment) = begin(control, tenant, run).await? else {
                return Ok(());
            };
            let report = assignment.report();
            let outcome = perform(control, assignment).await;
            control.outcomes().keep(tenant, run, (report, outcome));
        }
        record(control, tenant, run).await?;
    }
    Ok(())
}

/// Makes the attempt, unless it is stopped before its call leaves, or cut off
/// after it. A future that is dropped makes no further call.
async fn perform(control: &Control, assignment: Assignment) -> Outcome {
    let (modules, ports) = (control.modules(), &control.ports().act);
    let (call, has_left) = (Call::of(&assignment.permit), assignment.has_left.clone());
    let stopped = tokio::select! {
        outcome = act::execute(modules, assignment, ports, control.fence()) => return outcome,
        stopped = cut(control, &call) => stopped,
    };
    match has_left.load(Ordering::SeqCst) {
        true => Outcome::cut_off(format!("it was cut off: {stopped}")),
        false => Outcome::not_begun(format!("the call did not leave: {stopped}")),
    }
}

/// Returns when this call is to be cut off.
async fn cut(control: &Control, call: &Call) -> StoppedBy {
    let mut commits = control.ledger().commits();
    loop {
        let pause = tokio::time::sleep(act::limits::WATCH_EVERY.to_std());
        tokio::select! {
            () = pause => {}
            Ok(()) = commits.changed() => {}
        }
        if let Some(stopped) = control.fence().stops(call).await
            && control.on_engage(call.tenant(), &stopped.scope) == OnEngage::Cancel
        {
            return stopped;
        }
    }
}

/// Records what came of the step. What the ledger does not take now is kept and
/// recorded when the run is ticked again: what is known of an effect is not
/// thrown away because the disk was full for a moment.
async fn record(control: &Arc<Control>, tenant: TenantId, run: RunId) -> Result<(), Refusal> {
    let Some((report, outcome)) = control.outcomes().of(tenant, run) else {
        return Ok(());
    };
    let modules = control.modules().clone();
    let ctx = control.system_ctx(tenant, "runner");
    let was_decided = Arc::<AtomicBool>::default();
    let decided = was_decided.clone();
    let finish = move |unit: &mut kernel::Unit<'_>| {
        decided.store(true, Ordering::Relaxed);
        act::engine::finish_step(unit, &modules, &report, outcome.clone()).map(drop)
    };
    let done = control.ledger().run(ctx, finish).await.map(drop);
    // A limit of the queue passes; one that the outcome itself meets does not,
    // and would hold up the run for ever.
    let comes_again = |refusal: &Refusal| match refusal.code {
        Code::Unavailable => true,
        Code::LimitExceeded => !was_decided.load(Ordering::Relaxed),
        _ => false,
    };
    if !done.as_ref().is_err_and(comes_again) {
        control.outcomes().forget(tenant, run);
    }
    done
}

/// What came of a step, and which.
type Ended = (Report, Outcome);

/// What came of steps, until it is recorded.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<BTreeMap<(TenantId, RunId), Ended>>);

impl Outcomes {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(TenantId, RunId), Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: TenantId, run: RunId) -> Option<Ended> {
        self.all().get(&(tenant, run)).cloned()
    }

    fn keep(&self, tenant: TenantId, run: RunId, ended: Ended) {
        self.all().insert((tenant, run), ended);
    }

    fn forget(&self, tenant: TenantId, run: RunId) {
        self.all().remove(&(tenant, run));
    }

    /// The runs whose steps have come to something that is not recorded.
    pub(crate) fn streams(&self) -> Vec<(TenantId, StreamId)> {
        let all = self.all();
        let stream = |(tenant, run): &(TenantId, RunId)| (*tenant, StreamId::of::<Run>(*run));
        all.keys().map(stream).collect()
    }
}

/// Begins the run's next step, if it has one. The assignment holds a permit,
/// which cannot be copied, so it is handed out of the decision by a slot; when
/// a decision is made anew, the permit of the discarded one is dropped with it.
async fn begin(
    control: &Arc<Control>,
    tenant: TenantId,
    run: RunId,
) -> Result<Option<Assignment>, Refusal> {
    let in_force = control.in_force(tenant)?;
    let everywhere = control.everywhere(tenant).await?;
    let capabilities = control.capabilities().clone();
    let modules = control.modules().clone();
    let slot: Arc<Mutex<Option<Assignment>>> = Arc::default();
    let filled = slot.clone();
    let ctx = control.system_ctx(tenant, "runner");
    control
        .ledger()
        .run(ctx, move |unit| {
            crate::force::still(unit, &in_force)?;
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: everywhere.as_ref(),
            };
            let begun = act::engine::begin_step(unit, &env, &modules, run)?;
            let assignment = match begun {
                Begun::Execute(assignment) => Some(*assignment),
                _ => None,
            };
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = assignment;
            Ok(())
        })
        .await?;
    let assignment = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(assignment)
}
