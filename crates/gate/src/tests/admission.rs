//! Admission: what a permit takes, what is checked at every attempt, and that
//! asking twice costs once.

use super::world::{POLICY, World, agent, blocked, engine, permitted, person, rules, source};
use crate::budget::{self, Actual, Counter, Reservation};
use crate::kill::{self, Scope};
use crate::permit::{self, PermitRecord, Purpose, Status};
use crate::{Admission, CompensationRequest, VerdictRecord, admit_compensation, operations};
use kernel::names::Name;
use kernel::{Aggregate, Code, Digest, DirectiveId, Role, RunId, Verdict};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[test]
fn a_permit_names_what_it_rests_on() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let permit = permitted(world.admit(id, run, "s0", 1).unwrap());
    let directive = world.directive(id);
    assert_eq!(permit.directive(), id);
    assert_eq!(permit.digest(), directive.digest);
    assert_eq!((permit.step(), permit.module()), ("s0", "mend"));
    assert_eq!(permit.purpose(), Purpose::Step);
    assert_eq!(permit.snapshot(), world.snapshot);
    assert_eq!(permit.policy(), world.rules.policy.hash());
    assert_eq!(permit.expires_at(), world.now.plus(permit::VALID_FOR));
    let input = &directive.contract.steps[0].input;
    assert_eq!(
        permit.arguments(),
        Digest::of_value("writ.arguments.v1", input).unwrap()
    );
    let record = world.see::<PermitRecord>(permit.id()).unwrap();
    assert_eq!(record.entry, permit.entry());
    assert_eq!(record.issued.verdicts.len(), 2, "step and external write");
    for verdict in &record.issued.verdicts {
        let verdict = world.see::<VerdictRecord>(verdict).unwrap();
        let paid = verdict.given.reservation;
        assert_eq!(
            paid,
            Some(permit.reservation()),
            "the verdict says what pays"
        );
    }
    let held = world.see::<Reservation>(permit.reservation()).unwrap();
    assert_eq!(held.status(), "held");
    assert_eq!(held.ask.amount.to_string(), "2.00 EUR");
    world.check_replay();
}

