//! A cache in Redis, or in Valkey, which speaks the same protocol. Every
//! question has a bound in time; the connection is made when it is first
//! needed and again after it broke.

use async_trait::async_trait;
use kernel::Refusal;
use kernel::port::{Cache, CacheFault};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client};
use std::time::Duration;

/// Redis may take this long to answer, and to connect.
const PATIENCE: Duration = Duration::from_millis(250);

/// A cache in Redis.
pub struct RedisCache {
    connection: ConnectionManager,
    keep_ms: u64,
}

impl RedisCache {
    /// The cache at this URL, `redis://` or `rediss://`, which keeps what it is
    /// given this long. Nothing is connected yet. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// `invalid` for what is no such URL; the URL is not repeated, because it
    /// may hold a password.
    pub fn new(url: &str, keep: Duration) -> Result<Self, Refusal> {
        let wrong = |what: &str| {
            Refusal::invalid(format!("the address of the cache is not usable: {what}"))
                .hint("give `redis://HOST:PORT/DATABASE` or `rediss://…`")
        };
        let client = Client::open(url).map_err(|e| wrong(e.category()))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|e| wrong(e.category()))?;
        Ok(Self {
            connection,
            keep_ms: u64::try_from(keep.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn fault(error: redis::RedisError) -> CacheFault {
    CacheFault(error.to_string())
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheFault> {
        self.connection.clone().get(key).await.map_err(fault)
    }
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CacheFault> {
        let mut connection = self.connection.clone();
        let put = connection.pset_ex(key, bytes, self.keep_ms);
        put.await.map_err(fault)
    }
    async fn remove(&self, key: &str) -> Result<(), CacheFault> {
        self.connection.clone().del(key).await.map_err(fault)
    }
}
