//! What a delivery carries that is signed as Standard Webhooks 1.0.0 says: an
//! id, an instant, and one or more signatures over both and the body. An instant
//! outside of the tolerance is refused whatever signs it.

use act::builtin::signature;
use axum::http::HeaderMap;
use kernel::{Refusal, Span, Timestamp};
use subtle::ConstantTimeEq as _;

/// Signatures that a sender may offer while it changes its secret.
const SIGNATURES_MAX: usize = 8;
/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 256;
/// What a signature of the only version that is read begins with.
const VERSION: &str = "v1,";

/// The headers of a delivery, before its body is read.
pub(super) struct Signed<'h> {
    id: &'h str,
    at_secs: i64,
    signatures: Vec<&'h str>,
}

/// The header, where it stands exactly once.
fn once<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let one = all.next().filter(|_| all.next().is_none())?;
    one.to_str().ok()
}

impl<'h> Signed<'h> {
    /// Reads the headers of a delivery that comes now.
    #[must_use]
    pub(super) fn read(headers: &'h HeaderMap, now: Timestamp, tolerance: Span) -> Option<Self> {
        let id = once(headers, "webhook-id")?;
        // A full stop would let a part of the body pass for a part of the id.
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic() && b != b'.');
        let text = once(headers, "webhook-timestamp")?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let at_secs: i64 = text.parse().ok().filter(|_| digits)?;
        let now_secs = now.as_micros().div_euclid(1_000_000);
        let apart = now_secs.checked_sub(at_secs)?.checked_abs()?;
        let near = apart <= tolerance.as_micros() / 1_000_000;
        let offered = once(headers, "webhook-signature")?.split(' ');
        let signatures: Vec<_> = offered.filter(|s| s.starts_with(VERSION)).collect();
        let fits = id.len() <= ID_BYTES_MAX && signatures.len() <= SIGNATURES_MAX;
        (plain && near && fits).then_some(Self {
            id,
            at_secs,
            signatures,
        })
    }

    /// Whether one of the signatures is of this body under this secret.
    ///
    /// # Errors
    /// When the secret is none.
    pub(super) fn is_of(&self, secret: &[u8], body: &[u8]) -> Result<bool, Refusal> {
        let wanted = signature(secret, self.id, self.at_secs, body)?;
        let same = |given: &&str| bool::from(given.as_bytes().ct_eq(wanted.as_bytes()));
        Ok(self.signatures.iter().any(same))
    }
}
