//! Slicing changes no answer: random policies over every form of scope and
//! over conditions in every place, those that fail among them, asked sliced
//! and as one set.

use super::tests::{facts, load, request};
use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal",
    "principal is Agent",
    "principal is Human in Role::\"operator\"",
    "principal in Role::\"operator\"",
    "principal in Role::\"viewer\"",
    "principal in Human::\"prn_1\"",
    "principal == Human::\"prn_1\"",
    "principal == Agent::\"a\\\"\\u{e9}\"",
];

const ACTIONS: &[&str] = &[
    "action",
    "action",
    "action == Action::\"plan_approval\"",
    "action in [Action::\"step_execution\", Action::\"external_write\"]",
    "action in Action::\"expensive_operation\"",
];

const RESOURCES: &[&str] = &[
    "resource",
    "resource",
    "resource is Operation",
    "resource is Operation in Tool::\"http.request\"",
    "resource in Tool::\"http.request\"",
    "resource in Tool::\"noop\"",
    "resource in Subject::\"service/other\"",
    "resource in SubjectType::\"service\"",
    "resource in Operation::\"noop\"",
    "resource == Operation::\"http.request\"",
];

/// Conditions: some that slicing understands, some that it does not, and some
/// that may fail.
const CONDITIONS: &[&str] = &[
    "context.steps < 3",
    "context.human_approved",
    "context.cost.lessThan(decimal(\"5.0\"))",
    "context.steps * 9223372036854775807 > 5",
    "context.cost.greaterThan(decimal(\"5.0\")) && context.steps * 9223372036854775807 > 5",
    "resource.tool == \"http.request\"",
    "\"noop\" == resource.tool",
    "resource.directive_type == \"thing.mend\"",
    "resource.directive_type like \"thing.*\"",
    "resource.directive_type != \"thing.mend\"",
    "resource.subject_type == \"account\"",
    "resource.tool == \"noop\" || resource.subject == \"service/other\"",
    "resource.tool == \"noop\" || context.steps < 3",
    "[\"noop\", \"echo\"].contains(resource.tool)",
    "resource.cost_class == CostClass::\"CHEAP\"",
    "resource.action_class == ActionClass::\"internal_mutation\"",
    "resource in [Tool::\"noop\", SubjectType::\"account\"]",
    "resource in Subject::\"service/checkout\"",
    "!(resource in SubjectType::\"service\")",
    "principal == Human::\"prn_1\"",
    "principal is Human",
    "principal is Agent in Role::\"operator\"",
    "principal.id == \"prn_1\"",
    "principal in [Role::\"operator\", Role::\"admin\"]",
    "if resource.tool == \"noop\" then context.steps < 3 else true",
    "resource.tool == resource.subject_type",
    "(resource.tool == \"noop\" && context.justified) || principal is Human",
];

/// Makes that every set loads.
const LAST: &str = "@id(\"last\") permit(principal in Role::\"admin\", action, resource);\n";

fn any_policy(number: usize) -> impl Strategy<Value = String> {
    let effect = select(vec![
        "permit",
        "permit",
        "@advice(\"warn\") permit",
        "forbid",
    ]);
    let clause = (
        select(vec!["when", "when", "when", "unless"]),
        prop::collection::vec(select(CONDITIONS), 1..4),
    );
    let clauses = prop::collection::vec(clause, 0..3);
    let scope = (select(PRINCIPALS), select(ACTIONS), select(RESOURCES));
    (effect, scope, clauses).prop_map(move |(effect, (p, a, r), clauses)| {
        let clauses: String = clauses
            .iter()
            .map(|(word, all)| format!(" {word} {{ {} }}", all.join(" && ")))
            .collect();
        // What forbids everything would not load.
        let own = format!("context.steps < {}", number + 100);
        format!("@id(\"p{number}\") {effect}({p}, {a}, {r}){clauses} when {{ {own} }};\n")
    })
}

