//! Comparing what came of a test with what it expects.

use super::case::{Case, ExpectedIncident, ExpectedProposal, Played};
use super::play::{Proposed, Theatre, Ticks};
use crate::model::Pack;
use kernel::{Refusal, Subject};
use sense::Signal;
use sense::candidate::{Candidate, CandidateStatus};
use sense::confidence::Band;
use sense::dead_letter::DeadLetter;
use sense::detection::Detection;
use sense::incident::Incident;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// What differs.
pub(super) fn judge(pack: &Pack, case: &Case) -> Result<Vec<String>, Refusal> {
    let mut faults = Vec::new();
    let bodies: Vec<&Played> = case.play.iter().collect();
    let mut theatre = Theatre::new(pack);
    theatre.play(case, &bodies, Ticks::AsTheyFallDue)?;
    compare(pack, case, &theatre, &mut faults)?;
    any_order(pack, case, &bodies, &mut faults)?;
    Ok(faults)
}

fn differs<T: PartialEq + Debug>(what: &str, expected: &T, found: &T, faults: &mut Vec<String>) {
    if expected != found {
        faults.push(format!("{what}: expected {expected:?}, found {found:?}"));
    }
}

fn compare(
    pack: &Pack,
    case: &Case,
    theatre: &Theatre<'_>,
    faults: &mut Vec<String>,
) -> Result<(), Refusal> {
    let expect = &case.expect;
    let memory = &theatre.memory;
    let signals = memory.all::<Signal>()?.len();
    differs("signals", &expect.signals, &signals, faults);
    let letters = memory.all::<DeadLetter>()?;
    differs("dead letters", &expect.dead_letters, &letters.len(), faults);
    if expect.dead_letters != letters.len() {
        let reasons = letters
            .iter()
            .map(|(_, l)| format!("`{}`: {}", l.path, l.reason));
        faults.extend(reasons.take(3));
    }
    let mut detections: BTreeMap<String, usize> = BTreeMap::new();
    for (_, detection) in memory.all::<Detection>()? {
        *detections.entry(detection.rule.clone()).or_default() += 1;
    }
    differs("detections", &expect.detections, &detections, faults);
    let candidates = memory.all::<Candidate>()?;
    let rejected: BTreeSet<Subject> = candidates
        .iter()
        .filter(|(_, c)| c.status == CandidateStatus::Rejected)
        .map(|(_, c)| c.subject.clone())
        .collect();
    differs("rejected", &expect.rejected, &rejected, faults);
    let mut incidents = memory.all::<Incident>()?;
    incidents.sort_by(|(_, a), (_, b)| (&a.subject, a.id).cmp(&(&b.subject, b.id)));
    let found: Vec<ExpectedIncident> = incidents
        .iter()
        .map(|(_, incident)| as_expected(pack, incident, theatre))
        .collect();
    differs("incidents", &expect.incidents.len(), &found.len(), faults);
    for (expected, found) in expect.incidents.iter().zip(&found) {
        let what = format!("incident of `{}`", expected.subject);
        differs(&what, expected, found, faults);
        if expected.proposes.is_some() && found.proposes.is_none() {
            for proposed in theatre.proposed.values() {
                if let Proposed::Nothing(reasons) = proposed {
                    faults.extend(reasons.iter().cloned());
                }
            }
        }
    }
    Ok(())
}

fn as_expected(pack: &Pack, incident: &Incident, theatre: &Theatre<'_>) -> ExpectedIncident {
    ExpectedIncident {
        subject: incident.subject.clone(),
        status: incident.status,
        severity: incident.severity,
        band: Band::of(incident.confidence, &pack.catalog.confidence().bands),
        rules: incident.explanations.keys().cloned().collect(),
        all_resolved: incident.all_resolved(),
        proposes: match theatre.proposed.get(&incident.id) {
            Some(Proposed::Directive(runbook, contract, said)) => Some(ExpectedProposal {
                runbook: runbook.clone(),
                directive_type: contract.kind.clone(),
                validators: said.clone(),
            }),
            Some(Proposed::Nothing(_)) | None => None,
        },
    }
}

/// Whatever order the bodies come in, and however often, the same incidents
/// come of them once all have been heard.
fn any_order(
    pack: &Pack,
    case: &Case,
    bodies: &[&Played],
    faults: &mut Vec<String>,
) -> Result<(), Refusal> {
    let identities = |order: &[&Played]| {
        let mut theatre = Theatre::new(pack);
        theatre.play(case, order, Ticks::AtTheEnd)?;
        theatre.identities()
    };
    let forward = identities(bodies)?;
    let backward: Vec<&Played> = bodies.iter().rev().copied().collect();
    let twice: Vec<&Played> = bodies.iter().flat_map(|body| [*body, *body]).collect();
    for (order, played) in [("backward", backward), ("twice", twice)] {
        let found = identities(&played)?;
        differs(
            &format!("identities when played {order}"),
            &forward,
            &found,
            faults,
        );
    }
    Ok(())
}
