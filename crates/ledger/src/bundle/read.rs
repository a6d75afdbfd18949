//! The verifier of bundles: one pass, a line at a time, with a hash for each
//! level of the tree. The checks stand in the order of `docs/ledger-format.md`,
//! which is what makes the first fault the same for every verifier.

use super::line::{Head, parse_entry, parse_object};
use super::{BundleFault, Contents, FaultKind, LINE_BYTES_MAX, NotVerified};
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::merkle::RangeRoot;
use crate::note::{Note, NoteFault, VerifierKey};
use kernel::json::{self, JsonFault};
use kernel::{Digest, TenantId};
use std::io::{BufRead, Read as _};

/// What the one who verifies brings along.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The log's key.
    pub key: VerifierKey,
    /// Witnesses that must have signed too.
    pub witnesses: Vec<VerifierKey>,
    /// An older checkpoint of the log, already verified.
    pub kept: Option<Checkpoint>,
}

/// Verifies a bundle. `progress` hears the position of each entry that holds.
///
/// # Errors
/// The first fault, with its place; or that the bundle cannot be read, or does
/// not reach as far as the older checkpoint.
pub fn verify(
    bundle: impl BufRead,
    trust: &Trust,
    mut progress: impl FnMut(u64),
) -> Result<Contents, NotVerified> {
    let mut lines = Lines::new(bundle);
    lines.next(None)?;
    let (head, checkpoint, tree) = checked_head(&lines, trust)?;
    let mut trees = Trees::new(&lines, &head, &checkpoint, tree, trust)?;
    let mut before = (head.first == 1).then_some(Digest::ZERO);
    for seq in head.first..=head.last {
        lines.next(Some(seq))?;
        let entry = checked_entry(&lines, head.tenant, seq, before)?;
        before = Some(entry.hash);
        trees.push(&lines, seq, entry.hash)?;
        progress(seq);
    }
    if trees.tree.root() != Some(checkpoint.root) {
        let what = "the entries up to here do not give the root that was signed";
        return Err(lines.fault(FaultKind::Root, what).into());
    }
    let objects = checked_objects(&mut lines, &head)?;
    Ok(Contents {
        origin: checkpoint.origin,
        size: checkpoint.size,
        root: checkpoint.root,
        first: head.first,
        last: head.last,
        objects,
    })
}

/// The lines of a bundle, one at a time.
struct Lines<R> {
    bundle: R,
    buffer: Vec<u8>,
    value: serde_json::Value,
    number: u64,
    /// The entry that the line must be of.
    seq: Option<u64>,
}

impl<R: BufRead> Lines<R> {
    fn new(bundle: R) -> Self {
        Self {
            bundle,
            buffer: Vec::new(),
            value: serde_json::Value::Null,
            number: 0,
            seq: None,
        }
    }

    fn fault(&self, fault: FaultKind, what: impl Into<String>) -> BundleFault {
        BundleFault {
            fault,
            line: self.number,
            seq: self.seq,
            what: what.into(),
        }
    }

    /// Reads the next line, which must be canonical JSON, and that of this
    /// entry where one is due.
    fn next(&mut self, seq: Option<u64>) -> Result<(), NotVerified> {
        self.number += 1;
        self.seq = seq;
        self.buffer.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let mut bounded = (&mut self.bundle).take(limit);
        bounded.read_until(b'\n', &mut self.buffer)?;
        if self.buffer.is_empty() {
            return Err(self
                .fault(FaultKind::End, "the bundle ends too early")
                .into());
        }
        if self.buffer.pop() != Some(b'\n') {
            let what = "it does not end in a line feed, or is too long";
            return Err(self.fault(FaultKind::Line, what).into());
        }
        match str::from_utf8(&self.buffer) {
            Err(_) => Err(self.fault(FaultKind::Line, "it is not UTF-8").into()),
            Ok(text) => match json::parse_canonical(text) {
                Ok(value) => {
                    self.value = value;
                    Ok(())
                }
                Err(JsonFault::OtherForm) => {
                    let what = "its JSON is not in canonical form";
                    Err(self.fault(FaultKind::Canonical, what).into())
                }
                Err(fault) => Err(self.fault(FaultKind::Json, fault.to_string()).into()),
            },
        }
    }

    /// The line that was read last.
    fn text(&self) -> &str {
        str::from_utf8(&self.buffer).unwrap_or_default()
    }

    fn is_over(&mut self) -> Result<bool, std::io::Error> {
        self.number += 1;
        self.seq = None;
        Ok(self.bundle.fill_buf()?.is_empty())
    }
}

/// The head of a bundle with the checkpoint in it and the tree to be filled.
fn checked_head<R: BufRead>(
    lines: &Lines<R>,
    trust: &Trust,
) -> Result<(Head, Checkpoint, RangeRoot), BundleFault> {
    let head = Head::parse(lines.text()).ok_or_else(|| {
        let what = format!("it is not the first line of a bundle (`{}`)", super::FORMAT);
        lines.fault(FaultKind::Shape, what)
    })?;
    let note = Note::parse(head.checkpoint.as_bytes())
        .map_err(|fault| lines.fault(FaultKind::Note, fault.to_string()))?;
    let checkpoint = Checkpoint::parse(note.text())
        .map_err(|fault| lines.fault(FaultKind::Note, fault.to_string()))?;
    signed(lines, &note, &trust.key)?;
    let origin = &checkpoint.origin;
    if origin != trust.key.name().as_str() || !origin.ends_with(&format!("/{}", head.tenant)) {
        let what = format!("the checkpoint is of the log `{origin}`");
        return Err(lines.fault(FaultKind::Origin, what));
    }
    if head.last > checkpoint.size {
        let what = format!("the checkpoint covers {} entries only", checkpoint.size);
        return Err(lines.fault(FaultKind::Range, what));
    }
    let tree = RangeRoot::new(head.leaves(), checkpoint.size, head.proof.clone());
    let tree = tree.ok_or_else(|| {
        let what = "the range proof does not have as many hashes as it must";
        lines.fault(FaultKind::Proof, what)
    })?;
    for witness in &trust.witnesses {
        note.verify([witness])
            .map_err(|fault| lines.fault(FaultKind::Witness, fault.to_string()))?;
    }
    Ok((head, checkpoint, tree))
}

