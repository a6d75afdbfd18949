//! Who may decide on a request: by roles of their own, by those that it was
//! escalated to, or in the place of someone who may. Nobody decides on what
//! they or whom they stand for wrote, and nobody fills two seats.

use crate::Approval;
use crate::approval::{OnBehalf, Vote};
use crate::delegation::{Delegations, Matter};
use kernel::{Actor, PrincipalKind, Refusal, Role, Unit};

/// Refuses who may not decide on this request; returns by which delegation they
/// may, where they decide in another's place.
pub(super) fn decider(
    unit: &mut Unit<'_>,
    approval: &Approval,
    on_behalf_of: Option<&Actor>,
) -> Result<Option<OnBehalf>, Refusal> {
    let among = approval.deciders();
    let ctx = unit.ctx();
    let (actor, now) = (ctx.actor.clone(), ctx.now);
    let is_person = actor.kind == PrincipalKind::Human;
    let Some(principal) = on_behalf_of else {
        if is_person && ctx.roles.iter().any(|role| among.contains(role)) {
            return Ok(None);
        }
        return Err(
            Refusal::forbidden(format!("`{actor}` may not decide on approvals")).hint(format!(
                "it takes a person with one of the roles: {}",
                listed(&among)
            )),
        );
    };
    let about = approval.request.about.as_ref();
    let matter = Matter {
        kind: about.map(|a| (a.action_class, a.directive_type.as_str())),
        among: &among,
    };
    let given = match is_person {
        true => unit.find::<Delegations>(&principal.id)?,
        false => None,
    };
    let given = given.filter(|given| given.by == *principal);
    let found = given
        .as_ref()
        .and_then(|given| given.to(&actor, matter, now));
    let found = found.ok_or_else(|| {
        Refusal::forbidden(format!(
            "no delegation in force lets `{actor}` decide on this for `{principal}`"
        ))
        .hint("`writ list delegations` shows who delegated what to whom, and until when")
    })?;
    Ok(Some(OnBehalf {
        principal: principal.clone(),
        delegation: found.granted.delegation,
    }))
}

fn listed(roles: &[Role]) -> String {
    let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Refuses a yes of who wrote it, or of whose seat is filled.
pub(super) fn has_a_seat(
    unit: &Unit<'_>,
    approval: &Approval,
    behalf: Option<&OnBehalf>,
) -> Result<(), Refusal> {
    let actor = &unit.ctx().actor;
    let mine = [Some(actor), behalf.map(|b| &b.principal)];
    for person in mine.into_iter().flatten() {
        if approval.request.barred.contains(person) {
            return Err(
                Refusal::forbidden(format!("`{person}` wrote it and may not approve it"))
                    .hint("someone else must approve"),
            );
        }
        if approval.votes.iter().any(|vote| fills(vote, person)) {
            return Err(Refusal::conflict(format!("`{person}` agreed already"))
                .hint("someone else must too"));
        }
    }
    Ok(())
}

/// Whether this person is part of a yes: they gave it, or it was given for
/// them.
fn fills(vote: &Vote, person: &Actor) -> bool {
    vote.by == *person
        || vote
            .on_behalf_of
            .as_ref()
            .is_some_and(|b| b.principal == *person)
}
