//! What a verdict's explanation says would have to change: doing exactly that
//! changes the verdict.

use super::world::{World, agent, money, rules, source};
use crate::explain::{self, Explanation, Material};
use crate::operations::Proposed;
use crate::{Approval, Contract, VerdictRecord};
use kernel::{Verdict, VerdictId};
use serde_json::json;

const POLICY: &str = r#"
@id("tools")
permit(principal, action, resource);
@id("ceiling")
forbid(principal, action, resource) when { context.budget.greaterThan(decimal("9.5")) };
@id("agents")
forbid(principal is Agent, action, resource) unless { context.justified };
@id("sure")
forbid(principal, action, resource) when { context.confidence.lessThan(decimal("0.9")) };
"#;

fn blocked(world: &mut World, contract: Contract) -> VerdictId {
    let id = world.draft(&agent("scout"), contract);
    match world.propose(id) {
        Proposed::Blocked { verdict, .. } => verdict,
        other => panic!("{other:?}"),
    }
}

fn explained(world: &World, verdict: VerdictId) -> Explanation {
    let record = world.see::<VerdictRecord>(verdict).unwrap();
    let directive = world.directive(record.given.question.directive);
    let approval = directive.approval.and_then(|id| world.see::<Approval>(id));
    explain::explain(&Material {
        record: &record,
        directive: &directive,
        approval: approval.as_deref(),
        rules: &world.rules,
    })
}

fn remedies(explanation: &Explanation, check: &str) -> String {
    let line = explanation.checks.iter().find(|line| line.check == check);
    line.unwrap().remedies.join("\n")
}

fn changes(explanation: &Explanation) -> Vec<(&str, String)> {
    let named = explanation.changes.iter();
    named
        .map(|change| (change.attribute.as_str(), change.would_be.to_string()))
        .collect()
}

#[test]
fn the_nearest_change_is_named_and_turns_the_verdict() {
    let mut world = World::new();
    world.rules = rules(source(), POLICY);
    let mut contract = world.contract(&agent("scout"), &["look"]);
    let why = json!("a look is cheap");
    contract.constraints.insert("justification".to_owned(), why);
    let verdict = blocked(&mut world, contract.clone());
    let explanation = explained(&world, verdict);
    assert_eq!(changes(&explanation), [("budget", "\"9.5000\"".to_owned())]);
    let said = remedies(&explanation, "policy");
    assert!(
        said.contains("`budget` would have to be at most 9.5000 (it was 10.0000)"),
        "{said}"
    );
    let determining = &explanation.under.determining[0];
    let written = determining.written.as_ref().unwrap();
    assert_eq!((determining.id.as_str(), written.line), ("ceiling", 4));
    assert!(
        written.text.contains("decimal(\"9.5\")"),
        "{}",
        written.text
    );

    contract.budget = money("9.5 EUR");
    let id = world.draft(&agent("scout"), contract.clone());
    assert!(matches!(world.propose(id), Proposed::Approved { .. }));
    contract.budget = money("9.5001 EUR");
    blocked(&mut world, contract);
}

#[test]
fn a_flag_is_named_and_two_faults_are_not_one() {
    let mut world = World::new();
    world.rules = rules(source(), POLICY);
    let mut contract = world.contract(&agent("scout"), &["look"]);
    contract.budget = money("5 EUR");
    let verdict = blocked(&mut world, contract.clone());
    let explanation = explained(&world, verdict);
    assert_eq!(changes(&explanation), [("justified", "true".to_owned())]);
    assert!(remedies(&explanation, "policy").contains("written justification"));

    contract.budget = money("10 EUR");
    let verdict = blocked(&mut world, contract);
    let explanation = explained(&world, verdict);
    assert!(explanation.changes.is_empty());
    let said = remedies(&explanation, "policy");
    assert!(said.contains("no single fact"), "{said}");
    assert!(said.contains("in place of `agents`, `ceiling`"), "{said}");
    assert!(
        explanation.summary.contains("was stopped: policy:"),
        "{}",
        explanation.summary
    );
}