fn any_question() -> impl Strategy<Value = Request> {
    let principal = select(vec![
        Actor::new(PrincipalKind::Human, "prn_1"),
        Actor::new(PrincipalKind::Human, "prn_2"),
        Actor::new(PrincipalKind::Agent, "prn_1"),
        Actor::new(PrincipalKind::Agent, "a\"\u{e9}"),
        Actor::new(PrincipalKind::Service, "prn_1"),
    ]);
    (
        principal,
        prop::sample::subsequence(Role::ALL.to_vec(), 0..3),
        select(vec!["http.request", "noop", "echo"]),
        select(vec!["service/checkout", "service/other", "account/1"]),
        select(vec!["thing.mend", "thing.break"]),
        select(vec!["1 EUR", "5 EUR", "9 EUR"]),
        select(CostClass::ALL.to_vec()),
    )
        .prop_map(|(principal, roles, module, subject, kind, cost, class)| {
            let mut asked = request(action::PLAN_APPROVAL, cost);
            asked.principal = principal;
            asked.roles = roles;
            asked.resource.module = module.to_owned();
            asked.resource.subject = Subject::parse(subject).unwrap();
            asked.resource.directive_kind = kind.to_owned();
            asked.resource.cost_class = class;
            asked.context = facts(cost).context();
            asked
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// A failing case prints its seed.
    #[test]
    fn sliced_and_unsliced_answers_agree(
        texts in (1_usize..16).prop_flat_map(|n| (0..n).map(any_policy).collect::<Vec<_>>()),
        questions in prop::collection::vec(any_question(), 1..6),
    ) {
        // Cedar finds some policies impossible.
        let texts: Vec<_> = texts
            .into_iter()
            .filter(|text| load(&format!("{LAST}{text}")).is_ok())
            .collect();
        let text = format!("{}{LAST}", texts.concat());
        let set = load(&text).unwrap();
        for mut asked in questions {
            for action in action::ALL {
                asked.action = action.to_owned();
                let subject = asked.resource.subject.to_string();
                let unsliced = set.engine.answer_unsliced(&question(&asked, &subject));
                prop_assert_eq!(set.decide(&asked), unsliced, "{}\n{:?}", &text, &asked);
            }
        }
    }
}

/// Every condition before and after every other, in one clause and in two, and
/// after an `unless`: as permits only, so that the answer names each that holds
/// and each that fails.
#[test]
fn every_pair_of_conditions_agrees() {
    let mut files = vec![("last".to_owned(), LAST.to_owned())];
    for (at, first) in CONDITIONS.iter().enumerate() {
        let mut clauses = Vec::new();
        for second in CONDITIONS {
            clauses.push(format!("when {{ ({first}) && ({second}) }}"));
            clauses.push(format!("when {{ {first} }} when {{ {second} }}"));
            clauses.push(format!("unless {{ {first} }} when {{ {second} }}"));
        }
        let lines = clauses.iter().enumerate();
        let lines = lines
            .map(|(n, c)| format!("@id(\"c{at}-{n}\") permit(principal, action, resource) {c};\n"));
        files.push((at.to_string(), lines.collect()));
    }
    // Cedar finds some of them impossible.
    for fault in PolicySet::load(SCHEMA, &files).unwrap_err() {
        let (_, text) = files.iter_mut().find(|(f, _)| *f == fault.file).unwrap();
        let mut lines: Vec<_> = text.split('\n').collect();
        lines[fault.line - 1] = "";
        *text = lines.join("\n");
    }
    let set = PolicySet::load(SCHEMA, &files).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..24 {
        let asked = any_question().new_tree(&mut runner).unwrap().current();
        let subject = asked.resource.subject.to_string();
        let asked = question(&asked, &subject);
        let (sliced, unsliced) = (
            set.engine.answer(&asked),
            set.engine.answer_unsliced(&asked),
        );
        assert!(!sliced.errors.is_empty() && set.engine.concerned(&asked) < set.ids().len());
        assert_eq!(
            sliced, unsliced,
            "{:?} {:?}",
            asked.principal.id, asked.context
        );
    }
}

/// A question without an attribute that a policy compares fails there; slicing
/// must not hide it.
#[test]
fn an_attribute_that_is_missing_fails_sliced_as_unsliced() {
    let set = load(
        "@id(\"p\") permit(principal, action, resource);
         @id(\"f\") forbid(principal, action, resource) when { resource.tool == \"noop\" };",
    )
    .unwrap();
    let asked = request(action::PLAN_APPROVAL, "1 EUR");
    let subject = asked.resource.subject.to_string();
    let mut asked = question(&asked, &subject);
    assert_eq!(set.engine.answer(&asked).verdict, Verdict::Allow);
    asked.resource.attributes.clear();
    let decision = set.engine.answer(&asked);
    assert_eq!(decision, set.engine.answer_unsliced(&asked));
    assert_eq!(
        (decision.verdict, decision.errors.len()),
        (Verdict::Block, 1)
    );
}

/// Of many scoped policies only those of the question's scope are asked.
#[test]
fn a_question_meets_only_the_policies_of_its_scope() {
    let text: String = (0..50)
        .map(|n| {
            format!(
                "@id(\"a{n}\") permit(principal in Role::\"operator\", action, resource in Tool::\"tool.{n}\");
                 @id(\"b{n}\") forbid(principal, action, resource) when {{
                    resource.directive_type == \"type.{n}\" && context.steps > 5 }};"
            )
        })
        .collect();
    let set = load(&text).unwrap();
    let mut asked = request(action::PLAN_APPROVAL, "1 EUR");
    asked.resource.module = "tool.7".to_owned();
    asked.resource.directive_kind = "type.8".to_owned();
    let subject = asked.resource.subject.to_string();
    assert_eq!(set.engine.concerned(&question(&asked, &subject)), 2);
    asked.roles.clear();
    assert_eq!(set.engine.concerned(&question(&asked, &subject)), 1);
}
