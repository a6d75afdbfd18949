//! The bytes of a segment: zstd around lines of canonical JSON, each ended by a
//! line feed (docs/ledger-format.md). The first line is the segment's header;
//! what follows is a bundle under the checkpoint of the log up to the segment's
//! last entry, so whoever verifies bundles verifies segments. A segment of the
//! time before segments were signed lacks the bundle's head. `content` in the
//! header is SHA-256 over all lines from the first entry on, so that it depends
//! on the range alone.

use super::content::Outline;
use crate::bundle::Head as BundleHead;
use crate::bundle::line::{end_line, entry_line, object_line, parse_entry, parse_object};
use crate::checkpoint::Checkpoint;
use crate::entry::{Entry, Head};
use crate::merkle::RangeRoot;
use crate::note::Note;
use crate::verify;
use kernel::{Digest, Refusal, TenantId, json};
use serde::{Deserialize, Serialize};
use std::io::Read as _;

/// The form of a segment, first of all in its header.
pub const SEGMENT_FORM: &str = "writ.segment.v1";
/// The longest object of an archive, in bytes, packed or not.
pub const OBJECT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// How hard zstd tries.
const LEVEL: i32 = 3;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    content: Digest,
    first: u64,
    format: String,
    last: u64,
    last_hash: Digest,
    objects: u64,
    prev_hash: Digest,
    tenant: TenantId,
}

/// A segment that was read and holds together.
#[derive(Debug)]
pub(super) struct Decoded {
    /// What its header says, which was checked.
    pub outline: Outline,
    /// The checkpoint that it carries, which its entries fit; who signed it was
    /// not checked.
    pub signed: Option<Carried>,
    /// Its entries, chained onto `outline.prev_hash`.
    pub entries: Vec<Entry>,
    /// Its large bodies.
    pub objects: Vec<(Digest, Vec<u8>)>,
}

/// A checkpoint as an archive carries it.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The signatures.
    pub note: Note,
}

impl Carried {
    /// The checkpoint in this note, which must be of this tenant's log.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(tenant: TenantId, bytes: &[u8]) -> Result<Self, String> {
        let note = Note::parse(bytes).map_err(|e| e.to_string())?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|e| e.to_string())?;
        if !checkpoint.origin.ends_with(&format!("/{tenant}")) {
            let origin = checkpoint.origin.escape_debug();
            return Err(format!("it is a checkpoint of the log `{origin}`"));
        }
        Ok(Self { checkpoint, note })
    }
}

/// Packs a content with its header and the head of the bundle that it is.
pub(super) fn encode(
    tenant: TenantId,
    outline: &Outline,
    head: Option<&BundleHead>,
    lines: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let header = json::canonical(&Header {
        content: outline.content,
        first: outline.first,
        format: SEGMENT_FORM.to_owned(),
        last: outline.last,
        last_hash: outline.last_hash,
        objects: outline.objects,
        prev_hash: outline.prev_hash,
        tenant,
    })?;
    let mut bytes = header.into_bytes();
    bytes.push(b'\n');
    if let Some(head) = head {
        bytes.extend(head.to_line()?);
    }
    bytes.extend_from_slice(lines);
    zstd::bulk::compress(&bytes, LEVEL)
        .map_err(|e| Refusal::unavailable(format!("a segment cannot be compressed: {e}")))
}

/// Reads a segment of this tenant and checks everything that it says.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(tenant: TenantId, bytes: &[u8]) -> Result<Decoded, String> {
    let text = unpack(bytes)?;
    let (header, content) = first_line(&text)?;
    let header: Header =
        serde_json::from_str(header).map_err(|e| format!("its header cannot be read: {e}"))?;
    if header.format != SEGMENT_FORM {
        return Err(format!(
            "its form is `{}`, this writ reads `{SEGMENT_FORM}`",
            header.format.escape_debug()
        ));
    }
    if header.tenant != tenant {
        return Err(format!("it is a segment of {}", header.tenant));
    }
    let (head, content) = bundle_head(content)?;
    if Digest::of(content.as_bytes()) != header.content {
        return Err("its content does not have the recorded hash".into());
    }
    let outline = Outline {
        first: header.first,
        last: header.last,
        prev_hash: header.prev_hash,
        last_hash: header.last_hash,
        content: header.content,
        objects: header.objects,
        checkpoint: head.as_ref().map(|head| head.checkpoint.clone()),
    };
    let mut decoded = read(tenant, outline, content)?;
    if let Some(head) = head {
        decoded.signed = Some(carried(tenant, head, &decoded)?);
    }
    Ok(decoded)
}

