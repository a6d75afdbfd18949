//! Passkeys (W3C Web Authentication, level 3): what an authenticator signs when
//! its person agrees, and whether it is about this message. The challenge is
//! the SHA-256 of the message; nothing here knows what the message says.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kernel::{Digest, Refusal};
use serde::{Deserialize, Serialize};

/// Bytes of the hash of the relying party, the flags and the counter.
const AUTHENTICATOR_DATA_BYTES_MIN: usize = 37;
/// Longer client data is not read.
const CLIENT_DATA_BYTES_MAX: usize = 4096;
/// Longer data of an authenticator is not read.
const AUTHENTICATOR_DATA_BYTES_MAX: usize = 4096;
/// The person was there.
const USER_PRESENT: u8 = 0x01;
/// The authenticator made sure that it was them.
const USER_VERIFIED: u8 = 0x04;
/// The key may be copied to other devices.
const BACKUP_ELIGIBLE: u8 = 0x08;
/// The key was copied to other devices.
const BACKED_UP: u8 = 0x10;

/// Where a passkey signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// The credential's id in base64url without padding.
    pub credential: String,
    /// The origin of the pages that it signs on: `https://HOST[:PORT]`, or
    /// `http://localhost[:PORT]`. Its host is the id of the relying party.
    pub origin: String,
}

/// What an authenticator signed, besides the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// `authenticatorData` in base64.
    pub authenticator_data: String,
    /// `clientDataJSON` in base64, as the browser made it.
    pub client_data: String,
}

/// The members of `clientDataJSON` that are looked at; there may be others.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

impl Passkey {
    /// The id of the relying party.
    ///
    /// # Errors
    /// When the origin or the credential is none.
    pub fn relying_party(&self) -> Result<&str, Refusal> {
        let wrong = |why: &str| Refusal::invalid(why.to_owned()).at("passkey.origin");
        let credential = URL_SAFE_NO_PAD.decode(&self.credential);
        if !credential.is_ok_and(|id| (1..=1023).contains(&id.len())) {
            return Err(
                Refusal::invalid("is no credential id in base64url").at("passkey.credential")
            );
        }
        let (secure, rest) = match self.origin.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(wrong("is no origin: write `https://HOST[:PORT]`")),
        };
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        let host_fine = !host.is_empty() && host.len() <= 253 && host.bytes().all(plain);
        if !host_fine || port.is_some_and(|p| p.parse::<u16>().is_err()) {
            return Err(wrong("is no origin: write `https://HOST[:PORT]`"));
        }
        if !secure && host != "localhost" {
            return Err(wrong(
                "must begin with `https://`, as passkeys do not work without",
            ));
        }
        Ok(host)
    }
}

impl Assertion {
    /// The bytes that were signed, when the assertion is about this message.
    ///
    /// # Errors
    /// What does not hold: the type, the challenge, the origin, the relying
    /// party, or that the person was there and was verified.
    pub fn signed(&self, passkey: &Passkey, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let refused = |why: String| Refusal::invalid(why).at("passkey");
        let client = decoded("client_data", &self.client_data, CLIENT_DATA_BYTES_MAX)?;
        // An object: the members of a list have no names.
        let data: Option<ClientData> = match client.trim_ascii_start().starts_with(b"{") {
            true => serde_json::from_slice(&client).ok(),
            false => None,
        };
        let data =
            data.ok_or_else(|| refused("the client data is not what a browser makes".to_owned()))?;
        if data.kind != "webauthn.get" {
            return Err(refused(format!(
                "it is a `{}`, not a `webauthn.get`",
                data.kind.escape_debug()
            )));
        }
        if data.challenge != URL_SAFE_NO_PAD.encode(Digest::of(message).0) {
            return Err(refused(
                "its challenge is not over this statement".to_owned(),
            ));
        }
        if data.origin != passkey.origin || data.cross_origin {
            return Err(refused(format!(
                "it was made on `{}`{}, the key is for `{}`",
                data.origin.escape_debug(),
                if data.cross_origin {
                    " in another page's frame"
                } else {
                    ""
                },
                passkey.origin
            )));
        }
        let mut bytes = self.authenticator_bytes()?;
        let host = Digest::of(passkey.relying_party()?.as_bytes());
        if bytes.get(..32) != Some(host.0.as_slice()) {
            return Err(refused("it was made for another relying party".to_owned()));
        }
        let flags = bytes.get(32).copied().unwrap_or_default();
        if flags & USER_PRESENT == 0 {
            return Err(refused("the authenticator saw no person".to_owned()));
        }
        if flags & USER_VERIFIED == 0 {
            return Err(refused(
                "the authenticator did not verify its person (PIN, finger or face)".to_owned(),
            ));
        }
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            return Err(refused("its flags contradict each other".to_owned()));
        }
        bytes.extend(Digest::of(&client).0);
        Ok(bytes)
    }

    /// How often the authenticator says that it has signed; 0 when it does not
    /// count.
    ///
    /// # Errors
    /// When the authenticator's data is none.
    pub fn counter(&self) -> Result<u32, Refusal> {
        let bytes = self.authenticator_bytes()?;
        let counter = bytes.get(33..37).and_then(|b| <[u8; 4]>::try_from(b).ok());
        counter
            .map(u32::from_be_bytes)
            .ok_or_else(|| Refusal::invalid("the authenticator's data is too short"))
    }

    fn authenticator_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let max = AUTHENTICATOR_DATA_BYTES_MAX;
        let bytes = decoded("authenticator_data", &self.authenticator_data, max)?;
        match bytes.len() < AUTHENTICATOR_DATA_BYTES_MIN {
            true => Err(Refusal::invalid("is too short").at("authenticator_data")),
            false => Ok(bytes),
        }
    }
}

fn decoded(name: &str, text: &str, max: usize) -> Result<Vec<u8>, Refusal> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Refusal::invalid("is not base64").at(name))?;
    match bytes.len() > max {
        true => {
            Err(Refusal::invalid(format!("has {} bytes, allowed are {max}", bytes.len())).at(name))
        }
        false => Ok(bytes),
    }
}
