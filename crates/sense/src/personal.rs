//! What of a delivery is personal, to be sealed by a shell before anything is
//! recorded: of each signal its fingerprint and every attribute that the pack
//! does not declare plain, under the keys of its subject; of each rejected item
//! all of it, under the key of the source, because nobody knows whom it names.

use crate::definition::Source;
use crate::normalise::Parsed;
use kernel::port::Plain;
use kernel::sealed::place_of_value;
use kernel::{Refusal, Sealed, Subject, json};
use serde_json::json as object;
use std::collections::BTreeSet;

/// The place of fingerprints.
const FINGERPRINT: &str = "fingerprint";
/// The place of rejected items.
pub const REJECTED: &str = "rejected";
/// What stands in a dead letter in place of the reason, which may quote.
const REASON: &str = "the source is personal: item, path and reason are sealed";

/// Something that is to be sealed.
#[derive(Debug)]
pub struct Part {
    /// Under whose key.
    pub subject: Subject,
    /// What.
    pub plain: Plain,
}

/// The subject that stands for a source: whose key seals what names nobody.
///
/// # Errors
/// When the source's name makes no subject.
pub fn source_subject(source: &Source) -> Result<Subject, Refusal> {
    Subject::new("source", &source.name)
}

/// Under whose keys the raw body is sealed: those of every subject that it
/// names, and of the source when some of it could not be read.
///
/// # Errors
/// As [`source_subject`].
pub fn body_subjects(source: &Source, parsed: &Parsed) -> Result<BTreeSet<Subject>, Refusal> {
    let named = parsed.observations.iter().map(|o| o.subject.clone());
    let mut subjects: BTreeSet<Subject> = named.collect();
    if subjects.is_empty() || !parsed.rejected.is_empty() {
        subjects.insert(source_subject(source)?);
    }
    Ok(subjects)
}

/// What of a parsed payload is to be sealed.
///
/// # Errors
/// When a value has no canonical form.
pub fn parts(source: &Source, parsed: &Parsed) -> Result<Vec<Part>, Refusal> {
    let mut parts = Vec::new();
    for observation in &parsed.observations {
        let mut add = |place: String, bytes: Vec<u8>| {
            parts.push(Part {
                subject: observation.subject.clone(),
                plain: Plain { place, bytes },
            });
        };
        add(FINGERPRINT.into(), observation.fingerprint.clone().into());
        for (name, value) in &observation.attributes {
            if source.seals(name) {
                add(place_of_value(name), json::canonical(value)?.into());
            }
        }
    }
    for rejected in &parsed.rejected {
        let whole = object!({
            "item": rejected.item, "path": rejected.path, "reason": rejected.reason,
        });
        parts.push(Part {
            subject: source_subject(source)?,
            plain: Plain {
                place: REJECTED.into(),
                bytes: json::canonical(&whole)?.into(),
            },
        });
    }
    Ok(parts)
}

/// The payload with what [`parts`] gave put back sealed, in the same order.
///
/// # Errors
/// `integrity` when there are more or fewer than it gave.
pub fn put_back(
    source: &Source,
    mut parsed: Parsed,
    sealed: Vec<Sealed>,
) -> Result<Parsed, Refusal> {
    let uneven = || Refusal::integrity("what was sealed does not fit the payload");
    let mut sealed = sealed.into_iter();
    for observation in &mut parsed.observations {
        let fingerprint = sealed.next().ok_or_else(uneven)?;
        observation.fingerprint = format!("sealed:{}", fingerprint.nonce);
        for (name, value) in &mut observation.attributes {
            if source.seals(name) {
                *value = sealed.next().ok_or_else(uneven)?.to_value()?;
            }
        }
    }
    for rejected in &mut parsed.rejected {
        rejected.item = sealed.next().ok_or_else(uneven)?.to_value()?;
        rejected.path = String::new();
        rejected.reason = REASON.to_owned();
    }
    match sealed.next() {
        None => Ok(parsed),
        Some(_) => Err(uneven()),
    }
}
