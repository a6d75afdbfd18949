//! Delegations, and by which of them the visitor may decide.

use super::common::{Names, newest};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::delegations::{DelegationRow, DelegationsView, delegations_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::identity::{Principal, PrincipalStatus};
use gate::access::Permission;
use gate::delegation::{Delegation, Delegations};
use kernel::{Actor, PrincipalKind, Role, limits};

fn row(
    visit: &Visit,
    names: &Names,
    (of, by): (&str, &Actor),
    given: &Delegation,
) -> DelegationRow {
    let granted = &given.granted;
    let classes = granted.kinds.action_classes.iter().map(ToString::to_string);
    let in_force = given.is_in_force(visit.now);
    let status = match (&given.revoked, in_force) {
        (Some(_), _) => "revoked",
        (None, true) => "in force",
        (None, false) => "ended",
    };
    let manages = visit.caller.roles().contains(&Role::Admin);
    DelegationRow {
        id: granted.delegation.to_string(),
        of: of.to_owned(),
        by: names.who(by),
        to: names.who(&granted.to),
        kinds: classes
            .chain(granted.kinds.directive_types.iter().cloned())
            .collect(),
        status: status.to_owned(),
        until: granted.until,
        at: given.at,
        reason: granted.reason.clone(),
        revoked: given
            .revoked
            .as_ref()
            .map(|r| (names.who(&r.by), r.reason.clone())),
        may_revoke: in_force && (manages || by == visit.caller.actor()),
    }
}

pub(crate) async fn delegations(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let found = visit
        .list::<Delegations>(newest(limits::PAGE_ROWS_MAX))
        .await?;
    let own = visit.caller.actor();
    let rows = found.iter().flat_map(|(of, all)| {
        let given = all.given.iter().rev();
        given.map(|given| row(&visit, &names, (of, &all.by), given))
    });
    let mut view = DelegationsView {
        people: Vec::new(),
        rows: rows.collect(),
    };
    if own.kind == PrincipalKind::Human && visit.may(Permission::ApprovalDecide) {
        let everybody = visit
            .list::<Principal>(newest(limits::PAGE_ROWS_MAX))
            .await?;
        let people = everybody.into_iter().filter(|(id, person)| {
            person.kind == PrincipalKind::Human
                && person.status == PrincipalStatus::Active
                && *id != own.id
        });
        view.people = people.map(|(id, person)| (id, person.name)).collect();
    }
    let frame = visit.frame(Section::Approvals).await?;
    shown(delegations_page(&frame, &view))
}
