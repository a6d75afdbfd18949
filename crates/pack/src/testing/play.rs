//! Playing recorded bodies: evidence, signals, states, candidates, snapshots
//! and proposals, in the order in which the control loop makes them.

use super::case::{Case, Played};
use super::memory::Memory;
use crate::model::Pack;
use crate::runbook::{Situation, choose};
use gate::{Contract, validate};
use kernel::port::Plain;
use kernel::sealed::Algorithm;
use kernel::{
    Actor, Aggregate, BundleId, CandidateId, DataKeyId, Digest, EntryId, EvidenceId, IncidentId,
    KeyUse, Refusal, Sealed, Snapshot, Subject, Timestamp, Verdict, json,
};
use sense::bundle::Bundle;
use sense::candidate::{Candidate, Settled, settle};
use sense::definition::Source;
use sense::incident::Incident;
use sense::intake::SubjectFact;
use sense::normalise::Parsed;
use sense::{EvidenceRef, normalise, personal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::{Content, Fact, Filing};

/// How ticks and bodies follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ticks {
    /// What is due is done before the next body comes, as it is in reality.
    AsTheyFallDue,
    /// Everything comes first.
    AtTheEnd,
}

/// What was proposed for an incident.
pub(super) enum Proposed {
    /// By this runbook, this contract, and what the pack's own validators say
    /// of it where that is not ALLOW.
    Directive(String, Box<Contract>, BTreeMap<String, Verdict>),
    /// Nothing, and why.
    Nothing(Vec<String>),
}

/// The world of one test.
pub(super) struct Theatre<'a> {
    pack: &'a Pack,
    pub(super) memory: Memory,
    pub(super) proposed: BTreeMap<IncidentId, Proposed>,
}

impl<'a> Theatre<'a> {
    pub(super) fn new(pack: &'a Pack) -> Self {
        Self {
            pack,
            memory: Memory::default(),
            proposed: BTreeMap::new(),
        }
    }

    /// Plays bodies, then everything that is due by the end.
    pub(super) fn play(
        &mut self,
        case: &Case,
        bodies: &[&Played],
        ticks: Ticks,
    ) -> Result<(), Refusal> {
        for played in bodies {
            if ticks == Ticks::AsTheyFallDue {
                self.tick(played.at)?;
            }
            self.receive(played)
                .map_err(|e| e.at(format!("`{}`", played.fixture)))?;
        }
        self.tick(case.settle_at)
    }

    fn receive(&mut self, played: &Played) -> Result<(), Refusal> {
        let pack = self.pack;
        let body = pack
            .fixtures
            .get(&played.fixture)
            .ok_or_else(|| Refusal::not_found("no such fixture"))?;
        let payload = json::parse(body)?;
        let parsed = normalise::read(&pack.catalog, &played.source, &payload)?;
        let source = &pack.catalog.source(&played.source)?.definition;
        let (parsed, content) = match source.personal {
            true => pretended(source, parsed, body)?,
            false => (parsed, Content::Plain(body.clone())),
        };
        let mut subjects: Vec<Subject> = parsed
            .observations
            .iter()
            .map(|o| o.subject.clone())
            .collect();
        subjects.sort();
        subjects.dedup();
        let observed = parsed.observations.iter().map(|o| o.observed_at).max();
        let filing = Filing {
            evidence_type: source.evidence,
            source: source.name.clone(),
            source_id: String::new(),
            locator: String::new(),
            subjects,
            trust: source.trust,
            observed_at: observed.unwrap_or(played.at),
            connector: "webhook".to_owned(),
            content_type: "application/json".to_owned(),
            body: content,
        };
        let opened = self.memory.command(played.at, None, |unit| {
            let filed = world::file(unit, filing)?;
            let evidence = EvidenceRef {
                id: filed.id,
                entry: filed.entry,
            };
            let intake = sense::observe(unit, &pack.catalog, &played.source, parsed, evidence)?;
            unit.caused_by(Some(filed.entry));
            for (subject, facts) in by_subject(intake.facts) {
                world::claim(unit, pack.schema_of(&subject)?.as_ref(), &subject, &facts)?;
            }
            Ok(intake.incidents_opened)
        })?;
        for incident in opened {
            self.propose(incident.id, incident.entry, played.at)?;
        }
        Ok(())
    }

    /// Settles candidates in the order in which they fall due.
    fn tick(&mut self, until: Timestamp) -> Result<(), Refusal> {
        while let Some((due, id)) = self.next_due(until)? {
            let pack = self.pack;
            let settled = self
                .memory
                .command(due, None, |unit| settle(unit, &pack.catalog, id))?;
            match settled {
                Settled::Promoted {
                    incident, entry, ..
                } => self.propose(incident, entry, due)?,
                Settled::Rejected { .. } => {}
                Settled::Idle | Settled::NotDue(_) => {
                    return Err(Refusal::integrity(format!(
                        "candidate `{id}` is due and does not settle"
                    )));
                }
            }
        }
        Ok(())
    }

    fn next_due(&self, until: Timestamp) -> Result<Option<(Timestamp, CandidateId)>, Refusal> {
        let mut next = None;
        for (stream, candidate) in self.memory.all::<Candidate>()? {
            if let Some(due) = candidate.due().filter(|due| *due <= until) {
                let found = (due, stream.id().parse::<CandidateId>()?);
                next = Some(next.map_or(found, |earlier: (_, _)| found.min(earlier)));
            }
        }
        Ok(next)
    }

