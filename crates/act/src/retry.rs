//! How often and how long apart a step is tried again. The jitter comes from
//! the run's own id, so that the same run waits the same on every node.

use crate::limits;
use kernel::{Digest, Refusal, RunId, Span};
use serde::{Deserialize, Serialize};

/// When a step that did not succeed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts_max: u32,
    /// The wait before the second attempt, before jitter.
    pub base: Span,
    /// By how much each wait is longer than the one before; at least 1.
    pub factor: u32,
    /// The longest wait.
    pub cap: Span,
}

impl RetryPolicy {
    /// One attempt, no more.
    pub const ONCE: Self = Self {
        attempts_max: 1,
        base: Span::ZERO,
        factor: 1,
        cap: Span::ZERO,
    };

    /// Checks the bounds.
    ///
    /// # Errors
    /// When a number is out of its bounds.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.attempts_max == 0 || self.attempts_max > limits::ATTEMPTS_MAX {
            return Err(Refusal::invalid(format!(
                "`{}` attempts, allowed are 1 to {}",
                self.attempts_max,
                limits::ATTEMPTS_MAX
            ))
            .at("attempts_max"));
        }
        if self.factor == 0 {
            return Err(Refusal::invalid("must be at least `1`").at("factor"));
        }
        if self.cap < self.base {
            return Err(Refusal::invalid(format!(
                "`{}` is shorter than the base of `{}`",
                self.cap, self.base
            ))
            .at("cap"));
        }
        Ok(())
    }

    /// How long to wait after `attempt` (from 1): `base` times `factor` for
    /// each attempt before it, at most `cap`, and of that between a half and
    /// the whole, by the jitter of this run, task and attempt.
    #[must_use]
    pub fn wait(&self, run: RunId, task: &str, attempt: u32) -> Span {
        let factor = i64::from(self.factor).saturating_pow(attempt.saturating_sub(1));
        let whole = self.base.as_micros().saturating_mul(factor);
        let whole = whole.min(self.cap.as_micros());
        let half = whole / 2;
        let spread = i128::from(whole - half) * i128::from(jitter(run, task, attempt));
        let part = i64::try_from(spread >> 32).unwrap_or(0);
        Span::from_micros(half + part)
    }
}

/// 32 bits that are the same for the same run, task and attempt.
fn jitter(run: RunId, task: &str, attempt: u32) -> u32 {
    let Digest(bytes) = Digest::of(format!("writ.jitter.v1\n{run}\n{task}\n{attempt}").as_bytes());
    let [a, b, c, d, ..] = bytes;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(base: u32, factor: u32, cap: u32) -> RetryPolicy {
        RetryPolicy {
            attempts_max: 5,
            base: Span::from_secs(base),
            factor,
            cap: Span::from_secs(cap),
        }
    }

    fn run(n: u128) -> RunId {
        format!("run_{n:032x}").parse().unwrap()
    }

    #[test]
    fn bounds() {
        assert!(RetryPolicy::ONCE.check().is_ok());
        for (attempts_max, factor, cap, fine) in [
            (1, 1, 1, true),
            (limits::ATTEMPTS_MAX, 2, 9, true),
            (0, 1, 1, false),
            (limits::ATTEMPTS_MAX + 1, 1, 1, false),
            (1, 0, 1, false),
            (1, 1, 0, false),
        ] {
            let policy = RetryPolicy {
                attempts_max,
                ..policy(1, factor, cap)
            };
            assert_eq!(policy.check().is_ok(), fine, "{policy:?}");
        }
    }

    #[test]
    fn a_known_wait() {
        let first = policy(10, 2, 60).wait(run(1), "step/a", 1);
        assert_eq!(first, policy(10, 2, 60).wait(run(1), "step/a", 1));
        assert_ne!(first, policy(10, 2, 60).wait(run(2), "step/a", 1));
        assert_ne!(first, policy(10, 2, 60).wait(run(1), "step/b", 1));
        assert_eq!(RetryPolicy::ONCE.wait(run(1), "step/a", 1), Span::ZERO);
        // The growth is beyond any number; of nothing it is still nothing.
        assert_eq!(policy(0, 6, 1).wait(run(1), "step/a", 26), Span::ZERO);
    }

    proptest! {
        #[test]
        fn waits_stay_between_half_and_whole(seed: u128, attempt in 1u32..40, base in 0u32..100, factor in 1u32..10, more in 0u32..1000) {
            let policy = policy(base, factor, base + more);
            let whole = i128::from(policy.base.as_micros())
                .saturating_mul(i128::from(factor).saturating_pow(attempt - 1))
                .min(i128::from(policy.cap.as_micros()));
            let wait = i128::from(policy.wait(run(seed), "step/x", attempt).as_micros());
            prop_assert!(wait >= whole / 2 && wait <= whole, "{} of {}", wait, whole);
        }
    }
}
