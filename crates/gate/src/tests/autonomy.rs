//! Earned autonomy: nothing goes alone that the ledger does not prove, and
//! what went against it takes it away at once.

use super::world::{World, agent, blocked, engine, permitted, person, rules, source};
use crate::autonomy::{self, Rung, Standing, assess};
use crate::kill::{self, Scope};
use crate::operations::{self, Proposed, Started};
use crate::{Autonomy, Contract, Directive, KillSwitch, VerdictRecord};
use kernel::belief::SnapshotEvent;
use kernel::{Code, DirectiveId, Ratio, Refusal, Role, RunId, Snapshot, Span, Subject};
use serde_json::json;
use uuid::Uuid;

const KIND: &str = "thing.mend_alone";

fn contract(world: &World, modules: &[&str]) -> Contract {
    let mut contract = world.contract(&agent("scout"), modules);
    contract.kind = KIND.to_owned();
    contract
}

/// Proposes one about a service of its own: those about one would wait for each
/// other.
fn propose(world: &mut World) -> (DirectiveId, Proposed) {
    let mut contract = contract(world, &["mend"]);
    let name = format!("service/s{}", world.all::<Directive>().len());
    let mut snapshot = world
        .see::<Snapshot>(world.snapshot)
        .unwrap()
        .as_ref()
        .clone();
    snapshot.subject = Subject::parse(&name).unwrap();
    contract.scope.subjects = vec![snapshot.subject.clone()];
    contract.snapshot = snapshot.id().unwrap();
    let taken = (contract.snapshot, SnapshotEvent::Taken(snapshot));
    world
        .run(&engine(), |unit, _| {
            unit.record::<Snapshot>(taken.0, taken.1)
        })
        .unwrap();
    let id = world.draft(&agent("scout"), contract);
    (id, world.propose(id))
}

fn run_of(at: u128) -> RunId {
    RunId(Uuid::from_u128(at))
}

/// A run that a person approves and that succeeds.
fn supervised(world: &mut World, at: u128) {
    let (id, proposed) = propose(world);
    let Proposed::Waiting { approval } = proposed else {
        panic!("{proposed:?}");
    };
    world.approve("ann", approval).unwrap();
    world.start(id, run_of(at)).unwrap();
    world
        .run(&engine(), |unit, _| operations::complete(unit, id))
        .unwrap();
}

fn drill(world: &mut World, scope: Scope) {
    world
        .run(&person("olga", Role::Operator), |unit, _| {
            kill::drill(unit, scope, "the monthly one", None)
        })
        .unwrap();
}

fn grant(world: &mut World) -> Result<Standing, Refusal> {
    world.run(&person("root", Role::Admin), |unit, env| {
        autonomy::grant(unit, env, KIND, "it has mended well for months")
    })
}

fn standing(world: &mut World) -> Standing {
    let ladder = world.run(&engine(), autonomy::ladder).unwrap();
    ladder.into_iter().next().unwrap()
}

/// A world in which the type has been signed off.
fn granted() -> World {
    let mut world = World::new();
    drill(&mut world, Scope::Tenant);
    for at in 1..=50 {
        supervised(&mut world, at);
    }
    grant(&mut world).unwrap();
    world
}

#[test]
fn it_is_earned_rung_by_rung() {
    let mut world = World::new();
    for at in 1..=49 {
        supervised(&mut world, at);
    }
    let lacks = standing(&mut world).lacks().join("; ");
    assert!(
        lacks.contains("49 of 50 approved runs succeeded; no violation"),
        "{lacks}"
    );
    assert!(lacks.contains("has not been drilled"), "{lacks}");
    assert_eq!(grant(&mut world).unwrap_err().code, Code::Conflict);

    supervised(&mut world, 50);
    let refused = grant(&mut world).unwrap_err();
    assert!(
        refused.message.contains("has not been drilled as a whole"),
        "{refused}"
    );
    assert!(!refused.message.contains("approved runs"), "{refused}");

    drill(&mut world, Scope::Tenant);
    assert_eq!(standing(&mut world).rung, Rung::Eligible);
    assert!(matches!(propose(&mut world).1, Proposed::Waiting { .. }));

    let standing = grant(&mut world).unwrap();
    assert_eq!(standing.rung, Rung::Autonomous);
    assert_eq!(grant(&mut world).unwrap_err().code, Code::Conflict);
    world.check_replay();
}

