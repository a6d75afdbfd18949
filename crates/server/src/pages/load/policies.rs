//! Policies: the sets, and what the latest verdicts say of them.

use super::common::{Names, newest};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::policies::{
    DifferView, PoliciesView, PolicyRow, Right, SetView, ShadowView, policies_page,
};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::policies::{Policies, SetStatus};
use gate::VerdictRecord;
use gate::access::Permission;
use gate::policy::PolicySet;
use kernel::limits;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most verdicts that are named because the shadow differs.
const DIFFER_MAX: usize = 20;

/// How the set in shadow compares: only the verdicts count that it was asked
/// about as it is now.
fn compared(verdicts: &[(String, VerdictRecord)], shadow: &PolicySet) -> ShadowView {
    let hash = shadow.hash().to_string();
    let mut view = ShadowView::default();
    for (id, record) in verdicts {
        let given = &record.given;
        let (Some(was), Some(would_be)) = (record.result("policy"), &given.shadow) else {
            continue;
        };
        let of = would_be.inputs.get("policy").and_then(|p| p.as_str());
        if of != Some(hash.as_str()) {
            continue;
        }
        view.asked += 1;
        if was.verdict == would_be.verdict {
            continue;
        }
        view.differ += 1;
        if view.items.len() < DIFFER_MAX {
            view.items.push(DifferView {
                verdict: id.clone(),
                at: given.evaluated_at,
                choke_point: given.question.choke_point.to_string(),
                was: (was.verdict, was.reason.clone()),
                would_be: (would_be.verdict, would_be.reason.clone()),
            });
        }
    }
    view
}

fn sets(names: &Names, sets: &Policies) -> Vec<SetView> {
    let in_use = |status: SetStatus| match status {
        SetStatus::Shadow => 0,
        SetStatus::Enforced => 1,
        SetStatus::Uploaded | SetStatus::Withdrawn => 2,
    };
    let mut all: Vec<_> = sets.sets.iter().collect();
    all.sort_by_key(|(_, set)| (in_use(set.status), Reverse(set.at)));
    all.into_iter()
        .map(|(name, set)| SetView {
            set: name.to_string(),
            status: set.status.to_string(),
            files: set.files.keys().cloned().collect(),
            by: names.who(&set.by),
            at: set.at,
            reason: set.reason.clone(),
        })
        .collect()
}

fn policies(verdicts: &[(String, VerdictRecord)], set: &PolicySet) -> Vec<PolicyRow> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in verdicts.iter().flat_map(|(_, r)| &r.given.determining) {
        *counts.entry(id.as_str()).or_default() += 1;
    }
    let mut rows: Vec<_> = set
        .ids()
        .into_iter()
        .filter_map(|id| {
            let written = set.written(&id)?;
            Some(PolicyRow {
                determined: counts.get(id.as_str()).copied().unwrap_or(0),
                id,
                place: format!("{}:{}", written.file, written.line),
                text: written.text,
            })
        })
        .collect();
    rows.sort_by_key(|row| Reverse(row.determined));
    rows
}

pub(crate) async fn policies_in_force(visit: Visit) -> Answer<Response> {
    let frame = visit.frame(Section::Policies).await?;
    let tenant = visit.caller.tenant();
    let control = visit.app.control();
    let Ok(in_force) = control.in_force(tenant) else {
        return shown(policies_page(&frame, &PoliciesView::default()));
    };
    let rules = &in_force.pack.rules;
    let names = Names::of(&visit).await?;
    let (recorded, _) = control.policies(tenant).await?;
    let verdicts = visit
        .list::<VerdictRecord>(newest(limits::PAGE_ROWS_MAX))
        .await?;
    let view = PoliciesView {
        enforced: Some(rules.policy.hash().to_string()),
        shadow: rules.shadow.as_ref().map(|set| set.hash().to_string()),
        sets: sets(&names, &recorded),
        compared: rules
            .shadow
            .as_ref()
            .map(|set| compared(&verdicts, set))
            .unwrap_or_default(),
        looked_at: verdicts.len(),
        policies: policies(&verdicts, &rules.policy),
        rights: match visit.may(Permission::PackLoad) {
            true => vec![Right::Move],
            false => Vec::new(),
        },
    };
    shown(policies_page(&frame, &view))
}
