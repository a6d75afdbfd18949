//! The ordinary life of a run, and every way in
//! which it can leave it.

use crate::world::*;
use act::engine::{abort, pause, resolve_unknown, resume, rollback};
use act::run::{Resolution, StopCause};
use act::{Begun, Phase, RunStatus, TaskStatus};
use gate::directive::Status;
use kernel::{Code, Span};
use serde_json::json;

const HOUR: Span = Span::from_secs(3600);

fn two() -> Vec<gate::Step> {
    vec![reversible("a", "sim.keyed"), reversible("b", "sim.keyed")]
}

fn done(world: &World) -> Vec<String> {
    let outside = world.outside.lock().unwrap();
    outside.effects.iter().map(|e| e.what.clone()).collect()
}

fn fates(world: &World, in_order: &[Fate]) {
    let mut fates = in_order.to_vec();
    fates.reverse();
    world.outside.lock().unwrap().fates = fates;
}

#[test]
fn steps_go_in_order_and_end_in_a_completed_run() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    assert_eq!(world.run(run).status, RunStatus::Pending);
    assert_eq!(world.directive(run).status, Status::Executing);
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Completed)
    ));
    assert_eq!(done(&world), ["do-a", "do-b"]);
    assert_eq!(world.directive(run).status, Status::Complete);
    assert_eq!(
        world.story(run),
        [
            "run.created",
            "run.started",
            "run.step_started",
            "run.step_succeeded",
            "run.step_started",
            "run.step_succeeded",
            "run.completed"
        ]
    );
    assert_eq!(world.held_reservations(), 0);
    world.replay(run);
}

#[test]
fn a_failure_undoes_what_succeeded_in_reverse_order() {
    let mut world = World::new();
    let steps = vec![
        reversible("a", "sim.keyed"),
        step("plain", "sim.keyed", json!({ "do": "do-plain" })),
        reversible("b", "sim.once"),
        reversible("c", "sim.keyed"),
        reversible("d", "sim.keyed"),
    ];
    let run = world.created(HOUR, steps);
    fates(
        &world,
        &[Fate::Answer, Fate::Answer, Fate::Answer, Fate::Refuse],
    );
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Failed)
    ));
    assert_eq!(
        done(&world),
        ["do-a", "do-plain", "do-b", "undo-b", "undo-a"]
    );
    let state = world.run(run);
    assert_eq!(state.undone, ["b", "a"]);
    assert_eq!(
        state.standing(),
        ["plain"],
        "what cannot be undone is named"
    );
    assert_eq!(state.step("d").unwrap().task.status, TaskStatus::Skipped);
    assert_eq!(world.directive(run).status, Status::Aborted);
    assert!(
        world
            .directive(run)
            .reason
            .as_deref()
            .unwrap()
            .contains("step `c` failed")
    );
    assert_eq!(world.held_reservations(), 0);
    world.replay(run);
}

#[test]
fn errors_are_tried_again_after_growing_waits_and_then_fail() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    fates(&world, &[Fate::NotSent; 3]);
    let begun = world.now();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Failed)
    ));
    let waited = world.now().since(begun);
    assert!(
        waited >= Span::from_secs(4 + 8) && waited <= Span::from_secs(8 + 16),
        "{waited}"
    );
    let state = world.run(run);
    assert_eq!(state.step("a").unwrap().task.attempt, 3);
    assert_eq!(world.outside.lock().unwrap().requests, 3);
    assert_eq!(done(&world), [""; 0]);
    world.replay(run);
}

