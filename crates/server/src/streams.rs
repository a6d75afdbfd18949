//! Shares of what is bounded in all and for each who holds some: places for
//! event streams by tenant, requests under way by key.

use crate::http::problem::{Kind, Problem};
use kernel::TenantId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

type Held<K> = Arc<Mutex<BTreeMap<K, usize>>>;

/// The shares.
pub struct Shares<K> {
    held: Held<K>,
    each_max: usize,
    all_max: usize,
}

/// A share that is given back when it is dropped.
pub struct Share<K: Ord + Copy> {
    of: K,
    held: Held<K>,
}

/// The places for event streams.
pub type Places = Shares<TenantId>;
/// A place for an event stream.
pub type Place = Share<TenantId>;

impl<K: Ord + Copy> Shares<K> {
    /// So many for each, and so many in all.
    #[must_use]
    pub fn new(each_max: usize, all_max: usize) -> Self {
        Self {
            held: Arc::default(),
            each_max,
            all_max,
        }
    }

    /// Takes one; `None` when there is none for this one.
    pub fn take(&self, of: K) -> Option<Share<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = held.values().sum();
        let own = held.get(&of).copied().unwrap_or(0);
        if own >= self.each_max || all >= self.all_max {
            return None;
        }
        held.insert(of, own + 1);
        Some(Share {
            of,
            held: self.held.clone(),
        })
    }

    /// How many are held.
    #[must_use]
    pub fn count(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().sum()
    }
}

impl Places {
    /// Takes a place for a stream of this tenant.
    ///
    /// # Errors
    /// `limit_exceeded` when there is none.
    pub fn enter(&self, tenant: TenantId) -> Result<Place, Problem> {
        self.take(tenant).ok_or_else(|| {
            let detail = format!(
                "no more event streams can be open: {} of a tenant, {} in all",
                self.each_max, self.all_max
            );
            Problem::new(Kind::LimitExceeded, detail)
                .hint("close one, or read `/v1/ledger/entries` in pages")
        })
    }
}

impl<K: Ord + Copy> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_per_tenant_and_in_all_and_come_back() {
        let places = Places::new(3, 5);
        let tenant = |n: u32| TenantId::parse(&format!("ten_{n:032x}")).unwrap();
        let mut held: Vec<_> = (0..3).map(|_| places.enter(tenant(1)).unwrap()).collect();
        assert!(places.enter(tenant(1)).is_err());
        let others: Vec<_> = (0..2).map(|_| places.enter(tenant(2)).unwrap()).collect();
        assert!(places.enter(tenant(2)).is_err(), "all are taken");
        drop(others);
        held.pop();
        assert!(places.enter(tenant(1)).is_ok());
        drop(held);
        assert_eq!(places.count(), 0);
    }
}
