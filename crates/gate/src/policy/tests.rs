//! Tests of policy: what loads, what is refused, what is decided.

use super::*;
use kernel::{Money, Ratio, Span};

/// The three policies that every pack begins with, and one that advises.
const EXAMPLE: &str = include_str!("example.cedar");

pub(super) fn load(text: &str) -> Result<PolicySet, Vec<Fault>> {
    PolicySet::load(SCHEMA, &[("a.cedar".to_owned(), text.to_owned())])
}

fn faults(text: &str) -> Vec<String> {
    let faults = load(text).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

pub(super) fn facts(cost: &str) -> Facts {
    Facts {
        cost: Money::parse(cost, None).unwrap(),
        budget: Money::parse("100 EUR", None).unwrap(),
        steps: 2,
        snapshot_age: Span::from_secs(30),
        confidence: Ratio::from_ppm(900_000),
        justification: None,
        autonomous: false,
        approved_by: None,
        destination: Some("status.example.com".to_owned()),
        history: None,
    }
}

pub(super) fn request(action: &str, cost: &str) -> Request {
    Request {
        principal: Actor::new(PrincipalKind::Human, "prn_1"),
        roles: vec![Role::Operator],
        action: action.to_owned(),
        resource: Resource {
            directive_kind: "thing.mend".to_owned(),
            module: "http.request".to_owned(),
            subject: Subject::parse("service/checkout").unwrap(),
            action_class: ActionClass::InternalMutation,
            cost_class: CostClass::Medium,
        },
        context: facts(cost).context(),
    }
}

#[test]
fn the_example_decides_ceiling_tool_and_scope() {
    let set = load(EXAMPLE).unwrap();
    let check = |change: &dyn Fn(&mut Request), verdict: Verdict, determining: &[&str]| {
        let mut asked = request(action::STEP_EXECUTION, "10 EUR");
        change(&mut asked);
        let decision = set.decide(&asked);
        assert_eq!(decision.errors, Vec::<String>::new());
        assert_eq!(
            (decision.verdict, decision.determining),
            (
                verdict,
                determining.iter().map(ToString::to_string).collect()
            ),
            "{asked:?}"
        );
    };
    check(&|_| (), Verdict::Allow, &["allowed-tools"]);
    check(
        &|r| r.resource.module = "shell".to_owned(),
        Verdict::Block,
        &[],
    );
    check(
        &|r| r.resource.subject = Subject::parse("account/1").unwrap(),
        Verdict::Block,
        &["allowed-scope"],
    );
    // At the ceiling, and by the least that is above it.
    check(
        &|r| r.context = facts("50 EUR").context(),
        Verdict::Warn,
        &["allowed-tools", "dear"],
    );
    check(
        &|r| r.context = facts("50.000001 EUR").context(),
        Verdict::Block,
        &["budget-ceiling"],
    );
    check(
        &|r| r.context = facts("10 USD").context(),
        Verdict::Block,
        &["budget-ceiling"],
    );
    // Several policies that decide are all named, in order.
    check(
        &|r| {
            r.context = facts("60 EUR").context();
            r.resource.subject = Subject::parse("account/1").unwrap();
        },
        Verdict::Block,
        &["allowed-scope", "budget-ceiling"],
    );
}

#[test]
fn everything_of_the_schema_can_be_asked() {
    let text = r#"@id("all") permit(principal in Role::"viewer", action, resource in SubjectType::"service")
        when { resource in Tool::"http.request" && resource in Subject::"service/checkout"
            && resource.action_class == ActionClass::"clarification"
            && resource.cost_class == CostClass::"CHEAP" && resource.tool == "http.request"
            && resource.directive_type == "thing.mend" && resource.subject_type == "service"
            && resource.subject == "service/checkout" && principal.id == "prn_1"
            && context.cost == decimal("1.0") && context.currency == "EUR"
            && context.budget == decimal("100.0") && context.steps == 2
            && context.snapshot_age_seconds == 30 && context.confidence == decimal("0.9")
            && !context.justified && !context.human_approved && !context.autonomous
            && context has destination && context.destination == "status.example.com" };"#;
    let set = load(text).unwrap();
    for kind in PrincipalKind::ALL {
        for action in action::ALL {
            let mut asked = request(action, "1 EUR");
            asked.principal = Actor::new(*kind, "prn_1");
            asked.roles = vec![Role::Viewer, Role::Agent];
            asked.resource.action_class = ActionClass::Clarification;
            asked.resource.cost_class = CostClass::Cheap;
            let decision = set.decide(&asked);
            assert_eq!(decision.verdict, Verdict::Allow, "{decision:?}");
            asked.roles = vec![Role::Agent];
            assert_eq!(set.decide(&asked).verdict, Verdict::Block);
        }
    }
}

/// The schema's enumerations are the kernel's and the contract's, and its
/// actions are the choke points.
#[test]
fn the_schema_knows_every_name() {
    let quoted = |names: Vec<&str>| {
        let names: Vec<_> = names.iter().map(|n| format!("\"{n}\"")).collect();
        names.join(", ")
    };
    let all = |line: &str, names: Vec<&str>| {
        let wanted = format!("{line}{}", quoted(names));
        assert!(SCHEMA.contains(&wanted), "{wanted}");
    };
    all(
        "entity Role enum [",
        Role::ALL.iter().map(|n| n.name()).collect(),
    );
    all(
        "entity ActionClass enum [",
        ActionClass::ALL.iter().map(|n| n.name()).collect(),
    );
    all(
        "entity CostClass enum [",
        CostClass::ALL.iter().map(|n| n.name()).collect(),
    );
    all("action ", action::ALL.to_vec());
    let points: Vec<_> = crate::ChokePoint::ALL.iter().map(|p| p.name()).collect();
    assert_eq!(points, action::ALL);
}

const PERMIT: &str = "@id(\"p\") permit(principal, action, resource);\n";

#[test]
fn faults_are_named_with_their_place() {
    for (text, place, message) in [
        ("", "policies:", "the set is empty"),
        ("// nothing\n", "policies:", "the set is empty"),
        (
            "@id(\"f\") forbid(principal is Agent, action, resource);",
            "policies:",
            "no policy permits anything",
        ),
        (
            "\n  permit(principal, action, resource);",
            "a.cedar:2:3:",
            "has no `@id",
        ),
        (
            "@id(\" \") permit(principal, action, resource);",
            "a.cedar:1:1:",
            "has no `@id",
        ),
        (
            &format!("{PERMIT}{PERMIT}"),
            "a.cedar:2:1:",
            "the id `p` stands twice",
        ),
        (
            "@id(\"x\")\npermit(principal, action resource);",
            "a.cedar:2:26:",
            "unexpected token `resource`",
        ),
        (
            "@id(\"x\") permit(principal, action, resource)\nwhen { context.kost == 1 };",
            "a.cedar:2:8:",
            "`kost`",
        ),
        (
            "@id(\"x\") permit(principal, action, resource)\nwhen { context.destination == \"a\" };",
            "a.cedar:2:8:",
            "destination",
        ),
        (
            "@id(\"x\") permit(principal in Role::\"boss\", action, resource);",
            "a.cedar:1:",
            "boss",
        ),
        (
            "@id(\"x\") permit(principal, action == Action::\"dance\", resource);",
            "a.cedar:1:",
            "dance",
        ),
        (
            "@id(\"x\") permit(principal, action, resource)\nwhen { context.steps == 1 && false };",
            "a.cedar:1:",
            "impossible",
        ),
        (
            "@id(\"x\") permit(principal == ?principal, action, resource);",
            "a.cedar:",
            "templates are not supported",
        ),
        (
            &format!("{PERMIT}@id(\"f\") forbid(principal, action, resource);"),
            "a.cedar:2:1:",
            "forbids everything",
        ),
        (
            &format!(
                "{PERMIT}@id(\"f\") @advice(\"warn\") forbid(principal is Agent, action, resource);"
            ),
            "a.cedar:2:1:",
            "cannot advise",
        ),
        (
            "@id(\"f\") @advice(\"maybe\") permit(principal, action, resource);",
            "a.cedar:1:1:",
            "unknown advice `maybe`",
        ),
        (
            &format!(
                "@id(\"d\") permit(principal, action, resource) when {{ {}true{} }};",
                "(".repeat(5000),
                ")".repeat(5000)
            ),
            "a.cedar:1:",
            "nested deeper",
        ),
    ] {
        let all = faults(text);
        let named = all
            .iter()
            .any(|f| f.starts_with(place) && f.contains(message));
        assert!(named, "{text:.80}\nwanted {place} {message}\ngot {all:#?}");
    }
}

#[test]
fn a_broken_schema_and_a_file_twice_are_faults() {
    let files = [("a".to_owned(), PERMIT.to_owned())];
    let fault = PolicySet::load("entity A {\n x: }", &files).unwrap_err();
    assert_eq!((fault[0].file.as_str(), fault[0].line), ("schema", 2));
    assert!(PolicySet::load("", &files).is_err());
    let twice = [files[0].clone(), files[0].clone()];
    let all = PolicySet::load(SCHEMA, &twice).unwrap_err();
    assert!(all[0].message.contains("stands twice"), "{all:?}");
}

/// The deepest text that passes the bounds neither parses nor evaluates out
/// of the stack of a test's thread.
#[test]
fn the_deepest_policy_that_loads_is_evaluated() {
    let chain = " + 1".repeat(398);
    let deep = format!(
        "{}context.steps{chain} > 0{}",
        "(".repeat(23),
        ")".repeat(23)
    );
    let set = load(&format!(
        "@id(\"d\") permit(principal, action, resource) when {{ {deep} }};"
    ))
    .unwrap();
    let decision = set.decide(&request(action::PLAN_APPROVAL, "1 EUR"));
    assert_eq!(decision.verdict, Verdict::Allow, "{decision:?}");
}

#[test]
fn a_forbid_that_fails_still_blocks() {
    let set = load(&format!(
        "{PERMIT}@id(\"boom\") forbid(principal, action == Action::\"plan_approval\", resource)
         when {{ context.steps * 9223372036854775807 > 5 }};"
    ))
    .unwrap();
    let decision = set.decide(&request(action::PLAN_APPROVAL, "1 EUR"));
    assert_eq!(decision.verdict, Verdict::Block);
    assert_eq!(decision.determining, ["p"]);
    assert!(decision.errors[0].contains("boom"), "{decision:?}");
    let elsewhere = set.decide(&request(action::STEP_EXECUTION, "1 EUR"));
    assert_eq!(elsewhere.verdict, Verdict::Allow);
}

#[test]
fn a_question_that_does_not_fit_blocks_and_shows_no_value() {
    let set = load(PERMIT).unwrap();
    let check = |change: &dyn Fn(&mut Request), error: &str| {
        let mut asked = request(action::PLAN_APPROVAL, "1 EUR");
        change(&mut asked);
        let decision = set.decide(&asked);
        assert_eq!(decision.verdict, Verdict::Block, "{error}");
        assert!(decision.errors[0].contains(error), "{decision:?}");
        assert!(!decision.errors[0].contains("secret"), "{decision:?}");
    };
    let put = |name: &'static str, value: Value| {
        move |r: &mut Request| drop(r.context.insert(name.to_owned(), value.clone()))
    };
    check(&|r| r.action = "dance".to_owned(), "no action `dance`");
    check(&|r| r.context = Map::new(), "does not fit the schema");
    check(&put("steps", "secret".into()), "does not fit the schema");
    check(&put("unknown", "secret".into()), "does not fit the schema");
    check(&put("steps", Value::Null), "does not fit the schema");
    check(&put("steps", serde_json::json!(1.5)), "not a whole number");
    check(
        &put("steps", serde_json::json!({"__entity": "secret"})),
        "reserved",
    );
    check(
        &put(
            "cost",
            serde_json::json!({"__extn": {"fn": "ip", "arg": "::1"}}),
        ),
        "only decimals",
    );
    check(
        &put(
            "cost",
            serde_json::json!({"__extn": {"fn": "decimal", "arg": "secrets"}}),
        ),
        "not well-formed",
    );
    let mut fine = request(action::PLAN_APPROVAL, "1 EUR");
    fine.context.insert("destination".to_owned(), Value::Null);
    assert_eq!(set.decide(&fine).verdict, Verdict::Allow);
}

