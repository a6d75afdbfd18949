//! What was erased, as far as it can be said without a key: a sealed value names
//! the keys that it needs, and the ledger says which erasure took one of them.

use super::document;
use super::key::SubjectKey;
use crate::control::Control;
use kernel::sealed::MEMBER;
use kernel::{Actor, Refusal, Sealed, Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Sealed values of one thing that are looked at; the others stay as they are.
const VALUES_MAX: usize = 1_000;

/// The erasure that took a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Of whom.
    pub subject: Subject,
    /// When; while the keys are still being destroyed, when it was ordered.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// Why.
    pub reason: String,
}

/// The keys of subjects as the ledger knows them, each read once.
type Known = BTreeMap<Subject, Option<SubjectKey>>;

impl Control {
    /// The erasure that took a sealed value: the first of those that took a key
    /// of its subjects. `None` while it can be opened.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn erasure(
        &self,
        tenant: TenantId,
        sealed: &Sealed,
    ) -> Result<Option<Gone>, Refusal> {
        self.erasure_by(tenant, sealed, &mut Known::new()).await
    }

    async fn erasure_by(
        &self,
        tenant: TenantId,
        sealed: &Sealed,
        known: &mut Known,
    ) -> Result<Option<Gone>, Refusal> {
        for used in &sealed.keys {
            if !known.contains_key(&used.subject) {
                let found = document::<SubjectKey>(self, tenant, &used.subject).await?;
                known.insert(used.subject.clone(), found);
            }
            let keys = known.get(&used.subject).and_then(Option::as_ref);
            if let Some(erasure) = keys.and_then(|keys| keys.erasure_of(used.key)) {
                return Ok(Some(Gone {
                    subject: used.subject.clone(),
                    at: erasure.erased_at.unwrap_or(erasure.ordered_at),
                    by: erasure.by.clone(),
                    reason: erasure.reason.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// What of the sealed values in this JSON was erased, each by where it
    /// stands, as a JSON pointer (RFC 6901).
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn erased_in(
        &self,
        tenant: TenantId,
        text: &str,
    ) -> Result<BTreeMap<String, Gone>, Refusal> {
        let mut erased = BTreeMap::new();
        if !text.contains(MEMBER) {
            return Ok(erased);
        }
        let found = serde_json::from_str(text).map_or_else(|_| Vec::new(), |v| sealed_in(&v));
        let mut known = Known::new();
        for (place, sealed) in found {
            if let Some(gone) = self.erasure_by(tenant, &sealed, &mut known).await? {
                erased.insert(place, gone);
            }
        }
        Ok(erased)
    }
}

/// The sealed values in a value, and the texts in it that are one, each with
/// where it stands, as a JSON pointer.
#[must_use]
pub fn sealed_in(value: &Value) -> Vec<(String, Sealed)> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, place: &str, found: &mut Vec<(String, Sealed)>) {
    if found.len() >= VALUES_MAX {
        return;
    }
    let sealed = match value {
        // The body of sealed evidence is kept as text.
        Value::String(text) if text.contains(MEMBER) => Sealed::parse(text.as_bytes()).ok(),
        other => Sealed::of(other),
    };
    if let Some(sealed) = sealed {
        found.push((place.to_owned(), sealed));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(member, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                collect(item, &format!("{place}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::DataKeyId;
    use kernel::sealed::{Algorithm, KeyUse};
    use serde_json::json;

    #[test]
    fn sealed_values_are_found_where_they_stand() {
        let key: DataKeyId = "dky_00000000000070008000000000000001".parse().unwrap();
        let sealed = Sealed {
            algorithm: Algorithm::XChaCha20Poly1305,
            keys: vec![KeyUse {
                subject: Subject::parse("person/1").unwrap(),
                key,
            }],
            place: "value/email".into(),
            nonce: "00".repeat(24),
            ciphertext: "AAAAAAAAAAAAAAAAAAAAAA==".into(),
        };
        let one = sealed.to_value().unwrap();
        let places = |value: &Value| {
            let found = sealed_in(value);
            assert!(found.iter().all(|(_, s)| *s == sealed));
            found
                .into_iter()
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        assert_eq!(places(&one), [""]);
        let deep = json!({"a/b": [1, {"c~": one}], "text": sealed.to_text().unwrap()});
        assert_eq!(places(&deep), ["/a~1b/1/c~0", "/text"]);
        let many = json!(vec![one; VALUES_MAX + 5]);
        assert_eq!(places(&many).len(), VALUES_MAX);
        for none in [json!({"$sealed": 1}), json!("$sealed"), json!([])] {
            assert_eq!(places(&none), Vec::<String>::new());
        }
    }
}
