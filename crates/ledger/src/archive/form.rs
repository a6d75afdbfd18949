//! The bytes of a segment: zstd around lines of canonical JSON, each ended by a
//! line feed. The first line is the segment's header; what follows has the form
//! of a bundle (docs/ledger-format.md): its head, when the segment has a
//! checkpoint, then the entries, the large bodies in order of digest, and the
//! end. `content` in the header is SHA-256 over all lines from the first entry
//! on, so that it depends on the range alone.

use super::content::Outline;
use crate::bundle::line::{end_line, parse_entry, parse_object};
use crate::entry::{Entry, Head};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
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
    /// Its entries, chained onto `outline.prev_hash`.
    pub entries: Vec<Entry>,
    /// Its large bodies.
    pub objects: Vec<(Digest, Vec<u8>)>,
}

/// Packs a content with its header.
pub(super) fn encode(
    tenant: TenantId,
    outline: &Outline,
    lines: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let header = json::canonical(&Header {
        checkpoint: outline.checkpoint.clone(),
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
        checkpoint: header.checkpoint,
    };
    read(tenant, outline, content)
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
        entries,
        objects,
    })
}
