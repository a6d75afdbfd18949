//! How many people must agree. What the rules of a pack say is told to the
//! judge by the digest of their file; which pack counts, it reads in the log. A
//! request that was made by the rules of another pack asks too few, or too many.

use super::{Fault, Judged, Read};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The file of a pack that says it.
const FILE: &str = "approvals.yaml";

/// People who must agree, by the digest of the file that says so.
#[derive(Clone, Debug, Default)]
pub struct Quorums(BTreeMap<String, u64>);

impl Quorums {
    /// By the files of packs, each with how many it asks for.
    pub fn of<'f>(packs: impl IntoIterator<Item = (&'f [u8], u64)>) -> Self {
        let digest = |bytes: &[u8]| kernel::Digest(Sha256::digest(bytes).into()).to_string();
        let all = packs.into_iter().map(|(file, n)| (digest(file), n));
        Self(all.collect())
    }
}

/// What counts in one log.
#[derive(Default)]
pub(super) struct Counts(Option<u64>);

impl Counts {
    /// Reads one more entry.
    pub(super) fn read(&mut self, read: &Read<'_>, told: &Quorums) -> Judged {
        match read.kind() {
            "pack.loaded" => {
                let files = read.payload.get("files");
                let digest = files.and_then(|all| all.get(FILE)?.as_str());
                self.0 = told.0.get(digest.unwrap_or_default()).copied();
                match self.0.is_none() && !told.0.is_empty() {
                    true => Err(read.fault("shape", "nobody told of this pack")),
                    false => Ok(()),
                }
            }
            "approval.requested" => match (self.0, read.payload["needed"].as_u64()) {
                (Some(needed), asked) if asked != Some(needed) => {
                    let what =
                        format!("{read}: {asked:?} must agree, by the pack in force {needed}");
                    Err(Fault::new("approval", what))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
