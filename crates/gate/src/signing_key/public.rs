//! The public half of a signing key, and whether it signed a message.

use super::passkey::{Assertion, Passkey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::names::Name as _;
use kernel::{Digest, Refusal, SigningKeyId};
use p256::ecdsa::signature::Verifier as _;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The domain of a key's id.
const ID_DOMAIN: &str = "writ.signing-key.v1";
/// Bytes of an uncompressed point of P-256.
const POINT_BYTES: usize = 65;

kernel::names! {
    /// How a signing key signs.
    pub enum Algorithm {
        /// Ed25519 (RFC 8032) over the message itself.
        Ed25519 = "ed25519",
        /// A passkey: ECDSA on P-256 with SHA-256 over what its authenticator
        /// makes of the message.
        PasskeyEs256 = "passkey-es256",
        /// A passkey: Ed25519 over what its authenticator makes of the message.
        PasskeyEd25519 = "passkey-ed25519",
    }
}

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its bytes in base64: of Ed25519 the 32 bytes of RFC 8032, of P-256 the
    /// 65 bytes of the uncompressed point (SEC 1).
    pub public_key: String,
    /// Where it signs, when it is a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<Passkey>,
}

enum Parsed {
    Ed25519(ed25519_dalek::VerifyingKey),
    Es256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// The Ed25519 key with these bytes.
    #[must_use]
    pub fn ed25519(bytes: &[u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::Ed25519,
            public_key: STANDARD.encode(bytes),
            passkey: None,
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

    fn parsed(&self) -> Result<Parsed, Refusal> {
        let wrong = |what: &str| {
            Refusal::invalid(format!("is no {what} in base64"))
                .hint("`writ key register FILE` makes a key and sends its public half")
                .at("public_key")
        };
        match (&self.passkey, self.algorithm) {
            (None, Algorithm::Ed25519) => {}
            (Some(passkey), Algorithm::PasskeyEs256 | Algorithm::PasskeyEd25519) => {
                passkey.relying_party()?;
            }
            _ => {
                return Err(
                    Refusal::invalid("a passkey, and nothing else, says where it signs")
                        .at("passkey"),
                );
            }
        }
        let bytes = STANDARD.decode(&self.public_key).ok();
        if self.algorithm == Algorithm::PasskeyEs256 {
            return bytes
                .filter(|bytes| bytes.len() == POINT_BYTES)
                .and_then(|bytes| p256::ecdsa::VerifyingKey::from_sec1_bytes(&bytes).ok())
                .map(Parsed::Es256)
                .ok_or_else(|| wrong("uncompressed point of P-256"));
        }
        // A weak key would verify signatures that nobody made.
        bytes
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .map(Parsed::Ed25519)
            .ok_or_else(|| wrong("Ed25519 public key"))
    }

    /// Checks that this key made this signature, in base64, over this message;
    /// a passkey by way of what its authenticator made of it.
    ///
    /// # Errors
    /// What does not hold.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &str,
        assertion: Option<&Assertion>,
    ) -> Result<(), Refusal> {
        let key = self.parsed()?;
        let made;
        let signed = match (&self.passkey, assertion) {
            (None, None) => message,
            (Some(passkey), Some(assertion)) => {
                made = assertion.signed(passkey, message)?;
                made.as_slice()
            }
            (None, Some(_)) => return Err(Refusal::invalid("the key is no passkey")),
            (Some(_), None) => {
                return Err(
                    Refusal::invalid("what the authenticator signed is missing").at("passkey")
                );
            }
        };
        let bytes = STANDARD
            .decode(signature)
            .map_err(|_| Refusal::invalid("is not base64").at("signature"))?;
        let holds = match key {
            Parsed::Ed25519(key) => ed25519_dalek::Signature::from_slice(&bytes)
                .is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok()),
            Parsed::Es256(key) => p256::ecdsa::Signature::from_der(&bytes)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
        };
        match holds {
            true => Ok(()),
            false => Err(Refusal::invalid("the signature does not hold")),
        }
    }
}

/// `ed25519:BASE64`, and of a passkey `ALGORITHM:BASE64:CREDENTIAL:ORIGIN`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.public_key)?;
        match &self.passkey {
            None => Ok(()),
            Some(passkey) => write!(f, ":{}:{}", passkey.credential, passkey.origin),
        }
    }
}

impl std::str::FromStr for PublicKey {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            Refusal::invalid(format!("`{}` is not a public key", text.escape_debug())).hint(
                "write `ed25519:BASE64`, as `writ key register` prints it, or what the page \
                 of signing keys shows of a passkey",
            )
        };
        let mut parts = text.splitn(4, ':');
        let algorithm = parts.next().and_then(Algorithm::parse).ok_or_else(wrong)?;
        let public_key = parts.next().ok_or_else(wrong)?.to_owned();
        let passkey = match (parts.next(), parts.next()) {
            (None, None) => None,
            (Some(credential), Some(origin)) => Some(Passkey {
                credential: credential.to_owned(),
                origin: origin.to_owned(),
            }),
            _ => return Err(wrong()),
        };
        let key = Self {
            algorithm,
            public_key,
            passkey,
        };
        key.id().map(|_| key)
    }
}
