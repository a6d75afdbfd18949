//! Every bound of sensing, named once. Relations between bounds are asserted
//! when writ is compiled.

/// Most signals that a candidate keeps; more are only counted.
pub const CANDIDATE_SIGNALS_MAX: u32 = 256;
/// Most items that one payload may hold.
pub const PAYLOAD_ITEMS_MAX: usize = 1_000;
/// Most records of evidence that a signal remembers.
pub const SIGNAL_EVIDENCE_MAX: usize = 8;
/// Longest attributes of a signal, in bytes of canonical JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;
/// Longest item that a dead letter keeps, in bytes of JSON.
pub const DEAD_ITEM_BYTES_MAX: usize = 64 * 1024;
/// Most detections that one candidate keeps.
pub const DETECTIONS_MAX: usize = 256;
/// Most rules in one pack.
pub const RULES_MAX: usize = 10_000;
/// Most windows that one signal may fall into.
pub const WINDOWS_PER_SIGNAL_MAX: i64 = 64;
/// Most sessions that are remembered of one subject.
pub const SESSIONS_MAX: usize = 16;
/// Most candidates that one payload settles at once; the tick settles the rest.
pub const SETTLED_AT_ONCE_MAX: usize = 32;
/// Most notes that an incident's timeline keeps: the newest.
pub const NOTES_MAX: usize = 200;
/// Most alerts that an incident follows one by one.
pub const ALERTS_MAX: usize = 1_024;

/// Bytes of a derived id in JSON, with quotes and comma.
const ID_BYTES: usize = 72;
const _: () = assert!(
    CANDIDATE_SIGNALS_MAX as usize * (1 + SIGNAL_EVIDENCE_MAX) * ID_BYTES
        + DETECTIONS_MAX * ID_BYTES
        < kernel::limits::ENTRY_PAYLOAD_BYTES_MAX,
    "a bundle fits into one entry"
);
const _: () = assert!(3 * PAYLOAD_ITEMS_MAX < kernel::limits::UNIT_ENTRIES_MAX);

/// How far a sender's clock may be from this one's at most, where deliveries
/// carry the instant at which they were signed.
pub const TOLERANCE_MAX: kernel::Span = kernel::Span::from_secs(3_600);
