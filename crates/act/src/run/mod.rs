//! The run: one execution of an approved directive. This is the state and its
//! fold; what a run does next stands in `plan`, what may be done to it in
//! `engine`.

pub mod events;
pub mod lifecycle;
mod task;

pub use events::{Ending, Kept, Resolution, RunEvent, StopCause};
pub use lifecycle::{RUN, RunStatus, RunTrigger, TASK, TaskStatus, TaskTrigger};
pub use task::{InFlight, Task};

use crate::module::Compensation;
use events::{AttemptEnded, Created, Held, Resolved, Stopped};
use kernel::names::Name;
use kernel::{
    Aggregate, Digest, DirectiveId, EntryId, Impossible, Refs, RunId, SnapshotId, Stamp, Subject,
    Timestamp,
};
use serde::{Deserialize, Serialize};

kernel::names! {
    /// Doing a step, or undoing it.
    pub enum Phase {
        /// Doing it.
        Step = "step",
        /// Undoing it.
        Compensation = "compensation",
    }
}

impl Phase {
    /// The name of the task, as in permits and verdicts: `step/ID` or
    /// `compensation/ID`.
    #[must_use]
    pub fn target(self, step: &str) -> String {
        format!("{self}/{step}")
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStep {
    /// The step's id in the contract.
    pub id: String,
    /// Doing it.
    pub task: Task,
    /// Undoing it, where it succeeded and can be undone.
    pub compensation: Option<Task>,
    /// When the effect happened, as a count over the run: undoing goes by it
    /// in reverse.
    pub succeeded_as: Option<u32>,
}

/// Why a run waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// Doing or undoing.
    pub phase: Phase,
    /// The step.
    pub step: String,
    /// What must be answered: whether an effect happened, or what the gate
    /// objects to.
    pub reasons: Vec<String>,
    /// Whether the gate held the step back, and it can be asked again.
    pub held: bool,
    /// Since when.
    pub at: Timestamp,
}

/// Why a run goes no further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Why.
    pub cause: StopCause,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The directive.
    pub directive: DirectiveId,
    /// The version of the contract that was approved.
    pub digest: Digest,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The snapshot that it was decided on.
    pub snapshot: SnapshotId,
    /// Where it stands.
    pub status: RunStatus,
    /// Its steps in order.
    pub steps: Vec<RunStep>,
    /// Why it waits for a person.
    pub parked: Option<Parked>,
    /// Why it goes no further.
    pub stop: Option<Stop>,
    /// Why it was halted, while it is.
    pub paused: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the timebox ends.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When what it did was taken back.
    pub rolled_back_at: Option<Timestamp>,
    /// Why it ended as it did.
    pub reason: Option<String>,
    /// Steps that were undone, in the order in which they were.
    pub undone: Vec<String>,
    /// The latest entry of the stream.
    pub entry: EntryId,
}

