//! Tests of the validators that a pack adds: which steps they are asked of,
//! what a fault does, and what a result shows. The conditions are functions
//! here: their language is not known to this crate.

use super::*;
use kernel::{Refusal, Sealed};

type Holds = fn(&[(&str, &Value)]) -> Result<bool, Refusal>;

#[derive(Debug)]
struct Fixed(&'static str, Vec<Vec<String>>, Holds);

impl Condition for Fixed {
    fn text(&self) -> &str {
        self.0
    }
    fn paths(&self) -> &[Vec<String>] {
        &self.1
    }
    fn holds(&self, variables: &[(&str, &Value)]) -> Result<bool, Refusal> {
        self.2(variables)
    }
}

/// A condition over these paths (`step.input.url`).
fn condition(paths: &[&str], holds: Holds) -> Arc<dyn Condition> {
    let parts = |path: &&str| path.split('.').map(str::to_owned).collect();
    Arc::new(Fixed(
        "as written",
        paths.iter().map(parts).collect(),
        holds,
    ))
}

fn rule(name: &str, verdict: Verdict) -> Rule {
    Rule {
        name: name.to_owned(),
        title: None,
        require: "as written".to_owned(),
        verdict,
        reason: format!("{name} does not hold"),
        runbook: Some("https://runbooks.example/x".to_owned()),
        modules: BTreeSet::new(),
        types: BTreeSet::new(),
    }
}

fn run(world: &mut World, conditions: &[Arc<dyn Condition>]) -> Vec<Finding> {
    world.contract.snapshot = world.snapshot.id().unwrap();
    run_all(&Input {
        contract: &world.contract,
        step: None,
        snapshot: &world.snapshot,
        now: at(30_500_000),
        settings: &world.settings,
        conditions,
    })
}

/// Runs one rule over one condition.
fn one(world: &mut World, rule: Rule, condition: Arc<dyn Condition>) -> Finding {
    world.settings.rules = vec![rule];
    run(world, &[condition]).pop().unwrap()
}

#[test]
fn they_run_after_the_four_in_the_order_of_the_file_and_none_cuts_short() {
    let mut world = World::new();
    world.settings.rules = vec![rule("z", Block), rule("a", Warn), rule("m", Block)];
    let no = condition(&["now.unix"], |_| Ok(false));
    let yes = condition(&["now.unix"], |_| Ok(true));
    let findings = run(&mut world, &[no.clone(), no, yes]);
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f.validator.as_str(), f.verdict))
        .collect();
    let expected = [
        ("freshness", Allow),
        ("grounding", Allow),
        ("contradiction", Allow),
        ("compliance", Allow),
        ("z", Block),
        ("a", Warn),
        ("m", Allow),
    ];
    assert_eq!(found, expected);
    let order: Vec<_> = found.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&world.settings).collect::<Vec<_>>(), order);
    assert_eq!(findings[4].reason, "z does not hold");
    assert_eq!(
        findings[4].runbook.as_deref(),
        Some("https://runbooks.example/x")
    );
}

#[test]
fn what_cannot_be_evaluated_blocks_also_where_it_would_only_warn() {
    let mut world = World::new();
    let broken: Holds = |_| Err(Refusal::invalid("no field `x`"));
    for verdict in [Warn, Block] {
        let found = one(&mut world, rule("r", verdict), condition(&["now"], broken));
        assert_eq!(found.verdict, Block);
        assert_eq!(
            found.reason,
            "it cannot be evaluated, so it blocks: no field `x`"
        );
    }
    // No condition, or another than is written, decides nothing.
    world.settings.rules = vec![rule("r", Warn)];
    let none = run(&mut world, &[]).pop().unwrap();
    assert_eq!(none.verdict, Block);
    let mut other = rule("r", Warn);
    other.require = "something else".to_owned();
    let found = one(&mut world, other, condition(&["now"], |_| Ok(true)));
    assert_eq!((found.verdict, none.reason), (Block, found.reason.clone()));
}

