//! Policies of packs and of folders: read, linted, tried and compared.

use gate::Capabilities;
use gate::policy::compare;
use kernel::Verdict;
use pack::policies::Policies;
use pack::{Fault, Files};

const POLICIES: &str = "@id(\"a\") permit(principal is Human, action, resource in Tool::\"noop\");
@id(\"b\") forbid(principal, action, resource) when { context.steps > 3 };
";

const CASE: &str = "cases:
  - name: a person
    principal: human:prn_1
    action: plan_approval
    resource: { directive_type: t, module: noop, subject: host/a, action_class: clarification, cost_class: CHEAP }
    context: { cost: 1 EUR, budget: 1 EUR, steps: 1, snapshot_age: 1s, confidence: 1.0 }
    expect: { verdict: ALLOW, determining: [a] }
";

fn files(all: &[(&str, &str)]) -> Files {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    all.iter().map(own).collect()
}

fn lines(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

#[test]
fn a_folder_of_policies_is_read_with_its_tests() {
    let folder = files(&[
        ("p.cedar", POLICIES),
        ("tests/p.yaml", CASE),
        ("README.md", ""),
    ]);
    let policies = Policies::read(&folder, None).unwrap();
    assert_eq!(policies.set.ids(), ["a", "b"]);
    let tested = policies.test();
    assert_eq!((tested.len(), tested[0].passed()), (1, true), "{tested:?}");
    assert_eq!(policies.lint(), []);
    // With the modules known, one that nobody has is a fault.
    let policies = Policies::read(&folder, Some(&Capabilities::new())).unwrap();
    let found = lines(&policies.lint());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("p.cedar:1:63: `a`: no module is called `noop`"),
        "{found:?}"
    );
}

#[test]
fn what_does_not_load_is_told_with_its_place() {
    for (folder, place) in [
        (files(&[("p.cedar", "permit(")]), "p.cedar:1:"),
        (files(&[("other.txt", "")]), "policies: the set is empty"),
        (
            files(&[
                ("p.cedar", POLICIES),
                ("tests/p.yaml", "cases:\n  - nam: x\n"),
            ]),
            "tests/p.yaml:2:",
        ),
        (
            files(&[
                ("p.cedar", POLICIES),
                ("tests/p.yaml", CASE),
                (
                    "tests/q.yaml",
                    &CASE.replace("expect:", "roles: []\n    expect:"),
                ),
            ]),
            "tests/q.yaml:2:",
        ),
    ] {
        let found = lines(&Policies::read(&folder, None).unwrap_err());
        assert!(
            found.iter().any(|f| f.starts_with(place)),
            "{place} {found:?}"
        );
    }
}

#[test]
fn a_test_that_fails_says_what_differs() {
    for (what, with, says) in [
        (
            "steps: 1",
            "steps: 4",
            "the verdict is BLOCK, expected is ALLOW",
        ),
        ("steps: 1", "steps: 4", "determined by `b`, expected is `a`"),
        (
            "human:prn_1",
            "agent:prn_1",
            "determined by no policy, expected is `a`",
        ),
        (
            "determining: [a]",
            "determining: [a, b]",
            "determined by `a`, expected is `a`, `b`",
        ),
    ] {
        let case = CASE.replace(what, with);
        let folder = files(&[("p.cedar", POLICIES), ("tests/p.yaml", &case)]);
        let tested = Policies::read(&folder, None).unwrap().test();
        assert!(tested[0].faults.iter().any(|f| f == says), "{tested:?}");
    }
}

#[test]
fn two_sets_are_compared_over_questions() {
    let before = files(&[("p.cedar", POLICIES), ("tests/p.yaml", CASE)]);
    let after = POLICIES.replace("is Human", "is Agent");
    let after = Policies::read(&files(&[("p.cedar", &after)]), None).unwrap();
    let before = Policies::read(&before, None).unwrap();
    let questions = before.questions();
    let changed = compare(&before.set, &after.set, &questions);
    assert_eq!(changed.len(), 1);
    let verdicts = (changed[0].before.verdict, changed[0].after.verdict);
    assert_eq!(verdicts, (Verdict::Allow, Verdict::Block));
    assert_eq!(changed[0].question, "a person");
    assert_eq!(compare(&before.set, &before.set, &questions), []);
}

const HISTORY: &str = "facts:
  - { name: done, happening: step_permitted, per: tenant, within: day, measure: count }
  - { name: since, happening: approval_given, per: agent, within: 1h, measure: seconds_since, only: { data_classes: [customer] } }
";

#[test]
fn what_happened_before_is_stated_by_a_test() {
    let policies = format!(
        "{POLICIES}@id(\"c\") forbid(principal, action, resource)
         when {{ context.history.done >= 3 && !(context.history has since) }};"
    );
    for (history, verdict, by, fault) in [
        ("", "ALLOW", "a", None),
        (", history: { done: 2 }", "ALLOW", "a", None),
        (", history: { done: 3 }", "BLOCK", "c", None),
        (", history: { done: 3, since: 60 }", "ALLOW", "a", None),
        (
            ", history: { dnoe: 3 }",
            "ALLOW",
            "a",
            Some("no fact is called `dnoe`"),
        ),
    ] {
        let case = CASE
            .replace("confidence: 1.0", &format!("confidence: 1.0{history}"))
            .replace(
                "ALLOW, determining: [a]",
                &format!("{verdict}, determining: [{by}]"),
            );
        let all = [
            ("p.cedar", policies.as_str()),
            ("tests/p.yaml", &case),
            ("history.yaml", HISTORY),
        ];
        let read = Policies::read(&files(&all), None).unwrap();
        assert_eq!(read.lint(), []);
        let tested = read.test();
        assert_eq!(
            tested[0].faults.first().map(String::as_str),
            fault,
            "{history}"
        );
    }
    // Without the facts the policy does not load, and faults have places.
    let without = files(&[("p.cedar", policies.as_str())]);
    assert!(lines(&Policies::read(&without, None).unwrap_err())[0].starts_with("p.cedar:4:"));
    let broken = HISTORY.replace("within: 1h", "within: 1s, zone: UTC");
    let broken = files(&[("p.cedar", policies.as_str()), ("history.yaml", &broken)]);
    let found = lines(&Policies::read(&broken, None).unwrap_err());
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("history.yaml:3:") && f.contains("has no zone")),
        "{found:?}"
    );
}
