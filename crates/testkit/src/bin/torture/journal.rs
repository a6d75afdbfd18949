//! The record of what a worker did to its disk: each change in order, as the
//! library between them wrote it down (`shim.c` says in which form).

use anyhow::{Context, Result, bail};
use std::path::Path;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file was made.
    Made,
    /// A directory was made.
    Directory,
    /// Bytes were written at an offset.
    Written(u64, Vec<u8>),
    /// The length was set.
    Cut(u64),
    /// A file or a directory was synced.
    Synced,
    /// A file was removed.
    Removed,
    /// A file got another name.
    Renamed(String),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Of what, below the root.
    pub(crate) path: String,
    /// What.
    pub(crate) change: Change,
}

/// Bytes before the path of a record.
const HEAD_BYTES: usize = 15;

/// Reads a journal. The last record may have been cut short by a kill.
///
/// # Errors
/// When it is no journal.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).with_context(|| format!("no `{}`", path.display()))?;
    let mut records = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((record, after)) = next(rest)? {
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn next(bytes: &[u8]) -> Result<Option<(Record, &[u8])>> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let [kind, p0, p1, o @ .., l0, l1, l2, l3] = *head;
    let path_len = usize::from(u16::from_le_bytes([p0, p1]));
    let offset = u64::from_le_bytes(o);
    let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]))?;
    if rest.len() < path_len + len {
        return Ok(None);
    }
    let (path, rest) = rest.split_at(path_len);
    let (data, rest) = rest.split_at(len);
    let change = match kind {
        b'c' => Change::Made,
        b'm' => Change::Directory,
        b'w' => Change::Written(offset, data.to_vec()),
        b't' => Change::Cut(offset),
        b's' => Change::Synced,
        b'u' => Change::Removed,
        b'r' => Change::Renamed(String::from_utf8(data.to_vec())?),
        other => bail!("`{other}` is no kind of change"),
    };
    let path = String::from_utf8(path.to_vec())?;
    Ok(Some((Record { path, change }, rest)))
}
