//! Bundles: entries of one log in one file, with a checkpoint that covers them,
//! so that whoever has the file and the log's public key can verify them and
//! needs nothing else. `docs/ledger-format.md` gives the bytes; the second
//! verifier beside it is held to the same verdicts.

mod export;
pub(crate) mod line;
mod read;

pub use export::{Export, Objects, Scope};
pub use line::{Head, end_line, entry_line, object_line};
pub use read::{Trust, verify};

use kernel::names::Name as _;
use serde::Serialize;

/// The form of a bundle, in its first line.
pub const FORMAT: &str = "writ.bundle.v1";
/// A line may be this long, without its line feed.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Positions are integers that every JSON parser reads exactly.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

kernel::names! {
    /// What is wrong with a bundle, by the words of `docs/ledger-format.md`.
    pub enum FaultKind {
        /// The line does not end, is too long or is not UTF-8.
        Line = "line",
        /// The line is not JSON.
        Json = "json",
        /// The line is not in canonical form.
        Canonical = "canonical",
        /// The line does not have its members.
        Shape = "shape",
        /// The checkpoint is no signed note.
        Note = "note",
        /// The key did not sign.
        Key = "key",
        /// The key's signature does not hold.
        Signature = "signature",
        /// The checkpoint is of another log.
        Origin = "origin",
        /// The checkpoint does not reach as far.
        Range = "range",
        /// The proof has not as many hashes as it must.
        Proof = "proof",
        /// A witness did not sign.
        Witness = "witness",
        /// The entry is of another tenant.
        Tenant = "tenant",
        /// The entry is not the next one.
        Sequence = "sequence",
        /// The entry does not follow the one before it.
        Chain = "chain",
        /// The payload does not have its hash.
        Payload = "payload",
        /// The header does not have its hash.
        Hash = "hash",
        /// The entries do not give the root.
        Root = "root",
        /// The object does not have its digest.
        Object = "object",
        /// The bundle does not end as it must.
        End = "end",
        /// An older checkpoint says otherwise.
        Kept = "kept",
    }
}

/// The first thing that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{what} (fault `{}`)", self.place(), self.fault.name())]
pub struct BundleFault {
    /// What kind of fault.
    pub fault: FaultKind,
    /// The line, from 1.
    pub line: u64,
    /// The position in the log, where the line is that of an entry.
    pub seq: Option<u64>,
    /// What is wrong, as a sentence.
    pub what: String,
}

impl BundleFault {
    fn place(&self) -> String {
        match self.seq {
            Some(seq) => format!("line {}, entry {seq}: ", self.line),
            None => format!("line {}: ", self.line),
        }
    }
}

/// Why a bundle was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// Something is wrong with it.
    #[error(transparent)]
    Fault(#[from] BundleFault),
    /// It cannot be compared with the older checkpoint.
    #[error(
        "the bundle does not hold the first {0} entries, so the older checkpoint says nothing of it"
    )]
    OutOfReach(u64),
    /// It cannot be read.
    #[error("the bundle cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// What an accepted bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Which log.
    pub origin: String,
    /// Entries that the checkpoint covers.
    pub size: u64,
    /// The root in the checkpoint.
    pub root: kernel::Digest,
    /// The first entry in the bundle.
    pub first: u64,
    /// The last entry in the bundle.
    pub last: u64,
    /// Objects in the bundle.
    pub objects: u64,
}
