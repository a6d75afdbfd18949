//! ALLOW, WARN or BLOCK, and how several make one.

use serde::{Deserialize, Serialize};

/// A verdict. The order is the order of severity, so that the worst of
/// several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Go on; someone should look.
    Warn,
    /// Stop.
    Block,
}

impl Verdict {
    /// Any BLOCK makes BLOCK; else any WARN makes WARN; else ALLOW. An empty
    /// list is BLOCK: nothing was checked.
    #[must_use]
    pub fn aggregate(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Block)
    }
    /// Whether the flow may go on.
    #[must_use]
    pub fn passes(self) -> bool {
        self != Self::Block
    }
    /// The text form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Warn => "WARN",
            Self::Block => "BLOCK",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Allow, Block, Warn};

    #[test]
    fn aggregation_of_every_pair() {
        for (a, b, all) in [
            (Allow, Allow, Allow),
            (Allow, Warn, Warn),
            (Allow, Block, Block),
            (Warn, Warn, Warn),
            (Warn, Block, Block),
            (Block, Block, Block),
        ] {
            assert_eq!(Verdict::aggregate([a, b]), all);
            assert_eq!(Verdict::aggregate([b, a]), all);
        }
        assert_eq!(Verdict::aggregate([]), Block);
    }
}