#[test]
fn the_hash_names_texts_and_files_whatever_their_order() {
    let file = |name: &str, id: &str| {
        let text = format!("@id(\"{id}\") permit(principal, action, resource);");
        (name.to_owned(), text)
    };
    let hash = |files: &[(String, String)]| PolicySet::load(SCHEMA, files).unwrap().hash();
    let base = hash(&[file("a", "1"), file("b", "2")]);
    assert_eq!(base, hash(&[file("b", "2"), file("a", "1")]));
    for other in [
        vec![file("a", "1")],
        vec![file("a", "1"), file("c", "2")],
        vec![file("a", "1"), file("b", "3")],
    ] {
        assert_ne!(base, hash(&other));
    }
    let vector = Digest::of_value(
        "writ.policy.v1",
        &serde_json::json!({"schema": SCHEMA, "files": {"a": file("a", "1").1}}),
    );
    assert_eq!(hash(&[file("a", "1")]), vector.unwrap());
}

fn counted(facts: &[(&str, &str)]) -> FactSet {
    let fact = |(name, measure): &(&str, &str)| {
        let fact = serde_json::json!({
            "name": name, "happening": "step_permitted", "per": "tenant", "within": "1h",
            "measure": measure,
        });
        serde_json::from_value(fact).unwrap()
    };
    let facts: Vec<crate::history::Fact> = facts.iter().map(fact).collect();
    FactSet::compile(&facts, &std::collections::BTreeMap::new()).unwrap()
}

