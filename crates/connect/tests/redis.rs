//! The cache in a real Redis: kept, forgotten, too old, gone, mute, back.

use connect::cache::RedisCache;
use kernel::port::Cache;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A Redis that ends with the test.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    async fn start(port: u16) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir", "/tmp"]);
        let child = command.stdout(Stdio::null()).spawn();
        let child = child.expect("redis-server is installed; `cargo xtask setup` does it");
        let redis = Self { child, port };
        for _ in 0..200 {
            if redis.cache(60_000).get("ready").await.is_ok() {
                return redis;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis does not answer");
    }

    fn cache(&self, keep_ms: u64) -> RedisCache {
        let url = format!("redis://127.0.0.1:{}", self.port);
        RedisCache::new(&url, Duration::from_millis(keep_ms)).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until the cache answers again.
async fn answers(cache: &RedisCache) {
    for _ in 0..100 {
        if cache.get("a").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the cache does not answer again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_forgets_breaks_and_comes_back() {
    let redis = Redis::start(free_port()).await;
    let cache = redis.cache(60_000);
    assert_eq!(cache.get("a").await.unwrap(), None);
    cache.put("a", vec![0, 255, 13, 10]).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap(), Some(vec![0, 255, 13, 10]));
    let beside = redis.cache(60_000);
    assert_eq!(beside.get("a").await.unwrap(), Some(vec![0, 255, 13, 10]));
    cache.remove("a").await.unwrap();
    assert_eq!(beside.get("a").await.unwrap(), None);
    let brief = redis.cache(1);
    brief.put("old", vec![1]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(cache.get("old").await.unwrap(), None);

    redis.signal("STOP");
    cache.get("a").await.unwrap_err();
    redis.signal("CONT");
    answers(&cache).await;

    let port = redis.port;
    drop(redis);
    cache.get("a").await.unwrap_err();
    cache.put("a", vec![1]).await.unwrap_err();
    let redis = Redis::start(port).await;
    answers(&cache).await;
    cache.put("a", vec![2]).await.unwrap();
    assert_eq!(redis.cache(1).get("a").await.unwrap(), Some(vec![2]));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_its_password() {
    for url in ["", "http://localhost", "redis://user:secret@", "rediss//x"] {
        let refused = RedisCache::new(url, Duration::from_secs(1)).err();
        let refused = refused.unwrap_or_else(|| panic!("`{url}` is accepted"));
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
