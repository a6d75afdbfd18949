//! The pages about what the gate decided, with hostile text in every field.

use super::super::autonomy::{LadderView, Right, RungView, SetbackView, ladder_page};
use super::super::budgets::{Ahead, BurnView};
use super::super::explain::{ExplainView, explain_page, runbook_page};
use super::super::history::{HistoryView, history_page};
use super::super::meter::Burn;
use super::super::policies::{
    self, DifferView, PoliciesView, PolicyRow, SetView, ShadowView, policies_page,
};
use super::{at, frame, h, hs, own, value, verdict, who};
use gate::autonomy::{Proof, Rung};
use gate::explain::{Asked, Asker, Change, Determining, Explanation, Line, Under};
use gate::history::{Fact, FactStanding, FactStatus, Filter, Happening, Measure, Per, Within};
use gate::policy::Written;
use kernel::names::Name as _;
use kernel::{
    Actor, Digest, DirectiveId, PrincipalKind, Role, SnapshotId, Subject, Verdict, VerdictId,
};
use maud::Markup;

pub(super) fn explanation() -> Explanation {
    let digest = Digest::of(b"x");
    Explanation {
        id: VerdictId(digest),
        verdict: Verdict::Block,
        summary: h(),
        evaluated_at: at(),
        who: Asker {
            issued_by: Actor::new(PrincipalKind::Agent, h()),
            roles: vec![Role::Agent],
            editors: vec![Actor::new(PrincipalKind::Human, h())],
            origin: Some(h()),
        },
        what: Asked {
            directive: DirectiveId::parse(&format!("dir_{}", "0".repeat(32))).unwrap(),
            kind: h(),
            objective: h(),
            subject: Subject::parse("host/a").ok(),
            digest,
            in_force: false,
            choke_point: gate::ChokePoint::StepExecution,
            target: h(),
            snapshot: SnapshotId(digest),
        },
        under: Under {
            policy: digest,
            policy_in_force: true,
            rules: digest,
            rules_in_force: false,
            determining: vec![Determining {
                id: h(),
                written: Some(Written {
                    file: h(),
                    line: 3,
                    text: h(),
                }),
            }],
        },
        checks: vec![Line {
            check: h(),
            verdict: Verdict::Block,
            reason: h(),
            inputs: value(),
            remedies: hs(),
            runbook: gate::explain::runbook(&h()),
        }],
        changes: vec![Change {
            attribute: h(),
            was: value(),
            would_be: value(),
            bound: None,
        }],
        withheld: hs(),
    }
}

fn rung(of: Rung) -> RungView {
    RungView {
        kind: h(),
        rung: of,
        granted: (of == Rung::Autonomous).then(|| (who(), at(), h())),
        runs: 60,
        needed: 50,
        alone: 1,
        proofs: vec![Proof {
            name: "approved_runs",
            holds: false,
            text: h(),
        }],
        setbacks: vec![SetbackView {
            at: at(),
            violation: true,
            reason: h(),
            runs: 7,
            directive: h(),
        }],
    }
}

fn history() -> HistoryView {
    let all = || [h()].into();
    let fact = |per, measure, within| FactStanding {
        fact: Fact {
            name: h(),
            title: Some(h()),
            happening: Happening::StepPermitted,
            per,
            within,
            zone: None,
            measure,
            only: Filter {
                modules: all(),
                directive_types: all(),
                subject_types: all(),
                cost_classes: [gate::CostClass::Cheap].into(),
                data_classes: all(),
                destinations: all(),
            },
        },
        status: FactStatus::Ready,
        counted_since: Some(at()),
        window_from: at(),
        key: Some(h()),
        value: Some(serde_json::json!(3)),
        latest: Some(at()),
    };
    let back = FactStanding {
        status: FactStatus::CountingBack,
        key: None,
        ..fact(Per::SubjectAndAgent, Measure::Count, Within::Month)
    };
    HistoryView {
        facts: Some(vec![
            fact(Per::Tenant, Measure::Count, Within::Day),
            fact(
                Per::Agent,
                Measure::SecondsSince,
                Within::Sliding(kernel::Span::from_secs(60)),
            ),
            back,
        ]),
        subject: h(),
        agent: h(),
    }
}

pub(super) fn burn() -> BurnView {
    BurnView {
        budget: h(),
        value: h(),
        period: (at(), at()),
        used: own(),
        hard: own(),
        drawn: Burn::default(),
        ahead: Ahead::Breach(at(), own(), at()),
    }
}

pub(super) fn pages() -> Vec<(&'static str, Markup)> {
    let ladder = LadderView {
        types: Rung::ALL.iter().map(|of| rung(*of)).collect(),
        rights: vec![Right::Grant, Right::Withdraw],
    };
    let explain = ExplainView {
        explanation: explanation(),
        issued_by: who(),
        editors: vec![who()],
        verdict: verdict(),
    };
    let set = |status: &str| SetView {
        set: own(),
        status: status.to_owned(),
        files: hs(),
        by: who(),
        at: at(),
        reason: Some(h()),
    };
    let policies = PoliciesView {
        enforced: Some(h()),
        shadow: Some(h()),
        sets: ["shadow", "enforced", "withdrawn"].map(set).to_vec(),
        compared: ShadowView {
            asked: 2,
            differ: 1,
            items: vec![DifferView {
                verdict: h(),
                at: at(),
                choke_point: h(),
                was: (Verdict::Allow, h()),
                would_be: (Verdict::Block, h()),
            }],
        },
        looked_at: 2,
        policies: vec![PolicyRow {
            id: h(),
            place: h(),
            text: h(),
            determined: 1,
        }],
        rights: vec![policies::Right::Move],
    };
    vec![
        ("policies", policies_page(&frame(), &policies)),
        ("history", history_page(&frame(), &history())),
        ("autonomy", ladder_page(&frame(), &ladder)),
        ("verdict", explain_page(&frame(), &explain)),
        ("runbook", runbook_page(&frame(), "# A runbook\n\nText.")),
    ]
}
