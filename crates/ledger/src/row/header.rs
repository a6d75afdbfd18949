//! The bytes that an entry's hash covers, written straight from its columns:
//! `writ.entry.v1`, a line feed, and the canonical JSON (RFC 8785) of the
//! header. Absent members are left out.

use super::Row;
use kernel::names::Name as _;
use kernel::{Digest, TenantId};

/// What stands before the header in the hashed bytes.
pub const DOMAIN: &[u8] = b"writ.entry.v1\n";

/// Writes the hashed bytes of the entries of one tenant's log, one after
/// another, into the same memory.
pub struct Preimage {
    tenant: String,
    bytes: Vec<u8>,
}

impl Preimage {
    /// For entries of this tenant's log.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant: tenant.to_string(),
            bytes: Vec::with_capacity(1024),
        }
    }

    /// The bytes that the hash of this row covers.
    pub fn write(&mut self, row: &Row<'_>) -> &[u8] {
        // INVARIANT(header-is-canonical): every member is a string or an
        // integer below 2^53 and the members stand in the order of their
        // names; a property test compares with the canonical form.
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(b"{\"actor\":\"");
        text(bytes, row.actor);
        bytes.extend_from_slice(b"\",\"at\":\"");
        bytes.extend_from_slice(&row.at.text());
        bytes.extend_from_slice(b"\",\"category\":\"");
        text(bytes, row.category.name());
        if let Some(id) = row.causation {
            bytes.extend_from_slice(b"\",\"causation\":\"ent_");
            hex(bytes, id.0.as_bytes());
        }
        if let Some(directive) = row.directive {
            bytes.extend_from_slice(b"\",\"directive\":\"dir_");
            hex(bytes, directive.0.as_bytes());
        }
        bytes.extend_from_slice(b"\",\"id\":\"ent_");
        hex(bytes, row.id.0.as_bytes());
        bytes.extend_from_slice(b"\",\"kind\":\"");
        text(bytes, row.kind);
        bytes.extend_from_slice(b"\",\"payload_hash\":\"");
        hex(bytes, &row.payload_hash.0);
        bytes.extend_from_slice(b"\",\"prev_hash\":\"");
        hex(bytes, &row.prev_hash.0);
        bytes.extend_from_slice(b"\",\"seq\":");
        number(bytes, row.seq);
        if let Some(snapshot) = row.snapshot {
            bytes.extend_from_slice(b",\"snapshot\":\"snp_");
            hex(bytes, &snapshot.0.0);
            bytes.push(b'"');
        }
        bytes.extend_from_slice(b",\"stream\":\"");
        text(bytes, row.stream);
        bytes.extend_from_slice(b"\",\"stream_version\":");
        number(bytes, row.stream_version);
        if let Some(subject) = row.subject {
            bytes.extend_from_slice(b",\"subject\":\"");
            text(bytes, subject);
            bytes.push(b'"');
        }
        bytes.extend_from_slice(b",\"tenant\":\"");
        text(bytes, &self.tenant);
        bytes.extend_from_slice(b"\",\"trace_id\":\"");
        hex(bytes, &row.trace_id.to_bytes());
        bytes.extend_from_slice(b"\"}");
        bytes
    }

    /// The hash that this row must have.
    pub fn hash(&mut self, row: &Row<'_>) -> Digest {
        Digest::of(self.write(row))
    }
}

/// What lies between the quotes of a JSON string, escaped as RFC 8785 wants
/// it: the two-letter escapes where there is one, else `\u00` and two
/// lowercase digits, and nothing that need not be escaped.
fn text(bytes: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| !plain(*b)) {
        let (before, after) = rest.split_at(at);
        bytes.extend_from_slice(before);
        let Some((odd, after)) = after.split_first() else {
            return;
        };
        match odd {
            b'"' => bytes.extend_from_slice(b"\\\""),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            0x08 => bytes.extend_from_slice(b"\\b"),
            0x09 => bytes.extend_from_slice(b"\\t"),
            0x0a => bytes.extend_from_slice(b"\\n"),
            0x0c => bytes.extend_from_slice(b"\\f"),
            0x0d => bytes.extend_from_slice(b"\\r"),
            other => {
                bytes.extend_from_slice(b"\\u00");
                hex(bytes, &[*other]);
            }
        }
        rest = after;
    }
    bytes.extend_from_slice(rest);
}

/// The lowercase hex digit of a number below 16; without a branch, because two
/// hundred of them stand in every header.
fn digit(nibble: u8) -> u8 {
    nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'9' - 1)
}

fn hex(bytes: &mut Vec<u8>, of: &[u8]) {
    bytes.extend(of.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    bytes.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
