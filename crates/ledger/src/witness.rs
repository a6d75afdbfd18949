//! The witness protocol (C2SP tlog-witness): what a log sends, what a witness
//! decides, and what it answers. A witness keeps the last checkpoint of each
//! log that it cosigned and cosigns nothing that does not extend it. Pure: the
//! shells hold the sockets and the files.

use crate::checkpoint::{Checkpoint, format_hash, parse_hash, parse_size};
use crate::merkle::verify_consistency;
use crate::note::{Note, Signature, SigningKey, VerifierKey};
use kernel::Digest;
use std::fmt;

/// Hashes of a consistency proof at most.
const PROOF_MAX: usize = 63;
/// The longest body of a request, in bytes: a note and its proof.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Why a witness does not cosign; each is one HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// It is not a request.
    #[error("not a request to a witness: {0}")]
    Malformed(String),
    /// The witness does not know the log.
    #[error("the log `{0}` is not known here")]
    UnknownLog(String),
    /// No signature of the log's key, or a bad one.
    #[error("{0}")]
    Unsigned(String),
    /// The request starts from another size than the last that was cosigned.
    #[error("the last cosigned checkpoint has size {0}")]
    Stale(u64),
    /// The checkpoint does not extend the last one that was cosigned.
    #[error("the checkpoint does not extend the last one that was cosigned: {0}")]
    Inconsistent(String),
}

impl Declined {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Stale(_) => 409,
            Self::Inconsistent(_) => 422,
        }
    }
}

/// A request to cosign a checkpoint. The `Display` form is its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the last checkpoint that the witness cosigned.
    pub old: u64,
    /// That the checkpoint extends it.
    pub proof: Vec<Digest>,
    /// The signed checkpoint.
    pub note: Note,
}

impl AddCheckpoint {
    /// Parses a request's body.
    ///
    /// # Errors
    /// [`Declined::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Declined> {
        let malformed = |what: &str| Declined::Malformed(what.to_owned());
        if body.len() > REQUEST_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let text = str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old
            .and_then(parse_size)
            .ok_or_else(|| malformed("its first line is not `old SIZE`"))?;
        let proof: Option<Vec<Digest>> = lines.map(parse_hash).collect();
        let proof = proof.ok_or_else(|| malformed("a line of the proof is no hash"))?;
        if proof.len() > PROOF_MAX {
            return Err(malformed("its proof has more than 63 hashes"));
        }
        let note = Note::parse(note.as_bytes()).map_err(|e| Declined::Malformed(e.to_string()))?;
        Ok(Self { old, proof, note })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", format_hash(*hash))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// A log that a witness knows: its origin, and the keys that sign for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    /// The origin.
    pub origin: String,
    /// The keys; after a rotation there are two for a while.
    pub keys: Vec<VerifierKey>,
}

/// Decides whether this request is cosigned, given the last checkpoint of the
/// log that was. What comes back must be durable before it is answered.
///
/// # Errors
/// Why not.
pub fn decide(
    log: &KnownLog,
    last: Option<&Checkpoint>,
    request: &AddCheckpoint,
) -> Result<Checkpoint, Declined> {
    let next = read(&request.note)?;
    if next.origin != log.origin {
        return Err(Declined::UnknownLog(next.origin));
    }
    let verified = request.note.verify(&log.keys);
    verified.map_err(|e| Declined::Unsigned(e.to_string()))?;
    if request.old > next.size {
        return Err(Declined::Malformed(format!(
            "old size {} is beyond the checkpoint of {}",
            request.old, next.size
        )));
    }
    let known = last.map_or(0, |last| last.size);
    if request.old != known {
        return Err(Declined::Stale(known));
    }
    let inconsistent = |e: String| Declined::Inconsistent(e);
    match last.filter(|last| last.size > 0) {
        None if !request.proof.is_empty() => Err(inconsistent(
            "there is nothing to prove against yet".to_owned(),
        )),
        None => Ok(next),
        Some(last) => {
            let (old, new) = ((last.size, last.root), (next.size, next.root));
            verify_consistency(old, new, &request.proof)
                .map_err(|e| inconsistent(e.to_string()))?;
            Ok(next)
        }
    }
}

/// The checkpoint of a note; nothing is verified.
///
/// # Errors
/// [`Declined::Malformed`] and, for the root of an empty log,
/// [`Declined::Inconsistent`].
pub fn read(note: &Note) -> Result<Checkpoint, Declined> {
    Checkpoint::parse(note.text()).map_err(|e| match e {
        e if e.0.contains("empty log") => Declined::Inconsistent(e.to_string()),
        e => Declined::Malformed(e.to_string()),
    })
}

/// The note with the signatures of the log's keys alone and this witness's, as
/// the witness keeps and shows it.
#[must_use]
pub fn cosigned(
    log: &KnownLog,
    note: &Note,
    key: &SigningKey,
    at_seconds: u64,
) -> (Note, Signature) {
    let signature = key.sign(note.text(), at_seconds);
    let mut kept = note.clone();
    kept.retain(|line| {
        log.keys
            .iter()
            .any(|key| (key.name(), key.id()) == (&line.name, line.id))
    });
    kept.add(signature.clone());
    (kept, signature)
}

#[cfg(test)]
mod tests;
