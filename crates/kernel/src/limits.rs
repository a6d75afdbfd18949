//! Every bound of the kernel, named once. Relations between bounds are
//! asserted when writ is compiled.

/// Longest JSON text that is parsed, in bytes.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of JSON that is parsed, in levels.
pub const JSON_DEPTH_MAX: usize = 32;
/// Deepest nesting of JSON in a ledger: an input and what entries put around
/// it. The ledger's format names it.
pub const LEDGER_JSON_DEPTH_MAX: usize = 64;
/// Longest payload of one ledger entry, in bytes of canonical JSON.
pub const ENTRY_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Largest raw body that is kept inside an evidence entry, in bytes.
pub const EVIDENCE_INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most entries that one command may append.
pub const UNIT_ENTRIES_MAX: usize = 4096;
/// Most rows in one page of a listing.
pub const PAGE_ROWS_MAX: usize = 200;
/// Rows in one page when the caller names no number.
pub const PAGE_ROWS_DEFAULT: usize = 50;
/// Longest name, label or key, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest free text that a person may give (reason, objective), in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// Most steps in one directive.
pub const DIRECTIVE_STEPS_MAX: usize = 32;
/// Digits after the point that an amount of money may have.
pub const MONEY_SCALE_MAX: u32 = 6;

const _: () = assert!(EVIDENCE_INLINE_BYTES_MAX < ENTRY_PAYLOAD_BYTES_MAX);
const _: () = assert!(ENTRY_PAYLOAD_BYTES_MAX <= JSON_BYTES_MAX);
const _: () = assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS_MAX);
const _: () = assert!(JSON_DEPTH_MAX < LEDGER_JSON_DEPTH_MAX);
const _: () = assert!(
    LEDGER_JSON_DEPTH_MAX < 128,
    "serde_json's own recursion bound"
);
