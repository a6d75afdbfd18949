//! Each lint with its cases.

use super::*;
use crate::policy;

fn known() -> Known {
    let set = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
    Known {
        tools: set(&["http.request", "webhook.send", "noop"]),
        subject_types: set(&["service", "account"]),
        directive_types: set(&["service.restart", "service.shift_traffic"]),
        history: FactSet::default(),
    }
}

fn lints(text: &str) -> Vec<String> {
    let files = [("a.cedar".to_owned(), text.to_owned())];
    let found = lint(&files, &known());
    found.iter().map(ToString::to_string).collect()
}

/// A permit that loads with every case.
const PERMIT: &str = "@id(\"p\") permit(principal, action, resource);\n";

/// The text after [`PERMIT`], from line 2 on, loads; what the lints say of it,
/// by place and a part of the message, or nothing.
fn check(cases: &[(&str, &[(&str, &str)])]) {
    for (text, expected) in cases {
        let whole = format!("{PERMIT}{text}");
        let files = [("a.cedar".to_owned(), whole.clone())];
        let loaded = policy::PolicySet::load(policy::SCHEMA, &files);
        assert!(loaded.is_ok(), "{whole}\n{:?}", loaded.unwrap_err());
        let found = lints(&whole);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for (place, part) in *expected {
            let named = |f: &String| f.starts_with(place) && f.contains(part);
            assert!(
                found.iter().any(named),
                "{text}\n{place} {part}\n{found:#?}"
            );
        }
    }
}