#[test]
fn of_a_set_that_is_gone_nothing_is_guessed() {
    let mut world = World::new();
    world.rules = rules(source(), POLICY);
    let contract = world.contract(&agent("scout"), &["look"]);
    let verdict = blocked(&mut world, contract);
    world.rules = rules(source(), super::world::POLICY);
    let explanation = explained(&world, verdict);
    assert!(!explanation.under.policy_in_force && !explanation.under.rules_in_force);
    assert!(explanation.changes.is_empty());
    assert!(
        explanation
            .under
            .determining
            .iter()
            .all(|d| d.written.is_none())
    );
}

#[test]
fn every_check_that_stops_says_what_would_have_to_change() {
    let case = |change: &dyn Fn(&mut World, &mut Contract), check: &str, says: &str| {
        let mut world = World::new();
        let mut contract = world.contract(&agent("scout"), &["look"]);
        change(&mut world, &mut contract);
        let verdict = blocked(&mut world, contract);
        let explanation = explained(&world, verdict);
        assert_eq!(explanation.verdict, Verdict::Block);
        let said = remedies(&explanation, check);
        assert!(said.contains(says), "{check}: {said}");
        for line in &explanation.checks {
            assert_eq!(
                line.remedies.is_empty(),
                line.verdict == Verdict::Allow,
                "{line:?}"
            );
            assert!(line.runbook.starts_with("/runbooks/"), "{line:?}");
        }
    };
    case(
        &|world, _| world.pass("2h"),
        "freshness",
        "`monitor` would have to report the field `error_rate` anew: it was 2h old, allowed is less than 2h",
    );
    case(
        &|_, c| c.steps[0].evidence = vec![crate::Grounding::Locator("nowhere".to_owned())],
        "grounding",
        "step `s0` must cite evidence",
    );
    case(
        &|_, c| drop(c.steps[0].input.insert("password".to_owned(), json!("x"))),
        "compliance",
        "must do without the field `password`, or in the pack's validators.yaml `compliance.fields.deny` must no longer name it",
    );
    case(
        &|_, c| {
            c.budget = money("25 EUR");
            c.steps[0].cost = money("20.5 EUR");
        },
        "budget",
        "`all` holds 0.00 EUR of 20.00 EUR and 20.50 EUR was asked for",
    );
    case(
        &|_, c| c.steps[0].module = "unheard_of".to_owned(),
        "policy",
        "or a policy must permit it: none does",
    );
}

#[test]
fn a_step_that_is_stopped_and_one_whose_permit_is_withheld() {
    use super::world::{engine, person};
    use crate::kill::{self, Scope};
    use kernel::Role;
    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["look"]);
    world
        .run(&person("olga", Role::Operator), |unit, _| {
            kill::engage(unit, Scope::Tenant, "stop")
        })
        .unwrap();
    let request = crate::AdmitRequest {
        directive: id,
        step: "s0".to_owned(),
        run,
        attempt: 1,
    };
    let admitted = world
        .run(&engine(), |unit, env| crate::admit(unit, env, &request))
        .unwrap();
    let crate::Admission::Blocked { verdict, .. } = admitted else {
        panic!("let through");
    };
    let explanation = explained(&world, verdict);
    assert!(remedies(&explanation, "kill_switch").contains("one person asks, another confirms"));

    let mut world = World::new();
    let (id, run) = world.executing(&agent("scout"), &["look"]);
    super::world::permitted(world.admit(id, run, "s0", 1).unwrap());
    world.rules = rules(source(), POLICY);
    let again = world.admit(id, run, "s0", 2).unwrap();
    let crate::Admission::Blocked { verdict, .. } = again else {
        panic!("let through");
    };
    let explanation = explained(&world, verdict);
    assert_eq!(explanation.verdict, Verdict::Allow);
    assert!(
        explanation.summary.contains("and yet no permit was given"),
        "{}",
        explanation.summary
    );
    assert!(
        explanation.withheld[0].contains("the rules changed"),
        "{:?}",
        explanation.withheld
    );
}
