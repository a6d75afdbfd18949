//! Each witness has a loop of its own beside the one that signs: it looks which
//! logs it has not cosigned yet and asks for a few of them at once. One that
//! does not answer is left alone for a while, and holds up neither the signing
//! of any log nor the other witnesses.

use super::cosign::{self, NotCosigned};
use super::{LOOK_EVERY, PAUSE, Witness};
use crate::control::Control;
use futures_util::StreamExt as _;
use futures_util::stream;
use kernel::{Refusal, TenantId, Timestamp};
use ledger::checkpoint::checkpoints;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Logs for which one witness is asked at once.
const LOGS_AT_ONCE: usize = 4;

/// What is remembered of a log between two looks; a restart starts anew.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The head's position when there was nothing to ask for.
    head: u64,
    /// Nothing is asked before.
    not_before: Option<Timestamp>,
}

/// Asks one witness until `stop` turns true.
pub(super) async fn attend(
    control: Arc<Control>,
    witness: Witness,
    mut stop: watch::Receiver<bool>,
) {
    let mut seen: BTreeMap<TenantId, Seen> = BTreeMap::new();
    let mut silent_until: Option<Timestamp> = None;
    while !*stop.borrow() {
        let now = control.now();
        let round = async {
            if silent_until.is_some_and(|until| now < until) {
                return;
            }
            silent_until = match round(&control, &witness, &mut seen).await {
                Ok(()) => None,
                Err(refusal) => {
                    let witness = witness.key.name().as_str();
                    tracing::warn!(witness, error = %refusal, "a witness does not answer");
                    Some(now.plus(PAUSE))
                }
            };
        };
        tokio::select! {
            // A request to a witness that hangs is not waited for.
            _ = stop.changed() => {}
            () = async { round.await; tokio::time::sleep(LOOK_EVERY).await } => {}
        }
    }
}

/// Asks for every log that lacks a cosignature of this witness.
///
/// # Errors
/// When the witness does not answer, or storage does not.
async fn round(
    control: &Control,
    witness: &Witness,
    seen: &mut BTreeMap<TenantId, Seen>,
) -> Result<(), Refusal> {
    let store = control.ledger().store();
    let mut due = Vec::new();
    for tenant in store.tenants().await? {
        let head = store.head(tenant).await?.seq;
        let seen = seen.get(&tenant).copied().unwrap_or_default();
        let waits = seen.not_before.is_some_and(|until| control.now() < until);
        if !waits && head != seen.head {
            due.push((tenant, head));
        }
    }
    let ask = async |(tenant, head)| (tenant, head, cosigned(control, tenant, witness).await);
    let mut asked = stream::iter(due).map(ask).buffer_unordered(LOGS_AT_ONCE);
    while let Some((tenant, head, outcome)) = asked.next().await {
        let log = seen.entry(tenant).or_default();
        match outcome {
            Ok(()) => {
                *log = Seen {
                    head,
                    not_before: None,
                }
            }
            Err(NotCosigned::Silent(refusal)) => return Err(refusal),
            Err(NotCosigned::Refused(refusal)) => {
                let witness = witness.key.name().as_str();
                tracing::warn!(
                    tenant = %tenant, witness, error = %refusal,
                    "a witness did not cosign"
                );
                log.not_before = Some(control.now().plus(PAUSE));
            }
        }
    }
    Ok(())
}

/// Sees to it that the newest checkpoint of a log is cosigned by this witness.
async fn cosigned(
    control: &Control,
    tenant: TenantId,
    witness: &Witness,
) -> Result<(), NotCosigned> {
    let recent = checkpoints(control.ledger().store(), tenant).await?;
    match recent.latest() {
        Some(latest) if cosign::is_missing(witness, latest) => {
            cosign::ask(control, tenant, witness, &recent, latest).await
        }
        _ => Ok(()),
    }
}
