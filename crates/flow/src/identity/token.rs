//! The text of a bearer token: `writ_<tenant>_<key>_<secret>`, three runs of
//! lowercase hex. It names its tenant and key, so that it is looked up without
//! a search, and it can be found by scanners for leaked secrets.

use kernel::{Digest, KeyId, TenantId};
use std::fmt;
use uuid::Uuid;

/// A bearer token. Two are never compared by `==`, whose time would tell how
/// much of a guess is right:
///
/// ```compile_fail,E0369
/// fn same(one: flow::identity::Token, other: flow::identity::Token) -> bool {
///     one == other
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Token {
    /// Whose log the key stands in.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    secret: [u8; 32],
}

impl Token {
    /// The token of this key with these unpredictable bits.
    #[must_use]
    pub fn new(tenant: TenantId, key: KeyId, bits: [u128; 2]) -> Self {
        let [a, b] = bits;
        let mut secret = [0; 32];
        secret
            .iter_mut()
            .zip(a.to_be_bytes().into_iter().chain(b.to_be_bytes()))
            .for_each(|(to, from)| *to = from);
        Self {
            tenant,
            key,
            secret,
        }
    }

    /// Parses the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("writ_")?.split('_');
        let mut next = || parts.next();
        let (tenant, key, secret) = (next()?, next()?, next()?);
        let uuid = |hex: &str| {
            (hex.len() == 32)
                .then(|| Uuid::try_parse(hex).ok())
                .flatten()
        };
        let token = Self {
            tenant: TenantId(uuid(tenant)?),
            key: KeyId(uuid(key)?),
            secret: Digest::parse(secret)?.0,
        };
        next().is_none().then_some(token)
    }

    /// What is stored of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> Digest {
        Digest::of(&self.secret)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "writ_{}_{}_{}",
            self.tenant.0.as_simple(),
            self.key.0.as_simple(),
            Digest(self.secret)
        )
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writ_…(key {})", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_parses_back_and_hides_its_secret() {
        let token = Token::new(
            TenantId(Uuid::from_u128(1)),
            KeyId(Uuid::from_u128(2)),
            [3, 4],
        );
        let text = token.to_string();
        assert_eq!(Token::parse(&text).unwrap().to_string(), text);
        assert!(!format!("{token:?}").contains("0000000000000003"));
        let upper = text.to_uppercase();
        for bad in [
            "",
            "writ_",
            &text[..text.len() - 1],
            &format!("{text}_x"),
            &format!("{text}0"),
            &upper,
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }
}
