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
/// How long a shutdown waits for requests that are under way.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections open at once.
pub const CONNECTIONS_MAX: usize = 4096;
/// Ordinary requests under way at once; one more is shed.
pub const ORDINARY_REQUESTS_MAX: usize = 512;
/// Requests under way at once that overload must not slow: health, approvals,
/// kill switch. They have places of their own.
pub const URGENT_REQUESTS_MAX: usize = 128;
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

const _: () = assert!(HEADERS_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(STREAMS_PER_TENANT_MAX <= STREAMS_MAX);
const _: () = assert!(STREAMS_MAX < CONNECTIONS_MAX);
const _: () = assert!(KEY_REQUESTS_PER_SECOND <= KEY_BURST_MAX);
