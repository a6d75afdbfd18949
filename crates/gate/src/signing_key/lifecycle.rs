//! The life of a person's signing key: one table.

use kernel::Lifecycle;

kernel::names! {
    /// Where a signing key stands.
    pub enum Status {
        /// Its person registered it; nobody else has looked at it yet.
        Registered = "registered",
        /// A second person confirmed it: what it signs counts.
        Active = "active",
        /// Nothing that it signed counts.
        Revoked = "revoked",
    }
}

kernel::names! {
    /// What moves a signing key.
    pub enum Trigger {
        /// A second person confirms whose it is.
        Confirm = "confirm",
        /// It is taken back.
        Revoke = "revoke",
    }
}

/// The life of a signing key. Nothing leads out of `revoked`.
pub const LIFECYCLE: Lifecycle<Status, Trigger> = Lifecycle {
    noun: "a signing key",
    rows: &[
        (Status::Registered, Trigger::Confirm, Status::Active),
        (Status::Registered, Trigger::Revoke, Status::Revoked),
        (Status::Active, Trigger::Revoke, Status::Revoked),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name;

    #[test]
    fn every_status_with_every_trigger() {
        for &status in Status::ALL {
            for &trigger in Trigger::ALL {
                let expected = match (status.name(), trigger.name()) {
                    ("registered", "confirm") => Some(Status::Active),
                    ("registered" | "active", "revoke") => Some(Status::Revoked),
                    _ => None,
                };
                let case = format!("{status} {trigger}");
                assert_eq!(LIFECYCLE.next(status, trigger).ok(), expected, "{case}");
            }
        }
    }
}