#[test]
fn it_takes_an_admin_who_is_a_person_and_a_reason() {
    let mut world = World::new();
    let by = |world: &mut World, who, reason: &str| {
        world
            .run(&who, |unit, env| autonomy::grant(unit, env, KIND, reason))
            .unwrap_err()
    };
    assert_eq!(
        by(&mut world, person("olga", Role::Approver), "x").code,
        Code::Forbidden
    );
    let mut robot = agent("robot");
    robot.1.push(Role::Admin);
    assert_eq!(by(&mut world, robot, "x").code, Code::Forbidden);
    assert!(
        by(&mut world, person("root", Role::Admin), " ")
            .message
            .starts_with("reason")
    );
    let unlisted = world.run(&person("root", Role::Admin), |unit, env| {
        autonomy::grant(unit, env, "thing.mend", "x")
    });
    let unlisted = unlisted.unwrap_err();
    assert_eq!(unlisted.code, Code::NotFound);
    assert_eq!(
        unlisted.hint.as_deref(),
        Some("on it are: thing.mend_alone")
    );
}

#[test]
fn what_has_earned_it_goes_alone_and_policy_is_told() {
    let mut world = granted();
    let (id, proposed) = propose(&mut world);
    assert!(
        matches!(proposed, Proposed::Approved { .. }),
        "{proposed:?}"
    );
    world.start(id, run_of(51)).unwrap();
    permitted(world.admit(id, run_of(51), "s0", 1).unwrap());
    let told: Vec<bool> = world
        .all::<VerdictRecord>()
        .iter()
        .filter(|record| record.given.question.directive == id)
        .flat_map(|record| record.given.asked.clone())
        .map(|asked| {
            assert_eq!(asked.context["human_approved"], json!(false));
            asked.context["autonomous"] == json!(true)
        })
        .collect();
    assert_eq!(told, [true, true, true], "plan, step and write");
    world
        .run(&engine(), |unit, _| operations::complete(unit, id))
        .unwrap();
    let record = world.see::<Autonomy>(KIND).unwrap();
    assert_eq!(
        (record.runs, record.alone),
        (50, 1),
        "alone counts towards nothing"
    );
    world.check_replay();
}

/// One run admitted and one approved, both without a person; then something
/// goes against the type.
fn thrown_back(against: impl FnOnce(&mut World)) {
    let mut world = granted();
    let (started, _) = propose(&mut world);
    world.start(started, run_of(51)).unwrap();
    let (approved, _) = propose(&mut world);
    against(&mut world);

    let reasons = blocked(world.admit(started, run_of(51), "s0", 1).unwrap());
    assert!(
        reasons.contains("may no longer go without a person"),
        "{reasons}"
    );
    let begun = world.start(approved, run_of(52)).unwrap();
    assert!(matches!(begun, Started::Blocked { .. }), "{begun:?}");
    assert!(matches!(propose(&mut world).1, Proposed::Waiting { .. }));
    world.check_replay();
}

#[test]
fn a_violation_takes_it_away_at_once() {
    thrown_back(|world| {
        let mut bad = contract(world, &["mend"]);
        bad.steps[0].input.insert("password".to_owned(), json!("x"));
        let id = world.draft(&agent("scout"), bad);
        assert!(matches!(world.propose(id), Proposed::Blocked { .. }));
        let record = world.see::<Autonomy>(KIND).unwrap();
        let setback = record.setbacks.last().unwrap();
        assert!(setback.what.verdict.is_some() && setback.granted);
        assert_eq!((record.runs, setback.runs), (0, 50));
        world.pass("3m");
        let text = &standing(world).proofs[0].text;
        assert!(
            text.starts_with("0 of 50 approved runs succeeded; last violation 3m ago"),
            "{text}"
        );
    });
}