#[test]
fn which_choke_points_a_step_passes() {
    for (module, expected) in [
        ("look", vec!["step_execution"]),
        ("mend", vec!["step_execution", "external_write"]),
        (
            "dear",
            vec!["step_execution", "external_write", "expensive_operation"],
        ),
    ] {
        let mut world = World::new();
        let issuer = agent("scout");
        let mut contract = world.contract(&issuer, &[module]);
        contract
            .constraints
            .insert("justification".to_owned(), json!("nothing else tells"));
        let id = world.draft(&issuer, contract);
        if let operations::Proposed::Waiting { approval } = world.propose(id) {
            world.approve("ann", approval).unwrap();
        }
        let run = RunId(Uuid::from_u128(5));
        world.start(id, run).unwrap();
        permitted(world.admit(id, run, "s0", 1).unwrap());
        let mut asked: Vec<_> = world
            .entries
            .iter()
            .filter(|(d, ..)| d.kind == "gate.verdict_given")
            .map(|(d, ..)| {
                let payload: serde_json::Value = serde_json::from_str(&d.payload).unwrap();
                payload["question"]["choke_point"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(asked.remove(0), "plan_approval");
        assert_eq!(asked, expected, "{module}");
        assert_eq!(world.count("reservation.held"), 1, "one charge, not three");
    }
}

#[test]
fn expensive_needs_a_justification() {
    let mut world = World::new();
    let issuer = agent("scout");
    let contract = world.contract(&issuer, &["dear"]);
    let id = world.draft(&issuer, contract);
    let operations::Proposed::Blocked { reasons, .. } = world.propose(id) else {
        panic!("let through");
    };
    assert_eq!(
        reasons,
        ["budget: an EXPENSIVE operation needs a written justification"]
    );
}

#[test]
fn asked_twice_is_one_verdict_and_one_reservation() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let first = permitted(world.admit(id, run, "s0", 1).unwrap());
    let (verdicts, held) = (
        world.count("gate.verdict_given"),
        world.count("reservation.held"),
    );
    let again = permitted(world.admit(id, run, "s0", 2).unwrap());
    assert_eq!(world.count("gate.verdict_given"), verdicts);
    assert_eq!((world.count("reservation.held"), held), (1, 1));
    assert_eq!(first.reservation(), again.reservation());
    assert_ne!(first.id(), again.id(), "a permit is for one attempt");
    let spent: Vec<_> = world
        .all::<Counter>()
        .iter()
        .map(|c| c.reserved.to_string())
        .collect();
    assert_eq!(spent, ["2.00 EUR", "2.00 EUR"]);
}

#[test]
fn a_settled_attempt_pays_anew() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let first = permitted(world.admit(id, run, "s0", 1).unwrap()).reservation();
    world
        .run(&engine(), |unit, _| {
            budget::settle(unit, first, Actual::Unknown)
        })
        .unwrap();
    let second = permitted(world.admit(id, run, "s0", 2).unwrap()).reservation();
    assert_ne!(first, second);
    assert_eq!(world.count("reservation.held"), 2);
}

#[test]
fn what_blocks_holds_no_budget() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    engage(&mut world, "tool:mend");
    let why = blocked(world.admit(id, run, "s0", 1).unwrap());
    assert!(
        why.starts_with("kill_switch: the kill switch `tool:mend`"),
        "{why}"
    );
    assert_eq!(world.count("reservation.held"), 0);
    assert_eq!(world.count("permit.issued"), 0);
    // All checks are on record all the same, the budget's as a preview.
    let last = world.entries.last().unwrap().0.payload.clone();
    assert!(last.contains("within all 2 budgets"), "{last}");
    // The verdict stands, and is not written twice.
    let entries = world.entries.len();
    blocked(world.admit(id, run, "s0", 2).unwrap());
    assert_eq!(world.entries.len(), entries);
    world.check_replay();
}

fn engage(world: &mut World, scope: &str) {
    let scope: Scope = scope.parse().unwrap();
    let ann = person("ann", Role::Operator);
    world
        .run(&ann, |unit, _| kill::engage(unit, scope, "smoke"))
        .unwrap();
}

fn release(world: &mut World, scope: &str) {
    let scope: Scope = scope.parse().unwrap();
    for (name, confirms) in [("ann", false), ("bob", true)] {
        world
            .run(&person(name, Role::Operator), |unit, _| match confirms {
                false => kill::request_release(unit, &scope, "put out"),
                true => kill::confirm_release(unit, &scope),
            })
            .unwrap();
    }
}

#[test]
fn a_resumed_directive_asks_afresh() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    engage(&mut world, "global");
    blocked(world.admit(id, run, "s0", 1).unwrap());
    release(&mut world, "global");
    blocked(world.admit(id, run, "s0", 2).unwrap());
    world
        .run(&engine(), |unit, _| operations::pause(unit, id, "blocked"))
        .unwrap();
    let paused = world.admit(id, run, "s0", 3).unwrap_err();
    assert_eq!(paused.code, Code::Conflict);
    world
        .run(&engine(), |unit, _| operations::resume(unit, id))
        .unwrap();
    permitted(world.admit(id, run, "s0", 3).unwrap());
}

