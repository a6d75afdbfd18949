//! Before a delivery of a personal source becomes a command, what is personal
//! of it is sealed: the command, and so the ledger, never sees the plaintext.
//! Within the command the keys are checked once more against the record,
//! because an erasure may have come between.

use super::key::{Created, Status, SubjectKey, SubjectKeyEvent};
use super::ring::{self, Founded, Ring, RingEvent};
use super::{document, erased};
use crate::control::Control;
use crate::force::InForce;
use kernel::port::{Founding, KeyWanted, Plain};
use kernel::{KeyUse, Refusal, Sealed, Subject, TenantId, Unit};
use sense::definition::{FactValue, Source};
use sense::normalise::Parsed;
use sense::personal;
use std::collections::{BTreeMap, BTreeSet};
use world::evidence::SEALED_PLACE;

/// A delivery with what is personal of it sealed.
#[derive(Clone, Debug)]
pub(crate) struct SealedDelivery {
    /// Its items.
    pub(crate) parsed: Parsed,
    /// The raw body.
    pub(crate) body: Sealed,
    /// The keys that were used.
    pub(crate) keys: BTreeSet<KeyUse>,
    /// Facts that the pack's schema does not accept, with the reason.
    pub(crate) refused: Vec<String>,
}

impl Control {
    /// Seals what is personal of a delivery.
    ///
    /// # Errors
    /// `forbidden` when a subject was erased; `unavailable` when the keyring
    /// or a key is missing. Nothing is taken in then.
    pub(crate) async fn sealed(
        &self,
        tenant: TenantId,
        in_force: &InForce,
        source: &Source,
        body: &[u8],
        mut parsed: Parsed,
    ) -> Result<SealedDelivery, Refusal> {
        let refused = drop_unfit(in_force, source, &mut parsed);
        let subjects = personal::body_subjects(source, &parsed)?;
        let founding = match document::<Ring>(self, tenant, ring::ID).await? {
            Some(_) => Founding::Known,
            None => Founding::New,
        };
        let mut wanted = BTreeMap::new();
        for subject in subjects {
            let key = self.key_of(tenant, &subject).await?;
            wanted.insert(subject.clone(), KeyWanted { subject, key });
        }
        let keyring = &self.ports().keyring;
        let whole = Plain {
            place: SEALED_PLACE.to_owned(),
            bytes: body.to_vec(),
        };
        let under = wanted.values().cloned().collect();
        let sealed = keyring.seal(tenant, founding, under, vec![whole]).await?;
        let body = sealed.into_iter().next().ok_or_else(uneven)?;
        // Keys that were just made are used for the parts as well.
        for used in &body.keys {
            if let Some(wanted) = wanted.get_mut(&used.subject) {
                wanted.key = Some(used.key);
            }
        }
        let parts = personal::parts(source, &parsed)?;
        let sealed = self.parts(tenant, &wanted, parts).await?;
        Ok(SealedDelivery {
            parsed: personal::put_back(source, parsed, sealed)?,
            keys: body.keys.iter().cloned().collect(),
            body,
            refused,
        })
    }

    /// Seals parts, subject by subject, and gives them in their order.
    async fn parts(
        &self,
        tenant: TenantId,
        wanted: &BTreeMap<Subject, KeyWanted>,
        parts: Vec<personal::Part>,
    ) -> Result<Vec<Sealed>, Refusal> {
        let mut by_subject: BTreeMap<Subject, (Vec<usize>, Vec<Plain>)> = BTreeMap::new();
        for (at, part) in parts.into_iter().enumerate() {
            let (places, plain) = by_subject.entry(part.subject).or_default();
            places.push(at);
            plain.push(part.plain);
        }
        let mut sealed = BTreeMap::new();
        for (subject, (places, plain)) in by_subject {
            let key = wanted.get(&subject).cloned().ok_or_else(uneven)?;
            let keyring = &self.ports().keyring;
            let done = keyring.seal(tenant, Founding::Known, vec![key], plain);
            sealed.extend(places.into_iter().zip(done.await?));
        }
        Ok(sealed.into_values().collect())
    }

    /// The key of a subject that the ledger knows.
    async fn key_of(
        &self,
        tenant: TenantId,
        subject: &Subject,
    ) -> Result<Option<kernel::DataKeyId>, Refusal> {
        match document::<SubjectKey>(self, tenant, subject).await? {
            None => Ok(None),
            Some(known) => {
                admitted(&known)?;
                Ok(known.current())
            }
        }
    }
}

fn uneven() -> Refusal {
    Refusal::integrity("the keyring did not seal what it was given")
}

/// Whether the subject's personal facts are taken in.
fn admitted(key: &SubjectKey) -> Result<(), Refusal> {
    match key.status {
        Status::Active | Status::Readmitted => Ok(()),
        Status::Erasing | Status::Erased => Err(erased(key)),
    }
}

/// Records first uses of keys, and refuses keys that are no longer in use.
///
/// # Errors
/// `forbidden` when a subject was erased meanwhile, `conflict` when its key was
/// renewed.
pub(crate) fn note(unit: &mut Unit<'_>, used: &BTreeSet<KeyUse>) -> Result<(), Refusal> {
    if unit.find::<Ring>(ring::ID)?.is_none() {
        unit.record::<Ring>(ring::ID, RingEvent::Founded(Founded {}))?;
    }
    for KeyUse { subject, key } in used {
        let known = unit.find::<SubjectKey>(subject)?;
        if let Some(known) = &known {
            admitted(known)?;
            match known.current() {
                Some(current) if current == *key => continue,
                Some(_) => {
                    return Err(Refusal::conflict(format!(
                        "the key of `{subject}` was renewed meanwhile"
                    ))
                    .hint("send it again"));
                }
                None => {}
            }
        }
        let created = Created {
            subject: subject.clone(),
            key: *key,
        };
        unit.record::<SubjectKey>(subject, SubjectKeyEvent::Created(created))?;
    }
    Ok(())
}

/// Takes attributes out that the personal field which they feed does not
/// accept: what is sealed cannot be checked later. The raw body keeps them.
fn drop_unfit(in_force: &InForce, source: &Source, parsed: &mut Parsed) -> Vec<String> {
    let mut refused = Vec::new();
    for observation in &mut parsed.observations {
        let Ok(schema) = in_force.pack.schema_of(&observation.subject) else {
            continue;
        };
        for rule in &source.facts {
            for value in rule.firing.iter().chain(&rule.resolved) {
                let FactValue::Attribute(name) = value else {
                    continue;
                };
                if !source.seals(name) {
                    continue;
                }
                let fault = observation
                    .attributes
                    .get(name)
                    .and_then(|value| schema.check_plain(&rule.field, value).err());
                if let Some(fault) = fault {
                    refused.push(format!("{}: {fault}", observation.subject));
                    observation.attributes.remove(name);
                }
            }
        }
    }
    refused
}