impl Run {
    fn created(created: &Created, stamp: &Stamp) -> Self {
        let steps = created.steps.iter().map(|planned| RunStep {
            id: planned.step.clone(),
            task: Task::new(planned.module.clone(), planned.input.clone()),
            compensation: None,
            succeeded_as: None,
        });
        Self {
            id: created.run,
            directive: created.directive,
            digest: created.digest,
            subject: created.subject.clone(),
            snapshot: created.snapshot,
            status: RunStatus::Pending,
            steps: steps.collect(),
            parked: None,
            stop: None,
            paused: None,
            created_at: stamp.at,
            expires_at: created.expires_at,
            ended_at: None,
            rolled_back_at: None,
            reason: None,
            undone: Vec::new(),
            entry: stamp.entry,
        }
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&RunStep> {
        self.steps.iter().find(|s| s.id == id)
    }

    /// The task of this phase of this step.
    #[must_use]
    pub fn task(&self, phase: Phase, step: &str) -> Option<&Task> {
        let step = self.step(step)?;
        match phase {
            Phase::Step => Some(&step.task),
            Phase::Compensation => step.compensation.as_ref(),
        }
    }

    /// Every task with its phase and step, doing before undoing.
    pub fn tasks(&self) -> impl Iterator<Item = (Phase, &str, &Task)> {
        let doing = self.steps.iter();
        let doing = doing.map(|s| (Phase::Step, s.id.as_str(), &s.task));
        let undoing = self.steps.iter().filter_map(|s| {
            let task = s.compensation.as_ref()?;
            Some((Phase::Compensation, s.id.as_str(), task))
        });
        doing.chain(undoing)
    }

    /// The task whose attempt is on its way.
    #[must_use]
    pub fn started(&self) -> Option<(Phase, &str, &Task)> {
        self.tasks()
            .find(|(_, _, t)| t.status == TaskStatus::Started)
    }

    /// The steps whose effect stands: they succeeded and were not undone.
    #[must_use]
    pub fn standing(&self) -> Vec<String> {
        let standing = self.steps.iter().filter(|step| {
            let undone = step.compensation.as_ref().map(|c| c.status);
            step.task.status == TaskStatus::Succeeded && undone != Some(TaskStatus::Succeeded)
        });
        standing.map(|s| s.id.clone()).collect()
    }

    /// Whether a rollback of the completed run is under way.
    #[must_use]
    pub fn is_rolling_back(&self) -> bool {
        self.status == RunStatus::Completed && self.stop.is_some() && self.rolled_back_at.is_none()
    }

    /// Whether nothing more happens to it, but a rollback.
    #[must_use]
    pub fn is_over(&self) -> bool {
        RUN.is_final(self.status) && !self.is_rolling_back()
    }

    fn task_mut(&mut self, phase: Phase, step: &str) -> Result<&mut Task, Impossible> {
        let found = self.steps.iter_mut().find(|s| s.id == step);
        let task = found.and_then(|s| match phase {
            Phase::Step => Some(&mut s.task),
            Phase::Compensation => s.compensation.as_mut(),
        });
        task.ok_or_else(|| Impossible::new(format!("the run has no {phase} `{step}`")))
    }

    fn ended(
        &mut self,
        trigger: TaskTrigger,
        ended: &AttemptEnded,
        stamp: &Stamp,
    ) -> Result<(), Impossible> {
        let task = self.task_mut(ended.phase, &ended.step)?;
        task.end(trigger, ended, stamp)?;
        self.parked = None;
        match trigger {
            TaskTrigger::Succeed => {
                self.succeeded(ended.phase, &ended.step, ended.compensation.as_ref());
            }
            TaskTrigger::Lose => {
                let why = ended.reason.clone().unwrap_or_default();
                self.park(ended.phase, &ended.step, why, stamp);
            }
            _ => {}
        }
        Ok(())
    }

    fn succeeded(&mut self, phase: Phase, step: &str, undo: Option<&Compensation>) {
        let count = self.steps.iter().filter_map(|s| s.succeeded_as).max();
        let next = count.map_or(0, |c| c + 1);
        if phase == Phase::Compensation {
            self.undone.push(step.to_owned());
            return;
        }
        if let Some(found) = self.steps.iter_mut().find(|s| s.id == step) {
            found.succeeded_as = Some(next);
            found.compensation = undo.map(|c| Task::new(c.module.clone(), c.input.clone()));
        }
    }

    fn park(&mut self, phase: Phase, step: &str, why: String, stamp: &Stamp) {
        self.parked = Some(Parked {
            phase,
            step: step.to_owned(),
            reasons: vec![why],
            held: false,
            at: stamp.at,
        });
    }

    fn resolve(&mut self, resolved: &Resolved, stamp: &Stamp) -> Result<(), Impossible> {
        let task = self.task_mut(resolved.phase, &resolved.step)?;
        if task.status != TaskStatus::Unknown {
            return Err(Impossible::new("a word on a step that is not unknown"));
        }
        task.go(match resolved.resolution {
            Resolution::Succeeded => TaskTrigger::Succeed,
            Resolution::Failed => TaskTrigger::Fail,
        })?;
        task.in_doubt = false;
        task.in_flight = None;
        task.reason = Some(resolved.reason.clone());
        task.ended_at = Some(stamp.at);
        if resolved.resolution == Resolution::Succeeded {
            self.succeeded(
                resolved.phase,
                &resolved.step,
                resolved.compensation.as_ref(),
            );
        }
        self.parked = None;
        Ok(())
    }

    fn stopped(&mut self, stopped: &Stopped, stamp: &Stamp) -> Result<(), Impossible> {
        let again = stopped.cause == StopCause::RolledBack;
        if again != (self.status == RunStatus::Completed) || self.stop.is_some() {
            return Err(Impossible::new(format!(
                "a stop because `{}` of a run that is {}",
                stopped.cause, self.status
            )));
        }
        self.stop = Some(Stop {
            cause: stopped.cause,
            reason: stopped.reason.clone(),
            at: stamp.at,
        });
        self.paused = None;
        if self.parked.as_ref().is_some_and(|p| p.held) {
            self.parked = None;
        }
        let mut lost = None;
        for step in &mut self.steps {
            step.task.give_up()?;
            if step.task.status == TaskStatus::Unknown {
                lost = Some(step.id.clone());
            }
        }
        if let (Some(step), None) = (lost, &self.parked) {
            let why = "an attempt went unanswered before the run was stopped".to_owned();
            self.park(Phase::Step, &step, why, stamp);
        }
        Ok(())
    }

    fn held(&mut self, held: &Held, stamp: &Stamp) -> Result<(), Impossible> {
        self.task_mut(held.phase, &held.step)?;
        self.parked = Some(Parked {
            phase: held.phase,
            step: held.step.clone(),
            reasons: held.reasons.clone(),
            held: true,
            at: stamp.at,
        });
        Ok(())
    }

    fn follow(&mut self, event: &RunEvent, stamp: &Stamp) -> Result<(), Impossible> {
        match event {
            RunEvent::Created(_) => return Err(Impossible::new("a run is made once")),
            RunEvent::Started(_) => self.status = RUN.next(self.status, RunTrigger::Start)?,
            RunEvent::AttemptStarted(started) => {
                if self.started().is_some() || self.parked.is_some() {
                    return Err(Impossible::new("a start beside another, or while parked"));
                }
                self.task_mut(started.phase, &started.step)?
                    .start(started, stamp)?;
            }
            RunEvent::Succeeded(ended) => self.ended(TaskTrigger::Succeed, ended, stamp)?,
            RunEvent::Failed(ended) => self.ended(TaskTrigger::Fail, ended, stamp)?,
            RunEvent::RetryScheduled(ended) => self.ended(TaskTrigger::Retry, ended, stamp)?,
            RunEvent::Unknown(ended) => self.ended(TaskTrigger::Lose, ended, stamp)?,
            RunEvent::Held(held) => self.held(held, stamp)?,
            RunEvent::Resolved(resolved) => self.resolve(resolved, stamp)?,
            RunEvent::Stopped(stopped) => self.stopped(stopped, stamp)?,
            RunEvent::Paused(because) => self.paused = Some(because.reason.clone()),
            RunEvent::Resumed(_) => {
                self.paused = None;
                if self.parked.as_ref().is_some_and(|p| p.held) {
                    self.parked = None;
                }
            }
            RunEvent::Completed(end) => self.finish(RunTrigger::Complete, end, stamp)?,
            RunEvent::RunFailed(end) => self.finish(RunTrigger::Fail, end, stamp)?,
            RunEvent::Canceled(end) => self.finish(RunTrigger::Cancel, end, stamp)?,
            RunEvent::RolledBack(end) => {
                if !self.is_rolling_back() {
                    return Err(Impossible::new("the end of a rollback that did not begin"));
                }
                self.rolled_back_at = Some(stamp.at);
                self.reason = Some(end.reason.clone());
            }
        }
        Ok(())
    }

    fn finish(
        &mut self,
        trigger: RunTrigger,
        end: &events::Ended,
        stamp: &Stamp,
    ) -> Result<(), Impossible> {
        self.status = RUN.next(self.status, trigger)?;
        self.ended_at = Some(stamp.at);
        self.reason = Some(end.reason.clone());
        Ok(())
    }
}

impl Aggregate for Run {
    const KIND: &'static str = "run";
    type Event = RunEvent;

    fn evolve(state: Option<Self>, event: &RunEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let mut run = match (state, event) {
            (None, RunEvent::Created(created)) => return Ok(Self::created(created, stamp)),
            (None, _) => return Err(Impossible::new("a run begins with its making")),
            (Some(run), _) => run,
        };
        run.follow(event, stamp)?;
        run.entry = stamp.entry;
        Ok(run)
    }

    fn status(&self) -> &str {
        self.status.name()
    }

    fn refs(&self) -> Refs {
        Refs {
            subject: self.subject.clone(),
            directive: Some(self.directive),
            snapshot: Some(self.snapshot),
        }
    }

    fn due(&self) -> Option<Timestamp> {
        crate::plan::due(self)
    }
}
