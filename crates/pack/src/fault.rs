//! What is wrong with a pack, and where.

use kernel::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

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

/// Names of files and what is quoted from them come from whoever wrote the
/// pack: nothing of it reaches a terminal as more than text.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        plain(f, &self.file, |_| false)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        plain(f, &self.message, |c| c == '\n')?;
        match &self.hint {
            Some(hint) => {
                f.write_str(" (")?;
                plain(f, hint, |c| c == '\n')?;
                f.write_str(")")
            }
            None => Ok(()),
        }
    }
}

/// A text with its control characters written out, but for those that may
/// stand.
fn plain(f: &mut fmt::Formatter<'_>, text: &str, may: fn(char) -> bool) -> fmt::Result {
    for c in text.chars() {
        match c.is_control() && !may(c) {
            true => write!(f, "{}", c.escape_default())?,
            false => f.write_char(c)?,
        }
    }
    Ok(())
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pack_says_reaches_a_terminal_as_text_only() {
        let mut fault = Fault::of_file(
            "a\u{1b}[2J.yaml",
            Refusal::invalid("no `\r\u{9b}x`\nat all"),
        );
        fault.hint = Some("write\u{7}it".to_owned());
        let shown = fault.to_string();
        let expected = "a\\u{1b}[2J.yaml: no `\\r\\u{9b}x`\nat all (write\\u{7}it)";
        assert_eq!(shown, expected);
    }
}
