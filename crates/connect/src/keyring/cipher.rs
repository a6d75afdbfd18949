//! What the keyring computes: keys wrapped by keys, and values sealed under
//! the keys of all their subjects. Keys are wiped when they are dropped.
//!
//! A value of several subjects is sealed under one key that is derived from
//! all of theirs, so that destroying any one of them shuts it for good. The
//! nonce is a keyed hash of place and plaintext: sealing again gives the same
//! value, a nonce stands for one plaintext only, and two values can be told
//! apart by whoever cannot open them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use kernel::port::Plain;
use kernel::sealed::Algorithm;
use kernel::{KeyUse, Refusal, Sealed, TenantId, json};
use serde_json::json as object;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// A key; wiped when it is dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// A new key.
pub(super) fn random_key() -> Result<Key, Refusal> {
    let mut key = Key::default();
    fill(key.as_mut_slice())?;
    Ok(key)
}

/// Unpredictable bytes.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes)
        .map_err(|e| Refusal::unavailable(format!("the system gives no random bits: {e}")))
}

/// The key of this text form.
pub(super) fn read_key(text: &[u8]) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
    let mut key = Key::default();
    (bytes.len() == KEY_BYTES).then(|| key.copy_from_slice(&bytes))?;
    Some(key)
}

/// The text form of a key.
pub(super) fn write_key(key: &Key) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(key.as_slice()))
}

/// Wraps a key. `about` is bound to it: it unwraps under the same only.
pub(super) fn wrap(by: &Key, about: &str, key: &Key) -> Result<String, Refusal> {
    let mut nonce = [0; NONCE_BYTES];
    fill(&mut nonce)?;
    let mut bytes = nonce.to_vec();
    bytes.extend(encrypt(by, &nonce, about.as_bytes(), key.as_slice())?);
    Ok(BASE64.encode(bytes))
}

/// Unwraps a key; `None` when it was changed or moved, or another key wrapped it.
pub(super) fn unwrap(by: &Key, about: &str, wrapped: &str) -> Option<Key> {
    let bytes = BASE64.decode(wrapped).ok()?;
    let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let plain = Zeroizing::new(decrypt(by, nonce, about.as_bytes(), rest)?);
    let mut key = Key::default();
    (plain.len() == KEY_BYTES).then(|| key.copy_from_slice(&plain))?;
    Some(key)
}

fn encrypt(
    key: &Key,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    msg: &[u8],
) -> Result<Vec<u8>, Refusal> {
    XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(*nonce), Payload { msg, aad })
        .map_err(|_| Refusal::limit("too long to be sealed"))
}

fn decrypt(key: &Key, nonce: &[u8; NONCE_BYTES], aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    XChaCha20Poly1305::new((&**key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
        .ok()
}

/// The keys of one subject.
pub(super) struct SubjectKeys {
    /// Which key it is and whose.
    pub(super) used: KeyUse,
    /// The data key.
    pub(super) data: Key,
    /// The key of nonces; the same for every data key of the subject.
    pub(super) mark: Key,
}

/// What seals and opens for a set of subjects.
pub(super) struct Cipher {
    tenant: TenantId,
    keys: Vec<KeyUse>,
    data: Key,
    mark: Key,
}

impl Cipher {
    /// The cipher of these subjects, sorted and each once.
    pub(super) fn new(tenant: TenantId, of: &[SubjectKeys]) -> Result<Self, Refusal> {
        Ok(Self {
            tenant,
            keys: of.iter().map(|k| k.used.clone()).collect(),
            data: derive(of.iter().map(|k| &k.data), b"writ.seal.v1")?,
            mark: derive(of.iter().map(|k| &k.mark), b"writ.mark.v1")?,
        })
    }

    /// Seals.
    pub(super) fn seal(&self, plain: &Plain) -> Result<Sealed, Refusal> {
        let nonce = self.nonce(plain)?;
        let mut sealed = Sealed {
            algorithm: Algorithm::XChaCha20Poly1305,
            keys: self.keys.clone(),
            place: plain.place.clone(),
            nonce: hex::encode(nonce),
            ciphertext: String::new(),
        };
        let bound = self.bound(&sealed)?;
        let bytes = encrypt(&self.data, &nonce, bound.as_bytes(), &plain.bytes)?;
        sealed.ciphertext = BASE64.encode(bytes);
        Ok(sealed)
    }

    /// Opens; `None` when anything of it was changed.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, Refusal> {
        let bound = self.bound(sealed)?;
        let mut nonce = [0; NONCE_BYTES];
        if hex::decode_to_slice(&sealed.nonce, &mut nonce).is_err() {
            return Ok(None);
        }
        let bytes = BASE64.decode(&sealed.ciphertext).ok();
        Ok(bytes.and_then(|bytes| decrypt(&self.data, &nonce, bound.as_bytes(), &bytes)))
    }

    fn nonce(&self, plain: &Plain) -> Result<[u8; NONCE_BYTES], Refusal> {
        let subjects: Vec<_> = self.keys.iter().map(|k| &k.subject).collect();
        let about = json::canonical(
            &object!({"place": plain.place, "subjects": subjects, "tenant": self.tenant}),
        )?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.mark.as_slice())
            .map_err(|_| Refusal::integrity("a key has the wrong length"))?;
        mac.update(about.as_bytes());
        mac.update(b"\n");
        mac.update(&plain.bytes);
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let (nonce, _) = hash
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(|| Refusal::integrity("a hash has the wrong length"))?;
        Ok(*nonce)
    }

    /// What is bound to the ciphertext: it opens nowhere else.
    fn bound(&self, sealed: &Sealed) -> Result<String, Refusal> {
        Ok(json::canonical(&object!({
            "algorithm": sealed.algorithm,
            "keys": sealed.keys,
            "place": sealed.place,
            "tenant": self.tenant,
        }))?)
    }
}

fn derive<'a>(keys: impl Iterator<Item = &'a Key>, info: &[u8]) -> Result<Key, Refusal> {
    let mut material = Zeroizing::new(Vec::new());
    for key in keys {
        material.extend_from_slice(key.as_slice());
    }
    let mut derived = Key::default();
    Hkdf::<Sha256>::new(None, &material)
        .expand(info, derived.as_mut_slice())
        .map_err(|_| Refusal::integrity("a key has the wrong length"))?;
    Ok(derived)
}
