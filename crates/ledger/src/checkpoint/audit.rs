//! The audit of a log's tree: it is grown again from the entry hashes, every
//! stored tile must be the one that grows, and every checkpoint, recorded in
//! the log or kept by someone outside, must be what the tree was at its size.

use super::Checkpoint;
use super::keys::{LogKeyEvent, LogKeyStatus, LogKeys};
use super::record::{CheckpointEvent, SignedEvent};
use crate::archive::SegmentEvent;
use crate::entry::Entry;
use crate::merkle::{Frontier, TILE_WIDTH, Tile};
use crate::note::{Note, Signature, VerifierKey};
use crate::query::EntryQuery;
use crate::store::{Store, StoreFault};
use crate::verify::Fault;
use kernel::{Aggregate, Digest, EntryId, Event, Stamp, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entries read at a time: sixteen tiles.
const PAGE: usize = 4_096;

/// The kind of the entries that hold the checkpoints of segments.
const SEALED: &str = "segment.sealed";

/// What the audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeReport {
    /// Whose log.
    pub tenant: TenantId,
    /// Entries in the tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// Stored tiles that were compared.
    pub tiles: u64,
    /// Recorded checkpoints that match.
    pub checkpoints: u64,
    /// Recorded cosignatures that verify.
    pub cosignatures: u64,
    /// The first fault, if any.
    pub fault: Option<Fault>,
}

/// What the tree must have been at some size.
struct Claim {
    size: u64,
    root: Digest,
    seq: u64,
    entry: Option<EntryId>,
    by: &'static str,
}

/// The faults and counts of one audit.
struct Audit<'a> {
    store: &'a dyn Store,
    tenant: TenantId,
    report: TreeReport,
}

/// Audits a log. `kept` are checkpoints that were kept outside of it, verified
/// by the caller. `progress` hears how many entries are done.
///
/// # Errors
/// When storage cannot be read at all; what is wrong with the log is in the
/// report.
pub async fn audit(
    store: &dyn Store,
    tenant: TenantId,
    kept: &[Checkpoint],
    mut progress: impl FnMut(u64) + Send,
) -> Result<TreeReport, StoreFault> {
    let end = store.head(tenant).await?.seq;
    let mut audit = Audit {
        store,
        tenant,
        report: TreeReport {
            tenant,
            size: 0,
            root: crate::merkle::empty_root(),
            tiles: 0,
            checkpoints: 0,
            cosignatures: 0,
            fault: None,
        },
    };
    let mut claims = audit.recorded(end).await?;
    claims.extend(kept.iter().map(|kept| Claim {
        size: kept.size,
        root: kept.root,
        seq: kept.size,
        entry: None,
        by: "the checkpoint that was kept",
    }));
    claims.sort_by_key(|claim| claim.size);
    if let Some(beyond) = claims.iter().find(|claim| claim.size > end) {
        audit.fault(
            end + 1,
            beyond.entry,
            format!(
                "{} says {} entries, the log has {end}: entries were removed",
                beyond.by, beyond.size
            ),
        );
    }
    audit.grow(end, &claims, &mut progress).await?;
    Ok(audit.report)
}