/// What is checked at every attempt, although the verdict lets it through.
#[test]
fn a_verdict_that_passes_is_not_enough() {
    let check = |change: fn(&mut World, DirectiveId), word: Option<&str>| {
        let mut world = World::new();
        let (id, run) = world.executing(&agent("scout"), &["mend"]);
        let reservation = permitted(world.admit(id, run, "s0", 1).unwrap()).reservation();
        world
            .run(&engine(), |unit, _| {
                budget::settle(unit, reservation, Actual::Unknown)
            })
            .unwrap();
        change(&mut world, id);
        let admission = world.admit(id, run, "s0", 2).unwrap();
        let Some(word) = word else {
            permitted(admission);
            return;
        };
        let entries = world.entries.len();
        let why = blocked(admission);
        assert!(why.contains(word), "{why}");
        assert_eq!(world.count("gate.permit_withheld"), 1);
        blocked(world.admit(id, run, "s0", 3).unwrap());
        assert_eq!(world.entries.len(), entries, "said once");
        world.check_replay();
    };
    check(|_, _| (), None);
    check(
        |world, _| engage(world, "global"),
        Some("kill switch `global`"),
    );
    check(
        |world, _| engage(world, "agent:scout"),
        Some("`agent:scout`"),
    );
    check(|world, _| engage(world, "agent:other"), None);
    check(|world, _| engage(world, "tool:look"), None);
    check(
        |world, id| world.now = world.directive(id).expires_at,
        Some("the timebox ended"),
    );
    check(
        |world, id| {
            let end = world.directive(id).expires_at.as_micros();
            world.now = kernel::Timestamp::from_micros(end - 1);
        },
        None,
    );
    check(
        |world, _| world.rules = rules(source(), &format!("{POLICY}\n// next")),
        Some("the rules changed"),
    );
    check(
        |world, _| {
            world.rules.stores = vec![crate::residency::Store {
                role: crate::residency::StoreRole::Ledger,
                at: "elsewhere".to_owned(),
            }];
        },
        Some("residency: ledger store at `elsewhere` has no entry"),
    );
    check(
        |world, _| {
            let mut tight = source();
            tight["budgets"][0]["hard"] = json!("3.99 EUR");
            world.rules = rules(tight, POLICY);
        },
        Some("hard cap"),
    );
    check(
        |world, _| {
            let mut tight = source();
            tight["budgets"][0]["hard"] = json!("4 EUR");
            world.rules = rules(tight, POLICY);
        },
        None,
    );
}

#[test]
fn what_is_no_question_is_refused() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let code = |result: Result<Admission, kernel::Refusal>| result.unwrap_err().code;
    assert_eq!(code(world.admit(id, run, "s9", 1)), Code::NotFound);
    let other = RunId(Uuid::from_u128(1));
    assert_eq!(code(world.admit(id, other, "s0", 1)), Code::Conflict);
    world
        .run(&engine(), |unit, _| operations::abort(unit, id, "enough"))
        .unwrap();
    assert_eq!(code(world.admit(id, run, "s0", 1)), Code::Conflict);
}

#[test]
fn stale_evidence_stops_a_step_that_was_planned_in_time() {
    let mut world = World::new();
    let issuer = agent("scout");
    world.pass("90m");
    let mut contract = world.contract(&issuer, &["mend"]);
    contract.timebox = kernel::Span::parse("3h").unwrap();
    let id = world.draft(&issuer, contract);
    let operations::Proposed::Waiting { approval } = world.propose(id) else {
        panic!("not asked");
    };
    world.approve("ann", approval).unwrap();
    let run = RunId(Uuid::from_u128(5));
    world.start(id, run).unwrap();
    world.pass("30m");
    let why = blocked(world.admit(id, run, "s0", 1).unwrap());
    assert!(why.starts_with("freshness: "), "{why}");
}

