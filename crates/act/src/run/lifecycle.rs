//! The lives of a run and of a task (one step, or what undoes it): their
//! statuses, what moves them, and one table each.

use kernel::Lifecycle;

kernel::names! {
    /// Where a run stands.
    pub enum RunStatus {
        /// Made, no step started yet.
        Pending = "pending",
        /// Going through its steps, or undoing them.
        Running = "running",
        /// Every step succeeded.
        Completed = "completed",
        /// A step failed; what could be undone was.
        Failed = "failed",
        /// Given up by a person, the timebox or the gate; what could be undone
        /// was.
        Canceled = "canceled",
    }
}

kernel::names! {
    /// What moves a run.
    pub enum RunTrigger {
        /// The first step is about to start.
        Start = "start",
        /// The last step succeeded.
        Complete = "complete",
        /// A step failed, and nothing is left to undo.
        Fail = "fail",
        /// It was given up, and nothing is left to undo.
        Cancel = "cancel",
    }
}

/// The life of a run.
pub const RUN: Lifecycle<RunStatus, RunTrigger> = Lifecycle {
    noun: "a run",
    rows: &[
        (RunStatus::Pending, RunTrigger::Start, RunStatus::Running),
        (RunStatus::Pending, RunTrigger::Cancel, RunStatus::Canceled),
        (
            RunStatus::Running,
            RunTrigger::Complete,
            RunStatus::Completed,
        ),
        (RunStatus::Running, RunTrigger::Fail, RunStatus::Failed),
        (RunStatus::Running, RunTrigger::Cancel, RunStatus::Canceled),
    ],
};

kernel::names! {
    /// Where a task stands.
    pub enum TaskStatus {
        /// Not started, or waiting for its next attempt.
        Pending = "pending",
        /// An attempt is on its way.
        Started = "started",
        /// The effect happened.
        Succeeded = "succeeded",
        /// The effect did not happen, and no attempt is left.
        Failed = "failed",
        /// Whether the effect happened is not known; a probe or a person says.
        Unknown = "unknown",
        /// Not needed any more; it never left.
        Skipped = "skipped",
    }
}

kernel::names! {
    /// What moves a task.
    pub enum TaskTrigger {
        /// An attempt starts.
        Start = "start",
        /// The effect happened, by an answer, a proof or a person's word.
        Succeed = "succeed",
        /// It did not happen, by an answer or a person's word.
        Fail = "fail",
        /// Another attempt is to follow.
        Retry = "retry",
        /// No answer came, and it must not be sent again.
        Lose = "lose",
        /// It is not needed any more.
        Skip = "skip",
    }
}

/// The life of a task.
pub const TASK: Lifecycle<TaskStatus, TaskTrigger> = Lifecycle {
    noun: "a step",
    rows: &[
        (TaskStatus::Pending, TaskTrigger::Start, TaskStatus::Started),
        (TaskStatus::Pending, TaskTrigger::Skip, TaskStatus::Skipped),
        // Given up between two attempts, the first of which went unanswered.
        (TaskStatus::Pending, TaskTrigger::Lose, TaskStatus::Unknown),
        // Given up between two attempts, the first of which did nothing.
        (TaskStatus::Pending, TaskTrigger::Fail, TaskStatus::Failed),
        (
            TaskStatus::Started,
            TaskTrigger::Succeed,
            TaskStatus::Succeeded,
        ),
        (TaskStatus::Started, TaskTrigger::Fail, TaskStatus::Failed),
        (TaskStatus::Started, TaskTrigger::Retry, TaskStatus::Pending),
        (TaskStatus::Started, TaskTrigger::Lose, TaskStatus::Unknown),
        (
            TaskStatus::Unknown,
            TaskTrigger::Succeed,
            TaskStatus::Succeeded,
        ),
        (TaskStatus::Unknown, TaskTrigger::Fail, TaskStatus::Failed),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name;

    /// Each table against the moves written out apart from it; what is not
    /// listed is refused as an illegal move.
    fn check<S: Name + std::fmt::Debug, E: Name + std::fmt::Debug>(
        table: &Lifecycle<S, E>,
        expected: &[(&str, &str, &str)],
    ) {
        let mut found = 0;
        for &from in S::ALL {
            for &trigger in E::ALL {
                let listed = expected
                    .iter()
                    .find(|(f, t, _)| (*f, *t) == (from.name(), trigger.name()));
                let got = table.next(from, trigger);
                assert_eq!(
                    got.as_ref().ok().map(|s| s.name()),
                    listed.map(|(_, _, to)| *to),
                    "{from:?} {trigger:?}"
                );
                match got {
                    Ok(_) => found += 1,
                    Err(refusal) => assert_eq!(refusal.code, kernel::Code::IllegalMove),
                }
            }
        }
        assert_eq!(found, expected.len());
        assert_eq!(table.rows.len(), expected.len(), "no row stands twice");
    }

    #[test]
    fn every_status_of_a_run_with_every_trigger() {
        check(
            &RUN,
            &[
                ("pending", "start", "running"),
                ("pending", "cancel", "canceled"),
                ("running", "complete", "completed"),
                ("running", "fail", "failed"),
                ("running", "cancel", "canceled"),
            ],
        );
    }

    #[test]
    fn every_status_of_a_task_with_every_trigger() {
        check(
            &TASK,
            &[
                ("pending", "start", "started"),
                ("pending", "skip", "skipped"),
                ("pending", "lose", "unknown"),
                ("pending", "fail", "failed"),
                ("started", "succeed", "succeeded"),
                ("started", "fail", "failed"),
                ("started", "retry", "pending"),
                ("started", "lose", "unknown"),
                ("unknown", "succeed", "succeeded"),
                ("unknown", "fail", "failed"),
            ],
        );
    }
}
