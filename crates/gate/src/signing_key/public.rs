//! The public half of a signing key, and whether it signed a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use kernel::names::Name as _;
use kernel::{Digest, Refusal, SigningKeyId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The domain of a key's id.
const ID_DOMAIN: &str = "writ.signing-key.v1";

kernel::names! {
    /// How a signing key signs.
    pub enum Algorithm {
        /// Ed25519 (RFC 8032) over the message itself.
        Ed25519 = "ed25519",
    }
}

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its bytes in base64: of Ed25519 the 32 bytes of RFC 8032.
    pub public_key: String,
}

impl PublicKey {
    /// The Ed25519 key with these bytes.
    #[must_use]
    pub fn ed25519(bytes: &[u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::Ed25519,
            public_key: STANDARD.encode(bytes),
        }
    }

    /// Its id: SHA-256 over `writ.signing-key.v1`, a line feed and its
    /// canonical JSON. Who knows the id knows the key.
    ///
    /// # Errors
    /// When it is no key of its algorithm.
    pub fn id(&self) -> Result<SigningKeyId, Refusal> {
        self.parsed()?;
        Ok(SigningKeyId(Digest::of_value(ID_DOMAIN, self)?))
    }

    fn parsed(&self) -> Result<VerifyingKey, Refusal> {
        let wrong = || {
            Refusal::invalid("is no Ed25519 public key: 32 bytes in base64")
                .hint("`writ key register FILE` makes one and sends its public half")
                .at("public_key")
        };
        let bytes = STANDARD.decode(&self.public_key).map_err(|_| wrong())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| wrong())?;
        // A weak key would verify signatures that nobody made.
        VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(wrong)
    }

    /// Whether this key made this signature, in base64, over this message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let (Ok(key), Ok(bytes)) = (self.parsed(), STANDARD.decode(signature)) else {
            return false;
        };
        ed25519_dalek::Signature::from_slice(&bytes)
            .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
    }
}

/// `ed25519:BASE64`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.public_key)
    }
}

impl std::str::FromStr for PublicKey {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            Refusal::invalid(format!("`{}` is not a public key", text.escape_debug()))
                .hint("write `ed25519:BASE64`, as `writ key register` prints it")
        };
        let (algorithm, bytes) = text.split_once(':').ok_or_else(wrong)?;
        let key = Self {
            algorithm: Algorithm::parse(algorithm).ok_or_else(wrong)?,
            public_key: bytes.to_owned(),
        };
        key.id().map(|_| key)
    }
}
