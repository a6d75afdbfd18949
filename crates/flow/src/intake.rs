//! From a request of a source to signals, in one unit: the raw body is filed
//! as evidence, its items become signals and dead letters, the signals join
//! candidates and incidents, and what they say of their subjects is claimed in
//! the world state.

use crate::control::Control;
use crate::force::{self, InForce};
use crate::personal::{self, SealedDelivery};
use kernel::{
    CandidateId, Ctx, Digest, EvidenceId, IncidentId, KeyUse, Refusal, SignalId, Subject,
    Timestamp, Unit, json,
};
use sense::intake::SubjectFact;
use sense::normalise::{self, Parsed};
use sense::{EvidenceRef, intake};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::{Content, Fact, Filing};

/// A request of a source whose authenticity was checked.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The source's name in the pack.
    pub source: String,
    /// The body's media type.
    pub content_type: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// What came of a delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Received {
    /// The record of the raw body.
    pub evidence: EvidenceId,
    /// Signals that were not known.
    pub signals_new: Vec<SignalId>,
    /// Signals that were known.
    pub signals_known: usize,
    /// Items that are no valid signals and were kept for inspection.
    pub dead_letters: usize,
    /// Items that the source says it left out.
    pub truncated: u64,
    /// Facts that the pack's schema does not accept, with the reason.
    pub facts_refused: Vec<String>,
    /// Candidates that collect the new signals.
    pub candidates: BTreeSet<CandidateId>,
    /// Incidents whose timeline they joined.
    pub incidents_joined: BTreeSet<IncidentId>,
    /// Incidents that were opened at once.
    pub incidents_opened: Vec<IncidentId>,
}

impl Control {
    /// Takes a delivery in. The same body again is known and changes nothing.
    ///
    /// # Errors
    /// When the body is not of the source's form, or what the ledger refuses.
    pub async fn receive(&self, ctx: Ctx, delivery: Delivery) -> Result<Received, Refusal> {
        let in_force = self.in_force(ctx.tenant)?;
        let payload = json::parse(&delivery.body)?;
        // Reading is pure and may be long: it is done before the command waits
        // for its turn.
        let parsed = normalise::read(&in_force.pack.catalog, &delivery.source, &payload)?;
        let source = &in_force.pack.catalog.source(&delivery.source)?.definition;
        let taken = match source.personal {
            false => Taken::plain(delivery, parsed),
            true => {
                let (tenant, body) = (ctx.tenant, &delivery.body);
                let sealed = self.sealed(tenant, &in_force, source, body, parsed);
                Taken::sealed(&delivery, sealed.await?)?
            }
        };
        let done = self
            .ledger()
            .run(ctx, move |unit| take_in(unit, &in_force, &taken))
            .await?;
        Ok(done.answer)
    }
}

/// A delivery as the command takes it in: what is personal of it is sealed.
struct Taken {
    source: String,
    source_id: Digest,
    content_type: String,
    content: Content,
    parsed: Parsed,
    keys: BTreeSet<KeyUse>,
    facts_refused: Vec<String>,
}

impl Taken {
    fn plain(delivery: Delivery, parsed: Parsed) -> Self {
        Self {
            source: delivery.source,
            source_id: Digest::of(&delivery.body),
            content_type: delivery.content_type,
            content: Content::Plain(delivery.body),
            parsed,
            keys: BTreeSet::new(),
            facts_refused: Vec::new(),
        }
    }

    fn sealed(delivery: &Delivery, sealed: SealedDelivery) -> Result<Self, Refusal> {
        Ok(Self {
            source: delivery.source.clone(),
            source_id: sealed.body.mark()?,
            content_type: delivery.content_type.clone(),
            content: Content::Sealed(sealed.body),
            parsed: sealed.parsed,
            keys: sealed.keys,
            facts_refused: sealed.refused,
        })
    }
}

/// Takes a delivery in, as one unit.
fn take_in(
    unit: &mut Unit<'_>,
    in_force: &Arc<InForce>,
    taken: &Taken,
) -> Result<Received, Refusal> {
    force::still(unit, in_force)?;
    if !taken.keys.is_empty() {
        personal::note(unit, &taken.keys)?;
    }
    let pack = &in_force.pack;
    let source = &pack.catalog.source(&taken.source)?.definition;
    let parsed = taken.parsed.clone();
    let subjects: BTreeSet<&Subject> = parsed.observations.iter().map(|o| &o.subject).collect();
    let now = unit.ctx().now;
    let observed = parsed.observations.iter().map(|o| o.observed_at).max();
    let filed = world::file(
        unit,
        Filing {
            evidence_type: source.evidence,
            source: source.name.clone(),
            source_id: taken.source_id.to_string(),
            locator: String::new(),
            subjects: subjects.into_iter().cloned().collect(),
            trust: source.trust,
            observed_at: observed.unwrap_or(now).min(now),
            connector: source.name.clone(),
            content_type: taken.content_type.clone(),
            body: taken.content.clone(),
        },
    )?;
    let evidence = EvidenceRef {
        id: filed.id,
        entry: filed.entry,
    };
    let seen = intake::observe(unit, &pack.catalog, &taken.source, parsed, evidence)?;
    let outer = unit.caused_by(Some(filed.entry));
    let mut facts_refused = taken.facts_refused.clone();
    facts_refused.extend(claim(unit, in_force, seen.facts)?);
    unit.caused_by(outer);
    Ok(Received {
        evidence: filed.id,
        signals_new: seen.signals_new,
        signals_known: seen.signals_known.len(),
        dead_letters: seen.dead_letters.len(),
        truncated: seen.truncated,
        facts_refused,
        candidates: seen.candidates,
        incidents_joined: seen.incidents_joined,
        incidents_opened: seen.incidents_opened.iter().map(|i| i.id).collect(),
    })
}

/// Claims what the signals say of their subjects. A fact that the schema does
/// not accept is left out and named; the signal itself stands.
pub(crate) fn claim(
    unit: &mut Unit<'_>,
    in_force: &InForce,
    facts: Vec<SubjectFact>,
) -> Result<Vec<String>, Refusal> {
    let mut refused = Vec::new();
    let mut by_subject: BTreeMap<Subject, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        let schema = match in_force.pack.schema_of(&fact.subject) {
            Ok(schema) => schema,
            Err(refusal) => {
                refused.push(format!("{}: {refusal}", fact.subject));
                continue;
            }
        };
        if let Err(refusal) = schema.check_field(&fact.field, &fact.value) {
            refused.push(format!("{}: {refusal}", fact.subject));
            continue;
        }
        by_subject.entry(fact.subject).or_default().push(Fact {
            field: fact.field,
            value: fact.value,
            observed_at: observed(fact.observed_at, unit.ctx().now),
            evidence: fact.evidence,
        });
    }
    for (subject, facts) in by_subject {
        let schema = in_force.pack.schema_of(&subject)?;
        world::claim(unit, schema, &subject, &facts)?;
    }
    refused.sort();
    refused.dedup();
    Ok(refused)
}

/// A source whose clock is ahead does not make a fact fresher than now.
fn observed(at: Timestamp, now: Timestamp) -> Timestamp {
    at.min(now)
}