    fn propose(&mut self, id: IncidentId, entry: EntryId, at: Timestamp) -> Result<(), Refusal> {
        let pack = self.pack;
        let taken = self.memory.command(at, Some(entry), |unit| {
            let incident = unit.get::<Incident>(id)?;
            let bundle = unit.get::<Bundle>(incident.bundle)?;
            let snapshot = pack
                .schema_of(&incident.subject)
                .and_then(|schema| world::take(unit, schema, &incident.subject))
                .and_then(|snapshot| unit.get::<Snapshot>(snapshot));
            Ok((incident, bundle, snapshot))
        })?;
        let (incident, bundle, snapshot) = taken;
        let proposed = match snapshot {
            Ok(snapshot) => proposal(pack, &incident, &bundle, &snapshot, at),
            Err(refusal) => Proposed::Nothing(vec![refusal.to_string()]),
        };
        self.proposed.insert(id, proposed);
        Ok(())
    }

    /// The contracts that were proposed.
    #[cfg(test)]
    pub(super) fn contracts(&self) -> Vec<Contract> {
        let proposed = self.proposed.values();
        let contracts = proposed.filter_map(|proposed| match proposed {
            Proposed::Directive(_, contract, _) => Some(contract.as_ref().clone()),
            Proposed::Nothing(_) => None,
        });
        contracts.collect()
    }

    /// The ids of the incidents, with their bundles.
    pub(super) fn identities(&self) -> Result<BTreeSet<(IncidentId, BundleId)>, Refusal> {
        let incidents = self.memory.all::<Incident>()?;
        Ok(incidents.iter().map(|(_, i)| (i.id, i.bundle)).collect())
    }
}

fn proposal(
    pack: &Pack,
    incident: &Arc<Incident>,
    bundle: &Bundle,
    snapshot: &Snapshot,
    at: Timestamp,
) -> Proposed {
    let rules: BTreeSet<String> = incident.explanations.keys().cloned().collect();
    let evidence: BTreeSet<EvidenceId> = bundle.evidence.iter().copied().collect();
    let issued_by = Actor::system("runbook");
    let choice = choose(
        &pack.runbooks,
        &Situation {
            incident: incident.id,
            subject: &incident.subject,
            severity: incident.severity,
            confidence: incident.confidence,
            rules: &rules,
            snapshot,
            evidence: &evidence,
            issued_by: &issued_by,
        },
    );
    match choice.proposal {
        Some((runbook, contract)) => {
            let said = said(pack, &contract, snapshot, at);
            Proposed::Directive(runbook, Box::new(contract), said)
        }
        None => Proposed::Nothing(
            choice
                .passed_over
                .into_iter()
                .map(|p| format!("`{}`: {}", p.runbook, p.reason))
                .collect(),
        ),
    }
}

/// What the pack's own validators say of a proposal, where that is not ALLOW.
fn said(
    pack: &Pack,
    contract: &Contract,
    snapshot: &Snapshot,
    now: Timestamp,
) -> BTreeMap<String, Verdict> {
    let input = validate::Input {
        contract,
        step: None,
        snapshot,
        now,
        settings: &pack.rules.validators,
        conditions: &pack.rules.conditions,
    };
    validate::run_own(&input)
        .filter(|finding| finding.verdict != Verdict::Allow)
        .map(|finding| (finding.validator, finding.verdict))
        .collect()
}

/// Seals in form only: a test of a pack has no keys and keeps nothing.
fn pretended(source: &Source, parsed: Parsed, body: &[u8]) -> Result<(Parsed, Content), Refusal> {
    let seal = |subjects: &BTreeSet<Subject>, plain: &Plain| -> Result<Sealed, Refusal> {
        let text = String::from_utf8_lossy(&plain.bytes);
        let hash = Digest::of_value("writ.pretended.v1", &(subjects, &plain.place, text))?;
        let key = |subject: &Subject| KeyUse {
            subject: subject.clone(),
            key: DataKeyId(uuid::Uuid::nil()),
        };
        Ok(Sealed {
            algorithm: Algorithm::XChaCha20Poly1305,
            keys: subjects.iter().map(key).collect(),
            place: plain.place.clone(),
            nonce: hash.to_string().chars().take(48).collect(),
            ciphertext: String::new(),
        })
    };
    let whole = Plain {
        place: world::evidence::SEALED_PLACE.to_owned(),
        bytes: body.to_vec(),
    };
    let body = seal(&personal::body_subjects(source, &parsed)?, &whole)?;
    let parts = personal::parts(source, &parsed)?;
    let sealed = parts
        .iter()
        .map(|part| seal(&BTreeSet::from([part.subject.clone()]), &part.plain))
        .collect::<Result<_, _>>()?;
    let parsed = personal::put_back(source, parsed, sealed)?;
    Ok((parsed, Content::Sealed(body)))
}

fn by_subject(facts: Vec<SubjectFact>) -> BTreeMap<Subject, Vec<Fact>> {
    let mut sorted: BTreeMap<Subject, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        sorted.entry(fact.subject).or_default().push(Fact {
            field: fact.field,
            value: fact.value,
            observed_at: fact.observed_at,
            evidence: fact.evidence,
        });
    }
    sorted
}