#[test]
fn each_step_that_it_concerns_is_asked_and_the_worst_counts() {
    let mut world = World::new();
    let mut second = world.contract.steps[0].clone();
    second.id = "tell".to_owned();
    second.input.insert("note".to_owned(), json!("x"));
    world.contract.steps.push(second);
    let noted: Holds = |variables| {
        let (_, step) = variables.iter().find(|(name, _)| *name == "step").unwrap();
        Ok(step["input"].get("note").is_none())
    };
    let paths = ["step.input.note", "step.id"];
    let found = one(&mut world, rule("r", Warn), condition(&paths, noted));
    assert_eq!(found.verdict, Warn);
    assert_eq!(found.inputs["checked"], 2);
    // What decided stands first, with what it looked at.
    assert_eq!(
        found.inputs["looked_at"],
        json!([
            { "step": "tell", "values": { "step.input.note": "x", "step.id": "tell" } },
            { "step": "mend", "values": { "step.input.note": null, "step.id": "mend" } },
        ])
    );
    // Who looks at no step is asked once.
    let once = one(
        &mut world,
        rule("r", Warn),
        condition(&["now"], |_| Ok(true)),
    );
    assert_eq!((once.verdict, &once.inputs["checked"]), (Allow, &json!(1)));

    for (modules, types, verdict) in [
        (vec!["http.request"], vec![], Block),
        (vec!["noop"], vec![], Allow),
        (vec![], vec!["thing.mend"], Block),
        (vec![], vec!["thing.other"], Allow),
        (vec!["http.request"], vec!["thing.other"], Allow),
        (vec!["http.request", "noop"], vec!["thing.mend"], Block),
    ] {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut limited = rule("r", Block);
        (limited.modules, limited.types) = (own(&modules), own(&types));
        let found = one(&mut world, limited, condition(&["now"], |_| Ok(false)));
        assert_eq!(found.verdict, verdict, "{modules:?} {types:?}");
    }
}

#[test]
fn it_sees_the_snapshot_the_contract_the_step_and_the_time_and_nothing_sealed() {
    let mut world = World::new();
    let sealed = Sealed {
        algorithm: kernel::sealed::Algorithm::XChaCha20Poly1305,
        keys: vec![kernel::KeyUse {
            subject: world.snapshot.subject.clone(),
            key: kernel::DataKeyId(uuid(3)),
        }],
        place: "value/owner".to_owned(),
        nonce: "0".repeat(48),
        ciphertext: "c2VjcmV0".to_owned(),
    };
    let sealed = sealed.to_value().unwrap();
    assert!(Sealed::of(&sealed).is_some());
    let fields = &mut world.snapshot.fields;
    fields.insert("owner".to_owned(), belief(sealed.clone()));
    fields.insert("big".to_owned(), belief(json!("x".repeat(300))));
    let input = &mut world.contract.steps[0].input;
    input.insert("to".to_owned(), sealed.clone());
    input.insert("all".to_owned(), json!(["a", sealed]));
    input.insert("inner".to_owned(), json!({ "to": sealed, "note": 1 }));
    let paths = [
        "fields.owner",
        "fields.health.value",
        "fields.health.age_seconds",
        "fields.big.value",
        "step.input",
        "step.cost.micros",
        "contract.type",
        "contract.subject.type",
        "contract.budget.micros",
        "contract.issued_by.kind",
        "now.unix",
        "fields.none.value",
    ];
    let found = one(&mut world, rule("r", Warn), condition(&paths, |_| Ok(true)));
    let values = &found.inputs["looked_at"][0]["values"];
    assert_eq!(
        values,
        &json!({
            "fields.owner": {
                "confidence": 1.0, "age_seconds": 30, "source": "alertmanager",
                "trust": "reported", "contradicted": false, "sealed": true,
            },
            "fields.health.value": "bad",
            "fields.health.age_seconds": 30,
            "fields.big.value": { "bytes": 302 },
            "step.input": {
                "method": "POST", "url": "https://api.example.com/mend", "inner": { "note": 1 },
            },
            "step.cost.micros": 1_000_000,
            "contract.type": "thing.mend",
            "contract.subject.type": "service",
            "contract.budget.micros": 1_000_000,
            "contract.issued_by.kind": "system",
            "now.unix": 1_800_000_030,
            "fields.none.value": null,
        })
    );
    assert!(!found.inputs.to_string().contains("c2VjcmV0"));
}

#[test]
fn what_is_refused_when_it_is_loaded() {
    let check = |bend: &dyn Fn(&mut Settings), says: &str| {
        let mut settings = World::new().settings;
        settings.rules = vec![rule("one", Warn), rule("two", Block)];
        assert!(settings.check().is_ok());
        bend(&mut settings);
        let refusal = settings.check().unwrap_err().to_string();
        assert!(refusal.contains(says), "{refusal}");
    };
    check(&|s| s.rules[1].name = "one".into(), "stands twice");
    for name in ["", "One", "a b", "1a", "über", "a-b"] {
        check(&|s| s.rules[1].name = name.into(), "is no name");
    }
    check(&|s| s.rules[1].name = "x".repeat(65), "is no name");
    for name in ["freshness", "compliance", "policy", "budget", "kill_switch"] {
        check(&|s| s.rules[1].name = name.into(), "of a check of its own");
    }
    check(&|s| s.rules[1].verdict = Allow, "checks nothing");
    check(&|s| s.rules[1].reason = " ".into(), "is empty");
    check(
        &|s| {
            let named = |n| rule(&format!("r{n}"), Block);
            s.rules = (0..=RULES_MAX).map(named).collect();
        },
        "allowed are 32",
    );
}
