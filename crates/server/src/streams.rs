//! Places for event streams: bounded per tenant and in all.

use crate::http::problem::{Kind, Problem};
use crate::limits;
use kernel::TenantId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places.
#[derive(Default)]
pub struct Places {
    open: Arc<Mutex<BTreeMap<TenantId, usize>>>,
}

/// A place that is given back when it is dropped.
pub struct Place {
    tenant: TenantId,
    open: Arc<Mutex<BTreeMap<TenantId, usize>>>,
}

impl Places {
    /// Takes a place for a stream of this tenant.
    ///
    /// # Errors
    /// `limit_exceeded` when there is none.
    pub fn enter(&self, tenant: TenantId) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&tenant).copied().unwrap_or(0);
        if own >= limits::STREAMS_PER_TENANT_MAX || all >= limits::STREAMS_MAX {
            return Err(Problem::new(
                Kind::LimitExceeded,
                format!("{own} event streams of the tenant are open"),
            )
            .hint("close one, or read `/v1/ledger/entries` in pages"));
        }
        open.insert(tenant, own + 1);
        Ok(Place {
            tenant,
            open: self.open.clone(),
        })
    }

    /// How many streams are open.
    #[must_use]
    pub fn count(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_per_tenant_and_come_back() {
        let places = Places::default();
        let tenant = |n: u32| TenantId::parse(&format!("ten_{n:032x}")).unwrap();
        let mut held: Vec<_> = (0..limits::STREAMS_PER_TENANT_MAX)
            .map(|_| places.enter(tenant(1)).unwrap())
            .collect();
        assert!(places.enter(tenant(1)).is_err());
        assert!(places.enter(tenant(2)).is_ok());
        held.pop();
        assert!(places.enter(tenant(1)).is_ok());
        drop(held);
        assert_eq!(places.count(), 0);
    }
}
