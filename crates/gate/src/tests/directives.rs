//! The directive from draft to end, beside its lifecycle table.

use super::world::{World, agent, engine, money, person};
use crate::directive::{Directive, Status};
use crate::operations::{self, Expiry, Proposed, Started};
use crate::{ActionClass, Approval, Contract, VerdictRecord};
use kernel::{Aggregate, Code, Role, RunId, Verdict};
use serde_json::json;
use uuid::Uuid;

const RUN: RunId = RunId(Uuid::from_u128(5));

#[test]
fn what_needs_no_person_is_approved_by_rule_and_says_so() {
    let mut world = World::new();
    let issuer = agent("scout");
    let contract = world.contract(&issuer, &["look"]);
    let id = world.draft(&issuer, contract);
    let Proposed::Approved { approval } = world.propose(id) else {
        panic!("a person was asked");
    };
    let approval = world.see::<Approval>(approval).unwrap();
    assert!(!approval.human_override);
    assert_eq!((approval.votes.len(), approval.request.needed), (0, 0));
    let due = world.directive(id).due();
    assert_eq!(due, Some(world.now), "it can start at once");
    assert_eq!(world.start(id, RUN).unwrap(), Started::Started);
    let run = |world: &mut World| world.run(&engine(), |unit, _| operations::complete(unit, id));
    run(&mut world).unwrap();
    assert_eq!(run(&mut world).unwrap_err().code, Code::IllegalMove);
    assert_eq!(world.directive(id).status, Status::Complete);
    assert_eq!(world.directive(id).due(), None);
    world.check_replay();
}

#[test]
fn every_entry_of_an_approved_start_is_caused_by_the_one_before() {
    let mut world = World::new();
    let (id, _) = world.executing(&agent("scout"), &["mend"]);
    let by_id = |entry| world.entries.iter().find(|(d, ..)| d.id == entry);
    let mut at = world.directive(id).entry;
    let mut kinds = Vec::new();
    while let Some((draft, ..)) = by_id(at) {
        kinds.push(draft.kind);
        match draft.causation {
            Some(cause) => at = cause,
            None => break,
        }
    }
    assert_eq!(
        kinds,
        [
            "directive.started",
            "approval.used",
            "directive.approved",
            "approval.approved",
            "approval.requested",
            "gate.verdict_given",
            "directive.proposed",
        ]
    );
}

/// Drafts, and says with which code and word it was refused.
#[track_caller]
fn refused(change: impl FnOnce(&mut Contract), code: Code, word: &str) {
    let mut world = World::new();
    let issuer = agent("scout");
    let mut contract = world.contract(&issuer, &["look"]);
    change(&mut contract);
    let refusal = world
        .run(&issuer, |unit, _| operations::draft(unit, contract, None))
        .unwrap_err();
    assert_eq!(refusal.code, code, "{refusal}");
    assert!(refusal.message.contains(word), "{refusal}");
    assert_eq!(world.count("directive.drafted"), 0);
}

#[test]
fn faulty_contracts_are_refused_with_their_field() {
    refused(|c| c.role.clear(), Code::Invalid, "role");
    refused(|c| c.steps.clear(), Code::Invalid, "steps");
    refused(
        |c| c.steps[0].evidence.clear(),
        Code::Invalid,
        "steps[0].evidence",
    );
    refused(
        |c| c.steps.push(c.steps[0].clone()),
        Code::Invalid,
        "stands twice",
    );
    refused(|c| c.budget = money("1.99 EUR"), Code::Invalid, "budget");
    refused(
        |c| c.steps[0].cost = money("1 USD"),
        Code::Invalid,
        "steps[0].cost",
    );
    refused(|c| c.timebox = kernel::Span::ZERO, Code::Invalid, "timebox");
    refused(
        |c| c.scope.subjects.clear(),
        Code::Invalid,
        "scope.subjects",
    );
    refused(
        |c| c.scope.subjects[0] = "service/other".parse().unwrap(),
        Code::Invalid,
        "service/checkout",
    );
    refused(
        |c| c.snapshot = kernel::SnapshotId(kernel::Digest::ZERO),
        Code::Invalid,
        "no snapshot",
    );
    refused(
        |c| c.issued_by = agent("other").0,
        Code::Forbidden,
        "agent:other",
    );
}

