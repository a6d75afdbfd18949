//! Where the archive is: from the command line to an object store.

use crate::cli::ArchiveAt;
use crate::failure::Failure;
use connect::objects::{Folder, S3, S3Settings};
use kernel::Span;
use kernel::port::Objects;
use ledger::archive::{self, Archive};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long one request to the object store may take.
const TIMEOUT: Span = Span::from_secs(60);
/// How often an object store that does not answer is asked in one run.
const TRIES: u32 = 4;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

impl ArchiveAt {
    /// No archive.
    pub(crate) fn none() -> Self {
        Self {
            archive: None,
            archive_endpoint: String::new(),
            archive_region: String::new(),
            archive_key: String::new(),
            archive_secret: String::new(),
            archive_allow_private: false,
            archive_entries: 1,
            archive_keep_days: 1,
        }
    }
}

/// The archive that was named.
///
/// # Errors
/// When none was, or it cannot be.
pub(crate) fn archive(at: &ArchiveAt) -> Result<Archive, Failure> {
    let settings = archive::Settings {
        entries: at.archive_entries,
        keep: Span::from_micros(i64::from(at.archive_keep_days) * DAY_MICROS),
        tries: TRIES,
        ..archive::Settings::default()
    };
    Ok(Archive::new(objects(at)?, settings)?)
}

/// The object store that was named.
pub(crate) fn objects(at: &ArchiveAt) -> Result<Arc<dyn Objects>, Failure> {
    let Some(place) = &at.archive else {
        return Err(Failure::usage("no archive is named")
            .hint("give --archive DIR or --archive s3://BUCKET/PREFIX, or set WRIT_ARCHIVE"));
    };
    let Some(bucket) = place.strip_prefix("s3://") else {
        return Ok(Arc::new(Folder::new(place)));
    };
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    let settings = S3Settings {
        endpoint: at.archive_endpoint.clone(),
        bucket: bucket.to_owned(),
        region: at.archive_region.clone(),
        prefix: prefix.trim_end_matches('/').to_owned(),
        key: at.archive_key.clone(),
        secret: at.archive_secret.clone(),
        private_ranges_allowed: at.archive_allow_private,
        timeout: TIMEOUT,
        object_bytes_max: archive::OBJECT_BYTES_MAX,
    };
    let s3 = S3::new(
        settings,
        Arc::new(connect::ReqwestHttp::new()?),
        Arc::new(secrets(at)),
        Arc::new(connect::SystemClock),
    )?;
    Ok(Arc::new(s3))
}

/// Gives out the two secrets that were named on the command line, and nothing
/// else: whoever writes the command line may read them.
fn secrets(at: &ArchiveAt) -> connect::Secrets {
    let named = [&at.archive_key, &at.archive_secret];
    let variables = named.iter().filter_map(|r| r.strip_prefix("env:"));
    let files = named.iter().filter_map(|r| r.strip_prefix("file:"));
    let folders = files.filter_map(|file| std::path::Path::new(file).parent());
    let names: BTreeSet<String> = variables.map(str::to_owned).collect();
    connect::Secrets::new(names, folders.map(Into::into).collect())
}