/// A condition that holds for no step with this id.
#[derive(Debug)]
struct NoStep(&'static str, Vec<Vec<String>>);

impl crate::validate::Condition for NoStep {
    fn text(&self) -> &str {
        "step.id != 's1'"
    }
    fn paths(&self) -> &[Vec<String>] {
        &self.1
    }
    fn holds(&self, variables: &[(&str, &serde_json::Value)]) -> Result<bool, kernel::Refusal> {
        let step = variables.iter().find(|(name, _)| *name == "step").unwrap();
        Ok(step.1["id"] != self.0)
    }
}

#[test]
fn a_validator_of_the_pack_is_asked_at_every_choke_point_and_can_block_one_step() {
    let mut world = World::new();
    let mut source = source();
    source["validators"]["rules"] = json!([{
        "name": "not_s1", "require": "step.id != 's1'", "verdict": "BLOCK",
        "reason": "s1 is never done", "runbook": "https://runbooks.example/s1",
    }]);
    let before = world.rules.hash;
    let compiled = |condition: Option<NoStep>| {
        let source: crate::RulesSource = serde_json::from_value(source.clone()).unwrap();
        let conditions: crate::Conditions = match condition {
            Some(condition) => vec![Arc::new(condition)],
            None => Vec::new(),
        };
        let policy = ("policy.cedar".to_owned(), POLICY.to_owned());
        crate::Rules::compile(source, conditions, &[policy])
    };
    let unfit = compiled(None).unwrap_err();
    assert!(unfit[0].message.contains("validators.rules"), "{unfit:?}");
    let path = vec!["step".to_owned(), "id".to_owned()];
    world.rules = compiled(Some(NoStep("none", vec![path.clone()]))).unwrap();
    assert_ne!(world.rules.hash, before, "the rule is part of the version");

    let issuer = agent("scout");
    let mut contract = world.contract(&issuer, &["dear", "look"]);
    let why = json!("nothing else tells");
    contract.constraints.insert("justification".to_owned(), why);
    let id = world.draft(&issuer, contract);
    if let operations::Proposed::Waiting { approval } = world.propose(id) {
        world.approve("ann", approval).unwrap();
    }
    let run = RunId(Uuid::from_u128(5));
    world.start(id, run).unwrap();
    permitted(world.admit(id, run, "s0", 1).unwrap());
    let mut points = std::collections::BTreeMap::new();
    for record in world.all::<VerdictRecord>() {
        let at = record
            .given
            .results
            .iter()
            .position(|r| r.check == "not_s1");
        let point = record.given.question.choke_point;
        points.insert(point.to_string(), (at, record.verdict()));
    }
    let asked = (Some(4), Verdict::Allow);
    let all = [
        "expensive_operation",
        "external_write",
        "plan_approval",
        "step_execution",
    ];
    assert_eq!(points, all.map(|p| (p.to_owned(), asked)).into());

    world.rules = compiled(Some(NoStep("s1", vec![path]))).unwrap();
    let Admission::Blocked { verdict, reasons } = world.admit(id, run, "s1", 1).unwrap() else {
        panic!("a step that a rule blocks was let through");
    };
    assert_eq!(reasons, ["not_s1: s1 is never done"]);
    let record = world.see::<VerdictRecord>(verdict).unwrap();
    let result = record.result("not_s1").unwrap();
    assert_eq!(
        result.runbook.as_deref(),
        Some("https://runbooks.example/s1")
    );
    assert_eq!(result.inputs["looked_at"][0]["values"]["step.id"], "s1");
    assert_eq!(record.given.reservation, None, "nothing is paid for");
    world.check_replay();
}

#[test]
fn a_missing_snapshot_blocks_with_all_results() {
    let mut world = World::new();
    let (id, _) = world.executing(&agent("scout"), &["mend"]);
    let directive = world.directive(id);
    let mut lost = directive.as_ref().clone();
    lost.contract.snapshot = kernel::SnapshotId(Digest::ZERO);
    let record = world
        .run(&engine(), |unit, env| {
            let target = crate::choke::Target::Step(&lost.contract.steps[0]);
            let point = crate::ChokePoint::StepExecution;
            crate::choke::ask(unit, env, &lost, point, &target)
        })
        .unwrap();
    assert_eq!(record.verdict(), Verdict::Block);
    assert_eq!(record.given.results.len(), 10);
    for check in crate::validate::Validator::ALL {
        assert_eq!(record.result(check.name()).unwrap().verdict, Verdict::Block);
    }
    assert_eq!(record.result("policy").unwrap().verdict, Verdict::Block);
    assert_eq!(record.given.reservation, None);
}

#[test]
fn a_permit_is_used_once_and_in_time() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend"]);
    let permit = permitted(world.admit(id, run, "s0", 1).unwrap());
    world
        .run(&engine(), |unit, _| permit::redeem(unit, &permit))
        .unwrap();
    let again = world.run(&engine(), |unit, _| permit::redeem(unit, &permit));
    assert_eq!(again.unwrap_err().code, Code::IllegalMove);

    let late = permitted(world.admit(id, run, "s0", 2).unwrap());
    world.now = late.expires_at();
    let refused = world.run(&engine(), |unit, _| permit::redeem(unit, &late));
    assert_eq!(refused.unwrap_err().code, Code::Conflict);
    let tick = |world: &mut World, id| {
        world
            .run(&engine(), |unit, _| permit::expire(unit, id))
            .unwrap()
    };
    assert_eq!(tick(&mut world, late.id()), Status::Void);
    assert_eq!(tick(&mut world, permit.id()), Status::Used);
    world.check_replay();
}

