//! What an approval is bound to, who may give it, and what ends it.

use super::world::{POLICY, World, agent, engine, person, rules, source};
use crate::approval::{Approval, Status};
use crate::directive;
use crate::operations::{self, Approve, Decided, EditAndApprove, Proposed, Started};
use kernel::{Aggregate, ApprovalId, Code, Digest, DirectiveId, Role, RunId};
use serde_json::json;
use uuid::Uuid;

const RUN: RunId = RunId(Uuid::from_u128(5));

fn status(world: &World, id: ApprovalId) -> Status {
    world.see::<Approval>(id).unwrap().status
}

fn change_rules(world: &mut World) {
    let mut changed = source();
    changed["approvals"]["expires_after"] = json!("31m");
    world.rules = rules(changed, POLICY);
}

fn edit(world: &mut World, id: DirectiveId) -> Proposed {
    let mut contract = world.directive(id).contract.clone();
    contract.objective.push_str(" soon");
    world
        .run(&person("eve", Role::Operator), |unit, env| {
            operations::edit(unit, env, id, contract)
        })
        .unwrap()
        .proposed
        .unwrap()
}

#[test]
fn what_changed_voids_what_was_given() {
    type Change = fn(&mut World);
    let check = |change: Change, fault: Option<&str>| {
        let mut world = World::new();
        let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
        world.approve("ann", approval).unwrap();
        change(&mut world);
        let started = world.start(id, RUN).unwrap();
        match fault {
            None => {
                assert_eq!(started, Started::Started);
                assert_eq!(status(&world, approval), Status::Used);
            }
            Some(fault) => {
                let reasons = vec![fault.to_owned()];
                assert_eq!(started, Started::Blocked { reasons });
                assert_eq!(status(&world, approval), Status::Voided);
                assert_eq!(world.directive(id).status, directive::Status::Blocked);
            }
        }
        world.check_replay();
    };
    check(|_| (), None);
    // A cap can be raised without asking everybody again.
    check(
        |world| {
            let mut changed = source();
            changed["budgets"][0]["hard"] = json!("30 EUR");
            world.rules = rules(changed, POLICY);
        },
        None,
    );
    let rules_changed = Some("the rules changed since it was asked for");
    check(change_rules, rules_changed);
    check(
        |world| {
            let more = format!("{POLICY}\n// another version");
            world.rules = rules(source(), &more);
        },
        rules_changed,
    );
    check(
        |world| {
            let mut changed = source();
            changed["validators"]["freshness"]["default"]["hard_ttl"] = json!("3h");
            world.rules = rules(changed, POLICY);
        },
        rules_changed,
    );
}

#[test]
fn rules_that_change_before_the_answer_void_the_request() {
    let mut world = World::new();
    let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
    change_rules(&mut world);
    let decided = world.approve("ann", approval).unwrap();
    assert!(matches!(decided, Decided::Voided { .. }), "{decided:?}");
    assert_eq!(status(&world, approval), Status::Voided);
    assert_eq!(world.directive(id).status, directive::Status::Blocked);
    let again = world
        .run(&engine(), |unit, env| operations::retry(unit, env, id))
        .unwrap();
    assert!(matches!(again, Proposed::Waiting { .. }));
}

/// What people saw grows old: a moment before the limit it holds, at the limit
/// it is void, before the answer and before the start.
#[test]
fn knowledge_that_grows_too_old_voids_the_approval() {
    let with = |hard_ttl: &str| {
        let mut world = World::new();
        let mut changed = source();
        changed["validators"]["freshness"]["default"] =
            json!({"soft_ttl": "1s", "hard_ttl": hard_ttl});
        world.rules = rules(changed, POLICY);
        world
    };
    for (waited, holds) in [("9m59s", true), ("10m", false)] {
        let mut world = with("10m");
        let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
        world.pass(waited);
        let decided = world.approve("ann", approval).unwrap();
        assert_eq!(decided == Decided::Approved, holds, "{waited}: {decided:?}");
        if let Decided::Voided { reasons } = decided {
            assert!(
                reasons[0].contains("must be younger than 10m"),
                "{reasons:?}"
            );
            assert_eq!(world.directive(id).status, directive::Status::Blocked);
        }
        world.check_replay();

        let mut world = with("10m");
        let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
        world.approve("ann", approval).unwrap();
        world.pass(waited);
        let started = world.start(id, RUN).unwrap();
        assert_eq!(started == Started::Started, holds, "{waited}: {started:?}");
        let then = if holds { Status::Used } else { Status::Voided };
        assert_eq!(status(&world, approval), then);
        world.check_replay();
    }
}

