//! Proofs as they are handed out: an entry in a tree of some size, with the
//! checkpoint that says what the tree was, in the text form of C2SP
//! tlog-proof too.

use super::record::Signed;
use super::{Checkpoint, checkpoints, format_hash, parse_hash, parse_size};
use crate::merkle::{Stored, Tiles, leaf, verify_consistency, verify_inclusion};
use crate::note::Note;
use crate::query::EntryQuery;
use crate::store::Store;
use kernel::{Digest, Refusal, TenantId};
use serde::{Deserialize, Serialize};

/// The first line of a proof's text.
const PROOF_START: &str = "c2sp.org/tlog-proof@v1";

/// The proof that an entry is in the tree of `size` entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The entry's position, from 1.
    pub seq: u64,
    /// The entry's hash; the leaf is SHA-256 of `0x00` and its 32 bytes.
    pub entry_hash: Digest,
    /// Entries in the tree.
    pub size: u64,
    /// The root of the tree.
    pub root: Digest,
    /// The hashes beside the way from the leaf to the root.
    pub proof: Vec<Digest>,
    /// The signed checkpoint of this size, where there is a recent one.
    pub checkpoint: Option<String>,
}

/// The proof that the tree of `to` entries extends the one of `from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Entries in the older tree.
    pub from: u64,
    /// Its root.
    pub from_root: Digest,
    /// Entries in the newer tree.
    pub to: u64,
    /// Its root.
    pub to_root: Digest,
    /// The hashes.
    pub proof: Vec<Digest>,
}

/// Proves an entry against the tree of `size` entries, or of the newest
/// checkpoint when no size is given.
///
/// # Errors
/// `not_found` when there is no such entry, checkpoint or tree.
pub async fn prove(
    store: &dyn Store,
    tenant: TenantId,
    seq: u64,
    size: Option<u64>,
) -> Result<Inclusion, Refusal> {
    let recent = checkpoints(store, tenant).await?;
    let size = match (size, recent.latest()) {
        (Some(size), _) => size,
        (None, Some(latest)) if latest.size >= seq => latest.size,
        (None, _) => {
            return Err(
                Refusal::not_found(format!("no checkpoint covers entry {seq} yet"))
                    .hint("have one signed with `writ ledger checkpoint --sign`"),
            );
        }
    };
    within(store, tenant, size).await?;
    if seq == 0 || seq > size {
        return Err(Refusal::not_found(format!(
            "entry {seq} is not in the tree of {size} entries"
        )));
    }
    let query = EntryQuery {
        beyond_seq: Some(seq - 1),
        limit: 1,
        ..EntryQuery::default()
    };
    let entry = store.entries(tenant, &query).await?.pop();
    let entry = entry
        .filter(|entry| entry.seq == seq)
        .ok_or_else(|| Refusal::integrity(format!("entry {seq} is missing")))?;
    let mut tiles = Tiles::new(Stored { store, tenant }, size);
    let proven = Inclusion {
        seq,
        // Of what the entry says, not of what is stored beside it.
        entry_hash: entry.computed_hash(tenant),
        size,
        root: tiles.root().await?,
        proof: tiles.inclusion(seq - 1).await?,
        checkpoint: recent
            .of_size(size)
            .map(|signed| signed.cosigned_note().map(|note| note.to_string()))
            .transpose()?,
    };
    // What is handed out holds, or the log is damaged.
    proven.check().map_err(|e| {
        Refusal::integrity(format!("the tree does not contain entry {seq}: {e}"))
            .hint("run `writ ledger verify`")
    })?;
    Ok(proven)
}

/// Proves that the tree of `to` entries extends the one of `from`.
///
/// # Errors
/// `not_found` when the log is not that long, `invalid` when `from` is larger.
pub async fn prove_growth(
    store: &dyn Store,
    tenant: TenantId,
    from: u64,
    to: u64,
) -> Result<Consistency, Refusal> {
    within(store, tenant, to).await?;
    let mut tiles = Tiles::new(Stored { store, tenant }, to);
    let proof = tiles.consistency(from).await?;
    Ok(Consistency {
        from,
        from_root: tiles.root_at(from).await?,
        to,
        to_root: tiles.root().await?,
        proof,
    })
}

