//! How fast one key may ask: a bucket of requests that fills evenly.

use crate::limits;
use kernel::KeyId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

struct Bucket {
    left: f64,
    at: Instant,
}

/// The rates of the keys that asked lately.
#[derive(Default)]
pub struct Rates {
    buckets: Mutex<BTreeMap<KeyId, Bucket>>,
}

impl Rates {
    /// Takes one request of this key's; `false` when it has none left.
    pub fn take(&self, key: KeyId, now: Instant) -> bool {
        let full = f64::from(limits::KEY_BURST_MAX);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= limits::KEY_RATES_MAX && !buckets.contains_key(&key) {
            // A bucket that has had time to fill says nothing any more.
            buckets.retain(|_, b| refilled(b, now) < full);
            if buckets.len() >= limits::KEY_RATES_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: full,
            at: now,
        });
        bucket.left = refilled(bucket, now);
        bucket.at = now;
        let fine = bucket.left >= 1.0;
        if fine {
            bucket.left -= 1.0;
        }
        fine
    }
}

fn refilled(bucket: &Bucket, now: Instant) -> f64 {
    let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
    let gained = elapsed * f64::from(limits::KEY_REQUESTS_PER_SECOND);
    (bucket.left + gained).min(f64::from(limits::KEY_BURST_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_key_is_slowed_down_and_recovers() {
        let rates = Rates::default();
        let key = KeyId::parse(&format!("key_{:032x}", 1)).unwrap();
        let other = KeyId::parse(&format!("key_{:032x}", 2)).unwrap();
        let start = Instant::now();
        let taken = (0..limits::KEY_BURST_MAX * 2)
            .filter(|_| rates.take(key, start))
            .count();
        assert_eq!(taken, limits::KEY_BURST_MAX as usize);
        assert!(rates.take(other, start), "keys do not share");
        let later = start + Duration::from_secs(1);
        let taken = (0..limits::KEY_BURST_MAX * 2)
            .filter(|_| rates.take(key, later))
            .count();
        assert_eq!(taken, limits::KEY_REQUESTS_PER_SECOND as usize);
    }
}