/// The head of the bundle, where there is one, and the lines from the first
/// entry on.
fn bundle_head(text: &str) -> Result<(Option<BundleHead>, &str), String> {
    // The first member of an entry's line is another one.
    if !text.starts_with("{\"checkpoint\":") {
        return Ok((None, text));
    }
    let (line, content) = first_line(text)?;
    let head = BundleHead::parse(line).ok_or("its second line is not the head of a bundle")?;
    Ok((Some(head), content))
}

/// The checkpoint of a segment, whose entries must give its root.
fn carried(tenant: TenantId, head: BundleHead, decoded: &Decoded) -> Result<Carried, String> {
    let outline = &decoded.outline;
    let same = (head.tenant, head.first, head.last) == (tenant, outline.first, outline.last);
    if !same || !head.keys.is_empty() {
        return Err("the head of its bundle is of another segment".into());
    }
    let carried = Carried::parse(tenant, head.checkpoint.as_bytes())
        .map_err(|what| format!("its checkpoint: {what}"))?;
    let size = carried.checkpoint.size;
    if size != outline.last {
        return Err(format!(
            "its checkpoint is of {size} entries, not of the {} up to its end",
            outline.last
        ));
    }
    let mut tree = RangeRoot::new(head.leaves(), size, head.proof)
        .ok_or("its range proof does not have as many hashes as it must")?;
    for entry in &decoded.entries {
        tree.push(entry.hash);
    }
    if tree.root() != Some(carried.checkpoint.root) {
        return Err("its entries do not give the root in its checkpoint".into());
    }
    Ok(carried)
}

fn unpack(bytes: &[u8]) -> Result<String, String> {
    let fault = |e: std::io::Error| format!("it cannot be unpacked: {e}");
    let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(fault)?;
    let mut plain = Vec::new();
    let bound = OBJECT_BYTES_MAX as u64 + 1;
    decoder.take(bound).read_to_end(&mut plain).map_err(fault)?;
    if plain.len() as u64 == bound {
        return Err(format!("it is longer than {OBJECT_BYTES_MAX} bytes"));
    }
    String::from_utf8(plain).map_err(|_| "it is not text".into())
}

fn first_line(text: &str) -> Result<(&str, &str), String> {
    text.split_once('\n')
        .ok_or_else(|| "it ends before its first line does".into())
}

/// Reads the lines of a content, which has the hash that it should have.
fn read(tenant: TenantId, outline: Outline, content: &str) -> Result<Decoded, String> {
    let mut rest = content;
    let mut head = Head {
        seq: outline.first.saturating_sub(1),
        hash: outline.prev_hash,
    };
    let mut entries = Vec::new();
    while head.seq < outline.last {
        let (line, after) = first_line(rest)?;
        let (_, entry) = parse_entry(line)
            .ok_or_else(|| format!("entry {}: its line is no entry", head.seq + 1))?;
        // The hash is over what the line says; this is over how it says it, and
        // over whose log it says it is of.
        if entry_line(tenant, &entry).strip_suffix(b"\n") != Some(line.as_bytes()) {
            return Err(format!(
                "entry {}: its line is not as it was written",
                head.seq + 1
            ));
        }
        head = verify::follows(tenant, head, &entry)
            .map_err(|f| format!("entry {}: {}", f.seq, f.what))?;
        entries.push(entry);
        rest = after;
    }
    if head.hash != outline.last_hash {
        return Err("its last entry does not have the recorded hash".into());
    }
    let mut objects = Vec::new();
    for _ in 0..outline.objects {
        let (line, after) = first_line(rest)?;
        let (digest, bytes) = parse_object(line).ok_or("the line of a large body is none")?;
        if object_line(digest, &bytes).strip_suffix(b"\n") != Some(line.as_bytes()) {
            return Err("the line of a large body is not as it was written".into());
        }
        if Digest::of(&bytes) != digest {
            return Err(format!("the large body {digest} does not have its digest"));
        }
        objects.push((digest, bytes));
        rest = after;
    }
    if rest.as_bytes() != end_line(entries.len() as u64, objects.len() as u64) {
        return Err("its end is not the end that it should have".into());
    }
    Ok(Decoded {
        outline,
        signed: None,
        entries,
        objects,
    })
}
