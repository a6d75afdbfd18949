//! Appending batches: all or nothing, each under the head that it expects, in
//! one transaction that is sent without waiting for the answers in between.

use super::columns::{Columns, Statements};
use super::connect::{CALL_MAX, Lent, within};
use super::fault::{fault, is_answer, is_stale};
use super::pipeline::Pipeline;
use deadpool_postgres::{Object, Pool};
use kernel::{Digest, TenantId};
use ledger::entry::Head;
use ledger::store::{Batch, StoreFault};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Error;
use uuid::Uuid;

/// How long it is tried to find out what became of a transaction whose answer
/// was lost.
const SETTLE_MAX: Duration = Duration::from_secs(15);
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Appends the batches. When the answer of a commit is lost, the heads say
/// whether it happened; when it did not, it is tried once more, for then the
/// connection was gone before.
pub(super) async fn run(pool: &Pool, mut batches: Vec<Batch>) -> Result<(), StoreFault> {
    // INVARIANT(heads-in-order): every transaction locks the heads in the
    // order of the tenants' ids, so no two can wait for each other.
    batches.sort_by_key(|batch| batch.tenant);
    let (Some(first), false) = (
        batches.first(),
        batches.iter().any(|batch| batch.entries.is_empty()),
    ) else {
        return Err(StoreFault::Unavailable("a batch without entries".into()));
    };
    let mut lost = match attempt(pool, &batches).await? {
        None => return Ok(()),
        Some(lost) => lost,
    };
    for _ in 0..2 {
        if settled(pool, first, &lost).await? {
            return Ok(());
        }
        lost = match attempt(pool, &batches).await? {
            None => return Ok(()),
            Some(lost) => lost,
        };
    }
    if settled(pool, first, &lost).await? {
        return Ok(());
    }
    Err(lost)
}

/// One attempt; `Some` when the connection broke, and nobody knows yet whether
/// the server committed.
async fn attempt(pool: &Pool, batches: &[Batch]) -> Result<Option<StoreFault>, StoreFault> {
    let lent = Lent::from(pool).await?;
    let sent = within(CALL_MAX, send(lent.client()?, batches)).await;
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
        Ok(Err((_, error))) if is_answer(&error) => Err(fault(&error)),
        Ok(Err((_, error))) => Ok(Some(fault(&error))),
    }
}

/// Sends the transaction; a fault comes with the tenant whose batch met it.
async fn send(client: &Object, batches: &[Batch]) -> Result<(), (TenantId, Error)> {
    let Some(last) = batches.last() else {
        return Ok(());
    };
    let statements = Statements::of(client)
        .await
        .map_err(|error| (last.tenant, error))?;
    for (index, batch) in batches.iter().enumerate() {
        let columns = Columns::of(batch);
        let begin = begin(batch.tenant.0, index == 0);
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

/// The transaction begins with the tenant that it works for; each further
/// batch names its own.
fn begin(tenant: Uuid, first: bool) -> String {
    let begin = if first {
        "BEGIN ISOLATION LEVEL READ COMMITTED; "
    } else {
        ""
    };
    format!("{begin}SELECT set_config('writ.tenant', '{tenant}', true)")
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
    client.batch_execute(&begin(tenant, true)).await?;
    if batch.expected == Head::EMPTY {
        // There may be no head to lock: whoever is adding it is waited for.
        let add = "INSERT INTO writ.logs (tenant, seq, hash) VALUES ($1, 1, $2) \
                   ON CONFLICT (tenant) DO NOTHING";
        let nothing = Digest::ZERO.0;
        client.execute(add, &[&tenant, &nothing.as_slice()]).await?;
    }
    let lock = "SELECT FROM writ.logs WHERE tenant = $1 FOR UPDATE";
    client.execute(lock, &[&tenant]).await?;
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let entry = "SELECT hash FROM writ.entries WHERE tenant = $1 AND seq = $2";
    let row = client.query_opt(entry, &[&tenant, &seq]).await?;
    client.batch_execute("ROLLBACK").await?;
    row.map(|row| row.try_get(0)).transpose()
}
