//! Reading an archive with nothing else at hand: no database, no ledger. Each
//! object is checked by itself and against its neighbours.

use super::attest::{Attest, Trust};
use super::form::{self, Carried, Decoded};
use super::{range_of, size_of};
use crate::entry::{Entry, Head};
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
    /// Checkpoints of which root and signature hold.
    pub checkpoints: u64,
    /// Entries that such a checkpoint covers, by a key that counts.
    pub covered: u64,
    /// The keys that count and have signed.
    pub keys: Vec<String>,
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

/// The tenants of the logs that this trust speaks of: an archive that holds
/// nothing of one of them is not whole.
#[must_use]
pub fn tenants_of(trust: &Trust) -> BTreeSet<TenantId> {
    let keys = trust.keys.iter().map(|key| key.name().as_str());
    let kept = trust.kept.iter().map(|kept| kept.origin.as_str());
    let of = |origin: &str| origin.rsplit('/').next()?.parse().ok();
    keys.chain(kept).filter_map(of).collect()
}

/// Walks the segments of a log in order.
pub struct Walk<'a> {
    objects: &'a dyn Objects,
    tenant: TenantId,
    names: VecDeque<String>,
    /// The names of the checkpoints beside the segments.
    checkpoints: Vec<String>,
    /// The end of what was walked; `None` for the hash after a segment that
    /// could not be read.
    seq: u64,
    hash: Option<Digest>,
}

/// What a step of a walk came to.
pub(super) enum Step {
    /// What follows what was walked before.
    Next(Piece),
    /// Something is wrong.
    Fault(Fault),
}

/// What a segment adds to what was walked before.
pub(super) struct Piece {
    /// The segment's object.
    object: String,
    /// Entries.
    entries: Vec<Entry>,
    /// Large bodies.
    objects: Vec<(Digest, Vec<u8>)>,
    /// The checkpoint that it carries.
    signed: Option<Carried>,
}

impl<'a> Walk<'a> {
    /// At the start of this log.
    ///
    /// # Errors
    /// When the object store does not answer.
    pub async fn begin(objects: &'a dyn Objects, tenant: TenantId) -> Result<Self, Refusal> {
        // Names sort as their ranges do.
        let names = objects.list(&format!("{tenant}/")).await?;
        let (checkpoints, names): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| size_of(tenant, name).is_some());
        Ok(Self {
            objects,
            tenant,
            names: names.into(),
            checkpoints,
            seq: 0,
            hash: Some(Digest::ZERO),
        })
    }

    /// How many objects are still to be read.
    #[must_use]
    pub fn left(&self) -> usize {
        self.names.len()
    }

    /// What is wrong when there is not even a segment.
    fn nothing(&self) -> Option<Fault> {
        self.names.is_empty().then(|| Fault {
            object: None,
            what: "the archive holds no segment of this log".into(),
        })
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
            Ok(piece) => Step::Next(piece),
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

    async fn read(
        &mut self,
        name: &str,
        range: (u64, u64),
    ) -> Result<Result<Piece, String>, Refusal> {
        let Some(bytes) = self.objects.get(name).await? else {
            return Ok(Err("it is listed, but cannot be read".into()));
        };
        let decoded = match form::decode(self.tenant, &bytes) {
            Ok(decoded) => decoded,
            Err(what) => return Ok(Err(what)),
        };
        Ok(self.follow(name, range, decoded))
    }

    /// The entries of this segment beyond what was walked.
    fn follow(&mut self, name: &str, range: (u64, u64), decoded: Decoded) -> Result<Piece, String> {
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
        Ok(Piece {
            object: name.to_owned(),
            entries: new.collect(),
            objects: decoded.objects,
            signed: decoded.signed,
        })
    }
}

/// Verifies the archive of a log from its first entry on, and that it is the
/// log that was signed. `progress` hears how many entries are done.
///
/// # Errors
/// When the object store does not answer; what is wrong with the archive is in
/// the report.
pub async fn verify(
    objects: &dyn Objects,
    tenant: TenantId,
    trust: &Trust,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Report, Refusal> {
    let mut walk = Walk::begin(objects, tenant).await?;
    let (mut attest, mut faults) = Attest::begin(objects, &walk.checkpoints, tenant, trust).await?;
    let (mut segments, mut entries) = (0, 0);
    faults.extend(walk.nothing());
    while faults.len() < FAULTS_MAX
        && let Some(step) = walk.step().await?
    {
        match step {
            Step::Fault(fault) => {
                attest.broken();
                faults.push(fault);
            }
            Step::Next(piece) => {
                segments += 1;
                entries += piece.entries.len() as u64;
                faults.extend(attest.take(&piece.object, &piece.entries, piece.signed));
                progress(entries);
            }
        }
    }
    let (attested, at_the_end) = attest.end(walk.seq);
    faults.extend(at_the_end);
    faults.truncate(FAULTS_MAX);
    Ok(Report {
        tenant,
        segments,
        entries,
        head: attested.head,
        root: attested.root,
        checkpoints: attested.checkpoints,
        covered: attested.covered,
        keys: attested.signers.iter().map(ToString::to_string).collect(),
        faults,
    })
}

/// Restores a log from its archive into a store, if it is the log that was
/// signed.
///
/// # Errors
/// When anything is wrong with the archive, or the store holds another log.
pub async fn restore(
    objects: &dyn Objects,
    tenant: TenantId,
    trust: &Trust,
    (store, registry): (&dyn Store, &Registry),
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Head, Refusal> {
    let mut walk = Walk::begin(objects, tenant).await?;
    let (mut attest, faults) = Attest::begin(objects, &walk.checkpoints, tenant, trust).await?;
    none(tenant, faults)?;
    none(tenant, walk.nothing().into_iter().collect())?;
    let mut rebuild = Rebuild::begin(store, registry, tenant).await?;
    while let Some(step) = walk.step().await? {
        match step {
            Step::Next(piece) => {
                none(
                    tenant,
                    attest.take(&piece.object, &piece.entries, piece.signed),
                )?;
                rebuild.keep(piece.objects);
                rebuild.take(&piece.entries).await?;
                progress(rebuild.head().seq);
            }
            Step::Fault(fault) => none(tenant, vec![fault])?,
        }
    }
    let (_, faults) = attest.end(walk.seq);
    none(tenant, faults)?;
    rebuild.finish()
}

/// Refuses with the first fault.
fn none(tenant: TenantId, faults: Vec<Fault>) -> Result<(), Refusal> {
    let Some(Fault { object, what }) = faults.into_iter().next() else {
        return Ok(());
    };
    let place = object.map_or_else(String::new, |name| format!("`{name}`: "));
    Err(Refusal::integrity(format!("{place}{what}"))
        .at(tenant)
        .hint("run `writ archive verify` for everything that is wrong"))
}
