//! Appending batches: all or nothing, each under the head that it expects, in
//! one transaction that is sent without waiting for the answers in between.

use super::columns::{Columns, Statements};
use super::connect::{CALL_MAX, Lent, Pool, within};
use super::fault::{fault, is_answer, is_stale};
use super::pipeline::Pipeline;
use deadpool_postgres::Object;
use kernel::{Digest, TenantId};
use ledger::entry::Head;
use ledger::store::{Batch, StoreFault};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Error;

/// How long it is tried to find out what became of a transaction whose answer
/// was lost.
const SETTLE_MAX: Duration = Duration::from_secs(8);
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// How often an append whose answer was lost is sent.
const ATTEMPTS_MAX: u32 = 3;

/// Appends the batches, in the transaction of the claim if there is one. When
/// the answer of a commit is lost, the log says whether it happened. When it
/// did not, the same is sent again: of several that are still under way, the
/// head lets one happen, and it does not matter which.
pub(super) async fn run(
    pool: &Pool,
    mut claim: Option<Lent>,
    mut batches: Vec<Batch>,
) -> Result<(), StoreFault> {
    // INVARIANT(heads-in-order): every transaction locks the heads in the
    // order of the tenants' ids, so no two can wait for each other.
    batches.sort_by_key(|batch| batch.tenant);
    let (Some(first), false) = (
        batches.first(),
        batches.iter().any(|batch| batch.entries.is_empty()),
    ) else {
        return Err(StoreFault::Unavailable("a batch without entries".into()));
    };
    let mut lost = None;
    for _ in 0..ATTEMPTS_MAX {
        let fault = match attempt(pool, claim.take(), &batches).await {
            Ok(None) => return Ok(()),
            Ok(Some(fault)) => {
                lost = Some(fault.clone());
                fault
            }
            Err(fault) => fault,
        };
        let Some(lost) = &lost else {
            return Err(fault);
        };
        // INVARIANT(settled-before-answered): after a lost answer, no fault is
        // reported as if nothing had been appended before the log was asked.
        if settled(pool, first, lost).await? {
            return Ok(());
        }
        if matches!(fault, StoreFault::Stale(_)) {
            // The head has moved without it, so it never can happen.
            return Err(fault);
        }
    }
    let what = lost.map_or_else(String::new, |lost| lost.to_string());
    Err(StoreFault::Unsettled(what))
}

/// Begins a transaction in which these heads are locked. It ends by itself when
/// it is not used for as long as a working connection may be idle in one.
pub(super) async fn claim(pool: &Pool, tenants: &[TenantId]) -> Result<Lent, StoreFault> {
    let mut tenants = tenants.to_vec();
    // INVARIANT(heads-in-order): as in an append.
    tenants.sort_unstable();
    let lent = Lent::from(pool).await?;
    let client = lent.client()?;
    let locked = async {
        client.batch_execute(BEGIN).await?;
        for tenant in tenants {
            client.batch_execute(&works_for(tenant)).await?;
            client.execute(LOCK_HEAD, &[&tenant.0]).await?;
        }
        Ok(())
    };
    let locked: Result<(), Error> = within(CALL_MAX, locked).await?;
    locked.map_err(|error| fault(&error))?;
    Ok(lent)
}

/// Gives up a claim that was not used.
pub(super) async fn release(lent: Lent) -> Result<(), StoreFault> {
    let rolled_back = within(CALL_MAX, lent.client()?.batch_execute("ROLLBACK")).await?;
    rolled_back.map_err(|error| fault(&error))?;
    lent.give_back();
    Ok(())
}

/// One attempt; `Some` when the connection broke, and nobody knows yet whether
/// the server committed.
async fn attempt(
    pool: &Pool,
    claim: Option<Lent>,
    batches: &[Batch],
) -> Result<Option<StoreFault>, StoreFault> {
    let claimed = claim.is_some();
    let lent = match claim {
        Some(lent) => lent,
        None => Lent::from(pool).await?,
    };
    let sent = within(CALL_MAX, send(lent.client()?, claimed, batches)).await;
    match sent {
        Err(late) => Ok(Some(late)),
        Ok(Ok(())) => {
            lent.give_back();
            Ok(None)
        }
        Ok(Err((tenant, error))) if is_stale(&error) => {
            lent.give_back();
            Err(StoreFault::Stale(tenant))
        }
        // A claim may have been lost meanwhile; without it, it may go well.
        Ok(Err((_, error))) if is_answer(&error) && !claimed => Err(fault(&error)),
        Ok(Err((_, error))) => Ok(Some(fault(&error))),
    }
}