async fn within(store: &dyn Store, tenant: TenantId, size: u64) -> Result<(), Refusal> {
    let head = store.head(tenant).await?.seq;
    if size > head {
        return Err(Refusal::not_found(format!(
            "the log has {head} entries, not {size}"
        )));
    }
    Ok(())
}

impl Inclusion {
    /// Whether the proof holds for its root.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), crate::merkle::ProofFault> {
        let tree = (self.size, self.root);
        verify_inclusion(leaf(self.entry_hash), self.seq - 1, tree, &self.proof)
    }

    /// The proof as C2SP tlog-proof writes it; `None` without a checkpoint.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let checkpoint = self.checkpoint.as_ref()?;
        let mut text = format!("{PROOF_START}\nindex {}\n", self.seq - 1);
        for hash in &self.proof {
            text.push_str(&format_hash(*hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(checkpoint);
        Some(text)
    }
}

/// A proof's text, taken apart: the index, the hashes, the checkpoint's note.
///
/// # Errors
/// `invalid` when it is none.
pub fn parse_proof(text: &str) -> Result<(u64, Vec<Digest>, Note), Refusal> {
    let invalid = |what: &str| Refusal::invalid(format!("not a proof: {what}"));
    let (head, note) = text
        .split_once("\n\n")
        .ok_or_else(|| invalid("no empty line before the checkpoint"))?;
    let mut lines = head.split('\n').peekable();
    if lines.next() != Some(PROOF_START) {
        return Err(invalid("it does not begin with `c2sp.org/tlog-proof@v1`"));
    }
    lines.next_if(|line| line.starts_with("extra "));
    let index = lines.next().and_then(|line| line.strip_prefix("index "));
    let index = index
        .and_then(parse_size)
        .ok_or_else(|| invalid("no line `index N`"))?;
    let hashes: Option<Vec<Digest>> = lines.map(parse_hash).collect();
    let hashes = hashes.ok_or_else(|| invalid("a line of it is no hash"))?;
    let note = Note::parse(note.as_bytes()).map_err(|e| invalid(&e.to_string()))?;
    Ok((index, hashes, note))
}

impl Consistency {
    /// Whether the proof holds for its roots.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), crate::merkle::ProofFault> {
        let (old, new) = ((self.from, self.from_root), (self.to, self.to_root));
        verify_consistency(old, new, &self.proof)
    }
}

/// Whether a checkpoint that was kept is extended by a newer one.
///
/// # Errors
/// `integrity` when it is not: the log was rewritten or cut.
pub fn extended(kept: &Checkpoint, newer: &Checkpoint, proof: &[Digest]) -> Result<(), Refusal> {
    if kept.origin != newer.origin {
        return Err(Refusal::invalid(format!(
            "the checkpoint is of the log `{}`, not of `{}`",
            kept.origin, newer.origin
        )));
    }
    let (old, new) = ((kept.size, kept.root), (newer.size, newer.root));
    verify_consistency(old, new, proof).map_err(|e| {
        Refusal::integrity(format!(
            "the log does not extend the checkpoint of {} entries that was kept: {e}",
            kept.size
        ))
    })
}

/// A signed checkpoint as people and programs see it.
///
/// # Errors
/// `integrity` when what is recorded is no note.
pub fn shown(signed: &Signed) -> Result<serde_json::Value, Refusal> {
    let note = signed.cosigned_note()?;
    let cosignatures: Vec<_> = signed
        .cosignatures
        .iter()
        .map(|cosignature| {
            let line = crate::note::Signature::parse(&cosignature.signature).ok();
            serde_json::json!({
                "witness": cosignature.witness,
                "name": line.as_ref().map(|line| line.name.to_string()),
                "cosigned_at": line
                    .and_then(|line| line.cosigned_at_seconds())
                    .and_then(|seconds| i64::try_from(seconds).ok())
                    .map(|seconds| kernel::Timestamp::from_micros(seconds.saturating_mul(1_000_000))),
                "recorded_at": cosignature.at,
            })
        })
        .collect();
    Ok(serde_json::json!({
        "size": signed.size,
        "root": signed.root,
        "key": signed.key,
        "signed_at": signed.at,
        "entry": signed.entry,
        "cosignatures": cosignatures,
        "note": note.to_string(),
    }))
}