#[test]
fn the_contract_in_text_is_strict_and_its_schema_says_so() {
    let world = World::new();
    let contract = world.contract(&agent("scout"), &["look"]);
    let text = serde_json::to_value(&contract).unwrap();
    let back: Contract = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(back.digest().unwrap(), contract.digest().unwrap());
    let schema = crate::contract::schema();
    assert_eq!(schema["additionalProperties"], json!(false));
    let fields = text.as_object().unwrap();
    for field in fields.keys() {
        let mut less = fields.clone();
        less.remove(field);
        assert!(
            serde_json::from_value::<Contract>(less.into()).is_err(),
            "{field} may be left out"
        );
        let required = schema["required"].as_array().unwrap();
        assert!(required.contains(&json!(field)), "{field}");
    }
    let mut more = fields.clone();
    more.insert("status".to_owned(), json!("approved"));
    assert!(serde_json::from_value::<Contract>(more.into()).is_err());
}

#[test]
fn a_blocked_plan_is_recorded_and_asked_afresh_on_retry() {
    let mut world = World::new();
    let issuer = agent("scout");
    world.pass("2h");
    let contract = world.contract(&issuer, &["look"]);
    let id = world.draft(&issuer, contract);
    let Proposed::Blocked { verdict, reasons } = world.propose(id) else {
        panic!("stale, yet not blocked");
    };
    assert!(reasons[0].starts_with("freshness: "), "{reasons:?}");
    let record = world.see::<VerdictRecord>(verdict).unwrap();
    let checks: Vec<_> = record
        .given
        .results
        .iter()
        .map(|r| r.check.as_str())
        .collect();
    assert_eq!(
        checks,
        [
            "freshness",
            "grounding",
            "contradiction",
            "compliance",
            "residency",
            "conflict",
            "policy",
            "budget",
            "approval",
            "kill_switch"
        ],
        "none is cut short"
    );
    assert_eq!(record.given.determining, ["tools"]);
    assert_eq!(world.directive(id).status, Status::Blocked);

    let again = world
        .run(&engine(), |unit, env| operations::retry(unit, env, id))
        .unwrap();
    let Proposed::Blocked {
        verdict: second, ..
    } = again
    else {
        panic!("{again:?}");
    };
    assert_ne!(verdict, second);
    assert_eq!(world.directive(id).round, 2);
    world.check_replay();
}

#[test]
fn warnings_never_stop_but_ask_for_a_person() {
    let mut world = World::new();
    world.pass("1h");
    let (_, approval) = world.waiting(&agent("scout"), &["look"]);
    let because = &world.see::<Approval>(approval).unwrap().request.because;
    assert_eq!(because, &["the gate's verdict on the plan is WARN"]);
    let (_, approval) = {
        let mut world = World::new();
        let found = world.waiting(&agent("scout"), &["doubtful"]);
        let record = world.all::<VerdictRecord>().remove(0);
        assert_eq!(record.result("policy").unwrap().verdict, Verdict::Warn);
        found
    };
    assert!(approval.to_string().starts_with("apr_"));
}

#[test]
fn timeboxes_end_at_the_instant() {
    for (status, expected) in [
        ("draft", Expiry::Expired),
        ("proposed", Expiry::Expired),
        ("approved", Expiry::Expired),
        ("blocked", Expiry::Expired),
        ("executing", Expiry::MustAbort),
        ("paused", Expiry::Expired),
        ("complete", Expiry::NotYet),
        ("aborted", Expiry::NotYet),
    ] {
        let mut world = World::new();
        let issuer = agent("scout");
        let contract = world.contract(&issuer, &["mend"]);
        let id = world.draft(&issuer, contract);
        bring(&mut world, id, status);
        assert_eq!(world.directive(id).status(), status);
        let tick = |world: &mut World| {
            world
                .run(&engine(), |unit, _| operations::expire(unit, id))
                .unwrap()
        };
        let end = world.directive(id).expires_at;
        world.now = kernel::Timestamp::from_micros(end.as_micros() - 1);
        assert_eq!(tick(&mut world), Expiry::NotYet, "{status}");
        world.now = end;
        assert_eq!(tick(&mut world), expected, "{status}");
        let after = world.directive(id);
        assert_eq!(after.status == Status::Expired, expected == Expiry::Expired);
        let open = world.all::<Approval>();
        let open = open
            .iter()
            .filter(|a| matches!(a.status(), "pending" | "approved"));
        assert_eq!(open.count(), 0, "{status}");
        world.check_replay();
    }
}

