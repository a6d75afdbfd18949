//! The life of an approval (GATE-15): its statuses, what moves it, and the one
//! table between them.

use kernel::Lifecycle;

kernel::names! {
    /// Where an approval stands.
    pub enum Status {
        /// Someone has yet to decide.
        Pending = "pending",
        /// Given, not yet used.
        Approved = "approved",
        /// Refused by a person.
        Rejected = "rejected",
        /// Refused by silence.
        Expired = "expired",
        /// What it was bound to changed.
        Voided = "voided",
        /// Used up by the start of the directive.
        Used = "used",
    }
}

kernel::names! {
    /// What moves an approval.
    pub enum Trigger {
        /// Enough people said yes, or none was needed.
        Approve = "approve",
        /// Someone said no.
        Reject = "reject",
        /// Nobody said anything in time.
        Expire = "expire",
        /// What it was bound to changed.
        Void = "void",
        /// The directive started.
        Use = "use",
    }
}

/// The life of an approval. It serves once: nothing leads out of `used`.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "an approval",
    rows: &[
        (Status::Pending, Trigger::Approve, Status::Approved),
        (Status::Pending, Trigger::Reject, Status::Rejected),
        (Status::Pending, Trigger::Expire, Status::Expired),
        (Status::Pending, Trigger::Void, Status::Voided),
        (Status::Approved, Trigger::Void, Status::Voided),
        (Status::Approved, Trigger::Use, Status::Used),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name;

    fn expected(from: Status, trigger: Trigger) -> Option<Status> {
        match (from.name(), trigger.name()) {
            ("pending", "approve") => Some(Status::Approved),
            ("pending", "reject") => Some(Status::Rejected),
            ("pending", "expire") => Some(Status::Expired),
            ("pending" | "approved", "void") => Some(Status::Voided),
            ("approved", "use") => Some(Status::Used),
            _ => None,
        }
    }

    #[test]
    fn every_status_with_every_trigger() {
        for &status in Status::ALL {
            for &trigger in Trigger::ALL {
                assert_eq!(
                    LIFECYCLE.next(status, trigger).ok(),
                    expected(status, trigger),
                    "{status} {trigger}"
                );
            }
        }
    }
}