#[test]
fn an_approval_serves_once() {
    let mut world = World::new();
    let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
    world.approve("ann", approval).unwrap();
    world.start(id, RUN).unwrap();
    let run = RunId(Uuid::from_u128(6));
    assert_eq!(world.start(id, run).unwrap_err().code, Code::IllegalMove);
    assert_eq!(world.count("approval.used"), 1);
    assert!(world.see::<Approval>(approval).unwrap().human_override);
}

#[test]
fn who_saw_another_version_is_told_what_changed() {
    let mut world = World::new();
    let (id, first) = world.waiting(&agent("scout"), &["mend"]);
    let old = world.directive(id).digest;
    let Proposed::Waiting { approval: second } = edit(&mut world, id) else {
        panic!("nobody was asked again");
    };
    assert_eq!(status(&world, first), Status::Voided);
    let mut answer = |approval, seen| {
        let asked = Approve::to(approval, seen);
        world
            .run(&person("ann", Role::Approver), |unit, env| {
                operations::approve(unit, env, &asked)
            })
            .unwrap_err()
    };
    for approval in [first, second] {
        let refusal = answer(approval, old);
        assert_eq!(refusal.code, Code::Conflict);
        assert!(
            refusal.message.ends_with("changed since: objective"),
            "{refusal}"
        );
    }
    let refusal = answer(second, Digest::ZERO);
    assert!(refusal.message.contains("never a version"), "{refusal}");
    let reject = world.run(&person("ann", Role::Approver), |unit, _| {
        operations::reject(unit, &operations::Reject::of(second, old, "no"))
    });
    assert_eq!(reject.unwrap_err().code, Code::Conflict);
    assert_eq!(world.approve("ann", second).unwrap(), Decided::Approved);
    world.check_replay();
}

#[test]
fn who_may_decide() {
    let check = |who: super::world::Who, code: Option<Code>| {
        let mut world = World::new();
        let issuer = person("ida", Role::Approver);
        let (id, approval) = world.waiting(&issuer, &["mend"]);
        let seen = world.directive(id).digest;
        let asked = Approve {
            reason: Some("looks right".to_owned()),
            ..Approve::to(approval, seen)
        };
        let got = world.run(&who, |unit, env| operations::approve(unit, env, &asked));
        assert_eq!(got.as_ref().err().map(|e| e.code), code, "{who:?}");
        assert_eq!(
            status(&world, approval) == Status::Approved,
            code.is_none(),
            "{who:?}"
        );
    };
    check(person("ann", Role::Approver), None);
    check(person("ann", Role::Admin), None);
    let no = Some(Code::Forbidden);
    for role in [Role::Viewer, Role::Operator, Role::Auditor, Role::Agent] {
        check(person("ann", role), no);
    }
    let mut robot = agent("robot");
    robot.1 = vec![Role::Approver, Role::Admin];
    check(robot, no);
    check(engine(), no);
    // The issuer, whatever the role.
    check(person("ida", Role::Approver), no);
    check(person("ida", Role::Admin), no);
}

#[test]
fn two_of_several_and_nobody_twice() {
    let mut world = World::new();
    let (id, approval) = world.waiting(&agent("scout"), &["tell"]);
    assert_eq!(
        world.approve("ann", approval).unwrap(),
        Decided::More { missing: 1 }
    );
    assert_eq!(
        world.approve("ann", approval).unwrap_err().code,
        Code::Conflict
    );
    assert_eq!(world.directive(id).status, directive::Status::Proposed);
    assert_eq!(world.start(id, RUN).unwrap_err().code, Code::IllegalMove);
    assert_eq!(world.approve("bob", approval).unwrap(), Decided::Approved);
    let votes = world.see::<Approval>(approval).unwrap().votes.clone();
    let names: Vec<_> = votes.iter().map(|v| v.by.id.as_str()).collect();
    assert_eq!(names, ["ann", "bob"]);
    world.check_replay();
}

