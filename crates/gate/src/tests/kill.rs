//! The kill switch: two people, every scope, drills.

use super::world::{Who, World, agent, blocked, engine, permitted, person};
use crate::KillSwitch;
use crate::kill::{self, LIFECYCLE, Scope, Status, Trigger};
use kernel::names::Name;
use kernel::{Code, Role};

fn engage(world: &mut World, who: &Who, scope: &str) -> Result<KillSwitch, kernel::Refusal> {
    let scope: Scope = scope.parse()?;
    world.run(who, |unit, _| kill::engage(unit, scope, "smoke"))
}
fn request(world: &mut World, who: &Who, scope: &str) -> Result<KillSwitch, kernel::Refusal> {
    let scope: Scope = scope.parse()?;
    world.run(who, |unit, _| {
        kill::request_release(unit, &scope, "put out")
    })
}
fn confirm(world: &mut World, who: &Who, scope: &str) -> Result<KillSwitch, kernel::Refusal> {
    let scope: Scope = scope.parse()?;
    world.run(who, |unit, _| kill::confirm_release(unit, &scope))
}

#[test]
fn every_status_with_every_trigger() {
    for &status in Status::ALL {
        for &trigger in Trigger::ALL {
            let expected = match (status.name(), trigger.name()) {
                ("released" | "release_requested", "engage") => Some(Status::Engaged),
                ("engaged", "request_release") => Some(Status::ReleaseRequested),
                ("release_requested", "confirm_release") => Some(Status::Released),
                _ => None,
            };
            assert_eq!(LIFECYCLE.next(status, trigger).ok(), expected);
        }
    }
}

#[test]
fn release_takes_a_reason_and_a_second_person() {
    let mut world = World::new();
    let (ann, bob) = (person("ann", Role::Operator), person("bob", Role::Operator));
    engage(&mut world, &ann, "global").unwrap();
    let code = |result: Result<KillSwitch, kernel::Refusal>| result.unwrap_err().code;
    assert_eq!(code(confirm(&mut world, &bob, "global")), Code::IllegalMove);
    request(&mut world, &ann, "global").unwrap();
    assert_eq!(code(confirm(&mut world, &ann, "global")), Code::Forbidden);
    assert_eq!(code(request(&mut world, &bob, "global")), Code::IllegalMove);
    assert_eq!(
        world
            .see::<KillSwitch>(kill::ID)
            .unwrap()
            .status_of(&Scope::Global),
        Status::ReleaseRequested,
        "it still stops"
    );
    // Engaging again takes the request back.
    engage(&mut world, &bob, "global").unwrap();
    assert_eq!(code(confirm(&mut world, &bob, "global")), Code::IllegalMove);
    request(&mut world, &ann, "global").unwrap();
    let after = confirm(&mut world, &bob, "global").unwrap();
    assert!(after.engaged.is_empty());
    let nothing = world.run(&ann, |unit, _| {
        kill::request_release(unit, &Scope::Global, " ")
    });
    assert_eq!(code(nothing), Code::Invalid);
    world.check_replay();
}

#[test]
fn who_may() {
    let check = |who: Who, may_engage: bool, may_release: bool| {
        let mut world = World::new();
        assert_eq!(
            engage(&mut world, &who, "tenant").is_ok(),
            may_engage,
            "{who:?}"
        );
        engage(&mut world, &person("zoe", Role::Admin), "tenant").unwrap();
        assert_eq!(
            request(&mut world, &who, "tenant").is_ok(),
            may_release,
            "{who:?}"
        );
    };
    for role in [Role::Operator, Role::Approver, Role::Admin] {
        check(person("ann", role), true, true);
    }
    for role in [Role::Viewer, Role::Auditor, Role::Agent] {
        check(person("ann", role), false, false);
    }
    check(agent("scout"), false, false);
    check(engine(), false, false);
    let service = Who(
        kernel::Actor::new(kernel::PrincipalKind::Service, "watch"),
        vec![Role::Operator],
    );
    check(service, true, false);
}

#[test]
fn what_each_scope_covers() {
    let check = |scope: &str, module: &str, issuer: &str, stopped: bool| {
        let mut world = World::new();
        engage(&mut world, &person("ann", Role::Operator), scope).unwrap();
        let switch = world.see::<KillSwitch>(kill::ID).unwrap();
        let got = switch.stops(module, &agent(issuer).0);
        assert_eq!(
            got.map(|s| s.scope.to_string()),
            stopped.then(|| scope.to_owned())
        );
    };
    check("global", "mend", "scout", true);
    check("tenant", "mend", "scout", true);
    check("tool:mend", "mend", "scout", true);
    check("tool:mend", "mender", "scout", false);
    check("agent:scout", "mend", "scout", true);
    check("agent:scout", "mend", "scouts", false);
    for bad in ["", "all", "tool:", "agent:", "tool", "Global", "tool:a\nb"] {
        assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
    }
}