#[test]
fn names_that_nobody_has() {
    check(&[
        (
            "@id(\"x\") permit(principal, action, resource in Tool::\"htp.request\");",
            &[(
                "a.cedar:2:54:",
                "no module is called `htp.request`; the nearest is `http.request`",
            )],
        ),
        (
            "@id(\"x\") permit(principal, action, resource in Tool::\"http.request\");",
            &[],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource)\nwhen { context.steps > 3 && resource.tool == \"nop\" };",
            &[("a.cedar:3:46:", "the nearest is `noop`")],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) unless { [\"noop\", \"wehook.send\"].contains(resource.tool) };",
            &[("a.cedar:2:", "`wehook.send`; the nearest is `webhook.send`")],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource == Operation::\"nop\");",
            &[("a.cedar:2:", "no module is called `nop`")],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource in SubjectType::\"servise\");",
            &[(
                "a.cedar:2:",
                "no type of subject is called `servise`; the nearest is `service`",
            )],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) when { resource in [Subject::\"acount/1\", Subject::\"service/x\"] };",
            &[("a.cedar:2:", "`acount`; the nearest is `account`")],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) when { resource.subject_type != \"machine\" };",
            &[("a.cedar:2:", "no type of subject is called `machine`")],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) when { resource.directive_type == \"service.restrat\" };",
            &[(
                "a.cedar:2:",
                "`service.restrat`; the nearest is `service.restart`",
            )],
        ),
        // People may propose what no runbook does.
        (
            "@id(\"x\") forbid(principal, action, resource) when { resource.directive_type == \"service.delete\" };",
            &[],
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) when { if resource.tool == \"shell\" then true else context.justified };",
            &[("a.cedar:2:", "`shell`")],
        ),
    ]);
}

#[test]
fn kinds_of_names_that_are_not_known_are_not_judged() {
    let text = format!(
        "{PERMIT}@id(\"x\") forbid(principal, action, resource in Tool::\"x\") when {{ resource.directive_type == \"y\" && resource in SubjectType::\"z\" }};"
    );
    let files = [("a.cedar".to_owned(), text)];
    assert_eq!(lint(&files, &Known::default()), []);
    let none = Known {
        tools: Some(BTreeSet::new()),
        ..Known::default()
    };
    let found = lint(&files, &none);
    assert!(
        found[0].message.contains("there is none at all"),
        "{found:?}"
    );
}

#[test]
fn permits_that_a_forbid_covers() {
    let shadowed: &[(&str, &str)] = &[("a.cedar:2:1:", "`x` permits nothing: `f` in a.cedar:3")];
    let free: &[(&str, &str)] = &[];
    let pair = |permit: &str, forbid: &str| {
        format!("@id(\"x\") permit({permit});\n@id(\"f\") forbid({forbid});")
    };
    for (permit, forbid, expected) in [
        (
            "principal is Agent, action, resource",
            "principal is Agent, action, resource",
            shadowed,
        ),
        (
            "principal == Agent::\"a\", action, resource",
            "principal is Agent, action, resource",
            shadowed,
        ),
        (
            "principal is Agent in Role::\"agent\", action, resource",
            "principal is Agent, action, resource",
            shadowed,
        ),
        (
            "principal is Agent in Role::\"agent\", action, resource",
            "principal in Role::\"agent\", action, resource",
            shadowed,
        ),
        (
            "principal, action, resource in Subject::\"service/x\"",
            "principal, action, resource in SubjectType::\"service\"",
            shadowed,
        ),
        (
            "principal, action == Action::\"external_write\", resource in Tool::\"noop\"",
            "principal, action in [Action::\"external_write\", Action::\"plan_approval\"], resource in Tool::\"noop\"",
            shadowed,
        ),
        (
            "principal, action == Action::\"external_write\", resource in Tool::\"noop\"",
            "principal, action, resource is Operation in Tool::\"noop\"",
            shadowed,
        ),
        (
            "principal == Agent::\"a\", action, resource",
            "principal == Agent::\"a\", action, resource",
            shadowed,
        ),
        (
            "principal is Human, action, resource",
            "principal is Agent, action, resource",
            free,
        ),
        (
            "principal in Role::\"agent\", action, resource",
            "principal is Agent, action, resource",
            free,
        ),
        (
            "principal is Agent, action, resource",
            "principal == Agent::\"a\", action, resource",
            free,
        ),
        (
            "principal is Agent, action, resource",
            "principal in Role::\"agent\", action, resource",
            free,
        ),
        (
            "principal, action, resource in SubjectType::\"service\"",
            "principal, action, resource in Subject::\"service/x\"",
            free,
        ),
        (
            "principal, action, resource in Subject::\"account/x\"",
            "principal, action, resource in SubjectType::\"service\"",
            free,
        ),
        (
            "principal, action, resource in Tool::\"noop\"",
            "principal, action == Action::\"external_write\", resource in Tool::\"noop\"",
            free,
        ),
        (
            "principal is Agent, action, resource",
            "principal is Agent, action, resource in Tool::\"noop\"",
            free,
        ),
    ] {
        check(&[(&pair(permit, forbid), expected)]);
    }
    // A condition leaves the permit something, one that always holds does not.
    let text = "@id(\"x\") permit(principal is Agent, action, resource) when { context.steps < 3 };
@id(\"f\") forbid(principal is Agent, action, resource) unless { context.justified };";
    check(&[(text, free)]);
    let text = text.replace("context.justified", "context has ticket");
    check(&[(&text, shadowed)]);
}

#[test]
fn policies_that_can_never_match() {
    let never = |scope: &str, when: &str, what: Option<&str>| {
        let text = format!("@id(\"x\") forbid({scope}) when {{ {when} }};");
        match what {
            Some(part) => check(&[(&text, &[("a.cedar:2:1:", part)])]),
            None => check(&[(&text, &[])]),
        }
    };
    let any = "principal, action, resource";
    let tool = "principal, action, resource in Tool::\"noop\"";
    let on_tool = Some("on the tool contradict");
    never(tool, "resource.tool == \"http.request\"", on_tool);
    never(
        tool,
        "context.steps > 2 && resource.tool == \"http.request\"",
        on_tool,
    );
    never(
        tool,
        "[\"http.request\", \"webhook.send\"].contains(resource.tool)",
        on_tool,
    );
    never(
        tool,
        "[\"http.request\", \"noop\"].contains(resource.tool)",
        None,
    );
    never(
        tool,
        "resource.tool == \"http.request\" || context.justified",
        None,
    );
    never(
        tool,
        "resource.tool == \"http.request\" || resource.subject_type == \"service\"",
        None,
    );
    never(
        any,
        "resource.tool == \"noop\" && resource == Operation::\"http.request\"",
        on_tool,
    );
    never(
        "principal, action, resource in Subject::\"service/x\"",
        "resource.subject_type == \"account\"",
        Some("on the type of subject"),
    );
    never(
        "principal, action, resource in Subject::\"service/x\"",
        "resource in SubjectType::\"service\"",
        None,
    );
    never(
        any,
        "resource.directive_type == \"a\" && resource.directive_type == \"b\"",
        Some("on the type of directive"),
    );
    never(
        any,
        "resource.cost_class == CostClass::\"CHEAP\" && resource.cost_class == CostClass::\"MEDIUM\"",
        Some("on the cost class"),
    );
    never(
        "principal == Human::\"a\", action, resource",
        "principal.id == \"b\"",
        Some("on the principal"),
    );
    never(
        "principal in Role::\"admin\", action, resource",
        "principal in Role::\"viewer\"",
        None,
    );
}

#[test]
fn forbids_that_hold_always() {
    check(&[
        (
            "@id(\"f\") forbid(principal, action, resource) unless { context has approval && context.justified };",
            &[
                (
                    "a.cedar:2:1:",
                    "`f` forbids everything: `context has approval` is never true",
                ),
                ("a.cedar:1:1:", "`p` permits nothing"),
            ],
        ),
        (
            "@id(\"f\") forbid(principal, action, resource) when { !(resource has ticket) };",
            &[
                ("a.cedar:2:1:", "`resource has ticket` is never true"),
                ("a.cedar:1:1:", "`p` permits nothing"),
            ],
        ),
        (
            "@id(\"f\") forbid(principal, action, resource) unless { context has destination };",
            &[],
        ),
        (
            "@id(\"f\") forbid(principal, action, resource) unless { context has approval || context.justified };",
            &[],
        ),
    ]);
}

/// What writ itself ships and shows has no fault.
#[test]
fn the_example_has_no_fault() {
    let files = [("a".to_owned(), include_str!("../example.cedar").to_owned())];
    assert_eq!(lint(&files, &known()), []);
}
