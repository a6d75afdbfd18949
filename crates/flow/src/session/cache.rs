//! States of sessions behind a cache. A state is cached under its digest, and
//! the digest comes from the ledger with every reading: a stale entry cannot
//! be asked for, a poisoned one does not have its digest, and a cache that
//! fails is left out. Then the store answers.

use kernel::port::{Cache, Clock};
use kernel::{Digest, Span, TenantId, Timestamp};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The cache may take this long; then the store answers.
const PATIENCE: Duration = Duration::from_millis(100);
/// A cache that failed is not asked for this long.
const REST: Span = Span::from_secs(1);

/// The states of sessions, cached.
pub(crate) struct Cached {
    cache: Arc<dyn Cache>,
    clock: Arc<dyn Clock>,
    resting_until: Mutex<Option<Timestamp>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    poisoned: AtomicU64,
    faults: AtomicU64,
}

/// How often the cache had what was read, since writ started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CacheCounts {
    /// Readings that the cache answered.
    pub hits: u64,
    /// Readings that it had nothing for.
    pub misses: u64,
    /// Readings for which it had bytes with another digest.
    pub poisoned: u64,
    /// Readings, and writings, for which it did not answer.
    pub faults: u64,
}

impl CacheCounts {
    /// The share of readings that the cache answered; `None` before the first.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a share for people; nothing is decided by it"
    )]
    pub fn hit_ratio(&self) -> Option<f64> {
        let readings = self.hits + self.misses + self.poisoned + self.faults;
        (readings > 0).then(|| self.hits as f64 / readings as f64)
    }
}

impl Cached {
    pub(crate) fn new(cache: Arc<dyn Cache>, clock: Arc<dyn Clock>) -> Self {
        Self {
            cache,
            clock,
            resting_until: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// The bytes with this digest, if the cache has them.
    pub(crate) async fn get(&self, tenant: TenantId, digest: Digest) -> Option<Vec<u8>> {
        let found = self.ask(self.cache.get(&key(tenant, digest))).await;
        let (count, found) = match found {
            None => (&self.counts.faults, None),
            Some(None) => (&self.counts.misses, None),
            Some(Some(bytes)) if Digest::of(&bytes) == digest => (&self.counts.hits, Some(bytes)),
            Some(Some(_)) => {
                tracing::warn!(%tenant, %digest, "the cache gave a state that is not the session's");
                (&self.counts.poisoned, None)
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps these bytes under their digest.
    pub(crate) async fn put(&self, tenant: TenantId, digest: Digest, bytes: Vec<u8>) {
        let kept = self.ask(self.cache.put(&key(tenant, digest), bytes)).await;
        if kept.is_none() {
            self.counts.faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the bytes with this digest.
    pub(crate) async fn remove(&self, tenant: TenantId, digest: Digest) {
        let removed = self.ask(self.cache.remove(&key(tenant, digest))).await;
        if removed.is_none() {
            self.counts.faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounts {
            hits: load(&self.counts.hits),
            misses: load(&self.counts.misses),
            poisoned: load(&self.counts.poisoned),
            faults: load(&self.counts.faults),
        }
    }

    fn resting(&self) -> MutexGuard<'_, Option<Timestamp>> {
        let resting = self.resting_until.lock();
        resting.unwrap_or_else(PoisonError::into_inner)
    }

    /// The cache's answer; `None` when there is none in time.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, kernel::port::CacheFault>>,
    ) -> Option<T> {
        let now = self.clock.now();
        if self.resting().is_some_and(|until| now < until) {
            return None;
        }
        let fault = match tokio::time::timeout(PATIENCE, question).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        *self.resting() = Some(now.plus(REST));
        tracing::warn!(error = %fault, "the cache of sessions failed; the store answers");
        None
    }
}

fn key(tenant: TenantId, digest: Digest) -> String {
    format!("writ/session/{tenant}/{digest}")
}
