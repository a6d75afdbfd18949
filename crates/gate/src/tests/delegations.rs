//! Who decides in whose place and until when, and who is asked when nobody
//! answers.

use super::world::{POLICY, Who, World, agent, engine, person, rules, source};
use crate::approval::{Approval, Kinds, Status};
use crate::delegation::{self, Delegations, Grant};
use crate::operations::{self, Approve, Decided, Reject};
use crate::{ActionClass, directive};
use kernel::{Aggregate, ApprovalId, Code, DelegationId, Refusal, Role, Span, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;

const DAY: u32 = 24 * 60 * 60;

fn later(world: &World, seconds: u32) -> Timestamp {
    world.now.plus(Span::from_secs(seconds))
}

fn grant(
    world: &mut World,
    by: &Who,
    change: impl FnOnce(&mut Grant),
) -> Result<DelegationId, Refusal> {
    let mut asked = Grant {
        to: person("dan", Role::Operator).0,
        kinds: Kinds::default(),
        until: later(world, DAY),
        reason: "on leave".to_owned(),
    };
    change(&mut asked);
    world.run(by, |unit, env| delegation::grant(unit, env, &asked))
}

fn vote(
    world: &mut World,
    who: &Who,
    approval: ApprovalId,
    for_whom: Option<&Who>,
) -> Result<Decided, Refusal> {
    let seen = world
        .see::<Approval>(approval)
        .unwrap()
        .request
        .binding
        .digest;
    let asked = Approve {
        on_behalf_of: for_whom.map(|who| who.0.clone()),
        ..Approve::to(approval, seen)
    };
    world.run(who, |unit, env| operations::approve(unit, env, &asked))
}

/// ann may decide; dan, an operator, may not by himself.
fn people() -> (Who, Who) {
    (person("ann", Role::Approver), person("dan", Role::Operator))
}

fn waiting(world: &mut World) -> ApprovalId {
    world.waiting(&agent("scout"), &["mend"]).1
}

#[test]
fn a_delegate_decides_in_anothers_place_and_it_is_recorded() {
    let mut world = World::new();
    let (ann, dan) = people();
    let approval = waiting(&mut world);
    let alone = vote(&mut world, &dan, approval, None).unwrap_err();
    assert_eq!(alone.code, Code::Forbidden);
    let nothing = vote(&mut world, &dan, approval, Some(&ann)).unwrap_err();
    assert_eq!(nothing.code, Code::Forbidden);
    let delegation = grant(&mut world, &ann, |_| ()).unwrap();
    // It does not make an approver of him.
    assert_eq!(
        vote(&mut world, &dan, approval, None).unwrap_err().code,
        Code::Forbidden
    );
    assert_eq!(
        vote(&mut world, &dan, approval, Some(&ann)).unwrap(),
        Decided::Approved
    );
    let vote = world.see::<Approval>(approval).unwrap().votes[0].clone();
    let behalf = vote.on_behalf_of.unwrap();
    assert_eq!(
        (vote.by, behalf.principal, behalf.delegation),
        (dan.0, ann.0, delegation)
    );
    world.check_replay();
}

#[test]
fn a_delegate_refuses_in_anothers_place() {
    let mut world = World::new();
    let (ann, dan) = people();
    grant(&mut world, &ann, |_| ()).unwrap();
    let approval = waiting(&mut world);
    let request = world.see::<Approval>(approval).unwrap().request.clone();
    let no = Reject {
        on_behalf_of: Some(ann.0.clone()),
        ..Reject::of(approval, request.binding.digest, "too loud")
    };
    world
        .run(&dan, |unit, _| operations::reject(unit, &no))
        .unwrap();
    let directive = world.directive(request.binding.directive);
    assert_eq!(directive.status, directive::Status::Blocked);
    let why = "rejected by `human:dan` on behalf of `human:ann`: too loud";
    assert_eq!(directive.reason.as_deref(), Some(why));
    world.check_replay();
}

/// It gives until a microsecond before its end, and nothing at it.
#[test]
fn what_a_delegation_gives_ends_at_the_instant_and_when_it_is_revoked() {
    let check = |what: &str, change: fn(&mut World, DelegationId), gives: bool| {
        let mut world = World::new();
        let (ann, dan) = people();
        let until = later(&world, 600);
        let delegation = grant(&mut world, &ann, |g| g.until = until).unwrap();
        let approval = waiting(&mut world);
        change(&mut world, delegation);
        let got = vote(&mut world, &dan, approval, Some(&ann));
        assert_eq!(got.is_ok(), gives, "{what}: {got:?}");
        world.check_replay();
    };
    fn at(world: &mut World, micros: i64) {
        world.now = Timestamp::from_micros(later(world, 600).as_micros() + micros);
    }
    fn revoke(world: &mut World, who: &Who, delegation: DelegationId) -> Result<(), Refusal> {
        world.run(who, |unit, _| {
            delegation::revoke(unit, "ann", delegation, "back again")
        })
    }
    check("before the end", |world, _| at(world, -1), true);
    check("at the end", |world, _| at(world, 0), false);
    check("after it", |world, _| at(world, 1), false);
    check(
        "revoked by its giver",
        |world, id| revoke(world, &person("ann", Role::Approver), id).unwrap(),
        false,
    );
    check(
        "revoked by an admin",
        |world, id| revoke(world, &person("root", Role::Admin), id).unwrap(),
        false,
    );
    check(
        "not revoked by others",
        |world, id| {
            for who in [person("dan", Role::Operator), person("bob", Role::Approver)] {
                assert_eq!(revoke(world, &who, id).unwrap_err().code, Code::Forbidden);
            }
        },
        true,
    );
    check(
        "its giver lost the role",
        |world, _| {
            let root = person("root", Role::Admin);
            world
                .run(&root, |unit, _| {
                    delegation::withdraw(unit, "ann", &[Role::Viewer])
                })
                .unwrap();
        },
        false,
    );
    check(
        "its giver has the role and another",
        |world, _| {
            let root = person("root", Role::Admin);
            let roles = [Role::Viewer, Role::Approver];
            world
                .run(&root, |unit, _| delegation::withdraw(unit, "ann", &roles))
                .unwrap();
        },
        true,
    );
}

#[test]
fn a_delegation_covers_what_it_names() {
    let check = |classes: &[ActionClass], types: &[&str], gives: bool| {
        let mut world = World::new();
        let (ann, dan) = people();
        let kinds = Kinds {
            action_classes: classes.iter().copied().collect(),
            directive_types: types.iter().map(|t| (*t).to_owned()).collect(),
        };
        grant(&mut world, &ann, |g| g.kinds = kinds).unwrap();
        let approval = waiting(&mut world);
        let got = vote(&mut world, &dan, approval, Some(&ann));
        assert_eq!(got.is_ok(), gives, "{classes:?} {types:?}: {got:?}");
    };
    check(&[], &[], true);
    check(&[ActionClass::InternalMutation], &[], true);
    check(&[ActionClass::ExternalHumanTouch], &[], false);
    check(&[], &["thing.mend"], true);
    check(&[], &["thing.break"], false);
    check(&[ActionClass::ExternalHumanTouch], &["thing.mend"], true);
}

#[test]
fn who_may_give_what_to_whom() {
    let check = |what: &str, by: Who, change: fn(&World, &mut Grant), code: Option<Code>| {
        let mut world = World::new();
        let base = World::new();
        let got = grant(&mut world, &by, |g| change(&base, g));
        assert_eq!(got.as_ref().err().map(|e| e.code), code, "{what}: {got:?}");
    };
    let ann = || person("ann", Role::Approver);
    check("as it is", ann(), |_, _| (), None);
    check("an admin", person("root", Role::Admin), |_, _| (), None);
    let no = Some(Code::Forbidden);
    check(
        "who decides nothing",
        person("eve", Role::Operator),
        |_, _| (),
        no,
    );
    check(
        "an agent",
        Who(agent("a").0, vec![Role::Approver]),
        |_, _| (),
        no,
    );
    check("writ itself", engine(), |_, _| (), no);
    let invalid = Some(Code::Invalid);
    check(
        "to herself",
        ann(),
        |_, g| g.to = person("ann", Role::Approver).0,
        invalid,
    );
    check(
        "to an agent",
        ann(),
        |_, g| g.to = agent("scout").0,
        invalid,
    );
    check(
        "no reason",
        ann(),
        |_, g| g.reason = " ".to_owned(),
        invalid,
    );
    check("at once over", ann(), |w, g| g.until = w.now, invalid);
    check("30 days", ann(), |w, g| g.until = later(w, 30 * DAY), None);
    check(
        "longer",
        ann(),
        |w, g| g.until = Timestamp::from_micros(later(w, 30 * DAY).as_micros() + 1),
        Some(Code::LimitExceeded),
    );
    let many = |_: &World, g: &mut Grant| {
        g.kinds.directive_types = (0..51)
            .map(|n| format!("type.{n}"))
            .collect::<BTreeSet<_>>();
    };
    check("51 types", ann(), many, Some(Code::LimitExceeded));
}

#[test]
fn a_person_has_twenty_delegations_in_force() {
    let mut world = World::new();
    let (ann, _) = people();
    for _ in 0..delegation::AT_ONCE_MAX {
        grant(&mut world, &ann, |_| ()).unwrap();
    }
    assert_eq!(
        grant(&mut world, &ann, |_| ()).unwrap_err().code,
        Code::LimitExceeded
    );
    world.pass("24h");
    grant(&mut world, &ann, |_| ()).unwrap();
    let given = world.see::<Delegations>("ann").unwrap().given.len();
    assert_eq!(given, 1, "what has ended is kept by the log alone");
    world.check_replay();
}

#[test]
fn what_was_given_is_not_given_on() {
    let mut world = World::new();
    let (ann, dan) = people();
    let bob = person("bob", Role::Operator);
    grant(&mut world, &ann, |_| ()).unwrap();
    // dan has nothing of his own to give, and ann's is not his.
    let on = grant(&mut world, &dan, |g| g.to = person("bob", Role::Operator).0);
    assert_eq!(on.unwrap_err().code, Code::Forbidden);
    let approval = waiting(&mut world);
    for whom in [&ann, &dan] {
        let got = vote(&mut world, &bob, approval, Some(whom));
        assert_eq!(got.unwrap_err().code, Code::Forbidden);
    }
}

/// Neither who decides nor in whose place may have written it.
#[test]
fn separation_of_duties_holds_for_both() {
    let check = |issuer: &Who, for_whom: bool, code: Option<Code>| {
        let mut world = World::new();
        let (ann, mut dan) = people();
        dan.1.push(Role::Approver);
        grant(&mut world, &ann, |_| ()).unwrap();
        let (_, approval) = world.waiting(issuer, &["mend"]);
        let whom = for_whom.then_some(&ann);
        let got = vote(&mut world, &dan, approval, whom);
        assert_eq!(got.err().map(|e| e.code), code, "{issuer:?} {for_whom}");
    };
    let (ann, dan) = people();
    let no = Some(Code::Forbidden);
    check(&agent("scout"), true, None);
    check(&ann, true, no);
    check(&ann, false, None);
    check(&dan, true, no);
    check(&dan, false, no);
}

/// Of two seats, nobody fills both: not by themselves, not by another, and not
/// as one and the other.
#[test]
fn nobody_fills_two_seats() {
    let check = |first: (usize, Option<usize>), second: (usize, Option<usize>), fits: bool| {
        let mut world = World::new();
        // Each may decide alone, and ann and bob let dan and eve decide.
        let all = ["ann", "bob", "dan", "eve"].map(|name| person(name, Role::Approver));
        for by in [0, 1] {
            for to in [2, 3] {
                let to = all[to].0.clone();
                grant(&mut world, &all[by].clone(), |g| g.to = to).unwrap();
            }
        }
        let (_, approval) = world.waiting(&agent("scout"), &["tell"]);
        let mut cast = |(who, whom): (usize, Option<usize>)| {
            vote(&mut world, &all[who], approval, whom.map(|at| &all[at]))
        };
        assert_eq!(cast(first).unwrap(), Decided::More { missing: 1 });
        let got = cast(second);
        assert_eq!(got.is_ok(), fits, "{first:?} {second:?}: {got:?}");
        let code = got.err().map(|e| e.code);
        assert_eq!(
            code,
            (!fits).then_some(Code::Conflict),
            "{first:?} {second:?}"
        );
    };
    let (ann, bob, dan, eve) = (0, 1, 2, 3);
    check((ann, None), (bob, None), true);
    check((ann, None), (dan, None), true);
    check((dan, Some(ann)), (bob, None), true);
    check((dan, Some(ann)), (eve, Some(bob)), true);
    // The delegate, then the giver, and the other way round.
    check((dan, Some(ann)), (ann, None), false);
    check((ann, None), (dan, Some(ann)), false);
    // The delegate for another, then for themselves, or for a third.
    check((dan, Some(ann)), (dan, None), false);
    check((dan, None), (dan, Some(ann)), false);
    check((dan, Some(ann)), (dan, Some(bob)), false);
    // Two delegates of one giver.
    check((dan, Some(ann)), (eve, Some(ann)), false);
}

fn escalating() -> World {
    let mut world = World::new();
    let mut changed = source();
    changed["approvals"]["escalation"] = json!([
        {"after": "10m", "to": ["operator"]},
        {"after": "20m", "to": ["admin", "operator"]},
    ]);
    changed["approvals"]["quorum"]["internal_mutation"] =
        json!({"needed": 1, "among": ["approver"]});
    world.rules = rules(changed, POLICY);
    world
}

fn tick(world: &mut World, approval: ApprovalId) -> bool {
    let ticked = world.run(&engine(), |unit, _| {
        operations::tick_approval(unit, approval)
    });
    ticked.unwrap()
}

/// Nobody else may before the instant; from it on they may, once it is
/// recorded; and silence to the end is a refusal still.
#[test]
fn when_nobody_answers_further_roles_may() {
    let mut world = escalating();
    let (ann, dan) = people();
    let root = person("root", Role::Admin);
    let approval = waiting(&mut world);
    let start = world.now;
    let at = |seconds: u32, micros: i64| {
        let then = start.plus(Span::from_secs(seconds));
        Timestamp::from_micros(then.as_micros() + micros)
    };
    let due = |world: &World| world.see::<Approval>(approval).unwrap().due();
    assert_eq!(due(&world), Some(at(600, 0)));
    world.now = at(600, -1);
    assert!(!tick(&mut world, approval));
    assert_eq!(world.count("approval.escalated"), 0);
    assert_eq!(
        vote(&mut world, &dan, approval, None).unwrap_err().code,
        Code::Forbidden
    );
    world.now = at(600, 0);
    assert_eq!(
        vote(&mut world, &dan, approval, None).unwrap_err().code,
        Code::Forbidden
    );
    assert!(!tick(&mut world, approval));
    assert!(!tick(&mut world, approval));
    assert_eq!(world.count("approval.escalated"), 1);
    assert_eq!(due(&world), Some(at(1200, 0)));
    assert_eq!(
        vote(&mut world, &root, approval, None).unwrap_err().code,
        Code::Forbidden
    );

    // Who may by escalation, and who may from the beginning.
    let mut other = escalating();
    let second = waiting(&mut other);
    other.now = at(600, 0);
    tick(&mut other, second);
    assert_eq!(
        vote(&mut other, &dan, second, None).unwrap(),
        Decided::Approved
    );
    other.check_replay();
    let mut other = escalating();
    let second = waiting(&mut other);
    other.now = at(600, 0);
    tick(&mut other, second);
    assert_eq!(
        vote(&mut other, &ann, second, None).unwrap(),
        Decided::Approved
    );
    // What is decided is escalated no more.
    other.now = at(1200, 0);
    tick(&mut other, second);
    assert_eq!(other.count("approval.escalated"), 1);

    world.now = at(1200, 0);
    tick(&mut world, approval);
    let state = world.see::<Approval>(approval).unwrap();
    assert_eq!(state.escalated_to, [Role::Operator, Role::Admin]);
    assert_eq!(due(&world), Some(at(1800, 0)));
    world.now = at(1800, 0);
    assert!(tick(&mut world, approval));
    assert_eq!(
        world.see::<Approval>(approval).unwrap().status,
        Status::Expired
    );
    world.check_replay();
}

/// A scheduler that was away records every step, and the end wins.
#[test]
fn a_late_tick_makes_up_for_what_it_missed() {
    for (waited, escalated, status) in [
        ("25m", 2, Status::Pending),
        ("30m", 0, Status::Expired),
        ("9m59s", 0, Status::Pending),
    ] {
        let mut world = escalating();
        let approval = waiting(&mut world);
        world.pass(waited);
        tick(&mut world, approval);
        assert_eq!(world.count("approval.escalated"), escalated, "{waited}");
        assert_eq!(
            world.see::<Approval>(approval).unwrap().status,
            status,
            "{waited}"
        );
        world.check_replay();
    }
}

/// Escalation does not let who wrote it decide.
#[test]
fn who_wrote_it_may_not_decide_by_escalation_either() {
    let mut world = escalating();
    let (_, dan) = people();
    let (_, approval) = world.waiting(&dan, &["mend"]);
    world.pass("10m");
    tick(&mut world, approval);
    assert_eq!(
        vote(&mut world, &dan, approval, None).unwrap_err().code,
        Code::Forbidden
    );
}

#[test]
fn steps_that_make_no_sense_do_not_load() {
    let check = |steps: serde_json::Value, fault: &str| {
        let mut changed = source();
        changed["approvals"]["escalation"] = steps;
        let settings: crate::approval::Settings =
            serde_json::from_value(changed["approvals"].clone()).unwrap();
        let faults = settings.faults().join("; ");
        assert!(faults.contains(fault), "no `{fault}` in `{faults}`");
        assert_eq!(fault.is_empty(), faults.is_empty(), "{faults}");
    };
    check(json!([{"after": "29m", "to": ["operator"]}]), "");
    check(
        json!([{"after": "10m", "to": []}]),
        "escalation.0.to: names no role",
    );
    check(
        json!([{"after": "10m", "to": ["operator", "viewer"]}]),
        "escalation.0.to: who has the role `viewer` decides on nothing",
    );
    check(
        json!([{"after": "0s", "to": ["operator"]}]),
        "must be longer than",
    );
    check(
        json!([{"after": "30m", "to": ["operator"]}]),
        "silence is a refusal already",
    );
    let twice = json!([{"after": "10m", "to": ["operator"]}, {"after": "10m", "to": ["admin"]}]);
    check(twice, "escalation.1.after: must be longer than `10m`");
    let many: Vec<_> = (1..10)
        .map(|n| json!({"after": format!("{n}m"), "to": ["admin"]}))
        .collect();
    check(json!(many), "has 9 steps, allowed are 8");
}
