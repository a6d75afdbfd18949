//! The ladder of earned autonomy.

use super::common::Names;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::autonomy::{LadderView, Right, RungView, SetbackView, ladder_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::access::Permission;
use gate::autonomy::{Rung, Standing};
use std::cmp::Reverse;

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

fn view(names: &Names, ladder: Vec<Standing>, may: impl Fn(Permission) -> bool) -> LadderView {
    let rights = [
        (Permission::AutonomyGrant, Right::Grant),
        (Permission::AutonomyWithdraw, Right::Withdraw),
    ];
    let rights = rights.into_iter().filter(|(needs, _)| may(*needs));
    let mut types: Vec<_> = ladder.into_iter().map(|s| rung(names, s)).collect();
    types.sort_by_key(|t| Reverse(t.rung == Rung::Autonomous));
    LadderView {
        types,
        rights: rights.map(|(_, right)| right).collect(),
    }
}

pub(crate) async fn autonomy(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let ladder = visit.app.control().ladder(visit.caller.tenant()).await?;
    let view = view(&names, ladder, |permission| visit.may(permission));
    let frame = visit.frame(Section::Autonomy).await?;
    shown(ladder_page(&frame, &view))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::names::Name as _;
    use serde_json::{Value, json};

    fn standing(kind: &str, rung: Rung, record: Value) -> Standing {
        Standing {
            kind: kind.to_owned(),
            rung,
            proofs: Vec::new(),
            terms: serde_json::from_value(json!({ "confidence_min": 0.9 })).unwrap(),
            record: serde_json::from_value(record).unwrap(),
        }
    }

    fn setback(reason: &str, verdict: Value) -> Value {
        let directive = format!("dir_{}", "0".repeat(32));
        let mut what = json!({ "directive": directive, "reason": reason });
        if !verdict.is_null() {
            what["verdict"] = verdict;
        }
        json!({ "what": what, "at": "2026-03-01T00:00:00.000000Z", "runs": 7, "granted": true })
    }

    #[test]
    fn a_record_is_shown_whole_and_its_newest_setback_first() {
        let verdict = json!(format!("vrd_{}", "0".repeat(64)));
        let record = json!({
            "kind": "a", "runs": 51, "counted": [], "alone": 3,
            "setbacks": [setback("it failed", Value::Null), setback("it was blocked", verdict)],
            "grant": {
                "by": "human:ann", "at": "2026-03-01T00:00:00.000000Z", "reason": "it went well",
                "terms": "0".repeat(64), "runs": 50,
            },
            "withdrawn": null, "entry": format!("ent_{}", "0".repeat(32)),
        });
        let found = rung(&Names::default(), standing("a", Rung::Autonomous, record));
        assert_eq!((found.runs, found.needed, found.alone), (51, 50, 3));
        let (who, _, reason) = found.granted.unwrap();
        let granted = (who.actor.as_str(), reason.as_str());
        assert_eq!(granted, ("human:ann", "it went well"));
        let setbacks = found.setbacks.iter();
        let setbacks: Vec<_> = setbacks.map(|s| (s.reason.as_str(), s.violation)).collect();
        assert_eq!(setbacks, [("it was blocked", true), ("it failed", false)]);
        let none = rung(
            &Names::default(),
            standing("b", Rung::Supervised, json!(null)),
        );
        assert_eq!((none.runs, none.alone, none.setbacks.len()), (0, 0, 0));
        assert!(none.granted.is_none());
    }

    #[test]
    fn what_goes_alone_comes_first_and_each_right_has_its_permission() {
        let all = || Rung::ALL.iter().zip(["a", "b", "c"]);
        let ladder = || all().map(|(rung, kind)| standing(kind, *rung, json!(null)));
        let order = |view: LadderView| view.types.into_iter().map(|t| t.kind).collect::<Vec<_>>();
        let nobody = view(&Names::default(), ladder().collect(), |_| false);
        assert!(nobody.rights.is_empty());
        assert_eq!(
            order(nobody),
            ["c", "a", "b"],
            "Rung::ALL ends with the highest"
        );
        for (permission, right) in [
            (Permission::AutonomyGrant, Right::Grant),
            (Permission::AutonomyWithdraw, Right::Withdraw),
        ] {
            let may = |asked| asked == permission;
            assert_eq!(view(&Names::default(), Vec::new(), may).rights, [right]);
        }
    }
}
