//! Every bound of the server, named once.

use std::time::Duration;

/// Longest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = kernel::limits::JSON_BYTES_MAX;
/// Longest head of a request that is read at all, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest sum of names and values of a request's headers, in bytes.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Longest path with query, in bytes.
pub const TARGET_BYTES_MAX: usize = 4 * 1024;
/// A client must have sent its headers within this time; also how long a
/// connection may be idle between two requests.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// A request must have its answer's head within this time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for work over a whole log.
pub const SLOW_REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// A body must have arrived within this time.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A client must take so many bytes of its answer, or what is left of it,
pub const ANSWER_PART_BYTES: usize = 16 * 1024;
/// within this time.
pub const ANSWER_PART_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a shutdown waits for requests that are under way.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections open at once.
pub const CONNECTIONS_MAX: usize = 4096;
/// Ordinary requests under way at once; one more is shed.
pub const ORDINARY_REQUESTS_MAX: usize = 512;
/// Requests under way at once that overload must not slow: health, approvals,
/// kill switch. They have places of their own.
pub const URGENT_REQUESTS_MAX: usize = 128;
/// Ordinary requests of one key under way at once.
pub const KEY_REQUESTS_MAX: usize = ORDINARY_REQUESTS_MAX / 4;
/// Requests under way at once that read a whole log.
pub const SLOW_REQUESTS_MAX: usize = 2;
/// Requests that one key may send at once before it is slowed down.
pub const KEY_BURST_MAX: u32 = 2_000;
/// Requests per second that one key may send in the long run.
pub const KEY_REQUESTS_PER_SECOND: u32 = 1_000;
/// Keys whose rate is remembered at once.
pub const KEY_RATES_MAX: usize = 10_000;
/// What a shed request is told to wait, in seconds.
pub const RETRY_AFTER_SECS: u32 = 1;

/// Event streams open at once, per tenant.
pub const STREAMS_PER_TENANT_MAX: usize = 64;
/// Event streams open at once, of all tenants.
pub const STREAMS_MAX: usize = 1024;
/// Entries that an event stream reads at a time.
pub const STREAM_PAGE: usize = 100;
/// An event stream reads no more often than this.
pub const STREAM_PAUSE: Duration = Duration::from_millis(20);
/// A comment is sent on a quiet event stream this often.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// An open event stream checks this often that its key still opens it.
pub const STREAM_RECHECK: Duration = Duration::from_secs(30);

/// Sessions of people at once; the oldest gives way.
pub const SESSIONS_MAX: usize = 10_000;
/// How long a session lasts at most.
pub const SESSION_SECS: u32 = 8 * 60 * 60;
/// The largest integer that has one form in every reader of JSON (RFC 7493).
pub const INTEGER_MAX: u64 = 9_007_199_254_740_991;
/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 256;
/// Tenants that have metrics of their own; the others are counted together.
pub const METRIC_TENANTS_MAX: usize = 200;

/// What an operator may set otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections open at once.
    pub connections: usize,
    /// Ordinary requests under way at once.
    pub requests: usize,
    /// Event streams open at once, of all tenants.
    pub streams: usize,
    /// Event streams open at once, per tenant.
    pub streams_per_tenant: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            requests: ORDINARY_REQUESTS_MAX,
            streams: STREAMS_MAX,
            streams_per_tenant: STREAMS_PER_TENANT_MAX,
        }
    }
}

impl Bounds {
    /// Connections that streams and requests may hold together. There must be
    /// more, so that some connection always waits for its client and can give
    /// way to another.
    #[must_use]
    pub fn held(&self) -> usize {
        self.streams + self.requests + URGENT_REQUESTS_MAX + SLOW_REQUESTS_MAX
    }

    /// What is wrong with them together.
    ///
    /// # Errors
    /// In words for whoever set them.
    pub fn check(&self) -> Result<(), String> {
        if self.requests == 0 || self.streams == 0 || self.streams_per_tenant == 0 {
            return Err("a bound of 0 would serve nobody".to_owned());
        }
        if self.streams_per_tenant > self.streams {
            return Err(format!(
                "{} event streams of one tenant are more than the {} of all",
                self.streams_per_tenant, self.streams
            ));
        }
        if self.connections <= self.held() {
            return Err(format!(
                "{} connections are too few: requests and event streams may hold {}",
                self.connections,
                self.held()
            ));
        }
        Ok(())
    }
}

const _: () = assert!(HEADERS_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(STREAMS_PER_TENANT_MAX <= STREAMS_MAX);
const _: () = assert!(
    STREAMS_MAX + ORDINARY_REQUESTS_MAX + URGENT_REQUESTS_MAX + SLOW_REQUESTS_MAX < CONNECTIONS_MAX
);
const _: () = assert!(KEY_REQUESTS_MAX < ORDINARY_REQUESTS_MAX);
const _: () = assert!(BODY_TIMEOUT.as_secs() < REQUEST_TIMEOUT.as_secs());
const _: () = assert!(KEY_REQUESTS_PER_SECOND <= KEY_BURST_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_cannot_hold_together_are_refused() {
        let check = |change: fn(&mut Bounds), fault: Option<&str>| {
            let mut bounds = Bounds::default();
            change(&mut bounds);
            match (bounds.check(), fault) {
                (Ok(()), None) => {}
                (Err(said), Some(fault)) => assert!(said.contains(fault), "{said}"),
                (found, _) => panic!("{bounds:?}: {found:?}"),
            }
        };
        check(|_| {}, None);
        check(|b| b.requests = 0, Some("0"));
        check(|b| b.streams = 10, Some("of one tenant"));
        check(|b| b.connections = b.held(), Some("too few"));
        check(|b| b.connections = b.held() + 1, None);
    }
}
