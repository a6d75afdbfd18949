//! What a pack declares about conflicts.

use serde::{Deserialize, Serialize};

kernel::names! {
    /// What becomes of the later of two directives.
    #[derive(Default)]
    pub enum Then {
        /// It starts when the earlier has ended.
        #[default]
        Wait = "wait",
        /// The gate blocks it; it may be tried again.
        Block = "block",
    }
}

/// The rules of conflicts. Without them the later waits: two directives never
/// change a subject at once, whatever a pack says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// For every pair that is not named.
    #[serde(default)]
    pub otherwise: Then,
    /// For pairs of types; the first that fits counts.
    #[serde(default)]
    pub pairs: Vec<Pair>,
}

/// What becomes of a directive of one type behind one of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The type of the earlier.
    pub earlier: String,
    /// The type of the later.
    pub later: String,
    /// What becomes of the later.
    pub then: Then,
}

impl Settings {
    /// What becomes of a directive of type `later` behind one of `earlier`.
    #[must_use]
    pub fn of(&self, earlier: &str, later: &str) -> Then {
        let mut pairs = self.pairs.iter();
        let named = pairs.find(|pair| pair.earlier == earlier && pair.later == later);
        named.map_or(self.otherwise, |pair| pair.then)
    }

    /// What is wrong with the rules by themselves: a pair that stands twice,
    /// so that the second never counts, or names no type.
    #[must_use]
    pub fn faults(&self) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        for (at, pair) in self.pairs.iter().enumerate() {
            let named = |p: &&Pair| p.earlier == pair.earlier && p.later == pair.later;
            if self.pairs.iter().take(at).find(named).is_some() {
                let said = format!("`{}` before `{}` stands twice", pair.earlier, pair.later);
                faults.push((at, said));
            }
            if pair.earlier.trim().is_empty() || pair.later.trim().is_empty() {
                faults.push((at, "names no type of directive".to_owned()));
            }
        }
        faults
    }
}