#[test]
fn nothing_is_asked_for_or_gone_on_with_after_the_timebox() {
    type Step = fn(&mut World, kernel::DirectiveId) -> Result<(), kernel::Refusal>;
    let rows: [(&str, Step); 6] = [
        ("draft", |world, id| {
            let ask = world.run(&engine(), |unit, env| operations::propose(unit, env, id));
            ask.map(drop)
        }),
        ("blocked", |world, id| {
            let ask = world.run(&engine(), |unit, env| operations::retry(unit, env, id));
            ask.map(drop)
        }),
        ("draft", edited),
        ("blocked", edited),
        ("proposed", edited),
        ("paused", |world, id| {
            world.run(&engine(), |unit, _| operations::resume(unit, id))
        }),
    ];
    for (status, go_on) in rows {
        for (is_over, late) in [(false, 1), (true, 0)] {
            let mut world = World::new();
            let issuer = agent("scout");
            let contract = world.contract(&issuer, &["mend"]);
            let id = world.draft(&issuer, contract);
            bring(&mut world, id, status);
            let end = world.directive(id).expires_at;
            world.now = kernel::Timestamp::from_micros(end.as_micros() - late);
            match go_on(&mut world, id) {
                Ok(()) => assert!(!is_over, "{status}"),
                Err(refusal) => {
                    assert!(is_over, "{status}: {refusal}");
                    assert_eq!(refusal.code, Code::Conflict, "{status}");
                    assert!(refusal.message.contains("timebox"), "{refusal}");
                }
            }
        }
    }
}

fn edited(world: &mut World, id: kernel::DirectiveId) -> Result<(), kernel::Refusal> {
    let mut contract = world.directive(id).contract.clone();
    contract.objective = "make it better".to_owned();
    let eve = person("eve", Role::Operator);
    let edit = world.run(&eve, |unit, env| operations::edit(unit, env, id, contract));
    edit.map(drop)
}

/// Brings a draft to this status.
fn bring(world: &mut World, id: kernel::DirectiveId, status: &str) {
    if status == "draft" {
        return;
    }
    let Proposed::Waiting { approval } = world.propose(id) else {
        panic!("nobody was asked");
    };
    if status == "proposed" {
        return;
    }
    if status == "blocked" {
        let op = |unit: &mut kernel::Unit<'_>, _: &crate::GateEnv<'_>| {
            operations::block(unit, id, "not now")
        };
        return world.run(&engine(), op).unwrap();
    }
    world.approve("ann", approval).unwrap();
    if status == "approved" {
        return;
    }
    world.start(id, RUN).unwrap();
    world
        .run(&engine(), |unit, _| match status {
            "paused" => operations::pause(unit, id, "wait"),
            "complete" => operations::complete(unit, id),
            "aborted" => operations::abort(unit, id, "enough"),
            _ => Ok(()),
        })
        .unwrap();
}

#[test]
fn only_what_has_not_been_agreed_to_can_be_edited() {
    for (status, editable) in [
        ("draft", true),
        ("proposed", true),
        ("approved", false),
        ("blocked", true),
        ("executing", false),
        ("paused", false),
        ("complete", false),
        ("aborted", false),
    ] {
        let mut world = World::new();
        let issuer = agent("scout");
        let mut contract = world.contract(&issuer, &["mend"]);
        let id = world.draft(&issuer, contract.clone());
        bring(&mut world, id, status);
        contract.objective = "make it better".to_owned();
        let before = world.directive(id);
        let edit = world.run(&person("eve", Role::Operator), |unit, env| {
            operations::edit(unit, env, id, contract)
        });
        assert_eq!(edit.is_ok(), editable, "{status}");
        let after = world.directive(id);
        assert_eq!(after.digest != before.digest, editable);
        if editable {
            assert_eq!((after.revision, after.replaced.len()), (2, 1));
            assert_eq!(after.replaced[0].changed, ["objective"]);
            assert_eq!(edit.unwrap().proposed.is_some(), status == "proposed");
        }
        world.check_replay();
    }
}