#[test]
fn nothing_starts_before_its_wait_is_over() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.keyed")]);
    fates(&world, &[Fate::NotSent]);
    let Begun::Execute(assignment) = world.begin(run) else {
        panic!()
    };
    assert!(
        matches!(world.begin(run), Begun::Waiting { until: Some(_) }),
        "one at a time"
    );
    let report = assignment.report();
    let outcome = world.perform(*assignment);
    world.finish(&report, outcome.clone()).unwrap();
    let again = world.finish(&report, outcome).unwrap_err();
    assert_eq!(again.code, Code::Conflict, "a result is recorded once");
    let Begun::Waiting { until: Some(at) } = world.begin(run) else {
        panic!()
    };
    assert_eq!(kernel::Aggregate::due(world.run(run).as_ref()), Some(at));
    world.pass(
        at.since(world.now())
            .min(Span::from_micros(at.since(world.now()).as_micros() - 1)),
    );
    assert!(matches!(world.begin(run), Begun::Waiting { .. }));
    world.pass(Span::from_micros(1));
    assert!(matches!(world.begin(run), Begun::Execute(_)));
}

#[test]
fn a_lost_reply_is_sent_again_under_the_same_key_only_where_that_is_safe() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.keyed")]);
    fates(&world, &[Fate::LoseReply]);
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Completed)
    ));
    assert_eq!(done(&world), ["do-a"]);
    assert_eq!(world.outside.lock().unwrap().requests, 2);

    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    fates(&world, &[Fate::LoseReply]);
    assert!(matches!(world.drive(run), Begun::Waiting { .. }));
    let state = world.run(run);
    assert_eq!(state.status, RunStatus::Running);
    assert_eq!(state.step("a").unwrap().task.status, TaskStatus::Unknown);
    assert_eq!(
        state.parked.as_ref().unwrap().reasons,
        ["the reply was lost"]
    );
    assert_eq!(world.outside.lock().unwrap().requests, 1);
    let refused = world.unit(person("x"), |unit, _, _| resume(unit, run, "go on"));
    assert_eq!(
        refused.unwrap_err().code,
        Code::IllegalMove,
        "unknown is resolved, not resumed"
    );
}

#[test]
fn a_person_resolves_what_is_unknown_and_the_run_goes_on_from_there() {
    for (resolution, end, after) in [
        (
            Resolution::Succeeded,
            RunStatus::Completed,
            vec!["do-a", "do-b"],
        ),
        (Resolution::Failed, RunStatus::Failed, vec!["do-a"]),
    ] {
        let mut world = World::new();
        let run = world.created(
            HOUR,
            vec![reversible("a", "sim.once"), reversible("b", "sim.keyed")],
        );
        fates(&world, &[Fate::LoseReply]);
        world.drive(run);
        let refused = world.unit(engine(), |unit, _, registry| {
            resolve_unknown(unit, registry, run, Phase::Step, "a", resolution, "looked")
        });
        assert_eq!(
            refused.unwrap_err().code,
            Code::Forbidden,
            "only a person may say"
        );
        world
            .unit(person("x"), |unit, _, registry| {
                resolve_unknown(unit, registry, run, Phase::Step, "a", resolution, "looked")
            })
            .unwrap();
        assert!(matches!(world.drive(run), Begun::Finished(status) if status == end));
        assert_eq!(done(&world), after);
        world.replay(run);
    }
}

#[test]
fn after_a_crash_a_started_step_is_repeated_under_its_key_or_parked() {
    // Before and after the effect; with and without a key that is honoured.
    for (module, effect_before, requests, parked) in [
        ("sim.keyed", false, 1, false),
        ("sim.keyed", true, 2, false),
        ("sim.once", false, 0, true),
        ("sim.once", true, 1, true),
    ] {
        let mut world = World::new();
        let run = world.created(HOUR, vec![reversible("a", module)]);
        let Begun::Execute(assignment) = world.begin(run) else {
            panic!()
        };
        let (key, report) = (assignment.idempotency_key.clone(), assignment.report());
        if effect_before {
            world.perform(*assignment);
        } else {
            drop(assignment);
        }
        world.recover(run);
        world.recover(run);
        if !parked {
            let Begun::Execute(again) = world.begin(run) else {
                panic!()
            };
            assert_eq!(
                (again.attempt, &again.idempotency_key),
                (1, &key),
                "{module}"
            );
            assert_ne!(again.permit.id(), report.permit, "with a permit of its own");
            let second = again.report();
            let outcome = world.perform(*again);
            let late = world.finish(&report, outcome.clone());
            assert_eq!(
                late.unwrap_err().code,
                Code::Conflict,
                "the first one is over"
            );
            world.finish(&second, outcome).unwrap();
        }
        let end = world.drive(run);
        assert_eq!(world.run(run).parked.is_some(), parked, "{module} {end:?}");
        assert_eq!(world.outside.lock().unwrap().requests, requests, "{module}");
        assert!(done(&world).len() <= 1);
        world.replay(run);
    }
}

