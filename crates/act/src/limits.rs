//! Every bound of execution, named once.

use kernel::Span;

/// Most attempts that a retry policy may allow.
pub const ATTEMPTS_MAX: u32 = 20;
/// How often one attempt may be interrupted (the process died or the lease
/// ran out) before the run is parked instead of tried again.
pub const INTERRUPTIONS_MAX: u32 = 3;
/// Largest output of a step that the record keeps, in bytes of canonical JSON.
/// A larger one is kept as an artifact and named by its digest.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Largest artifact, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 1024 * 1024;
/// Most artifacts of one step.
pub const ARTIFACTS_MAX: usize = 16;
/// Longest reason that is recorded, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;
/// Longest body of an answer over HTTP that a module reads, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Longest part of an answer's body that stands in an output, in bytes.
pub const ANSWER_EXCERPT_BYTES_MAX: usize = 4 * 1024;
/// Longest time that a module may ask for.
pub const TIMEOUT_MAX: Span = Span::from_secs(15 * 60);
/// How long after its deadline a started step may stay without a result
/// before it counts as interrupted.
pub const LEASE_GRACE: Span = Span::from_secs(30);
/// How long after a node began to look at the log it may go by what it saw:
/// a call leaves within this time or not at all.
pub const SIGHT: Span = Span::from_millis(500);
/// A node looks again before a call when its last look began this long ago.
pub const LOOK_AGAIN: Span = Span::from_millis(250);
/// How long after its record an engagement of the kill switch is acknowledged,
/// where other nodes share the log: none of them can go by an older look then.
/// Each counts by its own clock, so it is longer than a look by what two
/// clocks can differ in that time, and more.
pub const SETTLE: Span = Span::from_millis(550);
/// How often a step under way is held against the kill switch.
pub const WATCH_EVERY: Span = Span::from_millis(250);
/// How long after an engagement the steps under way are looked for: by then
/// none can begin any more.
pub const SWEEP_AFTER: Span = Span::from_secs(1);
/// How long a step that was kept from beginning at the last moment waits until
/// the gate is asked again.
pub const NOT_BEGUN_WAIT: Span = Span::from_secs(1);
/// How long after its end a completed run can be rolled back, where the
/// caller names no other window.
pub const ROLLBACK_WINDOW: Span = Span::from_secs(24 * 60 * 60);

const _: () = assert!(gate::permit::VALID_FOR.as_micros() < LEASE_GRACE.as_micros());
const _: () = assert!(LOOK_AGAIN.as_micros() * 2 <= SIGHT.as_micros());
const _: () = assert!(SIGHT.as_micros() + SIGHT.as_micros() / 20 < SETTLE.as_micros());
const _: () = assert!(SETTLE.as_micros() < SWEEP_AFTER.as_micros());
const _: () = assert!(SIGHT.as_micros() < gate::permit::VALID_FOR.as_micros());
const _: () = assert!(ANSWER_EXCERPT_BYTES_MAX < OUTPUT_BYTES_MAX);
const _: () = assert!(OUTPUT_BYTES_MAX * 4 <= kernel::limits::ENTRY_PAYLOAD_BYTES_MAX);
const _: () = assert!(ANSWER_BYTES_MAX <= ARTIFACT_BYTES_MAX);
