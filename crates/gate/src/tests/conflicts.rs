//! Conflicts: who waits for whom, and that every way in which a directive ends
//! lets the next one begin.

use super::world::{POLICY, World, agent, engine, person, rules, source};
use crate::conflict::{self, Claim, QUEUE_MAX, SUBJECTS_MAX};
use crate::directive::Status;
use crate::operations::{self, Expiry, Proposed, Started};
use crate::{Approval, VerdictRecord};
use kernel::{Aggregate, Code, DirectiveId, Role, RunId, Subject};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

fn run(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap()
}

/// A proposed directive on these subjects beside the one of the snapshot.
fn on(world: &mut World, module: &str, more: &[&str]) -> DirectiveId {
    let scout = agent("scout");
    let mut contract = world.contract(&scout, &[module]);
    let more = more.iter().map(|name| subject(name));
    contract.scope.subjects.extend(more);
    let id = world.draft(&scout, contract);
    world.propose(id);
    id
}

fn approve(world: &mut World, id: DirectiveId) {
    let approval = world.directive(id).approval.unwrap();
    for name in ["ann", "bob"] {
        if world
            .see::<Approval>(approval)
            .unwrap()
            .decided_at
            .is_none()
        {
            world.approve(name, approval).unwrap();
        }
    }
}

fn began(world: &mut World, id: DirectiveId, number: u128) -> bool {
    world.start(id, run(number)).unwrap() == Started::Started
}

fn waits(world: &World, id: DirectiveId) -> BTreeSet<DirectiveId> {
    world.directive(id).waits_for.clone()
}

fn abort_and_end(world: &mut World, id: DirectiveId) {
    world
        .run(&engine(), |unit, _| operations::abort(unit, id, "enough"))
        .unwrap();
}

fn let_go(world: &mut World, id: DirectiveId) {
    world
        .run(&engine(), |unit, _| conflict::let_go(unit, id))
        .unwrap();
}

/// How far the earlier directive goes, and how it ends.
type End = fn(&mut World, DirectiveId);

#[test]
fn whichever_way_the_earlier_ends_the_later_goes_on() {
    let ends: [(&str, End); 9] = [
        ("completed", |world, id| {
            approve(world, id);
            assert!(began(world, id, 1));
            world
                .run(&engine(), |unit, _| operations::complete(unit, id))
                .unwrap();
        }),
        ("aborted and undone", |world, id| {
            approve(world, id);
            assert!(began(world, id, 1));
            abort_and_end(world, id);
            // While it is undone, it changes its subject still.
            let others = world.all::<crate::Directive>();
            let later = others.iter().find(|d| d.id != id).unwrap();
            assert_eq!(later.waits_for, BTreeSet::from([id]));
            let_go(world, id);
        }),
        ("expired while paused, and undone", |world, id| {
            approve(world, id);
            assert!(began(world, id, 1));
            world
                .run(&engine(), |unit, _| operations::pause(unit, id, "wait"))
                .unwrap();
            let end = world.directive(id).expires_at;
            let now = std::mem::replace(&mut world.now, end);
            let expired = world.run(&engine(), |unit, _| operations::expire(unit, id));
            assert_eq!(expired.unwrap(), Expiry::Expired);
            world.now = now;
            let_go(world, id);
        }),
        ("expired before it began", |world, id| {
            let end = world.directive(id).expires_at;
            let now = std::mem::replace(&mut world.now, end);
            let expired = world.run(&engine(), |unit, _| operations::expire(unit, id));
            assert_eq!(expired.unwrap(), Expiry::Expired);
            world.now = now;
        }),
        ("rejected", |world, id| {
            let directive = world.directive(id);
            let (approval, seen) = (directive.approval.unwrap(), directive.digest);
            let bob = person("bob", Role::Approver);
            world
                .run(&bob, |unit, _| {
                    operations::reject(unit, &operations::Reject::of(approval, seen, "no"))
                })
                .unwrap();
        }),
        ("unanswered", |world, id| {
            let approval = world.directive(id).approval.unwrap();
            let end = world.see::<Approval>(approval).unwrap().request.expires_at;
            let now = std::mem::replace(&mut world.now, end);
            let done = world.run(&engine(), |unit, _| {
                operations::tick_approval(unit, approval)
            });
            assert!(done.unwrap());
            world.now = now;
        }),
        ("blocked when approved", |world, id| {
            approve(world, id);
            world
                .run(&engine(), |unit, _| operations::block(unit, id, "not now"))
                .unwrap();
        }),
        ("void at its start", |world, id| {
            approve(world, id);
            let rules_now = rules(source(), &format!("{POLICY}\n// next"));
            let before = std::mem::replace(&mut world.rules, rules_now);
            let started = world.start(id, run(1)).unwrap();
            assert!(matches!(started, Started::Blocked { .. }));
            world.rules = before;
        }),
        ("edited into one that only reads", |world, id| {
            let mut contract = world.directive(id).contract.clone();
            contract.steps[0].module = "look".to_owned();
            let eve = person("eve", Role::Operator);
            world
                .run(&eve, |unit, env| operations::edit(unit, env, id, contract))
                .unwrap();
        }),
    ];
    for (how, end) in ends {
        let mut world = World::new();
        let earlier = on(&mut world, "mend", &[]);
        let later = on(&mut world, "tell", &[]);
        approve(&mut world, later);
        assert_eq!(waits(&world, later), BTreeSet::from([earlier]), "{how}");
        let directive = world.directive(later);
        assert_eq!(
            directive.due(),
            Some(directive.expires_at),
            "{how}: it waits"
        );
        let waiting = Started::Waiting {
            behind: BTreeSet::from([earlier]),
        };
        assert_eq!(world.start(later, run(2)).unwrap(), waiting, "{how}");
        end(&mut world, earlier);
        assert_eq!(waits(&world, later), BTreeSet::new(), "{how}");
        assert_eq!(world.directive(later).due(), Some(world.now), "{how}: now");
        assert!(began(&mut world, later, 2), "{how}");
        let claim = world.see::<Claim>("service/checkout").unwrap();
        assert_eq!(claim.queue.len(), 1, "{how}");
        world.check_replay();
    }
}