#[test]
fn a_late_result_still_settles_what_was_given_up_as_unknown() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    let Begun::Execute(assignment) = world.begin(run) else {
        panic!()
    };
    let report = assignment.report();
    let outcome = world.perform(*assignment);
    world.pass(Span::from_secs(10 + 30));
    assert!(matches!(world.begin(run), Begun::Waiting { .. }));
    assert_eq!(
        world.run(run).step("a").unwrap().task.status,
        TaskStatus::Unknown
    );
    world.finish(&report, outcome).unwrap();
    assert_eq!(world.run(run).status, RunStatus::Completed);
    assert!(world.run(run).parked.is_none());
}

#[test]
fn the_lease_ends_exactly_after_deadline_and_grace() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.once")]);
    assert!(matches!(world.begin(run), Begun::Execute(_)));
    let lease = Span::from_secs(10).as_micros() + act::limits::LEASE_GRACE.as_micros();
    world.pass(Span::from_micros(lease - 1));
    assert!(matches!(
        world.begin(run),
        Begun::Waiting { until: Some(_) }
    ));
    assert!(world.run(run).parked.is_none());
    world.pass(Span::from_micros(1));
    world.begin(run);
    assert!(world.run(run).parked.is_some());
}

#[test]
fn a_poison_attempt_is_parked_after_so_many_interruptions() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![reversible("a", "sim.keyed")]);
    let mut interruptions = 0;
    while let Begun::Execute(assignment) = world.begin(run) {
        drop(assignment);
        world.recover(run);
        interruptions += 1;
        assert!(interruptions < 20);
    }
    assert_eq!(interruptions, act::limits::INTERRUPTIONS_MAX + 1);
    assert!(world.run(run).parked.is_some());
}

#[test]
fn abort_drains_what_is_on_its_way_and_undoes_everything() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world.finish(&report, outcome).unwrap();
    let Begun::Execute(second) = world.begin(run) else {
        panic!()
    };
    world
        .unit(person("x"), |unit, _, _| abort(unit, run, "wrong service"))
        .unwrap();
    assert_eq!(world.directive(run).status, Status::Aborted);
    assert!(matches!(
        world.begin(run),
        Begun::Waiting { until: Some(_) }
    ));
    let report = second.report();
    let outcome = world.perform(*second);
    world.finish(&report, outcome).unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Canceled)
    ));
    assert_eq!(done(&world), ["do-a", "do-b", "undo-b", "undo-a"]);
    let again = world.unit(person("x"), |unit, _, _| abort(unit, run, "again"));
    assert_eq!(again.unwrap_err().code, Code::IllegalMove);
    world.replay(run);
}

#[test]
fn abort_before_the_first_step_cancels_at_once() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    world
        .unit(person("x"), |unit, _, _| abort(unit, run, "not needed"))
        .unwrap();
    assert_eq!(world.run(run).status, RunStatus::Canceled);
    assert_eq!(done(&world), [""; 0]);
    let empty = world.unit(person("x"), |unit, _, _| abort(unit, run, " "));
    assert_eq!(empty.unwrap_err().code, Code::Invalid);
}

