//! The archive: sealed segments of a log in an object store under a retention
//! lock. A log can be verified and restored from its segments alone. Each carries
//! the log's signed checkpoint of the tree up to its end; the same checkpoint
//! lies beside the segments as an object of its own, which says that they reach
//! so far.
//!
//! Who decides and who acts:
//!
//! | the record says | the archiver then |
//! |---|---|
//! | nothing beyond the last segment | seals a range: records what the segment will be |
//! | `sealed` | writes the object and its checkpoint, reads their locks back, records `stored` |
//! | `stored` | reads both back, checks them whole, records `verified` |
//!
//! A crash between any two of them goes on from the record. A range of entries
//! gives the same bytes each time, so that an object that was written before a
//! crash is the one that would be written after it.

mod attest;
pub(crate) mod content;
mod form;
mod run;
mod segment;
mod walk;

pub use attest::{Trust, Uncovered};
pub use content::CONTENT_BYTES_MAX;
pub use form::{OBJECT_BYTES_MAX, SEGMENT_FORM};
pub use run::{Archive, Progress, Reach, Settings};
pub use segment::{LIFECYCLE, LockKind, Segment, SegmentEvent, Status, Trigger};
pub use walk::{Fault, Report, Walk, restore, tenants, tenants_of, verify};

use kernel::TenantId;

/// The name of the object that holds these entries of a log.
#[must_use]
pub fn object_name(tenant: TenantId, first: u64, last: u64) -> String {
    format!("{tenant}/{first:013}-{last:013}.jsonl.zst")
}

/// The name of the object that says that the archive of a log reaches so far.
#[must_use]
pub fn checkpoint_name(tenant: TenantId, last: u64) -> String {
    format!("{tenant}/{last:013}.checkpoint")
}

/// The size in the name of a checkpoint's object; `None` when it is none's.
fn size_of(tenant: TenantId, name: &str) -> Option<u64> {
    let file = name.strip_prefix(&format!("{tenant}/"))?;
    let size = file.strip_suffix(".checkpoint")?.parse().ok()?;
    (checkpoint_name(tenant, size) == name).then_some(size)
}

/// The range in the name of a log's object; `None` when it is no segment's.
fn range_of(tenant: TenantId, name: &str) -> Option<(u64, u64)> {
    let file = name.strip_prefix(&format!("{tenant}/"))?;
    let (first, last) = file.strip_suffix(".jsonl.zst")?.split_once('-')?;
    let range = (first.parse().ok()?, last.parse().ok()?);
    // One range has one name.
    (object_name(tenant, range.0, range.1) == name && range.0 >= 1 && range.0 <= range.1)
        .then_some(range)
}
