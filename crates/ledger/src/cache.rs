//! Current states in memory, a bounded number of them: those that were changed
//! or read from storage last, in two generations. When the young one is full
//! it becomes the old one, whose states are forgotten.

use crate::group::Cached;
use kernel::{StreamId, TenantId};
use std::collections::HashMap;
use std::collections::hash_map::IntoIter;

pub(crate) type Key = (TenantId, StreamId);

/// States of one generation at most,
const GENERATION_STATES_MAX: usize = 50_000;
/// and what they take at most, written out, in bytes. In memory a state takes
/// some times as much.
const GENERATION_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct Cache {
    young: HashMap<Key, Cached>,
    /// What the young ones take. One that is kept again counts again: then the
    /// generation ends a little sooner.
    young_bytes: usize,
    old: HashMap<Key, Cached>,
    /// The generation before, which is let go a few states at a time: all of
    /// them at once would make whoever waits for the next commit wait.
    dying: IntoIter<Key, Cached>,
}

impl Cache {
    pub(crate) fn get(&self, key: &Key) -> Option<&Cached> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Keeps these states; where one is kept already, it is replaced.
    pub(crate) fn extend(&mut self, states: impl Iterator<Item = (Key, Cached)>) {
        let mut kept = 0;
        for (key, state) in states {
            self.young_bytes += state.bytes();
            self.young.insert(key, state);
            kept += 1;
        }
        self.dying.by_ref().take(2 * kept).for_each(drop);
        let is_full = self.young.len() > GENERATION_STATES_MAX;
        if is_full || self.young_bytes > GENERATION_BYTES_MAX {
            let young = std::mem::take(&mut self.young);
            let old = std::mem::replace(&mut self.old, young);
            self.dying = old.into_iter();
            self.young_bytes = 0;
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forgets every state of this tenant.
    pub(crate) fn remove_all_of(&mut self, tenant: TenantId) {
        self.young.retain(|(whose, _), _| *whose != tenant);
        self.old.retain(|(whose, _), _| *whose != tenant);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.young_bytes = 0;
        self.old.clear();
        self.dying = IntoIter::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Timestamp;
    use kernel::aggregate::State;
    use kernel::json::JsonFault;
    use kernel::unit::Refs;
    use std::sync::Arc;

    struct Any;
    impl State for Any {
        fn body(&self) -> Result<String, JsonFault> {
            Ok("{}".into())
        }
        fn status(&self) -> &str {
            "any"
        }
        fn refs(&self) -> Refs {
            Refs::default()
        }
        fn due(&self) -> Option<Timestamp> {
            None
        }
    }

    fn tenant(number: u128) -> TenantId {
        TenantId(uuid::Uuid::from_u128(number))
    }

    fn state(of: u128, number: usize, version: u64) -> (Key, Cached) {
        let key = (tenant(of), StreamId::new("any", number));
        (key, Cached::new(version, 1, Arc::new(Any), 2))
    }

    fn version(cache: &Cache, of: u128, number: usize) -> Option<u64> {
        let (key, _) = state(of, number, 0);
        cache.get(&key).map(Cached::version)
    }

    #[test]
    fn what_was_kept_last_is_there_and_what_was_kept_before_is_bounded() {
        let mut cache = Cache::default();
        let each = |version| (0..=GENERATION_STATES_MAX).map(move |n| state(1, n, version));
        cache.extend(each(1));
        assert_eq!(version(&cache, 1, 7), Some(1), "one generation is kept");
        cache.extend(std::iter::once(state(1, 7, 2)));
        assert_eq!(version(&cache, 1, 7), Some(2), "the newer hides the older");
        assert_eq!(version(&cache, 1, 8), Some(1));
        cache.extend((0..=GENERATION_STATES_MAX).map(|n| state(2, n, 5)));
        assert_eq!(version(&cache, 1, 8), None, "the old generation is gone");
        assert_eq!(version(&cache, 1, 7), Some(2), "it was young");
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION_STATES_MAX + 2);
    }

    #[test]
    fn large_states_are_forgotten_sooner() {
        let mut cache = Cache::default();
        let large = |number| {
            let (key, _) = state(1, number, 1);
            (
                key,
                Cached::new(1, 1, Arc::new(Any), GENERATION_BYTES_MAX / 4),
            )
        };
        cache.extend((0..4).map(large));
        assert_eq!(cache.young.len(), 4, "so many bytes fit");
        cache.extend(std::iter::once(large(4)));
        assert_eq!((cache.young.len(), cache.old.len()), (0, 5));
        assert_eq!(cache.dying.len(), 0);
        cache.extend((5..10).map(large));
        assert_eq!((cache.young.len(), cache.old.len()), (0, 5));
        assert_eq!(cache.dying.len(), 5, "they are let go later");
        assert_eq!(version(&cache, 1, 4), None, "the first five are gone");
        assert_eq!(version(&cache, 1, 9), Some(1));
        cache.extend([state(1, 20, 1), state(1, 21, 1)].into_iter());
        assert_eq!(cache.dying.len(), 1, "two for each that is kept");
        cache.extend([state(1, 22, 1)].into_iter());
        assert_eq!(cache.dying.len(), 0);
    }

    #[test]
    fn what_is_removed_is_in_neither_generation() {
        let mut cache = Cache::default();
        cache.extend((0..=GENERATION_STATES_MAX).map(|n| state(1, n, 1)));
        cache.extend([state(1, 0, 2), state(2, 0, 3)].into_iter());
        cache.remove(&state(1, 0, 0).0);
        assert_eq!(version(&cache, 1, 0), None);
        cache.remove_all_of(tenant(1));
        assert_eq!(version(&cache, 1, 1), None);
        assert_eq!(version(&cache, 2, 0), Some(3));
        cache.clear();
        assert_eq!(version(&cache, 2, 0), None);
    }
}