#[test]
fn every_permit_status_with_every_trigger() {
    use permit::Trigger;
    for &status in Status::ALL {
        for &trigger in Trigger::ALL {
            let expected = match (status.name(), trigger.name()) {
                ("issued", "use") => Some(Status::Used),
                ("issued", "void") => Some(Status::Void),
                _ => None,
            };
            assert_eq!(permit::LIFECYCLE.next(status, trigger).ok(), expected);
        }
    }
}

fn undo(
    world: &mut World,
    directive: DirectiveId,
    run: RunId,
    step: &str,
) -> Result<Admission, kernel::Refusal> {
    let request = CompensationRequest {
        directive,
        step: step.to_owned(),
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
fn what_was_done_can_be_undone_after_the_end() {
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["mend", "look"]);
    let early = undo(&mut world, id, run, "s0").unwrap_err();
    assert_eq!(early.code, Code::Conflict, "nothing was done yet");
    permitted(world.admit(id, run, "s0", 1).unwrap());
    permitted(world.admit(id, run, "s1", 1).unwrap());
    let never = undo(&mut world, id, run, "s1").unwrap_err();
    assert_eq!(never.code, Code::Invalid, "`look` declares none");
    world
        .run(&engine(), |unit, _| operations::abort(unit, id, "enough"))
        .unwrap();
    // Long after: timebox over, evidence old, rules new, switch engaged.
    world.pass("5h");
    engage(&mut world, "global");
    world.rules = rules(source(), &format!("{POLICY}\n// next"));
    let permit = permitted(undo(&mut world, id, run, "s0").unwrap());
    assert_eq!(permit.purpose(), Purpose::Compensation);
    assert_eq!((permit.step(), permit.module()), ("s0", "unmend"));
    world.check_replay();
}

#[test]
fn undoing_passes_the_gate_too() {
    let check = |change: fn(&mut World), word: &str| {
        let mut world = World::new();
        let (id, run) = world.executing(&agent("scout"), &["mend"]);
        permitted(world.admit(id, run, "s0", 1).unwrap());
        change(&mut world);
        let why = blocked(undo(&mut world, id, run, "s0").unwrap());
        assert!(why.contains(word), "{why}");
    };
    check(|world| engage(world, "tool:unmend"), "tool:unmend");
    check(
        |world| drop(world.modules.remove("unmend")),
        "no module `unmend`",
    );
    check(
        |world| {
            let mut strict = source();
            strict["validators"]["compliance"]["tools"] = json!({ "allow": ["mend"] });
            world.rules = rules(strict, POLICY);
        },
        "compliance: ",
    );
}

#[test]
fn the_verdict_id_is_the_documented_digest() {
    let mut world = World::new();
    world.executing(&agent("scout"), &["mend"]);
    let record = world.all::<VerdictRecord>().remove(0);
    let q = &record.given.question;
    let text = format!(
        "writ.verdict.v1\n{{\"choke_point\":\"{}\",\"digest\":\"{}\",\"directive\":\"{}\",\
         \"snapshot\":\"{}\",\"target\":\"plan\"}}",
        q.choke_point, q.digest, q.directive, q.snapshot
    );
    assert_eq!(record.id.0, Digest::of(text.as_bytes()));
}
