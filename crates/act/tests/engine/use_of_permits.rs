//! A permit is checked again at its use; what does not hold then is recorded,
//! leaves nothing outside, and is put to the gate again.

use crate::world::*;
use act::engine::abort;
use act::{Begun, Outcome, OutcomeStatus, Phase, RunStatus, TaskStatus};
use gate::directive::Status;
use gate::kill::Scope;
use kernel::{RunId, Span};

const HOUR: Span = Span::from_secs(3600);

fn begun(world: &mut World, run: RunId) -> act::Assignment {
    match world.begin(run) {
        Begun::Execute(assignment) => *assignment,
        other => panic!("{other:?}"),
    }
}

fn engage(world: &mut World, scope: Scope) {
    world
        .unit(person("ann"), |unit, _, _| {
            gate::kill::engage(unit, scope, "stop")
        })
        .unwrap();
}

/// Begins, lets something happen, performs: the outcome and what is recorded.
fn performed(world: &mut World, run: RunId, between: impl FnOnce(&mut World)) -> Outcome {
    let assignment = begun(world, run);
    let report = assignment.report();
    between(world);
    let outcome = world.perform(assignment);
    world.finish(&report, outcome.clone()).unwrap();
    outcome
}

#[test]
fn what_is_stopped_before_its_use_leaves_nothing_and_is_held() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    let outcome = performed(&mut world, run, |world| engage(world, Scope::Tenant));
    assert_eq!(outcome.status, OutcomeStatus::NotBegun);
    assert_eq!(world.outside.lock().unwrap().requests, 0);
    assert_eq!(world.held_reservations(), 0);
    let task = world.run(run).steps[0].task.clone();
    assert_eq!(task.status, TaskStatus::Pending);
    assert_eq!((task.next_attempt(), task.interruptions), (1, 0));
    assert!(!task.in_doubt);
    // The gate is asked again, and says why.
    let Begun::Blocked { reasons, .. } = world.drive(run) else {
        panic!("it goes on");
    };
    assert!(reasons[0].contains("kill switch"), "{reasons:?}");
    assert_eq!(world.directive(run).status, Status::Paused);
    world.replay(run);
}

#[test]
fn what_was_in_doubt_before_stays_in_doubt() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.keyed")]);
    world.outside.lock().unwrap().fates = vec![Fate::LoseReply];
    let lost = performed(&mut world, run, |_| {});
    assert_eq!(lost.status, OutcomeStatus::Unknown);
    world.pass(Span::from_secs(60));
    let kept = performed(&mut world, run, |world| {
        engage(world, Scope::Tool("sim.keyed".into()));
    });
    assert_eq!(kept.status, OutcomeStatus::NotBegun);
    let task = world.run(run).steps[0].task.clone();
    assert!(task.in_doubt, "the first attempt may have done it");
    assert_eq!(task.next_attempt(), 2);
    // Given up now, whether it happened must be said by a person.
    world
        .unit(person("ann"), |unit, _, _| abort(unit, run, "enough"))
        .unwrap();
    let task = world.run(run).steps[0].task.clone();
    assert_eq!(task.status, TaskStatus::Unknown);
    world.replay(run);
}

#[test]
fn what_is_given_up_before_its_use_ends_without_an_effect() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    performed(&mut world, run, |world| {
        world
            .unit(person("ann"), |unit, _, _| abort(unit, run, "enough"))
            .unwrap();
        engage(world, Scope::Tenant);
    });
    assert_eq!(world.run(run).status, RunStatus::Canceled);
    assert_eq!(world.outside.lock().unwrap().requests, 0);
    assert_eq!(world.held_reservations(), 0);
}

#[test]
fn a_permit_that_has_ended_is_not_used_and_the_step_comes_again() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    let outcome = performed(&mut world, run, |world| {
        world.pass(gate::permit::VALID_FOR);
    });
    assert_eq!(outcome.status, OutcomeStatus::NotBegun);
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Completed)
    ));
    assert_eq!(world.outside.lock().unwrap().count("do-a"), 1);
    assert_eq!(world.held_reservations(), 0);
}

#[test]
fn a_permit_is_for_one_version_of_its_module() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    let assignment = begun(&mut world, run);
    assert_eq!(assignment.permit.module_version(), "1.0.0");
    world.renew("sim.once", "1.0.1");
    let outcome = world.perform(assignment);
    assert_eq!(outcome.status, OutcomeStatus::Error);
    assert_eq!(world.outside.lock().unwrap().requests, 0);
}

#[test]
fn undoing_goes_on_under_a_stop_of_everything() {
    let mut world = World::new();
    let steps = vec![reversible("a", "sim.once"), reversible("b", "sim.once")];
    let run = world.created(HOUR, steps);
    performed(&mut world, run, |_| {});
    world
        .unit(person("ann"), |unit, _, _| abort(unit, run, "enough"))
        .unwrap();
    let undo = begun(&mut world, run);
    assert_eq!(undo.phase, Phase::Compensation);
    engage(&mut world, Scope::Tenant);
    assert_eq!(world.perform(undo).status, OutcomeStatus::Success);
    assert_eq!(world.outside.lock().unwrap().count("undo-a"), 1);
}