#[test]
fn an_edit_keeps_the_issuer_and_changes_something() {
    let mut world = World::new();
    let issuer = agent("scout");
    let contract = world.contract(&issuer, &["mend"]);
    let id = world.draft(&issuer, contract.clone());
    let mut edit = |contract: Contract| {
        world
            .run(&issuer, |unit, env| {
                operations::edit(unit, env, id, contract)
            })
            .unwrap_err()
    };
    assert!(edit(contract.clone()).message.contains("changes nothing"));
    let mut other = contract;
    other.issued_by = agent("other").0;
    assert!(edit(other).message.starts_with("issued_by"));
}

#[test]
fn who_must_agree() {
    let check = |kind: &str, class: ActionClass, modules: &[&str], person: bool| {
        let mut world = World::new();
        let issuer = agent("scout");
        let mut contract = world.contract(&issuer, modules);
        contract.kind = kind.to_owned();
        contract.action_class = class;
        let id = world.draft(&issuer, contract);
        let waits = matches!(world.propose(id), Proposed::Waiting { .. });
        assert_eq!(waits, person, "{kind} {class} {modules:?}");
    };
    use ActionClass::{
        Clarification, ExternalHumanTouch, InternalMutation, InternalNonDestructive,
    };
    check("thing.mend", InternalNonDestructive, &["look"], false);
    check("thing.mend", Clarification, &["look"], false);
    check("thing.mend", InternalMutation, &["look"], true);
    check("thing.mend", ExternalHumanTouch, &["look"], true);
    // The module's class counts where it is stronger than the contract's.
    check("thing.mend", InternalNonDestructive, &["mend"], true);
    // Nothing changes state alone before it has earned it (`autonomy`).
    check("thing.mend_alone", InternalNonDestructive, &["mend"], true);
    check("thing.mend_alone", InternalNonDestructive, &["look"], false);
    check("thing.mend_alone", ExternalHumanTouch, &["look"], true);
}

#[test]
fn a_module_may_insist_on_a_person() {
    let mut world = World::new();
    let issuer = agent("scout");
    world.modules.get_mut("look").unwrap().requires_approval = true;
    let contract = world.contract(&issuer, &["look"]);
    let id = world.draft(&issuer, contract);
    assert!(matches!(world.propose(id), Proposed::Waiting { .. }));
}

#[test]
fn an_unknown_module_blocks() {
    let mut world = World::new();
    let issuer = agent("scout");
    let contract = world.contract(&issuer, &["look", "unheard_of"]);
    let id = world.draft(&issuer, contract);
    let Proposed::Blocked { reasons, .. } = world.propose(id) else {
        panic!("let through");
    };
    assert!(
        reasons
            .iter()
            .any(|r| r == "policy: no module `unheard_of` is registered"),
        "{reasons:?}"
    );
}

#[test]
fn a_contract_is_checked_again_when_it_is_asked_for() {
    let mut world = World::new();
    let scout = agent("scout");
    let mut contract = world.contract(&scout, &["mend"]);
    contract.budget = money("1 EUR");
    let refused = world.run(&scout, |unit, _| {
        operations::draft(unit, contract.clone(), None)
    });
    assert!(refused.unwrap_err().message.contains("the steps cost"));
    // As a draft that was written when another bound held.
    let id = kernel::DirectiveId(Uuid::from_u128(9));
    let drafted = crate::directive::Drafted {
        directive: id,
        digest: contract.digest().unwrap(),
        contract,
        origin: None,
        issuer_roles: Vec::new(),
    };
    world
        .run(&scout, |unit, _| {
            let event = crate::directive::DirectiveEvent::Drafted(drafted);
            unit.record::<Directive>(id, event)
        })
        .unwrap();
    let refused = world
        .run(&engine(), |unit, env| operations::propose(unit, env, id))
        .unwrap_err();
    assert!(refused.message.contains("the steps cost"), "{refused}");
    assert_eq!(world.directive(id).status, Status::Draft);
}

#[test]
fn states_are_read_back_as_written() {
    let mut world = World::new();
    let (id, _) = world.executing(&agent("scout"), &["mend"]);
    let directive = world.directive(id);
    let text = serde_json::to_string(directive.as_ref()).unwrap();
    let back: Directive = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}
