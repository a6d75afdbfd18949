//! Intake: one pure operation from a parsed payload to signals, dead letters,
//! candidates and incidents. What the signals assert of their subjects' states
//! is handed back as facts, because the world is another crate's.

mod route;

use crate::candidate::{Settled, settle};
use crate::catalog::{Catalog, CompiledSource};
use crate::dead_letter::{self, DeadLetter};
use crate::definition::FactValue;
use crate::limits;
use crate::normalise::{self, Parsed};
use crate::severity::SignalStatus;
use crate::signal::{EvidenceRef, Signal, accept};
use kernel::{
    CandidateId, Digest, EntryId, EvidenceId, IncidentId, Refusal, Sealed, SignalId, Span, Subject,
    Timestamp, Unit,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a new signal asserts of its subject's state.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectFact {
    /// Of what.
    pub subject: Subject,
    /// The field of its state.
    pub field: String,
    /// The value.
    pub value: Value,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The record that says so.
    pub evidence: EvidenceId,
    /// The signal that says so.
    pub signal: SignalId,
}

/// An incident that this payload made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewIncident {
    /// The incident.
    pub id: IncidentId,
    /// The entry of the promotion.
    pub entry: EntryId,
}

/// What became of a payload.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// Signals that were not known, in the payload's order.
    pub signals_new: Vec<SignalId>,
    /// Signals that were known.
    pub signals_known: Vec<SignalId>,
    /// Items that are no valid signals.
    pub dead_letters: Vec<Digest>,
    /// Items that the source says it left out.
    pub truncated: u64,
    /// Candidates that collected; the tick settles them when they are due.
    pub candidates: BTreeSet<CandidateId>,
    /// Incidents that new evidence joined.
    pub incidents_joined: BTreeSet<IncidentId>,
    /// Incidents that were opened at once, where nothing has to settle.
    pub incidents_opened: Vec<NewIncident>,
    /// What the new signals assert.
    pub facts: Vec<SubjectFact>,
}

/// Takes in a parsed payload. The same payload again changes nothing.
///
/// # Errors
/// When there is no such source, storage does not answer or a bound is
/// reached; then nothing of the payload is taken in.
pub fn observe(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    source: &str,
    parsed: Parsed,
    evidence: EvidenceRef,
) -> Result<Intake, Refusal> {
    let compiled = catalog.source(source)?;
    let outer = unit.caused_by(Some(evidence.entry));
    let intake = take_in(unit, catalog, compiled, parsed, evidence);
    unit.caused_by(outer);
    intake
}

fn take_in(
    unit: &mut Unit<'_>,
    catalog: &Catalog,
    source: &CompiledSource,
    parsed: Parsed,
    evidence: EvidenceRef,
) -> Result<Intake, Refusal> {
    let definition = &source.definition;
    let mut intake = Intake {
        truncated: parsed.truncated,
        ..Intake::default()
    };
    let mut by_subject: BTreeMap<Subject, Vec<Arc<Signal>>> = BTreeMap::new();
    for observation in parsed.observations {
        let accepted = accept(
            unit,
            &definition.name,
            definition.trust,
            observation,
            evidence,
        )?;
        let signal = accepted.signal;
        if accepted.new {
            intake.signals_new.push(signal.id);
            intake.facts.extend(facts(source, &signal, evidence.id));
            let list = by_subject.entry(signal.subject.clone()).or_default();
            list.push(signal);
        } else {
            intake.signals_known.push(signal.id);
        }
    }
    for rejected in parsed.rejected {
        let id = dead_letter::keep(unit, &definition.name, rejected, evidence)?;
        intake.dead_letters.push(id);
    }
    for (subject, signals) in by_subject {
        route::route(unit, catalog, &subject, signals, &mut intake)?;
    }
    if catalog.correlation().settle == Span::ZERO {
        let due: Vec<_> = intake.candidates.iter().copied().collect();
        for id in due.into_iter().take(limits::SETTLED_AT_ONCE_MAX) {
            if let Settled::Promoted {
                incident, entry, ..
            } = settle(unit, catalog, id)?
            {
                intake.incidents_opened.push(NewIncident {
                    id: incident,
                    entry,
                });
            }
        }
    }
    Ok(intake)
}

/// What a signal asserts, by the source's rules.
fn facts(source: &CompiledSource, signal: &Signal, evidence: EvidenceId) -> Vec<SubjectFact> {
    let rules = source.definition.facts.iter();
    let concerned = rules.filter(|rule| {
        rule.signal_types.is_empty() || rule.signal_types.contains(&signal.signal_type)
    });
    concerned
        .filter_map(|rule| {
            let value = match signal.status {
                SignalStatus::Firing => rule.firing.as_ref()?,
                SignalStatus::Resolved => rule.resolved.as_ref()?,
            };
            let value = match value {
                FactValue::Constant(value) => value.clone(),
                FactValue::Attribute(name) => signal.attributes.get(name)?.clone(),
            };
            Some(SubjectFact {
                subject: signal.subject.clone(),
                field: rule.field.clone(),
                value,
                observed_at: signal.observed_at,
                evidence,
                signal: signal.id,
            })
        })
        .collect()
}

/// Reads a dead letter's item again with the catalogue as it is now, and takes
/// it in when it is valid.
///
/// # Errors
/// `not_found` when there is no such letter; `invalid` when the item is still
/// no valid signal or was too long to keep; `illegal_move` when it was driven
/// before.
pub fn redrive(unit: &mut Unit<'_>, catalog: &Catalog, id: Digest) -> Result<Intake, Refusal> {
    let letter = unit.get::<DeadLetter>(id)?;
    dead_letter::LIFECYCLE.next(letter.status, dead_letter::DeadLetterTrigger::Redrive)?;
    if letter.item.is_null() {
        return Err(
            Refusal::invalid(format!("the item of dead letter `{id}` was not kept"))
                .hint("send the payload again; it is kept as evidence"),
        );
    }
    if Sealed::of(&letter.item).is_some() {
        return Err(
            Refusal::invalid(format!("the item of dead letter `{id}` is sealed"))
                .hint("send the payload again; what is personal is not opened for this"),
        );
    }
    let observation = normalise::read_item(catalog, &letter.source, &letter.item)?;
    dead_letter::mark_redriven(unit, id)?;
    let parsed = Parsed {
        observations: vec![observation],
        ..Parsed::default()
    };
    observe(unit, catalog, &letter.source, parsed, letter.evidence)
}