#[test]
fn an_unanswered_attempt_is_unknown_not_skipped_when_the_run_is_aborted_between_attempts() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    fates(&world, &[Fate::LoseReply]);
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world.finish(&report, outcome).unwrap();
    world
        .unit(person("x"), |unit, _, _| abort(unit, run, "stop"))
        .unwrap();
    let state = world.run(run);
    assert_eq!(state.step("a").unwrap().task.status, TaskStatus::Unknown);
    assert_eq!(state.status, RunStatus::Running);
    assert!(matches!(world.begin(run), Begun::Waiting { until: None }));
    world
        .unit(person("x"), |unit, _, registry| {
            resolve_unknown(
                unit,
                registry,
                run,
                Phase::Step,
                "a",
                Resolution::Succeeded,
                "it is there",
            )
        })
        .unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Canceled)
    ));
    assert_eq!(done(&world), ["do-a", "undo-a"]);
}

#[test]
fn the_timebox_aborts_between_steps_at_its_very_end() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world.finish(&report, outcome).unwrap();
    let end = world.run(run).expires_at;
    world.pass(Span::from_micros(end.since(world.now()).as_micros() - 1));
    assert_eq!(world.run(run).stop, None);
    world.pass(Span::from_micros(1));
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Canceled)
    ));
    assert_eq!(
        world.run(run).stop.as_ref().unwrap().cause,
        StopCause::Expired
    );
    assert_eq!(done(&world), ["do-a", "undo-a"]);
    assert_eq!(world.directive(run).status, Status::Aborted);
}

#[test]
fn a_halted_run_waits_and_goes_on() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    world
        .unit(person("x"), |unit, _, _| pause(unit, run, "let me look"))
        .unwrap();
    assert_eq!(world.directive(run).status, Status::Paused);
    assert!(matches!(
        world.begin(run),
        Begun::Waiting { until: Some(_) }
    ));
    let twice = world.unit(person("x"), |unit, _, _| pause(unit, run, "again"));
    assert_eq!(twice.unwrap_err().code, Code::IllegalMove);
    world
        .unit(person("x"), |unit, _, _| resume(unit, run, "fine"))
        .unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Completed)
    ));
}

#[test]
fn what_the_directive_says_counts_for_the_run() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    let directive = world.run(run).directive;
    world
        .unit(person("x"), |unit, _, _| {
            gate::operations::pause(unit, directive, "look")
        })
        .unwrap();
    assert!(matches!(world.begin(run), Begun::Waiting { .. }));
    world
        .unit(person("x"), |unit, _, _| {
            gate::operations::resume(unit, directive)
        })
        .unwrap();
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world.finish(&report, outcome).unwrap();
    world
        .unit(person("x"), |unit, _, _| {
            gate::operations::abort(unit, directive, "enough")
        })
        .unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Canceled)
    ));
    assert_eq!(done(&world), ["do-a", "undo-a"]);
}

#[test]
fn the_kill_switch_holds_the_next_step_until_released_and_resumed() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world
        .unit(person("x"), |unit, _, _| {
            gate::kill::engage(unit, gate::kill::Scope::Tenant, "drill")
        })
        .unwrap();
    world.finish(&report, outcome).unwrap();
    assert!(matches!(world.begin(run), Begun::Blocked { .. }));
    let entries = world.log.len();
    assert!(matches!(world.begin(run), Begun::Waiting { .. }));
    assert_eq!(world.log.len(), entries, "asking again records nothing");
    assert_eq!(world.directive(run).status, Status::Paused);
    world
        .unit(person("x"), |unit, _, _| resume(unit, run, "try"))
        .unwrap();
    assert!(
        matches!(world.begin(run), Begun::Blocked { .. }),
        "still engaged"
    );
    world
        .unit(person("x"), |unit, _, _| {
            gate::kill::request_release(unit, &gate::kill::Scope::Tenant, "over")
        })
        .unwrap();
    world
        .unit(person("y"), |unit, _, _| {
            gate::kill::confirm_release(unit, &gate::kill::Scope::Tenant)
        })
        .unwrap();
    world
        .unit(person("x"), |unit, _, _| resume(unit, run, "released"))
        .unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Completed)
    ));
    assert_eq!(done(&world), ["do-a", "do-b"]);
    world.replay(run);
}

