//! The lifecycle of a session: it can be deleted, and saved again under the
//! same name.

use kernel::Lifecycle;

kernel::names! {
    /// Where a session stands.
    pub enum SessionStatus {
        /// It can be read.
        Saved = "saved",
        /// It was deleted; its history stays.
        Deleted = "deleted",
    }
}

kernel::names! {
    /// What moves a session.
    pub enum SessionMove {
        /// Its state is saved.
        Save = "save",
        /// It is deleted.
        Delete = "delete",
    }
}

/// The transitions.
pub const SESSION: Lifecycle<SessionStatus, SessionMove> = Lifecycle {
    noun: "a session",
    rows: &[
        (
            SessionStatus::Saved,
            SessionMove::Save,
            SessionStatus::Saved,
        ),
        (
            SessionStatus::Saved,
            SessionMove::Delete,
            SessionStatus::Deleted,
        ),
        (
            SessionStatus::Deleted,
            SessionMove::Save,
            SessionStatus::Saved,
        ),
    ],
};
