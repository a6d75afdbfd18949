//! Who comes into the queue of a subject, who goes, and what that means for
//! those behind.

use super::claim::{Joined, Left};
use super::{Claim, ClaimEvent, Place, QUEUE_MAX, SUBJECTS_MAX, Then};
use crate::approval::settings::effective_class;
use crate::directive::{self, DirectiveEvent, Queued};
use crate::operations::because_of;
use crate::{ActionClass, Capabilities, Contract, Directive, GateEnv};
use kernel::{DirectiveId, EntryId, Refusal, Subject, Unit};
use std::collections::BTreeSet;

/// The subjects that a directive would change: all of its scope, or none where
/// it changes nothing and writes nowhere. A module that nobody knows writes.
fn changes(contract: &Contract, capabilities: &Capabilities) -> BTreeSet<Subject> {
    let writes = match effective_class(contract, capabilities) {
        ActionClass::InternalMutation | ActionClass::ExternalHumanTouch => true,
        ActionClass::InternalNonDestructive | ActionClass::Clarification => {
            let mut modules = contract.steps.iter().map(|s| capabilities.get(&s.module));
            modules.any(|module| module.is_none_or(|m| m.writes_outside))
        }
    };
    match writes {
        true => contract.scope.subjects.iter().cloned().collect(),
        false => BTreeSet::new(),
    }
}

/// Those that stand before a directive in the queues of these subjects.
fn ahead(
    unit: &mut Unit<'_>,
    id: DirectiveId,
    subjects: &BTreeSet<Subject>,
) -> Result<Vec<(Subject, Place)>, Refusal> {
    let mut found = Vec::new();
    for subject in subjects {
        if let Some(claim) = unit.find::<Claim>(subject)? {
            let places = claim.ahead(id).cloned();
            found.extend(places.map(|place| (subject.clone(), place)));
        }
    }
    Ok(found)
}

fn told(subject: &Subject, place: &Place) -> String {
    format!(
        "directive `{}` of type `{}` changes `{subject}` since {}",
        place.directive, place.kind, place.since
    )
}

/// What stands in the way of a plan: what blocks it, and what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    pub(crate) blocks: Vec<String>,
    pub(crate) waits: Vec<String>,
    pub(crate) with: BTreeSet<DirectiveId>,
}

/// Looks for what stands in the way of a directive that is asked for.
pub(crate) fn check(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
) -> Result<Conflicts, Refusal> {
    let subjects = changes(&directive.contract, env.capabilities);
    let mut found = Conflicts::default();
    if subjects.len() > SUBJECTS_MAX {
        found.blocks.push(format!(
            "it would change {} subjects at once, allowed are {SUBJECTS_MAX}: make several of it",
            subjects.len()
        ));
        return Ok(found);
    }
    for subject in &subjects {
        let Some(claim) = unit.find::<Claim>(subject)? else {
            continue;
        };
        if claim.place(directive.id).is_none() && claim.queue.len() >= QUEUE_MAX {
            found.blocks.push(format!(
                "{QUEUE_MAX} directives wait to change `{subject}`: decide on those first"
            ));
        }
        for place in claim.ahead(directive.id) {
            found.with.insert(place.directive);
            let line = told(subject, place);
            match env
                .rules
                .conflicts
                .of(&place.kind, &directive.contract.kind)
            {
                Then::Wait => found.waits.push(line),
                Then::Block => found
                    .blocks
                    .push(format!("{line}: retry when it has ended")),
            }
        }
    }
    Ok(found)
}

/// Why a step may not change its subjects now; empty when it may. Checked at
/// every attempt.
pub(crate) fn standing(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    directive: &Directive,
) -> Result<Vec<String>, Refusal> {
    let subjects = changes(&directive.contract, env.capabilities);
    let ahead = ahead(unit, directive.id, &subjects)?;
    Ok(ahead
        .iter()
        .map(|(subject, place)| told(subject, place))
        .collect())
}

/// Whom a directive waits for: in each queue the one right before it.
fn behind(
    unit: &mut Unit<'_>,
    id: DirectiveId,
    subjects: &BTreeSet<Subject>,
) -> Result<BTreeSet<DirectiveId>, Refusal> {
    let mut found = BTreeSet::new();
    for subject in subjects {
        if let Some(claim) = unit.find::<Claim>(subject)? {
            let before = claim.place(id).and_then(|at| at.checked_sub(1));
            let before = before.and_then(|at| claim.queue.get(at));
            found.extend(before.map(|place| place.directive));
        }
    }
    Ok(found)
}

fn scope(directive: &Directive) -> BTreeSet<Subject> {
    directive.contract.scope.subjects.iter().cloned().collect()
}

