//! Reading an archive with nothing else at hand: no database, no ledger. Each
//! object is checked by itself and against its neighbours.

use super::form::{self, Decoded};
use super::range_of;
use crate::entry::{Entry, Head};
use crate::merkle::Frontier;
use crate::rebuild::Rebuild;
use crate::registry::Registry;
use crate::store::Store;
use kernel::port::Objects;
use kernel::{Digest, Refusal, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::collections::VecDeque;

/// Faults in a report at most.
const FAULTS_MAX: usize = 20;

/// Something that is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The object, where it is one.
    pub object: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What the verification of one log's archive found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose log.
    pub tenant: TenantId,
    /// Segments that hold.
    pub segments: u64,
    /// Entries in them.
    pub entries: u64,
    /// The last hash that holds.
    pub head: Digest,
    /// The root of the Merkle tree over the entries.
    pub root: Digest,
    /// What is wrong; empty when nothing.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The tenants of which an archive holds anything, in order.
///
/// # Errors
/// When the object store does not answer.
pub async fn tenants(objects: &dyn Objects) -> Result<Vec<TenantId>, Refusal> {
    let names = objects.list("").await?;
    let of = |name: &String| name.split('/').next()?.parse().ok();
    let tenants: BTreeSet<TenantId> = names.iter().filter_map(of).collect();
    Ok(tenants.into_iter().collect())
}

/// Walks the segments of a log in order.
pub struct Walk<'a> {
    objects: &'a dyn Objects,
    tenant: TenantId,
    names: VecDeque<String>,
    /// The end of what was walked; `None` for the hash after a segment that
    /// could not be read.
    seq: u64,
    hash: Option<Digest>,
}

/// What a step of a walk came to.
pub(super) enum Step {
    /// Entries that follow what was walked before, and large bodies.
    Next(Vec<Entry>, Vec<(Digest, Vec<u8>)>),
    /// Something is wrong.
    Fault(Fault),
}

impl<'a> Walk<'a> {
    /// At the start of this log.
    ///
    /// # Errors
    /// When the object store does not answer.
    pub async fn begin(objects: &'a dyn Objects, tenant: TenantId) -> Result<Self, Refusal> {
        // Names sort as their ranges do.
        let names = objects.list(&format!("{tenant}/")).await?;
        Ok(Self {
            objects,
            tenant,
            names: names.into(),
            seq: 0,
            hash: Some(Digest::ZERO),
        })
    }

    /// How many objects are still to be read.
    #[must_use]
    pub fn left(&self) -> usize {
        self.names.len()
    }

    /// Reads the next object; `None` at the end.
    pub(super) async fn step(&mut self) -> Result<Option<Step>, Refusal> {
        let Some(name) = self.names.front() else {
            return Ok(None);
        };
        let range = range_of(self.tenant, name);
        if let Some((first, _)) = range
            && first > self.seq + 1
        {
            let what = format!(
                "entries {} to {} are missing: no segment holds them",
                self.seq + 1,
                first - 1
            );
            (self.seq, self.hash) = (first - 1, None);
            let fault = Fault { object: None, what };
            return Ok(Some(Step::Fault(fault)));
        }
        let Some(name) = self.names.pop_front() else {
            return Ok(None);
        };
        let done = match range {
            None => Err("its name is not the name of a segment".into()),
            Some(range) => self.read(&name, range).await?,
        };
        Ok(Some(match done {
            Ok((entries, objects)) => Step::Next(entries, objects),
            Err(what) => {
                if let Some((_, last)) = range
                    && last > self.seq
                {
                    (self.seq, self.hash) = (last, None);
                }
                let object = Some(name);
                Step::Fault(Fault { object, what })
            }
        }))
    }