#[test]
fn policies_name_only_facts_that_there_are_and_ask_whether_they_are_told() {
    let facts = counted(&[("done", "count"), ("since", "seconds_since")]);
    let load = |text: &str| {
        let policy = format!(
            "@id(\"all\") permit(principal, action, resource); \
             @id(\"a\") forbid(principal, action, resource) when {{ {text} }};"
        );
        PolicySet::with_history(&facts, &[("a.cedar".to_owned(), policy)])
    };
    for (text, says) in [
        ("context.history.done >= 3", None),
        (
            "context.history has since && context.history.since < 60",
            None,
        ),
        ("context.history.dnoe >= 3", Some("dnoe")),
        ("context.history.since < 60", Some("since")),
        ("context.history.done == \"3\"", Some("types")),
    ] {
        let faults = load(text).map_err(|faults| faults[0].to_string());
        match says {
            None => assert!(faults.is_ok(), "{text}: {faults:?}"),
            Some(says) => assert!(faults.unwrap_err().contains(says), "{text}"),
        }
    }
    let no_history = PolicySet::load(
        SCHEMA,
        &[(
            "a.cedar".to_owned(),
            "@id(\"a\") permit(principal, action, resource) \
           when { context.history.done < 3 };"
                .to_owned(),
        )],
    );
    assert!(no_history.unwrap_err()[0].message.contains("history"));
    // The facts are part of the version, and none change nothing.
    let text = [("a.cedar".to_owned(), EXAMPLE.to_owned())];
    let with = PolicySet::with_history(&facts, &text).unwrap();
    let without = PolicySet::with_history(&FactSet::default(), &text).unwrap();
    assert_eq!(
        without.hash(),
        PolicySet::load(SCHEMA, &text).unwrap().hash()
    );
    assert_ne!(with.hash(), without.hash());
}

