//! Keys of signed notes: their names and ids, their text forms, and what each
//! algorithm signs.

use super::{NoteFault, Signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What a secret key's text form begins with.
const SECRET_START: &str = "PRIVATE+KEY+";
/// Characters of a key name at most.
const NAME_BYTES_MAX: usize = 255;

/// The name of a key: not empty, without Unicode spaces, controls and `+`.
/// By custom a URL without its scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// This name.
    ///
    /// # Errors
    /// When it cannot be a key's.
    pub fn new(name: impl Into<String>) -> Result<Self, NoteFault> {
        let name = name.into();
        let fine = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if fine {
            Ok(Self(name))
        } else {
            Err(NoteFault::Name(name.escape_debug().to_string()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 over the text (C2SP signed-note): a log's key.
    Ed25519,
    /// Ed25519 over the text and an instant (C2SP tlog-cosignature): a
    /// cosigner's key.
    CosignatureV1,
}

impl Algorithm {
    /// The byte that stands for it in a key.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    fn of(byte: u8) -> Result<Self, NoteFault> {
        [Self::Ed25519, Self::CosignatureV1]
            .into_iter()
            .find(|algorithm| algorithm.byte() == byte)
            .ok_or(NoteFault::Key(
                "its algorithm is neither Ed25519 (1) nor an Ed25519 cosignature (4)",
            ))
    }
}

/// The public half of a key. The text form is `NAME+ID+BASE64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: u32,
    algorithm: Algorithm,
    public: ed25519_dalek::VerifyingKey,
}

impl VerifierKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// When they are no point of the curve, or one that verifies anything.
    pub fn new(name: KeyName, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, NoteFault> {
        let public = ed25519_dalek::VerifyingKey::from_bytes(&public)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or(NoteFault::Key("its bytes are no Ed25519 public key"))?;
        Ok(Self {
            id: id(&name, algorithm, public.as_bytes()),
            name,
            algorithm,
            public,
        })
    }

    /// Parses the text form.
    ///
    /// # Errors
    /// When it is none, or its id is not that of its name and bytes.
    pub fn parse(text: &str) -> Result<Self, NoteFault> {
        let (name, algorithm, id, public) = parts(text)?;
        let key = Self::new(name, algorithm, public)?;
        if key.id != id {
            return Err(NoteFault::Key("its id is not that of its name and bytes"));
        }
        Ok(key)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its id: the first four bytes of SHA-256 over name, algorithm and bytes.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's over `text`.
    #[must_use]
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let ed25519 = |message: &[u8], signature: &[u8]| {
            ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| self.public.verify_strict(message, &signature).is_ok())
        };
        match self.algorithm {
            Algorithm::Ed25519 => ed25519(text.as_bytes(), signature),
            Algorithm::CosignatureV1 => timestamped(signature).is_some_and(|(seconds, rest)| {
                ed25519(cosigned_message(seconds, text).as_bytes(), rest)
            }),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = encoded(self.algorithm, self.public.as_bytes());
        write!(f, "{}+{:08x}+{bytes}", self.name, self.id)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key with its secret half. Neither `Debug` nor any error shows it.
#[derive(Clone)]
pub struct SigningKey {
    verifier: VerifierKey,
    secret: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key that grows from 32 unpredictable bytes.
    ///
    /// # Errors
    /// Never for bytes that are unpredictable.
    pub fn new(name: KeyName, algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self, NoteFault> {
        let secret = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, algorithm, secret.verifying_key().to_bytes())?;
        Ok(Self { verifier, secret })
    }

    /// Parses the text form `PRIVATE+KEY+NAME+ID+BASE64`.
    ///
    /// # Errors
    /// When it is none, or its id is not that of its name and bytes.
    pub fn parse(text: &str) -> Result<Self, NoteFault> {
        let rest = text
            .strip_prefix(SECRET_START)
            .ok_or(NoteFault::Key("it does not begin with `PRIVATE+KEY+`"))?;
        let (name, algorithm, id, seed) = parts(rest)?;
        let key = Self::new(name, algorithm, &seed)?;
        if key.verifier.id != id {
            return Err(NoteFault::Key("its id is not that of its name and bytes"));
        }
        Ok(key)
    }

    /// The text form with the secret in it, for the key's file and nothing else.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        format!(
            "{SECRET_START}{}+{:08x}+{}",
            self.verifier.name,
            self.verifier.id,
            encoded(self.verifier.algorithm, self.secret.as_bytes())
        )
    }

    /// Its public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs this text. A cosigner's key signs `at_seconds` (since 1970) with
    /// it; a log's key has no use for the instant.
    #[must_use]
    pub fn sign(&self, text: &str, at_seconds: u64) -> Signature {
        let bytes = match self.verifier.algorithm {
            Algorithm::Ed25519 => self.secret.sign(text.as_bytes()).to_bytes().to_vec(),
            Algorithm::CosignatureV1 => {
                let message = cosigned_message(at_seconds, text);
                let mut bytes = at_seconds.to_be_bytes().to_vec();
                bytes.extend(self.secret.sign(message.as_bytes()).to_bytes());
                bytes
            }
        };
        Signature {
            name: self.verifier.name.clone(),
            id: self.verifier.id,
            bytes,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SECRET_START}{}", self.verifier)
    }
}

/// The instant in front of a cosignature, and the rest.
pub(super) fn timestamped(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (seconds, rest) = signature.split_first_chunk::<8>()?;
    let seconds = u64::from_be_bytes(*seconds);
    (rest.len() == 64 && i64::try_from(seconds).is_ok()).then_some((seconds, rest))
}

fn cosigned_message(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

fn id(name: &KeyName, algorithm: Algorithm, public: &[u8; 32]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name.as_str());
    hasher.update([b'\n', algorithm.byte()]);
    hasher.update(public);
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = hash;
    u32::from_be_bytes([a, b, c, d])
}

fn encoded(algorithm: Algorithm, bytes: &[u8; 32]) -> String {
    let mut all = vec![algorithm.byte()];
    all.extend(bytes);
    STANDARD.encode(all)
}

/// `NAME+ID+BASE64`, taken apart. The base64 may itself contain `+`.
fn parts(text: &str) -> Result<(KeyName, Algorithm, u32, [u8; 32]), NoteFault> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteFault::Key("it is not `NAME+ID+BASE64`"));
    };
    let name = KeyName::new(name)?;
    let mut id_bytes = [0; 4];
    let lowercase = !id.bytes().any(|b| b.is_ascii_uppercase());
    if !lowercase || hex::decode_to_slice(id, &mut id_bytes).is_err() {
        return Err(NoteFault::Key("its id is not 8 lowercase hex digits"));
    }
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| NoteFault::Key("its last part is not base64"))?;
    let (algorithm, bytes) = bytes
        .split_first()
        .ok_or(NoteFault::Key("its last part is empty"))?;
    let algorithm = Algorithm::of(*algorithm)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| NoteFault::Key("an Ed25519 key is 32 bytes"))?;
    Ok((name, algorithm, u32::from_be_bytes(id_bytes), bytes))
}
