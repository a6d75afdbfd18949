//! What follows a promotion: the investigation of the incident freezes the
//! subject's state, asks the pack's runbooks, and proposes the directive of the
//! first that applies to the gate. No language model is asked.

use crate::force::{self, InForce};
use gate::GateEnv;
use gate::operations::{self, Proposed};
use kernel::{Actor, DirectiveId, EvidenceId, IncidentId, Refusal, Snapshot, SnapshotId, Unit};
use pack::{Choice, Situation};
use sense::bundle::Bundle;
use sense::incident::Incident;
use sense::investigation::{self, Investigation, InvestigationStatus};
use std::collections::BTreeSet;

/// The tick of an investigation that nobody has begun.
///
/// # Errors
/// When the incident is not there or the ledger refuses; a runbook that does
/// not apply, or a gate that blocks, is an outcome and is recorded.
pub(crate) fn begin(
    unit: &mut Unit<'_>,
    in_force: &InForce,
    env: &GateEnv<'_>,
    incident: IncidentId,
) -> Result<(), Refusal> {
    force::still(unit, in_force)?;
    let investigation = unit.get::<Investigation>(incident)?;
    if investigation.status != InvestigationStatus::Created {
        return Ok(());
    }
    investigation::analyze(unit, incident)?;
    let found = unit.get::<Incident>(incident)?;
    let snapshot = match freeze(unit, in_force, &found) {
        Ok(snapshot) => snapshot,
        Err(refusal) => {
            let summary = format!("nothing is proposed: {refusal}");
            investigation::decide(unit, incident, None, &summary)?;
            return Ok(());
        }
    };
    let choice = choose(unit, in_force, &found, snapshot)?;
    let Some((runbook, contract)) = choice.proposal else {
        let reasons: Vec<String> = choice
            .passed_over
            .iter()
            .map(|p| format!("`{}`: {}", p.runbook, p.reason.message))
            .collect();
        let summary = bounded(format!("no runbook applies. {}", reasons.join("; ")));
        investigation::decide(unit, incident, None, &summary)?;
        return Ok(());
    };
    let directive = operations::draft(unit, contract, Some(incident.to_string()))?;
    let summary = format!("runbook `{runbook}` proposes `{directive}`");
    investigation::decide(unit, incident, Some(directive), &summary)?;
    ask(unit, env, incident, directive)
}

fn ask(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    incident: IncidentId,
    directive: DirectiveId,
) -> Result<(), Refusal> {
    match operations::propose(unit, env, directive)? {
        Proposed::Waiting { approval } => {
            investigation::wait_for_human(unit, incident, approval)?;
        }
        Proposed::Blocked { .. } | Proposed::Approved { .. } => {}
    }
    Ok(())
}

fn freeze(
    unit: &mut Unit<'_>,
    in_force: &InForce,
    incident: &Incident,
) -> Result<SnapshotId, Refusal> {
    let schema = in_force.pack.schema_of(&incident.subject)?;
    world::take(unit, schema, &incident.subject)
}

fn choose(
    unit: &mut Unit<'_>,
    in_force: &InForce,
    incident: &Incident,
    snapshot: SnapshotId,
) -> Result<Choice, Refusal> {
    let snapshot = unit.get::<Snapshot>(snapshot)?;
    let bundle = unit.get::<Bundle>(incident.bundle)?;
    let evidence: BTreeSet<EvidenceId> = bundle.evidence.iter().copied().collect();
    let rules: BTreeSet<String> = incident.explanations.keys().cloned().collect();
    let issued_by = Actor::system("runbooks");
    Ok(pack::choose(
        &in_force.pack.runbooks,
        &Situation {
            incident: incident.id,
            subject: &incident.subject,
            severity: incident.severity,
            confidence: incident.confidence,
            rules: &rules,
            snapshot: &snapshot,
            evidence: &evidence,
            issued_by: &issued_by,
        },
    ))
}

fn bounded(text: String) -> String {
    let mut end = text.len().min(kernel::limits::TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