/// Takes the places of a directive that changes something, where it has none
/// yet: behind all others. Returns whom it waits for.
pub(crate) fn join(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    id: DirectiveId,
    cause: EntryId,
) -> Result<BTreeSet<DirectiveId>, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    for subject in changes(&directive.contract, env.capabilities) {
        let claim = unit.find::<Claim>(&subject)?;
        if claim.is_none_or(|claim| claim.place(id).is_none()) {
            let event = ClaimEvent::Joined(joined(&directive, &subject));
            because_of(unit, cause, |unit| unit.record::<Claim>(&subject, event))?;
        }
    }
    tell(unit, id, cause)
}

fn joined(directive: &Directive, subject: &Subject) -> Joined {
    Joined {
        subject: subject.clone(),
        directive: directive.id,
        kind: directive.contract.kind.clone(),
    }
}

/// Records whom a directive waits for, where that has changed.
fn tell(
    unit: &mut Unit<'_>,
    id: DirectiveId,
    cause: EntryId,
) -> Result<BTreeSet<DirectiveId>, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let behind = behind(unit, id, &scope(&directive))?;
    // What has begun waits for nobody.
    let may_wait = matches!(
        directive.status,
        directive::Status::Proposed | directive::Status::Approved
    );
    if may_wait && directive.waits_for != behind {
        let event = DirectiveEvent::Queued(Queued {
            behind: behind.clone(),
        });
        because_of(unit, cause, |unit| unit.record::<Directive>(id, event))?;
    }
    Ok(behind)
}

/// Gives back the places of a directive in these queues, and tells those who
/// stood right behind it.
fn give_back(
    unit: &mut Unit<'_>,
    id: DirectiveId,
    subjects: &BTreeSet<Subject>,
    cause: EntryId,
) -> Result<(), Refusal> {
    let mut told = BTreeSet::new();
    for subject in subjects {
        let Some(claim) = unit.find::<Claim>(subject)? else {
            continue;
        };
        let Some(at) = claim.place(id) else { continue };
        told.extend(claim.queue.get(at + 1).map(|place| place.directive));
        let event = ClaimEvent::Left(Left { directive: id });
        because_of(unit, cause, |unit| unit.record::<Claim>(subject, event))?;
    }
    for next in told {
        tell(unit, next, cause)?;
    }
    Ok(())
}

/// Gives back every place of a directive that has ended.
pub(crate) fn leave(unit: &mut Unit<'_>, directive: &Directive) -> Result<(), Refusal> {
    give_back(unit, directive.id, &scope(directive), directive.entry)
}

/// Says that nothing of a directive that was given up is done or undone any
/// more: the engine's word, in the unit that ends the run.
///
/// # Errors
/// When there is no such directive.
pub fn let_go(unit: &mut Unit<'_>, id: DirectiveId) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    leave(unit, &directive)
}

/// A contract replaces another: places that are needed no longer are given
/// back. Where it takes new subjects, or changes nothing any more, all are:
/// who wants more queues up anew, or the order of the queues would differ.
pub(crate) fn move_to(
    unit: &mut Unit<'_>,
    env: &GateEnv<'_>,
    before: &Directive,
    contract: &Contract,
) -> Result<(), Refusal> {
    let (old, new) = (scope(before), changes(contract, env.capabilities));
    let gone = match new.is_subset(&old) {
        true => old.difference(&new).cloned().collect(),
        false => old,
    };
    give_back(unit, before.id, &gone, before.entry)
}

/// A completed directive is rolled back: it takes the first place again, before
/// those who wait. A module's declaration no longer counts: what it did is
/// undone.
///
/// # Errors
/// `blocked` when another directive has begun to change one of its subjects.
pub fn reclaim(unit: &mut Unit<'_>, id: DirectiveId) -> Result<(), Refusal> {
    let directive = unit.get::<Directive>(id)?;
    let mut waiting = BTreeSet::new();
    for subject in scope(&directive) {
        let claim = unit.find::<Claim>(&subject)?;
        let first = claim
            .as_ref()
            .and_then(|claim| claim.queue.first().cloned());
        if first.as_ref().is_some_and(|place| place.directive == id) {
            continue;
        }
        if let Some(place) = first {
            if unit.get::<Directive>(place.directive)?.run.is_some() {
                return Err(Refusal::blocked(told(&subject, &place))
                    .hint("wait until it has ended, or abort it first"));
            }
            waiting.insert(place.directive);
        }
        let event = ClaimEvent::Returned(joined(&directive, &subject));
        because_of(unit, directive.entry, |unit| {
            unit.record::<Claim>(&subject, event)
        })?;
    }
    for next in waiting {
        tell(unit, next, directive.entry)?;
    }
    Ok(())
}

/// Whether the move of a directive gives back its places at once. Where a run
/// began, what it did may still be undone.
pub(crate) fn ends(directive: &Directive) -> bool {
    use directive::Status::{Aborted, Blocked, Complete, Expired};
    match directive.status {
        Blocked | Complete => true,
        Aborted | Expired => directive.run.is_none(),
        _ => false,
    }
}
