//! A cache in this process, bounded by bytes and by age.

use async_trait::async_trait;
use kernel::port::{Cache, CacheFault};
use moka::sync;
use std::sync::Arc;
use std::time::Duration;

/// A cache in this process.
pub struct MemoryCache(sync::Cache<String, Arc<Vec<u8>>>);

impl MemoryCache {
    /// A cache of at most this many bytes, each kept at most this long.
    #[must_use]
    pub fn new(bytes_max: u64, keep: Duration) -> Self {
        let weight = |key: &String, bytes: &Arc<Vec<u8>>| {
            u32::try_from(key.len() + bytes.len()).unwrap_or(u32::MAX)
        };
        Self(
            sync::Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weight)
                .time_to_live(keep)
                .build(),
        )
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheFault> {
        Ok(self.0.get(key).map(|bytes| bytes.as_ref().clone()))
    }
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CacheFault> {
        self.0.insert(key.to_owned(), Arc::new(bytes));
        Ok(())
    }
    async fn remove(&self, key: &str) -> Result<(), CacheFault> {
        self.0.invalidate(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_is_kept_until_removed_too_old_or_too_much() {
        let cache = MemoryCache::new(10_000, Duration::from_secs(3600));
        cache.put("a", vec![1, 2]).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(vec![1, 2]));
        assert_eq!(cache.get("b").await.unwrap(), None);
        cache.remove("a").await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
        for n in 0..100 {
            cache.put(&format!("k{n}"), vec![0; 1_000]).await.unwrap();
        }
        cache.0.run_pending_tasks();
        assert!(cache.0.weighted_size() <= 10_000);
        let brief = MemoryCache::new(10_000, Duration::from_millis(1));
        brief.put("a", vec![1]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(brief.get("a").await.unwrap(), None);
    }
}