#[test]
fn engaging_twice_changes_nothing() {
    let mut world = World::new();
    let ann = person("ann", Role::Operator);
    engage(&mut world, &ann, "tool:mend").unwrap();
    engage(&mut world, &person("bob", Role::Operator), "tool:mend").unwrap();
    assert_eq!(world.count("kill_switch.engaged"), 1);
}

#[test]
fn drills_are_recorded_and_stop_nothing() {
    let mut world = World::new();
    let ann = person("ann", Role::Operator);
    for scope in ["global", "tenant", "tool:mend", "agent:scout"] {
        let scope: Scope = scope.parse().unwrap();
        let drill = world
            .run(&ann, |unit, _| kill::drill(unit, scope, "monthly", None))
            .unwrap();
        assert!(drill.passed, "{drill:?}");
    }
    let switch = world.see::<KillSwitch>(kill::ID).unwrap();
    assert_eq!((switch.drills.len(), switch.engaged.len()), (4, 0));
    assert_eq!(switch.stops("mend", &agent("scout").0), None);
    world.check_replay();
}

#[test]
fn nothing_starts_while_a_step_of_it_is_stopped() {
    let check = |scope: &str, stopped: bool| {
        let mut world = World::new();
        let (id, approval) = world.waiting(&agent("scout"), &["look", "mend"]);
        world.approve("ann", approval).unwrap();
        engage(&mut world, &person("ann", Role::Operator), scope).unwrap();
        let run = kernel::RunId(uuid::Uuid::from_u128(5));
        let entries = world.entries.len();
        let started = world.start(id, run);
        assert_eq!(
            started.as_ref().err().map(|e| e.code),
            stopped.then_some(Code::Blocked)
        );
        assert_eq!(world.entries.len() == entries, stopped, "{scope}");
        if !stopped {
            return;
        }
        request(&mut world, &person("ann", Role::Operator), scope).unwrap();
        world.start(id, run).unwrap_err();
        confirm(&mut world, &person("bob", Role::Operator), scope).unwrap();
        world.start(id, run).unwrap();
    };
    for scope in ["global", "tenant", "tool:mend", "agent:scout"] {
        check(scope, true);
    }
    check("tool:tell", false);
    check("agent:other", false);
}

#[test]
fn a_plan_is_warned_of_not_stopped() {
    let mut world = World::new();
    engage(&mut world, &person("ann", Role::Operator), "tool:look").unwrap();
    let (_, approval) = world.waiting(&agent("scout"), &["look"]);
    let request = world.see::<crate::Approval>(approval).unwrap();
    assert_eq!(
        request.request.because,
        ["the gate's verdict on the plan is WARN"]
    );
}

#[test]
fn what_the_home_tenant_stops_everywhere_is_stopped_here() {
    // The switch of the home tenant, engaged there.
    let mut home = World::new();
    engage(&mut home, &person("ann", Role::Operator), "global").unwrap();
    let switch = home.see::<KillSwitch>(kill::ID).unwrap();
    let everywhere = switch.everywhere().unwrap();
    engage(&mut home, &person("ann", Role::Operator), "tenant").unwrap();

    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend", "look"]);
    permitted(world.admit(id, run, "s0", 1).unwrap());
    let (other, approval) = world.waiting(&agent("scout"), &["mend"]);
    world.approve("ann", approval).unwrap();
    world.everywhere = Some(everywhere);
    let why = blocked(world.admit(id, run, "s1", 1).unwrap());
    assert!(why.contains("`global`"), "{why}");
    let next = kernel::RunId(uuid::Uuid::from_u128(6));
    let refused = world.start(other, next).unwrap_err();
    assert_eq!(refused.code, Code::Blocked);
    // What was done can be undone all the same.
    let undo = crate::CompensationRequest {
        directive: id,
        step: "s0".into(),
        run,
        attempt: 1,
        module: "unmend".into(),
        input: serde_json::Map::new(),
    };
    let undone = world.run(&engine(), |unit, env| {
        crate::admit_compensation(unit, env, &undo)
    });
    permitted(undone.unwrap());
    // Plans are warned of.
    let (_, approval) = world.waiting(&agent("scout"), &["look"]);
    let request = world.see::<crate::Approval>(approval).unwrap();
    assert_eq!(
        request.request.because,
        ["the gate's verdict on the plan is WARN"]
    );
    world.everywhere = None;
    world.start(other, next).unwrap();
}
