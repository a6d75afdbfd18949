//! What may be done to a run, as pure operations on the unit of work.
//!
//! | decided here (pure, one unit each)        | done by the shell                |
//! |-------------------------------------------|----------------------------------|
//! | `create_run`: a run for what is approved  | calls it for approved directives |
//! | `begin_step`: admitted, started, recorded | then calls the module once       |
//! | `finish_step`: result, cost, what follows | brings the module's outcome back |
//! | `recover`: what an attempt without a      | calls it once for each run that  |
//! | result means                              | is running when writ starts      |
//!
//! An attempt is recorded as started before it can reach the outside, in the
//! unit in which the gate admits it, so the kill switch, the approval, the
//! timebox and the budget are checked in the transaction that starts it.
//!
//! **Idempotency key.** Every attempt of a task goes out under the same key:
//! SHA-256 over `writ.idempotency.v1`, a line feed and the canonical JSON of
//! `{"phase": "step" | "compensation", "run": run id, "step": step id}`, in
//! hex. An attempt whose result is unknown is sent again only where the other
//! side honours that key; otherwise the run is parked for a person.

mod advance;
mod begin;
mod create;
mod finish;
mod stop;

pub use begin::{Assignment, Begun, begin_step};
pub use create::{Creation, create_run};
pub use finish::{Report, finish_step, recover, resolve_unknown};
pub use stop::{abort, pause, resume, rollback};

use crate::run::Phase;
use kernel::{Digest, EntryId, Refusal, RunId, Unit};
use serde::Serialize;

/// The key under which every attempt of this task goes out; see the head of
/// this module.
///
/// # Errors
/// Never in practice; the parts always have a canonical form.
pub fn idempotency_key(run: RunId, phase: Phase, step: &str) -> Result<String, Refusal> {
    #[derive(Serialize)]
    struct Parts<'a> {
        run: RunId,
        phase: Phase,
        step: &'a str,
    }
    let parts = Parts { run, phase, step };
    Ok(Digest::of_value("writ.idempotency.v1", &parts)?.to_string())
}

/// Runs `work` with its entries caused by `entry`, then puts the former cause
/// back.
fn because_of<T>(
    unit: &mut Unit<'_>,
    entry: EntryId,
    work: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let before = unit.caused_by(Some(entry));
    let done = work(unit);
    unit.caused_by(before);
    done
}

/// A reason that a person gave: not empty, not too long.
fn given(reason: &str) -> Result<String, Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::invalid("is empty").at("reason"));
    }
    if reason.len() > crate::limits::REASON_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "has {} bytes, allowed are {}",
            reason.len(),
            crate::limits::REASON_BYTES_MAX
        ))
        .at("reason"));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_as_documented_and_apart_for_each_task() {
        let run: RunId = "run_00000000000070008000000000000001".parse().unwrap();
        let by_hand = Digest::of(
            b"writ.idempotency.v1\n\
              {\"phase\":\"step\",\"run\":\"run_00000000000070008000000000000001\",\"step\":\"a\"}",
        );
        let key = idempotency_key(run, Phase::Step, "a").unwrap();
        assert_eq!(key, by_hand.to_string());
        assert_ne!(key, idempotency_key(run, Phase::Compensation, "a").unwrap());
        assert_ne!(key, idempotency_key(run, Phase::Step, "b").unwrap());
    }
}