#[test]
fn a_fact_that_is_not_told_fails_the_policies_that_name_it_sliced_or_not() {
    let facts = counted(&[("done", "count"), ("since", "seconds_since")]);
    let text = "@id(\"all\") permit(principal, action, resource); \
        @id(\"few\") forbid(principal, action, resource in Tool::\"http.request\") \
            when { context.history.done >= 3 }; \
        @id(\"late\") forbid(principal, action == Action::\"plan_approval\", resource) \
            unless { context.history has since && context.history.since < 60 };";
    let set = PolicySet::with_history(&facts, &[("a.cedar".to_owned(), text.to_owned())]).unwrap();
    let (step, plan) = (action::STEP_EXECUTION, action::PLAN_APPROVAL);
    for (action, module, told, verdict, determining) in [
        (
            step,
            "http.request",
            serde_json::json!({ "done": 2 }),
            Verdict::Allow,
            vec!["all"],
        ),
        (
            step,
            "http.request",
            serde_json::json!({ "done": 3 }),
            Verdict::Block,
            vec!["few"],
        ),
        (
            step,
            "http.request",
            serde_json::json!({}),
            Verdict::Block,
            vec!["all"],
        ),
        (
            step,
            "noop",
            serde_json::json!({}),
            Verdict::Allow,
            vec!["all"],
        ),
        (
            plan,
            "noop",
            serde_json::json!({ "since": 59 }),
            Verdict::Allow,
            vec!["all"],
        ),
        (
            plan,
            "noop",
            serde_json::json!({ "since": 60 }),
            Verdict::Block,
            vec!["late"],
        ),
        (
            plan,
            "noop",
            serde_json::json!({}),
            Verdict::Block,
            vec!["late"],
        ),
    ] {
        let mut request = request(action, "1 EUR");
        request.resource.module = module.to_owned();
        request.context.insert(HISTORY.to_owned(), told.clone());
        let decision = set.decide(&request);
        let found = (decision.verdict, decision.determining.clone());
        assert_eq!(
            found,
            (
                verdict,
                determining.into_iter().map(str::to_owned).collect()
            ),
            "{told}"
        );
        let names_what_is_missing = told == serde_json::json!({}) && module != "noop";
        assert_eq!(
            !decision.errors.is_empty(),
            names_what_is_missing,
            "{decision:?}"
        );
        let subject = request.resource.subject.to_string();
        let whole = set.engine.answer_unsliced(&question(&request, &subject));
        assert_eq!(whole, decision);
    }
}

