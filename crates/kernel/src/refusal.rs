//! What writ says when it will not do a thing: a code, a public message that
//! names the fault, and a hint what to do next.

use serde::{Deserialize, Serialize};
use std::fmt;

crate::names! {
    /// The kind of a refusal. The API maps each to one HTTP status.
    pub enum Code {
        /// The input is wrong.
        Invalid = "invalid",
        /// There is no such thing (or it is another tenant's).
        NotFound = "not_found",
        /// It contradicts what is already recorded.
        Conflict = "conflict",
        /// The lifecycle has no such move from here.
        IllegalMove = "illegal_move",
        /// The principal may not do this.
        Forbidden = "forbidden",
        /// The gate's deterministic stop.
        Blocked = "blocked",
        /// A bound was reached.
        LimitExceeded = "limit_exceeded",
        /// Something that is needed is missing or does not answer.
        Unavailable = "unavailable",
        /// The record contradicts itself.
        Integrity = "integrity",
    }
}

/// A refusal. `message` and `hint` are public: they name no secret and no path
/// of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind.
    pub code: Code,
    /// What is wrong, lowercase, no full stop, the offending input in
    /// backticks.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

macro_rules! constructors {
    ($($(#[$meta:meta])* $name:ident => $code:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self {
            Self { code: Code::$code, message: message.into(), hint: None }
        }
    )+};
}

impl Refusal {
    constructors! {
        /// The input is wrong.
        invalid => Invalid,
        /// There is no such thing.
        not_found => NotFound,
        /// It contradicts what is recorded.
        conflict => Conflict,
        /// The lifecycle has no such move.
        illegal_move => IllegalMove,
        /// The principal may not.
        forbidden => Forbidden,
        /// The gate said no.
        blocked => Blocked,
        /// A bound was reached.
        limit => LimitExceeded,
        /// Something needed is missing.
        unavailable => Unavailable,
        /// The record contradicts itself.
        integrity => Integrity,
    }

    /// This refusal with a hint what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// This refusal with its place named first, for example a field's path.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<crate::json::JsonFault> for Refusal {
    fn from(fault: crate::json::JsonFault) -> Self {
        Self::invalid(fault.to_string())
    }
}
