//! Signed notes (C2SP signed-note): a text and the signatures under it. Parsed
//! strictly; a note's text means nothing before [`Note::verify`] has accepted
//! it.

mod key;

pub use key::{Algorithm, KeyName, SigningKey, VerifierKey};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A note may be this long.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Signatures under one note at most. The specification wants 16 accepted.
pub const SIGNATURES_MAX: usize = 64;

/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why a text is no note, a key no key, or a note not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// It is not a signed note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A key name that the specification forbids.
    #[error("`{0}` is no key name: it must be 1 to 255 characters without spaces, controls or `+`")]
    Name(String),
    /// A text that is no key. It may be a secret one, so it is not repeated.
    #[error("not a key of a signed note: {0}")]
    Key(&'static str),
    /// No signature by a key that is trusted.
    #[error("the note has no signature by a trusted key; it is signed by {0}")]
    Unsigned(String),
    /// A signature by a trusted key that does not verify.
    #[error("the signature by `{0}` does not verify: the note was changed after it was signed")]
    Forged(String),
}

/// One line under a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: KeyName,
    /// The id of the key.
    pub id: u32,
    /// What the key made of the text; its form depends on the algorithm.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Parses one line, without its line feed.
    ///
    /// # Errors
    /// When it is not a signature line.
    pub fn parse(line: &str) -> Result<Self, NoteFault> {
        let malformed = NoteFault::Malformed("a signature line is not `— NAME BASE64`");
        let rest = line.strip_prefix(LINE_START).ok_or(malformed.clone())?;
        let (name, encoded) = rest.split_once(' ').ok_or(malformed.clone())?;
        let name = KeyName::new(name)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed.clone())?;
        match bytes.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => Ok(Self {
                name,
                id: u32::from_be_bytes(*id),
                bytes: bytes.to_vec(),
            }),
            _ => Err(malformed),
        }
    }

    /// When the cosigner signed, in seconds since 1970, where it is the
    /// signature of a cosigner's key.
    #[must_use]
    pub fn cosigned_at_seconds(&self) -> Option<u64> {
        key::timestamped(&self.bytes).map(|(seconds, _)| seconds)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(&self.bytes);
        write!(f, "{LINE_START}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text with its signatures. The `Display` form is the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note without signatures yet.
    ///
    /// # Errors
    /// When the text does not end in a line feed or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteFault> {
        let text = text.into();
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteFault::Malformed("it is longer than 1 MiB"));
        }
        if !text.ends_with('\n') {
            return Err(NoteFault::Malformed("its text does not end in a line feed"));
        }
        if text.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteFault::Malformed("it has a control character"));
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Parses a note with at least one signature. Nothing is verified.
    ///
    /// # Errors
    /// When it is not a signed note to the letter.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteFault> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteFault::Malformed("it is longer than 1 MiB"));
        }
        let all = str::from_utf8(bytes).map_err(|_| NoteFault::Malformed("it is not UTF-8"))?;
        let (text, lines) = all
            .rsplit_once("\n\n")
            .ok_or(NoteFault::Malformed("no empty line before signatures"))?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteFault::Malformed("it does not end in a line feed"))?;
        let mut note = Self::new(format!("{text}\n"))?;
        for line in lines.split('\n') {
            if note.signatures.len() == SIGNATURES_MAX {
                return Err(NoteFault::Malformed("it has more than 64 signatures"));
            }
            note.signatures.push(Signature::parse(line)?);
        }
        Ok(note)
    }

    /// The signed text, with its last line feed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, as they stand.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature; one by the same key is replaced.
    pub fn add(&mut self, signature: Signature) {
        self.signatures
            .retain(|s| (&s.name, s.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
    }

    /// Keeps the signatures that `kept` says.
    pub fn retain(&mut self, kept: impl FnMut(&Signature) -> bool) {
        self.signatures.retain(kept);
    }

    /// The keys among `trusted` that signed, in the order of the signatures,
    /// each once. Signatures by other keys are ignored.
    ///
    /// # Errors
    /// When a trusted key's signature does not verify, or none of them signed.
    pub fn verify<'k>(
        &self,
        trusted: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<&'k VerifierKey>, NoteFault> {
        let trusted: Vec<&VerifierKey> = trusted.into_iter().collect();
        let mut verified: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let known = trusted
                .iter()
                .filter(|key| (key.name(), key.id()) == (&signature.name, signature.id));
            for key in known {
                if !key.verifies(&self.text, &signature.bytes) {
                    return Err(NoteFault::Forged(key.name().to_string()));
                }
                if !verified.contains(key) {
                    verified.push(key);
                }
            }
        }
        if verified.is_empty() {
            return Err(NoteFault::Unsigned(self.signers()));
        }
        Ok(verified)
    }

    fn signers(&self) -> String {
        let names: Vec<String> = self
            .signatures
            .iter()
            .map(|s| format!("`{}+{:08x}`", s.name, s.id))
            .collect();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
