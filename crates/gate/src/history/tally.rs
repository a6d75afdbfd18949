//! A tally: how often one thing that a fact counts has happened for one value,
//! and when last. Its stream is `tally/DIGEST.NUMBER@VALUE`. It is bounded:
//! the latest happenings of a sliding window stand one by one, those before
//! them are counted by slices of the window. A count is exact while it is less
//! than [`EXACT_MAX`]; from there on it is never too small, and too large by no
//! more than one slice holds.

use super::{Definition, Within};
use kernel::{Aggregate, Digest, Impossible, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most happenings that stand one by one.
pub const EXACT_MAX: usize = 128;
/// Into how many slices a window is cut for those before them.
pub const SLICES: i64 = 64;

/// What the past tells of a directive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// By the name of the fact; what never happened has no `seconds_since`.
    pub values: Map<String, Value>,
    /// Facts that are not counted back yet, and so are not told.
    pub pending: Vec<String>,
}

/// Happenings of one slice of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The slice ends before.
    pub until: Timestamp,
    /// How many.
    pub count: u64,
}

/// It happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occurred {
    /// The digest of what is counted.
    pub counts: Digest,
    /// For whom.
    pub value: String,
    /// How far back it is counted.
    pub within: Within,
    /// In which day or month of the fact's zone, where it counts by these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
}

kernel::events! {
    /// What happens to a tally.
    pub enum TallyEvent {
        /// It happened once more.
        Occurred(Occurred) = "history.occurred" in Validation,
        /// What had happened before it was kept was counted.
        CountedBack(Tally) = "history.counted_back" in Validation,
    }
}

/// A tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The digest of what is counted.
    pub counts: Digest,
    /// For whom.
    pub value: String,
    /// How far back it is counted.
    pub within: Within,
    /// Of a sliding window the latest, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Timestamp>,
    /// Those before them, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Slice>,
    /// Of a calendar's window the latest day or month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// How often it happened in it.
    #[serde(default)]
    pub in_period: u64,
    /// When it happened last.
    pub latest: Timestamp,
    /// Whether what had happened before it was kept is in it.
    #[serde(default)]
    pub counted_back: bool,
}

/// The event that it happened.
pub(super) fn occurred(
    counts: Digest,
    definition: &Definition,
    value: String,
    now: Timestamp,
) -> TallyEvent {
    TallyEvent::Occurred(Occurred {
        counts,
        value,
        within: definition.within,
        period: definition.period(now),
    })
}

impl Tally {
    /// The id of the tally of what is counted, since its `number`th
    /// declaration, for a value.
    #[must_use]
    pub fn id_of(counts: &Digest, number: u64, value: &str) -> String {
        let counts = counts.to_string();
        let short = counts.get(..16).unwrap_or(&counts);
        format!("{short}.{number}@{value}")
    }

    /// A tally of one happening.
    #[must_use]
    pub fn of_one(counts: Digest, definition: &Definition, value: String, at: Timestamp) -> Self {
        Self::first(
            &Occurred {
                counts,
                value,
                within: definition.within,
                period: definition.period(at),
            },
            at,
        )
    }

    fn first(occurred: &Occurred, at: Timestamp) -> Self {
        let mut tally = Self {
            counts: occurred.counts,
            value: occurred.value.clone(),
            within: occurred.within,
            at: Vec::new(),
            before: Vec::new(),
            period: None,
            in_period: 0,
            latest: at,
            counted_back: false,
        };
        tally.add(at, occurred.period.as_deref());
        tally
    }

    /// Adds a happening.
    pub fn add(&mut self, at: Timestamp, period: Option<&str>) {
        self.latest = self.latest.max(at);
        match (self.within, period) {
            (Within::Sliding(_), _) => {
                let place = self.at.partition_point(|earlier| *earlier <= at);
                self.at.insert(place, at);
                self.trim();
            }
            // What another clock holds for yesterday counts for today: never
            // too little.
            (_, Some(period)) if self.period.as_deref().is_none_or(|held| held < period) => {
                self.period = Some(period.to_owned());
                self.in_period = 1;
            }
            _ => self.in_period = self.in_period.saturating_add(1),
        }
    }