#[test]
fn a_question_is_fitted_to_a_set_that_counts_something_else() {
    let set = |facts: &[(&str, &str)]| {
        let text = "@id(\"all\") permit(principal, action, resource);".to_owned();
        PolicySet::with_history(&counted(facts), &[("a.cedar".to_owned(), text)]).unwrap()
    };
    let plain = set(&[]);
    let counts = set(&[("done", "count"), ("since", "seconds_since")]);
    let mut told = request(action::PLAN_APPROVAL, "1 EUR");
    let untold = told.clone();
    told.context.insert(
        HISTORY.to_owned(),
        serde_json::json!({ "done": 2, "other": 5 }),
    );
    assert_eq!(counts.unknown_facts(&told), ["other"]);
    assert_eq!(*plain.fitted(&told), untold);
    assert_eq!(
        counts.fitted(&told).context[HISTORY],
        serde_json::json!({ "done": 2 })
    );
    assert_eq!(
        counts.fitted(&untold).context[HISTORY],
        serde_json::json!({ "done": 0 })
    );
    assert!(counts.is_told(&told) && !counts.is_told(&untold) && plain.is_told(&untold));
    // As it was asked it fits neither.
    assert_eq!(plain.decide(&told).verdict, Verdict::Block);
    assert_eq!(counts.decide(&untold).verdict, Verdict::Block);
    for set in [&plain, &counts] {
        assert_eq!(set.decide(&set.fitted(&told)).verdict, Verdict::Allow);
        assert_eq!(set.decide(&set.fitted(&untold)).verdict, Verdict::Allow);
    }
    assert_eq!(compare(&plain, &counts, &[("q".to_owned(), told)]), []);
}

#[test]
fn a_policy_is_found_as_written_whatever_its_id_is() {
    for (id, shown) in [
        ("plain-id", "plain-id"),
        ("two\nlines", "two\\nlines"),
        ("a \\\"quote\\\"", "a \\\"quote\\\""),
    ] {
        let set = load(&format!(
            "@id(\"{id}\")\npermit (principal, action, resource);"
        ))
        .unwrap();
        assert_eq!(set.ids(), [shown]);
        let written = set.written(shown).unwrap();
        assert_eq!((written.file.as_str(), written.line), ("a.cedar", 1));
        assert!(written.text.contains("permit"), "{}", written.text);
    }
}