#[test]
fn one_refusal_is_enough() {
    let mut world = World::new();
    let (id, approval) = world.waiting(&agent("scout"), &["tell"]);
    world.approve("ann", approval).unwrap();
    let seen = world.directive(id).digest;
    let bob = person("bob", Role::Approver);
    let mut reject = |why: &str| {
        world.run(&bob, |unit, _| {
            operations::reject(unit, &operations::Reject::of(approval, seen, why))
        })
    };
    assert_eq!(reject(" ").unwrap_err().code, Code::Invalid);
    reject("too loud").unwrap();
    assert_eq!(reject("too loud").unwrap_err().code, Code::IllegalMove);
    assert_eq!(status(&world, approval), Status::Rejected);
    let directive = world.directive(id);
    assert_eq!(directive.status, directive::Status::Blocked);
    assert_eq!(
        directive.reason.as_deref(),
        Some("rejected by `human:bob`: too loud")
    );
}

#[test]
fn silence_is_a_refusal_at_the_instant() {
    let mut world = World::new();
    let (id, approval) = world.waiting(&agent("scout"), &["mend"]);
    let end = world.see::<Approval>(approval).unwrap().due().unwrap();
    let tick = |world: &mut World| {
        world
            .run(&engine(), |unit, _| {
                operations::tick_approval(unit, approval)
            })
            .unwrap()
    };
    world.now = kernel::Timestamp::from_micros(end.as_micros() - 1);
    assert!(!tick(&mut world));
    world.now = end;
    // Before the tick came, the answer is too late already.
    assert_eq!(
        world.approve("ann", approval).unwrap_err().code,
        Code::Conflict
    );
    assert!(tick(&mut world));
    assert!(!tick(&mut world));
    assert_eq!(status(&world, approval), Status::Expired);
    assert_eq!(world.directive(id).status, directive::Status::Blocked);
}

#[test]
fn edit_and_approve_is_a_new_version_and_its_own_request() {
    let check = |duties: serde_json::Value, alone: bool| {
        let mut world = World::new();
        let mut changed = source();
        changed["approvals"]["separation_of_duties"] = duties;
        world.rules = rules(changed, POLICY);
        let (id, first) = world.waiting(&agent("scout"), &["mend"]);
        let mut contract = world.directive(id).contract.clone();
        contract.objective = "gently".to_owned();
        let asked = EditAndApprove {
            approval: first,
            seen: world.directive(id).digest,
            contract,
            reason: Some("safer".to_owned()),
        };
        let ann = person("ann", Role::Approver);
        let done = world
            .run(&ann, |unit, env| {
                operations::edit_and_approve(unit, env, asked)
            })
            .unwrap();
        assert_eq!(status(&world, first), Status::Voided);
        assert_eq!(world.directive(id).digest, done.digest);
        let Proposed::Waiting { approval: second } = done.proposed else {
            panic!("{done:?}");
        };
        assert_ne!(first, second);
        assert_eq!(done.decided, alone.then_some(Decided::Approved));
        if !alone {
            assert_eq!(
                world.approve("ann", second).unwrap_err().code,
                Code::Forbidden
            );
            assert_eq!(world.approve("bob", second).unwrap(), Decided::Approved);
        }
        assert_eq!(world.start(id, RUN).unwrap(), Started::Started);
        world.check_replay();
    };
    check(json!(["issuer"]), true);
    check(json!(["issuer", "editor"]), false);
}

#[test]
fn what_was_shown_is_bound() {
    let mut world = World::new();
    let (first, a) = world.waiting(&agent("scout"), &["mend"]);
    let (second, b) = world.waiting(&agent("scout"), &["mend"]);
    let bound = |id| world.see::<Approval>(id).unwrap().request.binding.clone();
    let (a, b) = (bound(a), bound(b));
    assert_eq!((a.directive, b.directive), (first, second));
    assert_eq!(a.digest, b.digest, "the same contract");
    assert_ne!(a.verdicts, b.verdicts);
    assert_ne!(a.shown, b.shown, "yet not the same decision");
}

#[test]
fn an_edit_back_to_an_earlier_version_is_judged_anew() {
    let mut world = World::new();
    let (id, _) = world.waiting(&agent("scout"), &["mend"]);
    let first = world.directive(id).contract.clone();
    edit(&mut world, id);
    change_rules(&mut world);
    let back = world
        .run(&person("eve", Role::Operator), |unit, env| {
            operations::edit(unit, env, id, first)
        })
        .unwrap();
    let Some(Proposed::Waiting { approval }) = back.proposed else {
        panic!("{back:?}");
    };
    let bound = world.see::<Approval>(approval).unwrap();
    let verdict = bound.request.binding.verdicts[0];
    let record = world.see::<crate::VerdictRecord>(verdict).unwrap();
    assert_eq!(record.given.rules, world.rules.hash);
    assert_eq!(bound.request.binding.rules, world.rules.hash);
}