    /// Forgets what no window that ends now or later holds, and slices what is
    /// too much to stand one by one.
    fn trim(&mut self) {
        let Within::Sliding(span) = self.within else {
            return;
        };
        let since = self.latest.minus(span);
        self.at.retain(|at| *at > since);
        let over = self.at.len().saturating_sub(EXACT_MAX);
        let width = (span.as_micros() / SLICES).max(1);
        for at in self.at.drain(..over) {
            let ends = at.as_micros().div_euclid(width).saturating_add(1);
            let until = Timestamp::from_micros(ends.saturating_mul(width));
            match self.before.iter_mut().find(|slice| slice.until == until) {
                Some(slice) => slice.count = slice.count.saturating_add(1),
                None => self.before.push(Slice { until, count: 1 }),
            }
        }
        self.before.sort_by_key(|slice| slice.until);
        self.before.retain(|slice| slice.until > since);
    }

    /// How often it happened within the window that ends now.
    #[must_use]
    pub fn count(&self, definition: &Definition, now: Timestamp) -> u64 {
        match definition.period(now) {
            Some(period) => match self.period.as_ref().is_some_and(|held| *held >= period) {
                true => self.in_period,
                false => 0,
            },
            None => {
                let since = definition.since(now);
                let exact = self.at.iter().filter(|at| **at > since).count();
                let count = u64::try_from(exact).unwrap_or(u64::MAX);
                if exact < EXACT_MAX {
                    // What was sliced is older than all of these, and so out.
                    return count;
                }
                let before = self.before.iter().filter(|slice| slice.until > since);
                before.fold(count, |sum, slice| sum.saturating_add(slice.count))
            }
        }
    }

    /// How many whole seconds ago it happened last, if within the window that
    /// ends now.
    #[must_use]
    pub fn seconds_since(&self, definition: &Definition, now: Timestamp) -> Option<u64> {
        let since = definition.since(now);
        let within = match definition.within {
            Within::Sliding(_) => self.latest > since,
            Within::Day | Within::Month => self.latest >= since,
        };
        within.then(|| now.since(self.latest).to_std().as_secs())
    }

    /// Takes in what had happened before.
    fn count_back(&mut self, earlier: &Self) -> Result<(), Impossible> {
        if self.counted_back {
            return Err(Impossible::new("a tally is counted back once"));
        }
        self.latest = self.latest.max(earlier.latest);
        self.at.extend(&earlier.at);
        self.at.sort();
        for slice in &earlier.before {
            match self.before.iter_mut().find(|s| s.until == slice.until) {
                Some(own) => own.count = own.count.saturating_add(slice.count),
                None => self.before.push(*slice),
            }
        }
        self.trim();
        if earlier.period > self.period {
            self.period.clone_from(&earlier.period);
            self.in_period = earlier.in_period;
        } else if earlier.period == self.period {
            self.in_period = self.in_period.saturating_add(earlier.in_period);
        }
        self.counted_back = true;
        Ok(())
    }
}

impl Aggregate for Tally {
    const KIND: &'static str = "tally";
    type Event = TallyEvent;

    fn evolve(state: Option<Self>, event: &TallyEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        match (state, event) {
            (None, TallyEvent::Occurred(occurred)) => Ok(Self::first(occurred, stamp.at)),
            (Some(mut tally), TallyEvent::Occurred(occurred)) => {
                if (tally.counts, &tally.value) != (occurred.counts, &occurred.value) {
                    return Err(Impossible::new("a tally counts one thing for one value"));
                }
                tally.add(stamp.at, occurred.period.as_deref());
                Ok(tally)
            }
            (None, TallyEvent::CountedBack(earlier)) => Ok(Self {
                counted_back: true,
                ..earlier.clone()
            }),
            (Some(mut tally), TallyEvent::CountedBack(earlier)) => {
                tally.count_back(earlier)?;
                Ok(tally)
            }
        }
    }

    fn status(&self) -> &'static str {
        match self.counted_back {
            true => "counted_back",
            false => "counting",
        }
    }
}