#[test]
fn a_run_that_fails_takes_it_away_at_once() {
    thrown_back(|world| {
        let (id, _) = propose(world);
        world.start(id, run_of(60)).unwrap();
        world
            .run(&engine(), |unit, _| {
                operations::abort(unit, id, "a step failed")
            })
            .unwrap();
        let text = &standing(world).proofs[0].text;
        assert!(
            text.contains("last failed run 0s ago: a step failed"),
            "{text}"
        );
    });
}

#[test]
fn a_person_takes_it_away_and_what_was_counted_stays() {
    thrown_back(|world| {
        let take = |world: &mut World, who| {
            world.run(&who, |unit, env| {
                autonomy::withdraw(unit, env, KIND, "we look first")
            })
        };
        let refused = take(world, person("vera", Role::Viewer)).unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        let standing = take(world, person("olga", Role::Operator)).unwrap();
        assert_eq!(standing.rung, Rung::Eligible);
        assert_eq!(standing.record.unwrap().runs, 50);
        let again = take(world, person("olga", Role::Operator)).unwrap_err();
        assert_eq!(again.code, Code::Conflict);
    });
}

#[test]
fn other_terms_need_another_sign_off() {
    thrown_back(|world| {
        let mut other = source();
        other["approvals"]["autonomous"][KIND]["subjects_max"] = json!(2);
        world.rules = rules(other, super::world::POLICY);
        let lacks = standing(world).lacks();
        assert_eq!(lacks.len(), 1, "{lacks:?}");
        assert!(lacks[0].contains("under other terms"), "{lacks:?}");
    });
}

#[test]
fn what_is_stale_or_blocked_for_the_moment_is_no_violation() {
    let mut world = granted();
    world.pass("2h");
    let (_, proposed) = propose(&mut world);
    assert!(matches!(proposed, Proposed::Blocked { .. }), "freshness");
    assert_eq!(standing(&mut world).rung, Rung::Autonomous);
}

#[test]
fn every_boundary_of_what_is_proved() {
    let mut world = granted();
    let record = world.see::<Autonomy>(KIND).unwrap();
    let switch = world.see::<KillSwitch>(kill::ID).unwrap();
    let terms = world.rules.approvals.autonomous[KIND].clone();
    let at = |days: u32| world.now.plus(Span::from_secs(days * 86_400));
    let rung = |record: &Autonomy, switch: &KillSwitch, now| {
        assess(KIND, &terms, Some(record), switch, now)
            .unwrap()
            .rung
    };
    assert_eq!(rung(&record, &switch, at(30)), Rung::Autonomous);
    let late = at(30).plus(Span::from_micros(1));
    assert_eq!(rung(&record, &switch, late), Rung::Supervised);

    let mut fewer = record.as_ref().clone();
    fewer.runs = 49;
    assert_eq!(rung(&fewer, &switch, world.now), Rung::Supervised);

    let spread = |least: u32, most: u32| {
        let mut varied = record.as_ref().clone();
        varied.counted[0].confidence = Ratio::from_ppm(least);
        varied.counted[1].confidence = Ratio::from_ppm(most);
        rung(&varied, &switch, world.now)
    };
    assert_eq!(spread(900_000, 1_000_000), Rung::Autonomous);
    assert_eq!(spread(900_000, 900_000), Rung::Autonomous);
    assert_eq!(spread(899_999, 900_000), Rung::Supervised);
    let mut narrow = terms.clone();
    narrow.confidence_spread = Ratio::from_ppm(50_000);
    for (most, holds) in [(950_000, true), (950_001, false)] {
        let mut varied = record.as_ref().clone();
        varied.counted[1].confidence = Ratio::from_ppm(most);
        let seen = assess(KIND, &narrow, Some(&varied), &switch, world.now).unwrap();
        assert_eq!(seen.proofs[1].holds, holds, "{most}");
    }

    let mut failed = switch.as_ref().clone();
    failed.drills.push(failed.drills[0].clone());
    failed.drills[1].passed = false;
    assert_eq!(rung(&record, &failed, world.now), Rung::Supervised);
    let mut partial = switch.as_ref().clone();
    partial.drills[0].scope = Scope::Tool("mend".to_owned());
    assert_eq!(rung(&record, &partial, world.now), Rung::Supervised);

    let nothing = assess(KIND, &terms, None, &KillSwitch::default(), world.now).unwrap();
    assert_eq!((nothing.rung, nothing.lacks().len()), (Rung::Supervised, 4));
    world.pass("1m");
}