#[test]
fn a_plan_says_whom_it_waits_for_and_a_rule_may_block_it() {
    let check = |conflicts: serde_json::Value, blocks: bool| {
        let mut world = World::new();
        let mut declared = source();
        declared["conflicts"] = conflicts.clone();
        world.rules = rules(declared, POLICY);
        let earlier = on(&mut world, "mend", &[]);
        let scout = agent("scout");
        let mut contract = world.contract(&scout, &["mend"]);
        contract.kind = "thing.tell".to_owned();
        let later = world.draft(&scout, contract);
        let said = format!("directive `{earlier}` of type `thing.mend` changes `service/checkout`");
        match world.propose(later) {
            Proposed::Blocked { verdict, reasons } => {
                assert!(blocks, "{conflicts}: {reasons:?}");
                assert!(
                    reasons[0].starts_with(&format!("conflict: {said}")),
                    "{reasons:?}"
                );
                assert!(
                    reasons[0].ends_with("retry when it has ended"),
                    "{reasons:?}"
                );
                let record = world.see::<VerdictRecord>(verdict).unwrap();
                assert_eq!(
                    record.result("conflict").unwrap().inputs,
                    json!({ "with": [earlier] })
                );
                world
                    .run(&engine(), |unit, _| {
                        operations::block(unit, earlier, "gone")
                    })
                    .unwrap();
                let again = world.run(&engine(), |unit, env| operations::retry(unit, env, later));
                assert!(matches!(again.unwrap(), Proposed::Waiting { .. }));
            }
            Proposed::Waiting { approval } => {
                assert!(!blocks, "{conflicts}");
                let bound = world.see::<Approval>(approval).unwrap();
                let verdict = bound.request.binding.verdicts[0];
                let record = world.see::<VerdictRecord>(verdict).unwrap();
                let reason = &record.result("conflict").unwrap().reason;
                assert!(reason.starts_with(&format!("it waits: {said}")), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        world.check_replay();
    };
    let pair = |earlier: &str, later: &str, then: &str| json!({ "earlier": earlier, "later": later, "then": then });
    check(json!({}), false);
    check(json!({ "otherwise": "wait" }), false);
    check(json!({ "otherwise": "block" }), true);
    check(
        json!({ "pairs": [pair("thing.mend", "thing.tell", "block")] }),
        true,
    );
    check(
        json!({ "pairs": [pair("thing.tell", "thing.mend", "block")] }),
        false,
    );
    check(
        json!({ "otherwise": "block", "pairs": [pair("thing.mend", "thing.tell", "wait")] }),
        false,
    );
}

#[test]
fn what_only_reads_meets_nobody() {
    let mut world = World::new();
    on(&mut world, "mend", &[]);
    let reading = on(&mut world, "look", &[]);
    assert_eq!(waits(&world, reading), BTreeSet::new());
    assert!(began(&mut world, reading, 1));
    let claim = world.see::<Claim>("service/checkout").unwrap();
    assert_eq!(claim.queue.len(), 1, "only the one that changes it");
}

#[test]
fn who_takes_another_subject_queues_up_anew() {
    // INVARIANT(order): without it the first two would wait for each other.
    let mut world = World::new();
    let first = on(&mut world, "mend", &[]);
    let second = on(&mut world, "mend", &["service/cart"]);
    assert_eq!(waits(&world, second), BTreeSet::from([first]));
    let mut contract = world.directive(first).contract.clone();
    contract.scope.subjects.push(subject("service/cart"));
    let eve = person("eve", Role::Operator);
    world
        .run(&eve, |unit, env| {
            operations::edit(unit, env, first, contract.clone())
        })
        .unwrap();
    assert_eq!(waits(&world, second), BTreeSet::new());
    assert_eq!(waits(&world, first), BTreeSet::from([second]));
    // Who gives one up keeps the place in the other.
    contract.scope.subjects.pop();
    world
        .run(&eve, |unit, env| {
            operations::edit(unit, env, first, contract)
        })
        .unwrap();
    assert_eq!(waits(&world, first), BTreeSet::from([second]));
    let queue = |name: &str| world.see::<Claim>(name).unwrap().queue.len();
    assert_eq!((queue("service/checkout"), queue("service/cart")), (2, 1));
    world.check_replay();
}

#[test]
fn a_rollback_comes_first_and_never_beside_another() {
    let mut world = World::new();
    let done = on(&mut world, "mend", &[]);
    approve(&mut world, done);
    assert!(began(&mut world, done, 1));
    let next = on(&mut world, "mend", &[]);
    approve(&mut world, next);
    world
        .run(&engine(), |unit, _| operations::complete(unit, done))
        .unwrap();
    let back = |world: &mut World| world.run(&engine(), |unit, _| conflict::reclaim(unit, done));
    back(&mut world).unwrap();
    assert_eq!(waits(&world, next), BTreeSet::from([done]));
    let_go(&mut world, done);
    assert!(began(&mut world, next, 2));
    let refused = back(&mut world).unwrap_err();
    assert_eq!(refused.code, Code::Blocked);
    assert!(refused.message.contains(&next.to_string()), "{refused}");
    world.check_replay();
}

#[test]
fn queues_and_scopes_are_bounded() {
    let mut world = World::new();
    let mut last = None;
    for _ in 0..QUEUE_MAX {
        let id = on(&mut world, "mend", &[]);
        assert_eq!(world.directive(id).status, Status::Proposed);
        last = Some(id);
    }
    let over = on(&mut world, "mend", &[]);
    let directive = world.directive(over);
    assert_eq!(directive.status, Status::Blocked);
    let reason = directive.reason.clone().unwrap();
    assert!(reason.contains("32 directives wait to change"), "{reason}");
    // One of those that wait may be edited all the same.
    let last = last.unwrap();
    let mut contract = world.directive(last).contract.clone();
    contract.objective.push('!');
    let eve = person("eve", Role::Operator);
    let edited = world.run(&eve, |unit, env| {
        operations::edit(unit, env, last, contract)
    });
    assert!(matches!(
        edited.unwrap().proposed,
        Some(Proposed::Waiting { .. })
    ));

    let names: Vec<String> = (1..=SUBJECTS_MAX)
        .map(|n| format!("service/s{n}"))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new();
    let over = on(&mut world, "mend", &names);
    let reason = world.directive(over).reason.clone().unwrap();
    assert!(reason.contains("33 subjects at once"), "{reason}");
    names.pop();
    let fits = on(&mut world, "mend", &names);
    assert_eq!(world.directive(fits).status, Status::Proposed);
}

#[test]
fn a_step_does_not_come_before_who_is_first() {
    // A directive that began before there were queues has no place in one.
    let mut world = World::new();
    let (old, started) = world.executing(&agent("scout"), &["mend"]);
    let_go(&mut world, old);
    let new = on(&mut world, "mend", &[]);
    let why = super::world::blocked(world.admit(old, started, "s0", 1).unwrap());
    assert!(why.contains(&format!("directive `{new}` of type")), "{why}");
    assert!(world.count("permit.issued") == 0);
}
