//! What a type of directive has to prove before it may change state without a
//! person, as a pack declares it. The floor is the same for every pack.

use kernel::{Digest, Money, Ratio, Refusal, Span};
use serde::{Deserialize, Serialize};

/// The least number of runs that people approved and that succeeded.
pub const RUNS_MIN: u32 = 50;
const SPREAD: Ratio = Ratio::from_ppm(100_000);
const DRILL_WITHIN: Span = Span::from_secs(30 * 24 * 3600);

/// What a type of directive has to prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How many runs that people approved must have succeeded since the last
    /// setback; at least [`RUNS_MIN`].
    #[serde(default = "runs_min")]
    pub approved_runs: u32,
    /// The least confidence of every field of the bound snapshot, and of every
    /// counted run's.
    pub confidence_min: Ratio,
    /// How far the confidence of the latest counted runs may lie apart.
    #[serde(default = "spread")]
    pub confidence_spread: Ratio,
    /// How long ago the kill switch may have been drilled last.
    #[serde(default = "drill_within")]
    pub drill_within: Span,
    /// How many subjects a directive may touch.
    #[serde(default = "one")]
    pub subjects_max: u32,
    /// The most that a directive may cost, where its own budget is not bound
    /// enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Money>,
}

fn runs_min() -> u32 {
    RUNS_MIN
}
fn spread() -> Ratio {
    SPREAD
}
fn drill_within() -> Span {
    DRILL_WITHIN
}
fn one() -> u32 {
    1
}

impl Terms {
    /// What is wrong with them by themselves.
    #[must_use]
    pub fn faults(&self, place: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if self.approved_runs < RUNS_MIN {
            faults.push(format!(
                "{place}.approved_runs: is {}, at least {RUNS_MIN} must have succeeded",
                self.approved_runs
            ));
        }
        if self.confidence_min == Ratio::ZERO {
            faults.push(format!("{place}.confidence_min: must be above zero"));
        }
        if self.drill_within == Span::ZERO {
            faults.push(format!("{place}.drill_within: must be longer than nothing"));
        }
        if self.subjects_max == 0 {
            faults.push(format!("{place}.subjects_max: at least one subject"));
        }
        faults
    }

    /// SHA-256 over `writ.autonomy.v1`, a line feed and the canonical JSON.
    ///
    /// # Errors
    /// When they have no canonical form.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::of_value("writ.autonomy.v1", self)?)
    }
}