#[test]
fn only_what_is_small_and_can_be_undone_goes_alone() {
    let case = |change: &dyn Fn(&mut Contract), expected: Option<&str>| {
        let mut world = granted();
        let mut bounded = source();
        bounded["approvals"]["autonomous"][KIND]["cost_max"] = json!("10 EUR");
        world.rules = rules(bounded, super::world::POLICY);
        world
            .run(&person("root", Role::Admin), |unit, env| {
                autonomy::withdraw(unit, env, KIND, "other terms")?;
                autonomy::grant(unit, env, KIND, "other terms")
            })
            .unwrap();
        let mut asked = contract(&world, &["mend"]);
        change(&mut asked);
        let id = world.draft(&agent("scout"), asked);
        let proposed = world.propose(id);
        match (expected, proposed) {
            (None, Proposed::Approved { .. }) => {}
            (Some(why), Proposed::Waiting { approval }) => {
                let approval = world.see::<crate::Approval>(approval).unwrap();
                let because = approval.request.because.join("; ");
                assert!(because.contains(why), "{because}");
            }
            (expected, proposed) => panic!("{expected:?}: {proposed:?}"),
        }
    };
    case(&|_| (), None);
    let two = |c: &mut Contract| {
        let mut second = c.steps[0].clone();
        second.id = "s1".to_owned();
        c.steps.push(second);
    };
    case(&two, Some("it has 2 steps"));
    let once = |c: &mut Contract| drop(c.steps[0].input.insert("once".to_owned(), json!(1)));
    case(&once, Some("cannot be sent again safely"));
    case(
        &|c| {
            c.steps[0].module = "look".to_owned();
            c.action_class = crate::ActionClass::InternalMutation;
        },
        Some("says not how it is undone"),
    );
    let wide = |c: &mut Contract| {
        c.scope
            .subjects
            .push(Subject::parse("service/cart").unwrap())
    };
    case(&wide, Some("it touches 2 subjects"));
    case(
        &|c| c.budget = super::world::money("10.01 EUR"),
        Some("alone it may cost `10.00 EUR`"),
    );
}

#[test]
fn terms_have_a_floor() {
    let fault = |name: &str, value: serde_json::Value| {
        let mut bad = source();
        bad["approvals"]["autonomous"][KIND][name] = value;
        let bad: crate::RulesSource = serde_json::from_value(bad).unwrap();
        bad.approvals.faults().join("; ")
    };
    assert!(fault("approved_runs", json!(49)).contains("at least 50"));
    assert_eq!(fault("approved_runs", json!(50)), "");
    assert!(fault("confidence_min", json!(0)).contains("above zero"));
    assert!(fault("subjects_max", json!(0)).contains("at least one subject"));
    assert!(fault("drill_within", json!("0s")).contains("longer than nothing"));
}

#[test]
fn a_type_off_the_ladder_leaves_no_trace() {
    let mut world = World::new();
    let (id, _) = world.executing(&agent("scout"), &["mend"]);
    world
        .run(&engine(), |unit, _| operations::complete(unit, id))
        .unwrap();
    assert!(world.all::<Autonomy>().is_empty());
    assert_eq!(world.all::<Directive>().len(), 1);
}
