//! What a run does next: a pure reading of its state and the time. Steps go
//! in order, one at a time; after a stop, what succeeded is undone in reverse
//! order of its success.
//!
//! | decided here (pure)                | done by the shell                    |
//! |------------------------------------|--------------------------------------|
//! | which task starts, which attempt   | calls the module with the permit     |
//! | how long to wait                   | polls for what is due                |
//! | that an attempt was interrupted    | nothing: it only notices the time    |
//! | that the run ends, and how         | nothing                              |

use crate::run::{Phase, Run, RunStatus, StopCause, Task, TaskStatus};
use kernel::Timestamp;

/// What a run does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start this attempt of this task.
    Start {
        /// Doing or undoing.
        phase: Phase,
        /// The step.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Nothing before this instant.
    Wait(Timestamp),
    /// An attempt is on its way; it counts as interrupted from this instant.
    InFlight(Timestamp),
    /// An attempt is on its way and its lease has run out.
    Interrupted {
        /// Doing or undoing.
        phase: Phase,
        /// The step.
        step: String,
    },
    /// Stop it, for this cause, before any further step.
    Stop(StopCause),
    /// End it so.
    Finish(RunStatus),
    /// End its rollback.
    FinishRollback,
    /// It waits for a person.
    Parked,
    /// It is halted.
    Paused,
    /// It has ended.
    Over,
}

/// What the run does next at `now`.
#[must_use]
pub fn next(run: &Run, now: Timestamp) -> Next {
    if run.is_over() {
        return Next::Over;
    }
    if let Some((phase, step, task)) = run.started() {
        return in_flight(phase, step, task, now);
    }
    match &run.stop {
        None => forward(run, now),
        Some(stop) => backward(run, stop.cause, now),
    }
}

fn in_flight(phase: Phase, step: &str, task: &Task, now: Timestamp) -> Next {
    match task.in_flight.as_ref().map(|f| f.lease_until) {
        Some(until) if now < until => Next::InFlight(until),
        _ => Next::Interrupted {
            phase,
            step: step.to_owned(),
        },
    }
}

fn start(phase: Phase, step: &str, task: &Task, now: Timestamp) -> Next {
    match task.retry_at {
        Some(at) if now < at => Next::Wait(at),
        _ => Next::Start {
            phase,
            step: step.to_owned(),
            attempt: task.next_attempt(),
        },
    }
}

fn forward(run: &Run, now: Timestamp) -> Next {
    let steps = &run.steps;
    if steps.iter().any(|s| s.task.status == TaskStatus::Failed) {
        return Next::Stop(StopCause::Failed);
    }
    let open = steps
        .iter()
        .find(|s| s.task.status != TaskStatus::Succeeded);
    if open.is_some() && now >= run.expires_at {
        return Next::Stop(StopCause::Expired);
    }
    if run.parked.is_some() {
        return Next::Parked;
    }
    if run.paused.is_some() {
        return Next::Paused;
    }
    let Some(open) = open else {
        return Next::Finish(RunStatus::Completed);
    };
    match start(Phase::Step, &open.id, &open.task, now) {
        // The timebox may end before the wait does.
        Next::Wait(at) => Next::Wait(at.min(run.expires_at)),
        other => other,
    }
}

fn backward(run: &Run, cause: StopCause, now: Timestamp) -> Next {
    // Whether a lost effect stands must be known before anything is undone.
    let lost = |task: &Task| task.status == TaskStatus::Unknown;
    if run.parked.is_some() || run.tasks().any(|(_, _, task)| lost(task)) {
        return Next::Parked;
    }
    let pending = run.steps.iter().filter_map(|step| {
        let task = step.compensation.as_ref()?;
        let open = task.status == TaskStatus::Pending;
        open.then_some((step.succeeded_as, step, task))
    });
    match pending.max_by_key(|(order, _, _)| *order) {
        Some((_, step, task)) => start(Phase::Compensation, &step.id, task, now),
        None => match cause {
            StopCause::RolledBack => Next::FinishRollback,
            StopCause::Failed => Next::Finish(RunStatus::Failed),
            StopCause::Aborted | StopCause::Expired => Next::Finish(RunStatus::Canceled),
        },
    }
}

