//! What is personal: sealed before it becomes a command, opened only for
//! people who may and with a record of it, and erased by destroying the keys
//! of its subject. The ledger keeps the sealed values and the facts about the
//! keys; the keyring, behind its port, keeps the keys.

pub mod erase;
pub mod gone;
pub mod key;
pub mod open;
pub mod ring;

mod seal;

pub use erase::Preview;
pub use gone::{Gone, sealed_in};
pub use key::SubjectKey;
pub use open::{Opened, Shown};
pub use ring::Ring;
pub(crate) use seal::{SealedDelivery, note};

use crate::control::Control;
use kernel::{Aggregate, Refusal, StreamId, TenantId, limits};

/// The state of this aggregate, where there is one.
async fn document<A: Aggregate>(
    control: &Control,
    tenant: TenantId,
    id: impl std::fmt::Display,
) -> Result<Option<A>, Refusal> {
    let stream = StreamId::of::<A>(id);
    let found = control.ledger().store().document(tenant, &stream).await?;
    found
        .map(|document| {
            serde_json::from_str(&document.body)
                .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))
        })
        .transpose()
}

/// Why nothing personal of the subject is taken in or opened.
fn erased(key: &SubjectKey) -> Refusal {
    let last = key.erasures.last();
    let when = last.map_or_else(String::new, |erasure| {
        let at = erasure.erased_at.unwrap_or(erasure.ordered_at);
        format!(" on {at} by {}", erasure.by)
    });
    Refusal::forbidden(format!(
        "what is personal of `{}` was erased{when}",
        key.subject
    ))
    .hint("`writ readmit` lets new facts of it in; what was erased does not come back")
}

/// A reason is needed, and is not endless.
fn reasoned(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::invalid("no reason is given")
            .at("reason")
            .hint("say why, in words that name no person: the reason stays on the ledger"));
    }
    if reason.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::limit(format!(
            "the reason has {} bytes, allowed are {}",
            reason.len(),
            limits::TEXT_BYTES_MAX
        )));
    }
    Ok(())
}