impl Audit<'_> {
    /// The fault that stands earliest in the log counts.
    fn fault(&mut self, seq: u64, entry: Option<EntryId>, what: String) {
        if self
            .report
            .fault
            .as_ref()
            .is_none_or(|first| seq < first.seq)
        {
            self.report.fault = Some(Fault { seq, entry, what });
        }
    }

    /// The recorded checkpoints, each verified against the key that signed at
    /// that point of the log.
    async fn recorded(&mut self, end: u64) -> Result<Vec<Claim>, StoreFault> {
        let mut keys: Option<LogKeys> = None;
        let mut notes: BTreeMap<u64, Note> = BTreeMap::new();
        let mut claims = Vec::new();
        for entry in self.own_entries(end).await? {
            let payload = serde_json::from_str(&entry.payload).unwrap_or_default();
            let done = if entry.stream.kind() == LogKeys::KIND {
                fold_key(keys.take(), &entry, &payload).map(|next| keys = Some(next))
            } else if SegmentEvent::KINDS.contains(&entry.kind.as_str()) {
                sealed_under(keys.as_ref(), &entry, &payload).map(|sealed| {
                    if let Some(checkpoint) = sealed {
                        self.report.checkpoints += 1;
                        claims.push(Claim {
                            size: checkpoint.size,
                            root: checkpoint.root,
                            seq: entry.seq,
                            entry: Some(entry.id),
                            by: "the checkpoint of a segment",
                        });
                    }
                })
            } else {
                match CheckpointEvent::decode(&entry.kind, &payload) {
                    Err(e) => Err(e.message),
                    Ok(CheckpointEvent::Signed(signed)) => {
                        signed_by(keys.as_ref(), &signed).map(|note| {
                            notes.insert(signed.size, note);
                            self.report.checkpoints += 1;
                            claims.push(Claim {
                                size: signed.size,
                                root: signed.root,
                                seq: entry.seq,
                                entry: Some(entry.id),
                                by: "a recorded checkpoint",
                            });
                        })
                    }
                    Ok(CheckpointEvent::Cosigned(cosigned)) => {
                        let note = notes.get(&cosigned.size);
                        cosigned_by(note, &cosigned.witness, &cosigned.signature)
                            .map(|()| self.report.cosignatures += 1)
                    }
                }
            };
            if let Err(what) = done {
                self.fault(entry.seq, Some(entry.id), what);
            }
        }
        Ok(claims)
    }

    /// The entries about keys and checkpoints, in order.
    async fn own_entries(&self, end: u64) -> Result<Vec<Entry>, StoreFault> {
        let mut found = Vec::new();
        let kinds = LogKeyEvent::KINDS.iter().chain(CheckpointEvent::KINDS);
        for kind in kinds.chain(&[SEALED]) {
            let mut beyond_seq = 0;
            loop {
                let query = EntryQuery {
                    kind: Some((*kind).to_owned()),
                    beyond_seq: Some(beyond_seq),
                    limit: PAGE,
                    ..EntryQuery::default()
                };
                let page = self.store.entries(self.tenant, &query).await?;
                let last = page.last().map_or(end, |entry| entry.seq);
                let full = page.len() == PAGE;
                found.extend(page.into_iter().filter(|entry| entry.seq <= end));
                if !full || last >= end {
                    break;
                }
                beyond_seq = last;
            }
        }
        found.sort_by_key(|entry| entry.seq);
        Ok(found)
    }

    /// Grows the tree up to `end` and compares on the way.
    async fn grow(
        &mut self,
        end: u64,
        claims: &[Claim],
        progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<(), StoreFault> {
        let mut frontier = Frontier::default();
        let mut claims = claims;
        let mut growing: BTreeMap<u8, Tile> = BTreeMap::new();
        loop {
            while let Some((claim, rest)) = claims.split_first() {
                if claim.size != frontier.size() {
                    break;
                }
                claims = rest;
                if frontier.root() != claim.root {
                    self.fault(
                        claim.seq,
                        claim.entry,
                        format!(
                            "{} of {} entries has another root: what it covers was rewritten",
                            claim.by, claim.size
                        ),
                    );
                }
            }
            let next = claims.first().map_or(end, |claim| claim.size.min(end));
            let wanted = usize::try_from(next - frontier.size())
                .unwrap_or(PAGE)
                .min(PAGE);
            if wanted == 0 {
                break;
            }
            let leaves = self
                .store
                .leaves(self.tenant, frontier.size(), wanted)
                .await?;
            if leaves.is_empty() {
                self.fault(frontier.size() + 1, None, "the log ends here".to_owned());
                break;
            }
            for leaf in leaves {
                frontier.push(leaf.hash, leaf.at);
            }
            for tile in frontier.take_grown().tiles {
                if tile.is_full() {
                    self.compare(&tile).await?;
                } else {
                    growing.insert(tile.level, tile);
                }
            }
            progress(frontier.size());
        }
        for tile in growing.into_values() {
            // Grown full meanwhile: it was compared then.
            let width = crate::merkle::width(tile.level, tile.index, frontier.size());
            if width == tile.hashes.len() {
                self.compare(&tile).await?;
            }
        }
        self.report.size = frontier.size();
        self.report.root = frontier.root();
        Ok(())
    }

    async fn compare(&mut self, tile: &Tile) -> Result<(), StoreFault> {
        self.report.tiles += 1;
        let stored = match self.store.tile(self.tenant, tile.level, tile.index).await {
            Ok(stored) => stored,
            Err(StoreFault::Damaged(_)) => None,
            Err(other) => return Err(other),
        };
        // The log may have grown since; then the stored tile has more hashes.
        let same = stored.is_some_and(|stored| stored.hashes.starts_with(&tile.hashes));
        if !same {
            let entries = TILE_WIDTH.saturating_pow(u32::from(tile.level) + 1);
            let first = tile.index.saturating_mul(entries) + 1;
            let what = format!(
                "tile {} of level {} is not the one over entries {first} and following",
                tile.index, tile.level
            );
            self.fault(first, None, what);
        }
        Ok(())
    }
}