fn signed<R: BufRead>(lines: &Lines<R>, note: &Note, key: &VerifierKey) -> Result<(), BundleFault> {
    match note.verify([key]) {
        Ok(_) => Ok(()),
        Err(fault @ NoteFault::Forged(_)) => {
            Err(lines.fault(FaultKind::Signature, fault.to_string()))
        }
        Err(fault) => Err(lines.fault(FaultKind::Key, fault.to_string())),
    }
}

/// The tree of the checkpoint in the bundle and that of an older checkpoint.
struct Trees {
    tree: RangeRoot,
    kept: Option<(Checkpoint, RangeRoot)>,
}

impl Trees {
    fn new<R: BufRead>(
        lines: &Lines<R>,
        head: &Head,
        checkpoint: &Checkpoint,
        tree: RangeRoot,
        trust: &Trust,
    ) -> Result<Self, NotVerified> {
        let Some(kept) = trust.kept.clone().filter(|kept| kept.size > 0) else {
            return Ok(Self { tree, kept: None });
        };
        if kept.size > checkpoint.size {
            let what = format!(
                "the log was cut: an older checkpoint has {} entries",
                kept.size
            );
            return Err(lines.fault(FaultKind::Kept, what).into());
        }
        match RangeRoot::new(0..kept.size, kept.size, Vec::new()) {
            Some(older) if head.first == 1 && kept.size <= head.last => Ok(Self {
                tree,
                kept: Some((kept, older)),
            }),
            _ => Err(NotVerified::OutOfReach(kept.size)),
        }
    }

    fn push<R: BufRead>(
        &mut self,
        lines: &Lines<R>,
        seq: u64,
        hash: Digest,
    ) -> Result<(), BundleFault> {
        self.tree.push(hash);
        match &mut self.kept {
            Some((kept, older)) if seq <= kept.size => {
                older.push(hash);
                if seq < kept.size || older.root() == Some(kept.root) {
                    return Ok(());
                }
                let what = "history was rewritten: the entries up to here are not those of the older checkpoint";
                Err(lines.fault(FaultKind::Kept, what))
            }
            _ => Ok(()),
        }
    }
}

/// The entry in this line, which must be the next one.
fn checked_entry<R: BufRead>(
    lines: &Lines<R>,
    tenant: TenantId,
    seq: u64,
    before: Option<Digest>,
) -> Result<Entry, BundleFault> {
    let fault = |kind, what: &str| Err(lines.fault(kind, what));
    let Some((named, entry)) = parse_entry(lines.text()) else {
        return fault(FaultKind::Shape, "it does not have the members of an entry");
    };
    if named != tenant {
        return fault(FaultKind::Tenant, "it is an entry of another tenant");
    }
    if entry.seq != seq {
        let what = format!("entry {} stands here", entry.seq);
        return fault(FaultKind::Sequence, &what);
    }
    if before.is_some_and(|before| before != entry.prev_hash) {
        return fault(FaultKind::Chain, "it does not follow the entry before it");
    }
    if Digest::of(entry.payload.as_bytes()) != entry.payload_hash {
        let what = "its payload does not have the recorded hash";
        return fault(FaultKind::Payload, what);
    }
    if entry.computed_hash(tenant) != entry.hash {
        let what = "its header does not have the recorded hash";
        return fault(FaultKind::Hash, what);
    }
    Ok(entry)
}

/// Reads objects and the end; how many objects there were.
fn checked_objects<R: BufRead>(lines: &mut Lines<R>, head: &Head) -> Result<u64, NotVerified> {
    let mut objects = 0;
    let mut before: Option<Digest> = None;
    loop {
        lines.next(None)?;
        if lines.value.get("end").is_some() {
            break;
        }
        let Some((digest, bytes)) = parse_object(lines.text()) else {
            let what = "it does not have the members of an object";
            return Err(lines.fault(FaultKind::Shape, what).into());
        };
        if Digest::of(&bytes) != digest || before.is_some_and(|before| before >= digest) {
            let what = "its bytes do not have the digest, or objects are not in order";
            return Err(lines.fault(FaultKind::Object, what).into());
        }
        before = Some(digest);
        objects += 1;
    }
    let entries = head.last - head.first + 1;
    if lines.value != serde_json::json!({"end": {"entries": entries, "objects": objects}}) {
        let what = "its numbers are not those of the lines before it";
        return Err(lines.fault(FaultKind::End, what).into());
    }
    if !lines.is_over()? {
        let what = "something follows the end";
        return Err(lines.fault(FaultKind::End, what).into());
    }
    Ok(objects)
}
