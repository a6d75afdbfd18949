//! What is wrong with a pack, and where.

use kernel::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A fault of a pack. Faults are sorted by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// The file, from the root of the pack.
    pub file: String,
    /// The line, from 1; 0 when the fault is not at one place.
    pub line: u64,
    /// The column in characters, from 1; 0 when the fault is not at one place.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of a whole file.
    #[must_use]
    pub fn of_file(file: &str, refusal: Refusal) -> Self {
        Self::at(file, (0, 0), refusal)
    }

    /// A fault of a policy.
    #[must_use]
    pub fn of_policy(fault: gate::policy::Fault) -> Self {
        let number = |n: usize| u64::try_from(n).unwrap_or(0);
        let place = (number(fault.line), number(fault.column));
        Self::at(&fault.file, place, Refusal::invalid(fault.message))
    }

    /// A fault at a line and a column.
    #[must_use]
    pub fn at(file: &str, (line, column): (u64, u64), refusal: Refusal) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            message: refusal.message,
            hint: refusal.hint,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