/// Sends the transaction; a fault comes with the tenant whose batch met it.
async fn send(client: &Object, claimed: bool, batches: &[Batch]) -> Result<(), (TenantId, Error)> {
    let Some(last) = batches.last() else {
        return Ok(());
    };
    let statements = Statements::of(client)
        .await
        .map_err(|error| (last.tenant, error))?;
    for (index, batch) in batches.iter().enumerate() {
        let columns = Columns::of(batch);
        let begin = match index {
            0 if !claimed => format!("{BEGIN}; {}", works_for(batch.tenant)),
            _ => works_for(batch.tenant),
        };
        let mut pipeline = Pipeline::default();
        pipeline.send(client.batch_execute(&begin)).await;
        columns.send(client, &statements, &mut pipeline).await;
        let is_last = index + 1 == batches.len();
        if is_last {
            // After a fault of any statement before it, it rolls back.
            pipeline.send(client.batch_execute("COMMIT")).await;
        }
        if let Err(error) = pipeline.done().await {
            if !is_last && is_answer(&error) {
                drop(client.batch_execute("ROLLBACK").await);
            }
            return Err((batch.tenant, error));
        }
    }
    Ok(())
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const LOCK_HEAD: &str = "SELECT FROM writ.logs WHERE tenant = $1 FOR UPDATE";

/// Names the tenant whose rows the transaction sees from here on.
fn works_for(tenant: TenantId) -> String {
    format!("SELECT set_config('writ.tenant', '{}', true)", tenant.0)
}

/// Whether a batch whose answer was lost is in its log. Waits for a
/// transaction that may still be under way: it holds the head's lock.
async fn settled(pool: &Pool, batch: &Batch, lost: &StoreFault) -> Result<bool, StoreFault> {
    let until = Instant::now() + SETTLE_MAX;
    loop {
        match look(pool, batch).await {
            Ok(landed) => return Ok(landed),
            Err(_) if Instant::now() < until => tokio::time::sleep(SETTLE_PAUSE).await,
            Err(now) => {
                return Err(StoreFault::Unsettled(format!("{lost}; after that, {now}")));
            }
        }
    }
}

async fn look(pool: &Pool, batch: &Batch) -> Result<bool, StoreFault> {
    let Some(last) = batch.entries.last() else {
        return Ok(false);
    };
    let lent = Lent::from(pool).await?;
    let client = lent.client()?;
    let found = within(CALL_MAX, locked(client, batch, last.seq)).await?;
    let hash = found.map_err(|error| fault(&error))?;
    lent.give_back();
    Ok(hash.is_some_and(|hash| hash == last.hash.0))
}

/// The hash of the entry at this position, read while the head is locked.
async fn locked(client: &Object, batch: &Batch, seq: u64) -> Result<Option<Vec<u8>>, Error> {
    let tenant = batch.tenant.0;
    let begin = format!("{BEGIN}; {}", works_for(batch.tenant));
    client.batch_execute(&begin).await?;
    if batch.expected == Head::EMPTY {
        // There may be no head to lock: whoever is adding it is waited for.
        let add = "INSERT INTO writ.logs (tenant, seq, hash) VALUES ($1, 1, $2) \
                   ON CONFLICT (tenant) DO NOTHING";
        let nothing = Digest::ZERO.0;
        client.execute(add, &[&tenant, &nothing.as_slice()]).await?;
    }
    client.execute(LOCK_HEAD, &[&tenant]).await?;
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let entry = "SELECT hash FROM writ.entries WHERE tenant = $1 AND seq = $2";
    let row = client.query_opt(entry, &[&tenant, &seq]).await?;
    client.batch_execute("ROLLBACK").await?;
    row.map(|row| row.try_get(0)).transpose()
}