#[test]
fn undoing_goes_on_while_the_tenant_is_stopped() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    let Begun::Execute(first) = world.begin(run) else {
        panic!()
    };
    let report = first.report();
    let outcome = world.perform(*first);
    world.finish(&report, outcome).unwrap();
    world
        .unit(person("x"), |unit, _, _| {
            gate::kill::engage(unit, gate::kill::Scope::Tenant, "stop")
        })
        .unwrap();
    world
        .unit(person("x"), |unit, _, _| abort(unit, run, "take it back"))
        .unwrap();
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Canceled)
    ));
    assert_eq!(done(&world), ["do-a", "undo-a"]);
}

#[test]
fn a_completed_run_is_taken_back_within_its_window() {
    let window = Span::from_secs(600);
    for (late, fine) in [
        (Span::ZERO, true),
        (window, true),
        (Span::from_micros(window.as_micros() + 1), false),
    ] {
        let mut world = World::new();
        let run = world.created(HOUR, two());
        world.drive(run);
        world.pass(late);
        let asked = world.unit(person("x"), |unit, _, _| {
            rollback(unit, run, "was wrong", window)
        });
        assert_eq!(asked.is_ok(), fine, "{late}");
        if !fine {
            continue;
        }
        assert!(matches!(
            world.drive(run),
            Begun::Finished(RunStatus::Completed)
        ));
        assert_eq!(done(&world), ["do-a", "do-b", "undo-b", "undo-a"]);
        let state = world.run(run);
        assert!(state.rolled_back_at.is_some());
        assert_eq!(*world.story(run).last().unwrap(), "run.rolled_back");
        let again = world.unit(person("x"), |unit, _, _| {
            rollback(unit, run, "again", window)
        });
        assert_eq!(again.unwrap_err().code, Code::IllegalMove);
        world.replay(run);
    }
}

#[test]
fn what_declares_no_undoing_cannot_be_taken_back() {
    let mut world = World::new();
    let run = world.created(HOUR, vec![step("a", "sim.keyed", json!({ "do": "do-a" }))]);
    world.drive(run);
    let asked = world.unit(person("x"), |unit, _, _| {
        rollback(unit, run, "was wrong", HOUR)
    });
    assert_eq!(asked.unwrap_err().code, Code::IllegalMove);
}

#[test]
fn undoing_that_fails_is_recorded_and_the_rest_is_undone() {
    let mut world = World::new();
    let run = world.created(HOUR, two());
    world.drive(run);
    fates(&world, &[Fate::Refuse]);
    world
        .unit(person("x"), |unit, _, _| {
            rollback(unit, run, "was wrong", HOUR)
        })
        .unwrap();
    world.drive(run);
    assert_eq!(done(&world), ["do-a", "do-b", "undo-a"]);
    let state = world.run(run);
    assert_eq!(
        (state.undone.clone(), state.standing()),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(
        state.task(Phase::Compensation, "b").unwrap().status,
        TaskStatus::Failed
    );
}

#[test]
fn built_in_modules_do_what_they_say() {
    let mut world = World::new();
    let run = world.created(
        HOUR,
        vec![
            step("n", "noop", json!({})),
            step("e", "echo", json!({ "x": 1 })),
            step("f", "fail_intentionally", json!({ "reason": "as asked" })),
        ],
    );
    assert!(matches!(
        world.drive(run),
        Begun::Finished(RunStatus::Failed)
    ));
    let state = world.run(run);
    assert_eq!(state.step("e").unwrap().task.output, json!({ "x": 1 }));
    assert_eq!(
        state.step("f").unwrap().task.reason.as_deref(),
        Some("as asked")
    );
}