    #[allow(
        clippy::type_complexity,
        reason = "entries and large bodies, or what is wrong"
    )]
    async fn read(
        &mut self,
        name: &str,
        range: (u64, u64),
    ) -> Result<Result<(Vec<Entry>, Vec<(Digest, Vec<u8>)>), String>, Refusal> {
        let Some(bytes) = self.objects.get(name).await? else {
            return Ok(Err("it is listed, but cannot be read".into()));
        };
        let decoded = match form::decode(self.tenant, &bytes) {
            Ok(decoded) => decoded,
            Err(what) => return Ok(Err(what)),
        };
        Ok(self.follow(range, decoded))
    }

    /// The entries of this segment beyond what was walked.
    #[allow(
        clippy::type_complexity,
        reason = "entries and large bodies, or what is wrong"
    )]
    fn follow(
        &mut self,
        range: (u64, u64),
        decoded: Decoded,
    ) -> Result<(Vec<Entry>, Vec<(Digest, Vec<u8>)>), String> {
        let outline = &decoded.outline;
        if (outline.first, outline.last) != range {
            return Err(format!(
                "it holds entries {} to {}, which is not what its name says",
                outline.first, outline.last
            ));
        }
        // A segment may begin before the end of the one before it: both were
        // written, before and after a restore. They must agree.
        let before = self.seq;
        let found = match before.checked_sub(outline.first) {
            None => Some(outline.prev_hash),
            Some(at) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                decoded.entries.get(at).map(|entry| entry.hash)
            }
        };
        let Some(found) = found else {
            return Err("it lies within the segment before it".into());
        };
        if self.hash.is_some_and(|hash| hash != found) {
            return Err("it does not follow the segment before it".into());
        }
        self.seq = outline.last;
        self.hash = Some(outline.last_hash);
        let new = decoded
            .entries
            .into_iter()
            .filter(|entry| entry.seq > before);
        Ok((new.collect(), decoded.objects))
    }
}

/// Verifies the archive of a log from its first entry on. `progress` hears how
/// many entries are done.
///
/// # Errors
/// When the object store does not answer; what is wrong with the archive is in
/// the report.
pub async fn verify(
    objects: &dyn Objects,
    tenant: TenantId,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Report, Refusal> {
    let mut walk = Walk::begin(objects, tenant).await?;
    let mut frontier = Frontier::default();
    let mut report = Report {
        tenant,
        segments: 0,
        entries: 0,
        head: Digest::ZERO,
        root: frontier.root(),
        faults: Vec::new(),
    };
    if walk.left() == 0 {
        report.faults.push(Fault {
            object: None,
            what: "the archive holds no segment of this log".into(),
        });
    }
    while let Some(step) = walk.step().await? {
        match step {
            Step::Fault(fault) => report.faults.push(fault),
            Step::Next(entries, _) => {
                report.segments += 1;
                report.entries += entries.len() as u64;
                if report.faults.is_empty() {
                    for entry in &entries {
                        frontier.push(entry.hash, entry.at);
                        report.head = entry.hash;
                    }
                }
                progress(report.entries);
            }
        }
        if report.faults.len() >= FAULTS_MAX {
            break;
        }
        // The tiles that have grown are not kept here.
        drop(frontier.take_grown());
    }
    report.root = frontier.root();
    Ok(report)
}

/// Restores a log from its archive into a store.
///
/// # Errors
/// When anything is wrong with the archive, or the store holds another log.
pub async fn restore(
    objects: &dyn Objects,
    tenant: TenantId,
    store: &dyn Store,
    registry: &Registry,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Head, Refusal> {
    let mut walk = Walk::begin(objects, tenant).await?;
    let mut rebuild = Rebuild::begin(store, registry, tenant).await?;
    while let Some(step) = walk.step().await? {
        match step {
            Step::Next(entries, objects) => {
                rebuild.keep(objects);
                rebuild.take(&entries).await?;
                progress(rebuild.head().seq);
            }
            Step::Fault(Fault { object, what }) => {
                let place = object.map_or_else(String::new, |name| format!("`{name}`: "));
                return Err(Refusal::integrity(format!("{place}{what}"))
                    .at(tenant)
                    .hint("run `writ archive verify` for everything that is wrong"));
            }
        }
    }
    rebuild.finish()
}
