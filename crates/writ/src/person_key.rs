//! The private half of a person's signing key: a file that only they can read,
//! in the form that other tools read too (PKCS #8 in PEM, RFC 8410).

use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect::{OsEntropy, PrivateFolder};
use ed25519_dalek::Signer as _;
use gate::signing_key::PublicKey;
use kernel::SigningKeyId;
use kernel::port::{Entropy as _, PrivateFiles as _};
use std::path::Path;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const END: &str = "\n-----END PRIVATE KEY-----\n";
/// What stands before the 32 bytes: PKCS #8 with the algorithm Ed25519.
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A person's signing key.
pub(crate) struct PersonKey(ed25519_dalek::SigningKey);

impl PersonKey {
    /// The key in this file.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let (folder, name) = place(file)?;
        let bytes = folder.read(name)?.ok_or_else(|| {
            Failure::failed(format!("there is no key in `{}`", file.display()))
                .hint("`writ key register FILE` makes one and registers it")
        })?;
        let wrong = || {
            let what = format!("`{}` holds no Ed25519 key", file.display());
            Failure::failed(what).hint("give a file that `writ key register` made")
        };
        let text = str::from_utf8(&bytes).map_err(|_| wrong())?;
        let body = text.strip_prefix(BEGIN).and_then(|t| t.strip_suffix(END));
        let der = STANDARD
            .decode(body.ok_or_else(wrong)?)
            .map_err(|_| wrong())?;
        let seed = der.strip_prefix(&PREFIX).ok_or_else(wrong)?;
        let seed: &[u8; 32] = seed.try_into().map_err(|_| wrong())?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The key in this file; made when there is none.
    pub(crate) fn read_or_make(file: &Path) -> Result<Self, Failure> {
        let (folder, name) = place(file)?;
        if folder.read(name)?.is_none() {
            let entropy = OsEntropy::new()?;
            let bits = [entropy.bits(), entropy.bits()];
            let mut der = PREFIX.to_vec();
            der.extend(bits.into_iter().flat_map(u128::to_be_bytes));
            let text = format!("{BEGIN}{}{END}", STANDARD.encode(der));
            folder.create(name, text.as_bytes())?;
        }
        Self::read(file)
    }

    /// The public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().as_bytes())
    }

    /// Its id.
    pub(crate) fn id(&self) -> Result<SigningKeyId, Failure> {
        Ok(self.public().id()?)
    }

    /// The signature over this message, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).to_bytes())
    }
}

fn place(file: &Path) -> Result<(PrivateFolder, &str), Failure> {
    let name = file.file_name().and_then(|n| n.to_str());
    let name =
        name.ok_or_else(|| Failure::usage(format!("`{}` is not a file's name", file.display())))?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((PrivateFolder::open(folder)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_private_and_read_again() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("ann.pem");
        assert!(PersonKey::read(&file).is_err(), "nothing is there yet");
        let made = PersonKey::read_or_make(&file).unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = PersonKey::read_or_make(&file).unwrap();
        assert_eq!(made.id().unwrap(), again.id().unwrap());
        let word = made.sign(b"word");
        again.public().verify(b"word", &word, None).unwrap();

        let readable = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&file, readable).unwrap();
        assert!(PersonKey::read(&file).is_err(), "others could read it");
        let other = place.path().join("no-key");
        std::fs::write(&other, "hello").unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
        let said = format!("{:?}", PersonKey::read_or_make(&other).err().unwrap());
        assert!(said.contains("holds no Ed25519 key"), "{said}");
    }
}
