//! Which facts are kept, on the ledger: what is counted, from when on, and
//! whether what had happened before was counted back. Whoever records a
//! happening reads it here, so that no node counts by another pack than the
//! one in force.

use super::tally::{Tally, TallyEvent};
use super::{Definition, FactSet};
use kernel::{Aggregate, Digest, EntryId, Impossible, Refusal, Stamp, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The id of the stream: a tenant has one.
pub const ID: &str = "facts";

/// What is counted from now on; what is not named is counted no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// By digest.
    pub facts: BTreeMap<Digest, Definition>,
    /// Whether there is no past to count back: nothing happened before the
    /// first pack.
    pub first: bool,
}

/// What had happened before these were declared is in their tallies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readied {
    /// By digest, with the number of the declaration.
    pub facts: BTreeMap<Digest, u64>,
}

kernel::events! {
    /// What happens to the facts of a tenant.
    pub enum KeptEvent {
        /// These are counted.
        Declared(Declared) = "history.declared" in System,
        /// These are counted back.
        Readied(Readied) = "history.readied" in System,
    }
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// What.
    pub definition: Definition,
    /// Which declaration of the tenant it is: what is declared anew after it
    /// was dropped has other tallies.
    pub number: u64,
    /// Since when.
    pub since: Timestamp,
    /// The entry that declared it: what stands before it is counted back.
    pub entry: EntryId,
    /// Whether that is done.
    pub ready: bool,
}

/// The facts of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// By digest.
    pub facts: BTreeMap<Digest, Keeping>,
}

impl Kept {
    /// What is not counted back yet.
    pub fn pending(&self) -> impl Iterator<Item = (&Digest, &Keeping)> {
        self.facts.iter().filter(|(_, keeping)| !keeping.ready)
    }
}

impl Aggregate for Kept {
    const KIND: &'static str = "history";
    type Event = KeptEvent;

    fn evolve(state: Option<Self>, event: &KeptEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let mut kept = state.unwrap_or_default();
        match event {
            KeptEvent::Declared(declared) => {
                let before = std::mem::take(&mut kept.facts);
                for (digest, definition) in &declared.facts {
                    let keeping = before.get(digest).cloned().unwrap_or_else(|| Keeping {
                        definition: definition.clone(),
                        number: stamp.version,
                        since: stamp.at,
                        entry: stamp.entry,
                        ready: declared.first,
                    });
                    kept.facts.insert(*digest, keeping);
                }
            }
            KeptEvent::Readied(readied) => {
                for (digest, number) in &readied.facts {
                    let keeping = kept.facts.get_mut(digest);
                    let keeping = keeping.filter(|k| k.number == *number && !k.ready);
                    let keeping =
                        keeping.ok_or_else(|| Impossible::new("what is not pending is readied"))?;
                    keeping.ready = true;
                }
            }
        }
        Ok(kept)
    }

    fn status(&self) -> &'static str {
        match self.pending().next() {
            Some(_) => "counting_back",
            None => "ready",
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.pending().map(|(_, keeping)| keeping.since).min()
    }
}

/// Counts these facts from now on. What is counted already goes on as it is;
/// what is new has to be counted back, unless this is the tenant's first pack.
///
/// # Errors
/// When storage does not answer.
pub fn declare(unit: &mut Unit<'_>, facts: &FactSet, first: bool) -> Result<(), Refusal> {
    let kept = unit.find::<Kept>(ID)?;
    let wanted = facts.definitions();
    let same = match &kept {
        Some(kept) => kept.facts.keys().eq(wanted.keys()),
        None => wanted.is_empty(),
    };
    if !same {
        let event = KeptEvent::Declared(Declared {
            facts: wanted,
            first,
        });
        unit.record::<Kept>(ID, event)?;
    }
    Ok(())
}

/// Puts what had happened before a fact was declared into its tallies; those
/// that have it already are left alone, so that counting back can begin anew.
///
/// # Errors
/// When storage does not answer.
pub fn count_back(unit: &mut Unit<'_>, number: u64, earlier: &[Tally]) -> Result<(), Refusal> {
    for tally in earlier {
        let id = Tally::id_of(&tally.counts, number, &tally.value);
        let done = unit.find::<Tally>(&id)?.is_some_and(|t| t.counted_back);
        if !done {
            unit.record::<Tally>(id, TallyEvent::CountedBack(tally.clone()))?;
        }
    }
    Ok(())
}

/// Says that these facts are counted back. Those that were dropped or readied
/// meanwhile are left out.
///
/// # Errors
/// When storage does not answer.
pub fn ready(unit: &mut Unit<'_>, facts: &BTreeMap<Digest, u64>) -> Result<(), Refusal> {
    let Some(kept) = unit.find::<Kept>(ID)? else {
        return Ok(());
    };
    let pending: BTreeSet<(Digest, u64)> = kept
        .pending()
        .map(|(digest, k)| (*digest, k.number))
        .collect();
    let facts: BTreeMap<Digest, u64> = facts
        .iter()
        .map(|(digest, number)| (*digest, *number))
        .filter(|key| pending.contains(key))
        .collect();
    if !facts.is_empty() {
        unit.record::<Kept>(ID, KeptEvent::Readied(Readied { facts }))?;
    }
    Ok(())
}
