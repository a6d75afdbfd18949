//! Full decisions: a plan, and a step at two choke points.

use crate::measure::measure;
use crate::place::{Bench, contract};
use act::engine::Begun;
use gate::GateEnv;
use gate::operations::{self, Approve, Proposed};
use kernel::{DirectiveId, Refusal, RunId, Unit};
use std::sync::{Arc, Mutex};
use testkit::Person;

/// How many are measured: as many as take a few seconds.
fn count_at(at_once: usize) -> usize {
    match at_once {
        1 => 600,
        _ => 2_400,
    }
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
pub(crate) async fn all(bench: Arc<Bench>, (storage, policies): (&str, usize), levels: &[usize]) {
    let (issuer, approver) = (Person::named("ann"), Person::named("bob"));
    let mut approvals = Vec::new();
    let mut first = 0;
    for at_once in levels.iter().copied() {
        let numbers = first..first + count_at(at_once);
        first = numbers.end;
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
        measured.row(&format!("propose, {policies} policies"), storage, at_once);
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
        measured.row(
            &format!("admit a step, {policies} policies"),
            storage,
            at_once,
        );
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
