//! The definitions of sensing put together and compiled, and the places of
//! their faults.

use super::read::{Parts, Whole};
use crate::fault::Fault;
use crate::files;
use crate::yaml::Document;
use kernel::{Refusal, Span};
use sense::Definitions;
use sense::catalog::Catalog;
use sense::definition::Correlation;

/// Puts the definitions together. What can be checked is checked even when
/// other parts could not be read.
pub(super) fn compile(
    parts: &Parts,
    faults: &mut Vec<Fault>,
) -> (Option<Definitions>, Option<Catalog>) {
    let Some(signals) = &parts.signals else {
        return (None, None);
    };
    let definitions = Definitions {
        sources: parts
            .sources
            .found
            .iter()
            .map(|d| d.value.clone())
            .collect(),
        signal_types: signals.value.signal_types.clone(),
        rules: parts.rules.found.iter().map(|d| d.value.clone()).collect(),
        correlation: parts
            .correlation
            .as_ref()
            .map_or_else(stand_in, |d| d.value.clone()),
        confidence: parts
            .confidence
            .as_ref()
            .map(|d| d.value.clone())
            .unwrap_or_default(),
        promotion: parts
            .promotion
            .as_ref()
            .map(|d| d.value.clone())
            .unwrap_or_default(),
    };
    match Catalog::compile(&definitions) {
        Ok(_) if parts.correlation.is_none() => (None, None),
        Ok(catalog) => (Some(definitions), Some(catalog)),
        Err(found) => {
            for fault in found {
                let of_rule_unread = fault.part == "confidence" && parts.rules.whole == Whole::No;
                if !of_rule_unread {
                    faults.push(placed(parts, fault));
                }
            }
            (None, None)
        }
    }
}

/// Lets the other definitions be checked while the file of the correlation is
/// missing or cannot be read; such a pack is refused in any case.
fn stand_in() -> Correlation {
    Correlation {
        gap: Span::from_secs(600),
        settle: Span::from_secs(1),
        min_rules: 1,
        min_signals: 1,
        max_signals: 1,
    }
}

fn placed(parts: &Parts, fault: sense::Fault) -> Fault {
    let sense::Fault {
        part,
        name,
        field,
        refusal,
    } = fault;
    match part {
        "sources" => in_group(&parts.sources.found, |s| s.name == name, &field, refusal),
        "rules" => in_group(&parts.rules.found, |r| r.id == name, &field, refusal),
        "signal_types" => {
            let types = parts.signals.as_ref();
            let last = types.and_then(|d| {
                let types = &d.value.signal_types;
                types.iter().rposition(|t| t.name == name)
            });
            match (types, last) {
                (Some(document), Some(at)) => {
                    let at = at.to_string();
                    let refusal = named(&name, refusal);
                    let below = ["signal_types", at.as_str()];
                    document.places.fault_at(&below, &field, refusal)
                }
                _ => Fault::of_file(files::SIGNALS, refusal),
            }
        }
        "correlation" => in_single(
            parts.correlation.as_ref(),
            files::CORRELATION,
            &field,
            refusal,
        ),
        "confidence" => in_single(
            parts.confidence.as_ref(),
            files::CONFIDENCE,
            &field,
            refusal,
        ),
        "promotion" => in_single(parts.promotion.as_ref(), files::PROMOTION, &field, refusal),
        _ => Fault::of_file(files::MANIFEST, refusal.at(part)),
    }
}

fn named(name: &str, refusal: Refusal) -> Refusal {
    refusal.at(format!("`{name}`"))
}

/// The last of several with the same name is the one that is too many.
fn in_group<T>(
    group: &[Document<T>],
    is: impl Fn(&T) -> bool,
    field: &str,
    refusal: Refusal,
) -> Fault {
    match group.iter().rev().find(|d| is(&d.value)) {
        Some(document) => document.places.fault_at(&[], field, refusal),
        None => Fault::of_file(files::MANIFEST, refusal),
    }
}

fn in_single<T>(
    document: Option<&Document<T>>,
    file: &str,
    field: &str,
    refusal: Refusal,
) -> Fault {
    match document {
        Some(document) => document.places.fault_at(&[], field, refusal),
        None => Fault::of_file(file, refusal),
    }
}
