//! Caches: in this process, or in Redis or Valkey for several nodes.

mod memory;
mod remote;

pub use memory::MemoryCache;
pub use remote::RedisCache;
