//! Secrets that a test sets.

use kernel::Refusal;
use kernel::port::Secrets;
use std::collections::BTreeMap;

/// Secrets by reference; none unless set.
#[derive(Default)]
pub struct TwinSecrets(BTreeMap<String, Vec<u8>>);

impl TwinSecrets {
    /// These, by reference.
    #[must_use]
    pub fn of(secrets: &[(&str, &str)]) -> Self {
        let owned = secrets
            .iter()
            .map(|(name, secret)| ((*name).to_owned(), secret.as_bytes().to_vec()));
        Self(owned.collect())
    }
}

impl Secrets for TwinSecrets {
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal> {
        self.0
            .get(reference)
            .cloned()
            .ok_or_else(|| Refusal::unavailable(format!("no secret `{reference}`")))
    }
}