fn fold_key(
    keys: Option<LogKeys>,
    entry: &Entry,
    payload: &serde_json::Value,
) -> Result<LogKeys, String> {
    let stamp = Stamp {
        at: entry.at,
        actor: entry.actor.clone(),
        entry: entry.id,
        version: entry.stream_version,
    };
    let event = LogKeyEvent::decode(&entry.kind, payload).map_err(|e| e.message)?;
    LogKeys::evolve(keys, &event, &stamp).map_err(|e| e.message)
}

/// The note of a recorded checkpoint, signed by the key that signed then.
fn signed_by(keys: Option<&LogKeys>, signed: &SignedEvent) -> Result<Note, String> {
    let active = keys.and_then(|keys| {
        let active = |key: &&super::keys::LogKey| key.status == LogKeyStatus::Active;
        keys.keys.iter().find(active)
    });
    if active.is_none_or(|key| key.key != signed.key) {
        return Err("a checkpoint is signed by a key that did not sign then".to_owned());
    }
    let key = VerifierKey::parse(&signed.key).map_err(|e| e.to_string())?;
    let note = Note::parse(signed.note.as_bytes()).map_err(|e| e.to_string())?;
    note.verify([&key]).map_err(|e| e.to_string())?;
    let text = Checkpoint::parse(note.text()).map_err(|e| e.to_string())?;
    let same =
        text.origin == key.name().as_str() && (text.size, text.root) == (signed.size, signed.root);
    if same {
        Ok(note)
    } else {
        Err("a checkpoint's note says something else than its entry".to_owned())
    }
}

/// The checkpoint under which a segment was sealed; none in a segment of the
/// time before they were signed.
fn sealed_under(
    keys: Option<&LogKeys>,
    entry: &Entry,
    payload: &serde_json::Value,
) -> Result<Option<Checkpoint>, String> {
    let event = SegmentEvent::decode(&entry.kind, payload).map_err(|e| e.message)?;
    let SegmentEvent::Sealed(sealed) = event else {
        return Ok(None);
    };
    let Some(note) = sealed.outline.checkpoint else {
        return Ok(None);
    };
    let note = Note::parse(note.as_bytes()).map_err(|e| e.to_string())?;
    let text = Checkpoint::parse(note.text()).map_err(|e| e.to_string())?;
    // A segment that was taken over after a restore may be signed by a key
    // that was retired since.
    let keys = keys.map_or_else(|| Ok(Vec::new()), LogKeys::all);
    let keys = keys.map_err(|e| e.message)?;
    let of_log = keys.iter().filter(|k| k.name().as_str() == text.origin);
    note.verify(of_log).map_err(|e| e.to_string())?;
    match text.size == sealed.outline.last {
        true => Ok(Some(text)),
        false => Err("a segment's checkpoint is not that of its end".to_owned()),
    }
}

fn cosigned_by(note: Option<&Note>, witness: &str, signature: &str) -> Result<(), String> {
    let mut note = note
        .cloned()
        .ok_or("a cosignature is of a checkpoint that was never signed")?;
    let witness = VerifierKey::parse(witness).map_err(|e| e.to_string())?;
    note.add(Signature::parse(signature).map_err(|e| e.to_string())?);
    note.verify([&witness]).map_err(|e| e.to_string())?;
    Ok(())
}

/// The checkpoint of a note that was kept, after its signature by one of these
/// keys was verified.
///
/// # Errors
/// When it is no signed checkpoint of this log.
pub fn kept(bytes: &[u8], keys: &[VerifierKey]) -> Result<Checkpoint, kernel::Refusal> {
    let invalid = |e: String| kernel::Refusal::invalid(format!("the checkpoint: {e}"));
    let note = Note::parse(bytes).map_err(|e| invalid(e.to_string()))?;
    let by = note.verify(keys).map_err(|e| {
        invalid(e.to_string()).hint("give the key that signed it with `--key NAME+ID+BASE64`")
    })?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| invalid(e.to_string()))?;
    if by
        .iter()
        .all(|key| key.name().as_str() != checkpoint.origin)
    {
        return Err(invalid(format!(
            "it is of the log `{}`, which none of the keys is named after",
            checkpoint.origin
        )));
    }
    Ok(checkpoint)
}
