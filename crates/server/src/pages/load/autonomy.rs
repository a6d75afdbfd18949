//! The ladder of earned autonomy.

use super::common::Names;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::autonomy::{LadderView, Right, RungView, SetbackView, ladder_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::access::Permission;
use gate::autonomy::{Rung, Standing};

fn rung(names: &Names, standing: Standing) -> RungView {
    let needed = standing.terms.approved_runs;
    let record = standing.record;
    let runs = record.as_ref().map_or(0, |r| r.runs);
    let grant = record.as_ref().and_then(|r| r.grant.as_ref());
    let setbacks = record.iter().flat_map(|r| r.setbacks.iter().rev());
    RungView {
        kind: standing.kind,
        rung: standing.rung,
        granted: grant.map(|g| (names.who(&g.by), g.at, g.reason.clone())),
        runs,
        needed,
        alone: record.as_ref().map_or(0, |r| r.alone),
        proofs: standing.proofs,
        setbacks: setbacks
            .map(|setback| SetbackView {
                at: setback.at,
                violation: setback.what.verdict.is_some(),
                reason: setback.what.reason.clone(),
                runs: setback.runs,
                directive: setback.what.directive.to_string(),
            })
            .collect(),
    }
}

pub(crate) async fn autonomy(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let ladder = visit.app.control().ladder(visit.caller.tenant()).await?;
    let mut rights = Vec::new();
    if visit.may(Permission::AutonomyGrant) {
        rights.push(Right::Grant);
    }
    if visit.may(Permission::AutonomyWithdraw) {
        rights.push(Right::Withdraw);
    }
    let mut types: Vec<_> = ladder.into_iter().map(|s| rung(&names, s)).collect();
    types.sort_by_key(|t| std::cmp::Reverse(t.rung == Rung::Autonomous));
    let view = LadderView { types, rights };
    let frame = visit.frame(Section::Autonomy).await?;
    shown(ladder_page(&frame, &view))
}
