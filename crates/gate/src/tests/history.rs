//! What the gate makes of the past: a fact that is not counted back fails the
//! policies that name it and no others, and what was begun can be undone
//! whatever happened since.

use super::world::{POLICY, World, agent, blocked, engine, permitted, source};
use crate::history::{self, FactSet, Tally};
use crate::operations;
use crate::{
    Admission, CompensationRequest, Rules, RulesSource, VerdictRecord, admit_compensation,
};
use kernel::{DirectiveId, Refusal, RunId};
use serde_json::json;

/// One step with `mend` a day, and undone no more often.
const ONCE: &str = r#"
@id("once")
forbid(principal, action == Action::"step_execution", resource in Tool::"mend")
when { context.history.mends >= 1 };
@id("undone-while-few")
forbid(principal, action == Action::"step_execution", resource in Tool::"unmend")
when { context.history.mends >= 1 };
"#;

fn world(first: bool) -> World {
    let mut world = World::new();
    let mut source = source();
    source["history"] = json!([{
        "name": "mends", "happening": "step_permitted", "per": "subject", "within": "day",
        "measure": "count", "only": { "modules": ["mend"] },
    }]);
    let source: RulesSource = serde_json::from_value(source).unwrap();
    let policies = [("policy.cedar".to_owned(), format!("{POLICY}{ONCE}"))];
    world.rules = Rules::compile(source, Vec::new(), &policies).unwrap();
    declare(&mut world, first);
    world
}

fn declare(world: &mut World, first: bool) {
    world
        .run(&engine(), |unit, env| {
            history::declare(unit, &env.rules.history, first)
        })
        .unwrap();
}

/// Ends it, so that the next on the same subject need not wait.
fn abort(world: &mut World, id: DirectiveId) {
    world
        .run(&engine(), |unit, _| {
            operations::abort(unit, id, "enough")?;
            crate::conflict::let_go(unit, id)
        })
        .unwrap();
}

fn undo(world: &mut World, directive: DirectiveId, run: RunId) -> Result<Admission, Refusal> {
    let request = CompensationRequest {
        directive,
        step: "s0".to_owned(),
        run,
        attempt: 1,
        module: "unmend".to_owned(),
        input: serde_json::Map::new(),
    };
    world.run(&engine(), |unit, env| {
        admit_compensation(unit, env, &request)
    })
}

#[test]
fn what_was_let_through_is_undone_by_the_past_that_it_was_let_through_with() {
    let mut world = world(true);
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    permitted(world.admit(id, run, "s0", 1).unwrap());
    // Asked again, the step counts once.
    permitted(world.admit(id, run, "s0", 2).unwrap());
    let tallies = world.all::<Tally>();
    assert_eq!((tallies.len(), tallies[0].in_period), (1, 1));
    abort(&mut world, id);
    let (other, its_run) = world.executing(&agent("other"), &["mend"]);
    let why = blocked(world.admit(other, its_run, "s0", 1).unwrap());
    assert!(why.contains("`once`"), "{why}");
    abort(&mut world, other);
    permitted(undo(&mut world, id, run).unwrap());
    world.check_replay();
}

#[test]
fn a_step_that_meets_another_choke_point_later_counts_once() {
    let mut world = world(true);
    let writes = |world: &mut World, writes: bool| {
        world.modules.get_mut("mend").unwrap().writes_outside = writes;
    };
    writes(&mut world, false);
    let policies = [("policy.cedar".to_owned(), POLICY.to_owned())];
    world.rules = world.rules.with_policies(&policies, None).unwrap();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    permitted(world.admit(id, run, "s0", 1).unwrap());
    writes(&mut world, true);
    permitted(world.admit(id, run, "s0", 2).unwrap());
    let tallies = world.all::<Tally>();
    assert_eq!((tallies.len(), tallies[0].in_period), (1, 1));
    world.check_replay();
}

#[test]
fn what_is_not_counted_back_fails_who_names_it() {
    let mut world = world(false);
    let (id, run) = world.executing(&agent("scout"), &["mend", "look"]);
    let why = blocked(world.admit(id, run, "s0", 1).unwrap());
    let expected = "policy: a policy could not be evaluated: `mends` is still counted back from \
                    the ledger; ask again";
    assert_eq!(why, expected);
    permitted(world.admit(id, run, "s1", 1).unwrap());
    abort(&mut world, id);
    // Nothing is declared: nothing is told either.
    let none = |unit: &mut kernel::Unit<'_>, _: &crate::GateEnv<'_>| {
        history::declare(unit, &FactSet::default(), true)
    };
    world.run(&engine(), none).unwrap();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let why = blocked(world.admit(id, run, "s0", 1).unwrap());
    assert_eq!(why, expected);
    abort(&mut world, id);
    // Ready, it is told and counts on.
    declare(&mut world, true);
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    permitted(world.admit(id, run, "s0", 1).unwrap());
    let last = world.all::<VerdictRecord>();
    let told = last
        .iter()
        .filter_map(|r| r.given.asked.first()?.context.get("history"))
        .filter(|told| told["mends"] == 0);
    assert_eq!(
        told.count(),
        3,
        "the plan and both choke points of the step"
    );
    world.check_replay();
}

#[test]
fn a_step_that_is_blocked_at_one_choke_point_was_not_let_through() {
    let mut world = world(true);
    let forbid = "@id(\"no-writes\") forbid(principal, action == Action::\"external_write\", \
                  resource) when { context.steps == 1 };";
    let policies = [("policy.cedar".to_owned(), format!("{POLICY}{ONCE}{forbid}"))];
    world.rules = world.rules.with_policies(&policies, None).unwrap();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let why = blocked(world.admit(id, run, "s0", 1).unwrap());
    assert!(why.contains("no-writes"), "{why}");
    assert!(world.all::<Tally>().is_empty());
}
