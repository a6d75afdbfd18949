//! The one place where a module is called: with its permit, within its time,
//! and followed by its own read after the write. The shell calls this between
//! `begin_step` and `finish_step`.

use crate::engine::Assignment;
use crate::fence::{Call, Fence};
use crate::module::{self, Manifest, ModuleCtx, Outcome, OutcomeStatus, Verification};
use crate::permitted::PermittedHttp;
use crate::registry::Registry;
use gate::Permit;
use kernel::port::{Clock, Http, Secrets};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The ways to the outside.
#[derive(Clone)]
pub struct Ports {
    /// Time: only to refuse a permit that has ended.
    pub clock: Arc<dyn Clock>,
    /// The network.
    pub http: Arc<dyn Http>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
}

/// Makes the attempt. The adapters keep its time; a shell that also wants a
/// timer drops the future and reports [`Outcome::unknown`].
///
/// The permit is checked again at its use: that it is for this module, version
/// and input, has not ended, and that the fence is open for it. A permit that
/// does not hold leads to [`Outcome::not_begun`], and so does one that stops
/// holding before the module's first request leaves.
///
/// A module's success counts when its own read after the write confirms it; a
/// read that shows the effect is missing makes a failure, and one that could
/// not be made leaves it unknown. After a lost reply, a read that shows the
/// effect makes a success; one that does not proves nothing, because the
/// request may still be on its way.
pub async fn execute(
    registry: &Registry,
    assignment: Assignment,
    ports: &Ports,
    fence: &Arc<Fence>,
) -> Outcome {
    let Assignment {
        module: name,
        input,
        idempotency_key,
        trace,
        timeout,
        permit,
        has_left,
        ..
    } = assignment;
    let module = match registry.get(&name) {
        Ok(module) => module,
        Err(refusal) => return Outcome::error(refusal.to_string()),
    };
    if let Some(fault) = unfit(&permit, module.manifest(), &input) {
        return Outcome::error(fault);
    }
    if let Err(barred) = fence.admits(&Call::of(&permit)).await {
        return Outcome::not_begun(barred.to_string());
    }
    let now = ports.clock.now();
    if now >= permit.expires_at() {
        return Outcome::not_begun(format!("the permit ended at {}", permit.expires_at()));
    }
    let http = PermittedHttp::under(&permit, ports.http.clone(), fence.clone(), has_left);
    let ctx = ModuleCtx {
        idempotency_key,
        trace,
        now,
        deadline: now.plus(timeout),
        http: http.clone(),
        secrets: ports.secrets.clone(),
    };
    let mut outcome = module.execute(permit, &input, &ctx).await;
    if let Some(barred) = http.barred() {
        // Whatever the module makes of it: it could not reach the outside.
        return Outcome::not_begun(barred.to_string());
    }
    if outcome.status == OutcomeStatus::Success
        && let Err(refusal) = registry.check_output(&name, &outcome.output)
    {
        // The effect happened all the same; what is wrong is the module.
        outcome.reason = Some(refusal.to_string());
    }
    match outcome.status {
        OutcomeStatus::Success | OutcomeStatus::Unknown => {
            verified(outcome, module.verify(&input, &ctx).await)
        }
        OutcomeStatus::Failure
        | OutcomeStatus::Error
        | OutcomeStatus::NotBegun
        | OutcomeStatus::CutOff => outcome,
    }
}

/// Why the permit is not for this call, if it is not.
fn unfit(permit: &Permit, manifest: &Manifest, input: &Map<String, Value>) -> Option<String> {
    let (name, version) = (&manifest.name, &manifest.version);
    if permit.module() != name || permit.module_version() != version {
        return Some(format!("the permit is not for `{name}` {version}"));
    }
    match module::arguments(input) {
        Ok(arguments) if permit.arguments() == arguments => None,
        _ => Some(format!("the permit is not for `{name}` with this input")),
    }
}

/// What the read after the write makes of the outcome.
fn verified(mut outcome: Outcome, verification: Verification) -> Outcome {
    let answered = outcome.status == OutcomeStatus::Success;
    match (verification, answered) {
        (Verification::NotDeclared, _) => {}
        (Verification::Confirmed(proof), true) => outcome.proof = Some(proof),
        (Verification::Confirmed(proof), false) => {
            outcome.status = OutcomeStatus::Success;
            outcome.proof = Some(proof);
        }
        (Verification::Denied(proof), true) => {
            outcome.status = OutcomeStatus::Failure;
            outcome.proof = Some(proof);
            outcome.reason = Some("the read after the write does not show the effect".to_owned());
        }
        (Verification::Denied(proof), false) => outcome.proof = Some(proof),
        (Verification::Unread(why), true) => {
            outcome.status = OutcomeStatus::Unknown;
            outcome.reason = Some(format!("the read after the write failed: {why}"));
        }
        (Verification::Unread(_), false) => {}
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_read_after_the_write_makes_of_an_outcome() {
        let proof = || json!({ "found": 1 });
        let success = || Outcome::success(Value::Null);
        let unknown = || Outcome::unknown("lost");
        use OutcomeStatus::{Failure, Success, Unknown};
        for (outcome, verification, status, proven) in [
            (success(), Verification::NotDeclared, Success, false),
            (unknown(), Verification::NotDeclared, Unknown, false),
            (success(), Verification::Confirmed(proof()), Success, true),
            (unknown(), Verification::Confirmed(proof()), Success, true),
            (success(), Verification::Denied(proof()), Failure, true),
            (unknown(), Verification::Denied(proof()), Unknown, true),
            (success(), Verification::Unread("x".into()), Unknown, false),
            (unknown(), Verification::Unread("x".into()), Unknown, false),
        ] {
            let got = verified(outcome, verification);
            assert_eq!((got.status, got.proof.is_some()), (status, proven));
        }
    }
}
