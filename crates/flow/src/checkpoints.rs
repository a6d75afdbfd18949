//! Checkpoints in the running writ: signed when there is news, cosigned by the
//! witnesses that the operator named. Beside the append path: it reads what is
//! committed, and a checkpoint is one more command.

mod cosign;
mod witnesses;

use crate::control::Control;
use kernel::{Ctx, Refusal, Span, TenantId, Timestamp};
use ledger::checkpoint::record::Signed;
use ledger::checkpoint::{Outcome, Signer, checkpoints, has_news};
use ledger::note::VerifierKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a refusal, a log, or a witness, is left alone this long.
const PAUSE: Span = Span::from_secs(30);

/// A witness that is asked to cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where `add-checkpoint` is, without a slash at the end.
    pub url: String,
    /// The key that its cosignatures must have.
    pub key: VerifierKey,
}

/// How checkpoints are signed and who cosigns them.
#[derive(Clone)]
pub struct Signing {
    /// Signs.
    pub signer: Signer,
    /// Cosign.
    pub witnesses: Vec<Witness>,
    /// A log that has grown by this many entries is signed at once.
    pub entries_max: u64,
    /// News is signed this long after it came, at the latest.
    pub every: Span,
}

/// Signs the caller's log now, if there is news, and asks the witnesses.
/// A witness that does not answer is no reason to refuse.
///
/// # Errors
/// As [`Signer::sign`].
pub async fn sign(control: &Control, ctx: Ctx) -> Result<Signed, Refusal> {
    let tenant = ctx.tenant;
    let outcome = control
        .signing()?
        .signer
        .sign(control.ledger(), ctx)
        .await?;
    let signed = match outcome {
        Outcome::Signed(signed) | Outcome::Unchanged(signed) => signed,
        Outcome::Empty => return Err(Refusal::not_found("the log is empty")),
    };
    for (witness, refusal) in cosign::ask_all(control, tenant, &signed).await? {
        tracing::warn!(tenant = %tenant, witness, error = %refusal, "a witness did not cosign");
    }
    let newest = checkpoints(control.ledger().store(), tenant).await?;
    Ok(newest.of_size(signed.size).cloned().unwrap_or(signed))
}

/// What is remembered of a log between two looks; a restart starts anew.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The head's position when the log was last looked at.
    head: u64,
    /// Since when there is news that waits for its time.
    news: Option<Timestamp>,
    /// Nothing is tried before.
    not_before: Option<Timestamp>,
}

/// Signs, and has the witnesses asked, until `stop` turns true.
pub async fn run(control: Arc<Control>, stop: watch::Receiver<bool>) {
    let mut asking = JoinSet::new();
    for witness in control.signing().iter().flat_map(|s| &s.witnesses) {
        let (control, witness) = (control.clone(), witness.clone());
        asking.spawn(witnesses::attend(control, witness, stop.clone()));
    }
    sign_on(control, stop).await;
    asking.join_all().await;
}

/// Signs each log when it is time, until `stop` turns true.
async fn sign_on(control: Arc<Control>, mut stop: watch::Receiver<bool>) {
    let mut seen: BTreeMap<TenantId, Seen> = BTreeMap::new();
    while !*stop.borrow() {
        match control.ledger().store().tenants().await {
            Ok(tenants) => {
                for tenant in tenants {
                    look(&control, tenant, seen.entry(tenant).or_default()).await;
                }
            }
            Err(fault) => tracing::error!(error = %fault, "cannot look for news to sign"),
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Looks at one log; signs it when it is time.
async fn look(control: &Control, tenant: TenantId, seen: &mut Seen) {
    let now = control.now();
    if seen.not_before.is_some_and(|until| now < until) {
        return;
    }
    seen.not_before = None;
    if let Err(refusal) = attend(control, tenant, seen, now).await {
        tracing::error!(tenant = %tenant, error = %refusal, "no checkpoint was signed");
        seen.not_before = Some(now.plus(PAUSE));
    }
}

async fn attend(
    control: &Control,
    tenant: TenantId,
    seen: &mut Seen,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (signing, store) = (control.signing()?, control.ledger().store());
    let head = store.head(tenant).await?.seq;
    if head == seen.head && seen.news.is_none() {
        return Ok(());
    }
    let latest = checkpoints(store, tenant).await?;
    let size = latest.latest().map_or(0, |latest| latest.size);
    if head != seen.head {
        if let Some(latest) = latest.latest() {
            signing.signer.heed(tenant, latest).await?;
        }
        let news = has_news(store, tenant, size).await?;
        seen.news = news.then(|| seen.news.unwrap_or(now));
        seen.head = head;
    }
    let waited = |since: Timestamp| now.since(since) >= signing.every;
    let many = head.saturating_sub(size) >= signing.entries_max;
    if seen.news.is_some_and(|since| many || waited(since)) {
        let ctx = control.system_ctx(tenant, "checkpoints");
        signing.signer.sign(control.ledger(), ctx).await?;
        seen.news = None;
    }
    Ok(())
}