/// When the shell must look at the run again: at once for what can start, at
/// the end of a wait, a lease or the timebox; never for what waits for a
/// person or has ended.
#[must_use]
pub fn due(run: &Run) -> Option<Timestamp> {
    match next(run, run.created_at) {
        Next::Over => None,
        Next::Wait(at) | Next::InFlight(at) => Some(at),
        Next::Parked | Next::Paused => run.stop.is_none().then_some(run.expires_at),
        Next::Start { .. }
        | Next::Interrupted { .. }
        | Next::Stop(_)
        | Next::Finish(_)
        | Next::FinishRollback => Some(run.created_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::events::{Because, Created, Planned, Stopped};
    use crate::run::{InFlight, Parked, RunEvent};
    use kernel::{Actor, Aggregate, Digest, Span, Stamp, Subject};
    use serde_json::Map;

    const END: i64 = 1_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn stamp(version: u64) -> Stamp {
        Stamp {
            at: at(0),
            actor: Actor::system("test"),
            entry: "ent_00000000000070008000000000000001".parse().unwrap(),
            version,
        }
    }

    /// A run of the steps a, b and c whose timebox ends at `END`.
    fn fresh() -> Run {
        let steps = ["a", "b", "c"].map(|id| Planned {
            step: id.to_owned(),
            module: "noop".to_owned(),
            input: Map::new(),
        });
        let created = Created {
            run: "run_00000000000070008000000000000001".parse().unwrap(),
            directive: "dir_00000000000070008000000000000001".parse().unwrap(),
            digest: Digest::ZERO,
            subject: Subject::parse("service/x").ok(),
            snapshot: kernel::SnapshotId(Digest::ZERO),
            steps: steps.to_vec(),
            expires_at: at(END),
        };
        Run::evolve(None, &RunEvent::Created(created), &stamp(1)).unwrap()
    }

    fn succeed(run: &mut Run, count: usize) {
        for (order, step) in run.steps.iter_mut().take(count).enumerate() {
            step.task.status = TaskStatus::Succeeded;
            step.succeeded_as = u32::try_from(order).ok();
            let mut undo = step.task.clone();
            undo.status = TaskStatus::Pending;
            step.compensation = Some(undo);
        }
    }

    fn stopped(mut run: Run, cause: StopCause) -> Run {
        let reason = "x".to_owned();
        if cause == StopCause::RolledBack {
            run.status = RunStatus::Completed;
        }
        let event = RunEvent::Stopped(Stopped { cause, reason });
        Run::evolve(Some(run), &event, &stamp(2)).unwrap()
    }

    fn fly(run: &mut Run, lease_until: i64) {
        let task = &mut run.steps[0].task;
        task.status = TaskStatus::Started;
        task.attempt = 1;
        task.in_flight = Some(InFlight {
            permit: "prm_00000000000070008000000000000001".parse().unwrap(),
            reservation: "rsv_00000000000070008000000000000001".parse().unwrap(),
            started_at: at(0),
            lease_until: at(lease_until),
            entry: stamp(1).entry,
        });
    }

    fn park(run: &mut Run) {
        run.parked = Some(Parked {
            phase: Phase::Step,
            step: "a".to_owned(),
            reasons: Vec::new(),
            held: false,
            at: at(0),
        });
    }

    fn go(phase: Phase, step: &str, attempt: u32) -> Next {
        Next::Start {
            phase,
            step: step.to_owned(),
            attempt,
        }
    }

    #[track_caller]
    fn check(now: i64, expected: &Next, change: impl FnOnce(Run) -> Run) {
        assert_eq!(next(&change(fresh()), at(now)), *expected);
    }

    #[test]
    fn forward() {
        let with = |change: fn(&mut Run)| {
            move |mut run: Run| {
                change(&mut run);
                run
            }
        };
        let start = |step| go(Phase::Step, step, 1);
        check(0, &start("a"), |run| run);
        check(0, &start("b"), with(|r| succeed(r, 1)));
        check(0, &start("c"), with(|r| succeed(r, 2)));
        check(
            0,
            &Next::Finish(RunStatus::Completed),
            with(|r| succeed(r, 3)),
        );
        check(END - 1, &start("a"), |run| run);
        check(END, &Next::Stop(StopCause::Expired), |run| run);
        // What is done is done, also at the very end.
        check(
            END,
            &Next::Finish(RunStatus::Completed),
            with(|r| succeed(r, 3)),
        );
        let waits = with(|r| r.steps[0].task.retry_at = Some(at(500)));
        check(499, &Next::Wait(at(500)), waits);
        check(500, &start("a"), waits);
        let long = with(|r| r.steps[0].task.retry_at = Some(at(2 * END)));
        check(0, &Next::Wait(at(END)), long);
        check(9, &Next::InFlight(at(10)), with(|r| fly(r, 10)));
        let interrupted = Next::Interrupted {
            phase: Phase::Step,
            step: "a".to_owned(),
        };
        check(10, &interrupted, with(|r| fly(r, 10)));
        // The timebox ends between steps, never within one.
        check(END, &Next::InFlight(at(2 * END)), with(|r| fly(r, 2 * END)));
        check(0, &Next::Parked, with(park));
        check(END, &Next::Stop(StopCause::Expired), with(park));
        let failed = with(|r| r.steps[0].task.status = TaskStatus::Failed);
        check(0, &Next::Stop(StopCause::Failed), failed);
        check(0, &Next::Paused, |run| {
            let event = RunEvent::Paused(Because { reason: "x".into() });
            Run::evolve(Some(run), &event, &stamp(2)).unwrap()
        });
        let kept = with(|r| {
            r.steps[0].task.attempt = 2;
            r.steps[0].task.interrupted = true;
        });
        check(0, &go(Phase::Step, "a", 2), kept);
    }

    #[test]
    fn backward() {
        let after = |count: usize, cause| {
            move |mut run: Run| {
                succeed(&mut run, count);
                stopped(run, cause)
            }
        };
        let undo = |step| go(Phase::Compensation, step, 1);
        use StopCause::{Aborted, Expired, Failed, RolledBack};
        check(0, &Next::Finish(RunStatus::Failed), after(0, Failed));
        check(0, &Next::Finish(RunStatus::Canceled), after(0, Aborted));
        check(0, &Next::Finish(RunStatus::Canceled), after(0, Expired));
        check(0, &undo("a"), after(1, Failed));
        check(0, &undo("b"), after(2, Aborted));
        check(2 * END, &undo("c"), after(3, RolledBack));
        let undone = |run: Run| {
            let mut run = after(3, RolledBack)(run);
            for step in &mut run.steps {
                step.compensation = None;
            }
            run
        };
        check(0, &Next::FinishRollback, undone);
        check(0, &Next::Parked, |run| {
            let mut run = after(2, Aborted)(run);
            run.steps[1].task.status = TaskStatus::Unknown;
            run
        });
        check(0, &Next::Over, |mut run| {
            run.status = RunStatus::Canceled;
            run
        });
    }

    #[test]
    fn when_the_shell_must_look_again() {
        assert_eq!(due(&fresh()), Some(at(0)));
        let mut run = fresh();
        fly(&mut run, 10);
        assert_eq!(due(&run), Some(at(10)));
        let mut run = fresh();
        park(&mut run);
        assert_eq!(due(&run), Some(at(END)));
        let mut run = stopped(fresh(), StopCause::Aborted);
        park(&mut run);
        assert_eq!(due(&run), None, "only a person helps");
        let mut run = fresh();
        run.steps[0].task.retry_at = Some(fresh().created_at.plus(Span::from_micros(7)));
        assert_eq!(due(&run), Some(at(7)));
        run.status = RunStatus::Failed;
        assert_eq!(due(&run), None);
    }
}
