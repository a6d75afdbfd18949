//! The life of a directive (GATE-2): its statuses, what moves it, and the one
//! table between them.

use kernel::Lifecycle;

kernel::names! {
    /// Where a directive stands. There is no default.
    pub enum Status {
        /// Written, not yet asked for.
        Draft = "draft",
        /// Asked for; the gate or a person is yet to agree.
        Proposed = "proposed",
        /// Agreed to; not yet begun.
        Approved = "approved",
        /// Stopped by the gate, a person or silence; may be tried again.
        Blocked = "blocked",
        /// A run is going through its steps.
        Executing = "executing",
        /// Halted between two steps.
        Paused = "paused",
        /// Every step was done.
        Complete = "complete",
        /// Given up after it began.
        Aborted = "aborted",
        /// Its timebox ended before it was done.
        Expired = "expired",
    }
}

kernel::names! {
    /// What moves a directive.
    pub enum Trigger {
        /// Someone asks for it.
        Propose = "propose",
        /// The gate and, where needed, people agree.
        Approve = "approve",
        /// The gate, a person or silence says no.
        Block = "block",
        /// Someone asks again.
        Retry = "retry",
        /// A run begins.
        Start = "start",
        /// Someone halts it.
        Pause = "pause",
        /// Someone lets it go on.
        Resume = "resume",
        /// The run is done.
        Complete = "complete",
        /// Someone or the timebox ends it.
        Abort = "abort",
        /// The timebox ends.
        Expire = "expire",
    }
}

/// The life of a directive.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "a directive",
    rows: &[
        (Status::Draft, Trigger::Propose, Status::Proposed),
        (Status::Draft, Trigger::Expire, Status::Expired),
        (Status::Proposed, Trigger::Approve, Status::Approved),
        (Status::Proposed, Trigger::Block, Status::Blocked),
        (Status::Proposed, Trigger::Expire, Status::Expired),
        (Status::Approved, Trigger::Start, Status::Executing),
        (Status::Approved, Trigger::Block, Status::Blocked),
        (Status::Approved, Trigger::Expire, Status::Expired),
        (Status::Blocked, Trigger::Retry, Status::Proposed),
        (Status::Blocked, Trigger::Expire, Status::Expired),
        (Status::Executing, Trigger::Complete, Status::Complete),
        (Status::Executing, Trigger::Pause, Status::Paused),
        (Status::Executing, Trigger::Abort, Status::Aborted),
        (Status::Paused, Trigger::Resume, Status::Executing),
        (Status::Paused, Trigger::Abort, Status::Aborted),
        (Status::Paused, Trigger::Expire, Status::Expired),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name;

    /// The specification's moves, written out apart from the table.
    fn expected(from: Status, trigger: Trigger) -> Option<Status> {
        match (from.name(), trigger.name()) {
            ("draft", "propose") | ("blocked", "retry") => Some(Status::Proposed),
            ("proposed", "approve") => Some(Status::Approved),
            ("proposed" | "approved", "block") => Some(Status::Blocked),
            ("approved", "start") | ("paused", "resume") => Some(Status::Executing),
            ("executing", "pause") => Some(Status::Paused),
            ("executing", "complete") => Some(Status::Complete),
            ("executing" | "paused", "abort") => Some(Status::Aborted),
            ("draft" | "proposed" | "approved" | "blocked" | "paused", "expire") => {
                Some(Status::Expired)
            }
            _ => None,
        }
    }

    #[test]
    fn every_status_with_every_trigger() {
        for &status in Status::ALL {
            for &trigger in Trigger::ALL {
                let got = LIFECYCLE.next(status, trigger);
                assert_eq!(
                    got.as_ref().ok().copied(),
                    expected(status, trigger),
                    "{status} {trigger}"
                );
                if let Err(refusal) = got {
                    assert_eq!(refusal.code, kernel::Code::IllegalMove);
                }
            }
        }
    }

    #[test]
    fn what_is_final_stays() {
        let finals: Vec<_> = Status::ALL
            .iter()
            .filter(|s| LIFECYCLE.is_final(**s))
            .collect();
        assert_eq!(
            finals,
            [&Status::Complete, &Status::Aborted, &Status::Expired]
        );
    }
}
