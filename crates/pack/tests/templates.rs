//! Templates: what is wrong with one is told with file and line, and what one
//! makes follows from its parameters alone.

use gate::{Contract, Grounding};
use kernel::{
    Actor, Belief, Claim, Digest, EntryId, EvidenceId, Ground, PrincipalKind, Ratio, Refusal,
    SchemaRef, Snapshot, Subject, Timestamp, Trust,
};
use pack::templates::Asked;
use pack::{Files, load};
use serde_json::{Value, json};

mod whole;

const TEMPLATE: &str = "\
name: call
title: Call
subject_type: host
parameters:
  times: { type: integer, minimum: 1, maximum: 3, default: 1 }
  note: { type: string, maxLength: 8 }
evidence: [up]
directive:
  type: host.call
  role: operator
  objective: \"call ${subject.id} ${parameter.times} times: ${parameter.note}\"
  action_class: internal_mutation
  success_metrics: [\"${subject} answers\"]
  budget: 1 EUR
  timebox: 10m
  steps:
    - id: call
      module: noop
      cost: 0.50 EUR
      input:
        note: { times: \"${parameter.times}\", at: \"${field.console}\" }
";

fn files(template: &str) -> Files {
    let mut files = whole::files();
    files.insert(
        "templates/call.yaml".to_owned(),
        template.as_bytes().to_vec(),
    );
    files
}

#[test]
fn one_change_one_fault_at_its_line() {
    let mut failed = Vec::new();
    for (what, with, line, says) in [
        ("name: call", "name: ''", 1, "is empty"),
        (
            "subject_type: host",
            "subject_type: disk",
            3,
            "unknown subject type `disk`",
        ),
        (
            "maximum: 3, default: 1",
            "maximum: 3, default: 4",
            5,
            "times",
        ),
        ("type: integer", "type: number9", 5, "times"),
        (
            "  note: { type: string, maxLength: 8 }\n",
            "",
            10,
            "unknown parameter `note`",
        ),
        (
            ": ${parameter.note}",
            "",
            6,
            "the parameter `note` is used nowhere",
        ),
        ("evidence: [up]", "evidence: []", 7, "names no field"),
        (
            "evidence: [up]",
            "evidence: [down]",
            7,
            "unknown field `down`",
        ),
        (
            "${field.console}",
            "${field.consol}",
            21,
            "unknown field `consol`",
        ),
        (
            "${subject} answers",
            "${incident.id} ends",
            13,
            "knows of no incident",
        ),
        (
            "${subject} answers",
            "${nobody} ends",
            13,
            "unknown placeholder `${nobody}`",
        ),
        (
            "module: noop",
            "module: fire",
            18,
            "the module `fire` is not allowed",
        ),
        ("cost: 0.50 EUR", "cost: 2 EUR", 14, "the steps cost"),
        ("  timebox: 10m\n", "", 15, "timebox"),
    ] {
        assert_eq!(TEMPLATE.matches(what).count(), 1, "{what}");
        let Err(faults) = load(&files(&TEMPLATE.replace(what, with))) else {
            failed.push(format!("{what}: nothing was found"));
            continue;
        };
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let found = faults.iter().any(|f| {
            f.file == "templates/call.yaml" && f.line == line && f.to_string().contains(says)
        });
        if !found || faults.len() != 1 {
            failed.push(format!("{what}: expected {line} `{says}`, found {lines:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let mut twice = files(TEMPLATE);
    twice.insert(
        "templates/more.yaml".to_owned(),
        TEMPLATE.as_bytes().to_vec(),
    );
    let faults = load(&twice).unwrap_err();
    assert!(
        faults[0].message.contains("the name `call` stands twice"),
        "{faults:?}"
    );
    let module = TEMPLATE.replace("module: noop", "module: noop2");
    let mut allowed = files(&module);
    let validators = String::from_utf8(allowed["validators.yaml"].clone()).unwrap();
    let validators = validators.replace("[noop]", "[noop, noop2]");
    allowed.insert("validators.yaml".to_owned(), validators.into_bytes());
    let pack = load(&allowed).unwrap();
    let unknown = pack.check_modules(&gate::Capabilities::default());
    assert!(
        unknown
            .iter()
            .any(|f| f.file == "templates/call.yaml" && f.line == 18),
        "{unknown:?}"
    );
}

fn evidence(name: &str) -> EvidenceId {
    EvidenceId(Digest::of(name.as_bytes()))
}

fn snapshot(subject: &str, fields: &[(&str, Value, &str)]) -> Snapshot {
    let at = Timestamp::parse("2026-03-01T10:00:00Z").unwrap();
    let belief = |value: &Value, from: &str| Belief {
        claim: Claim {
            value: value.clone(),
            source: "probe".to_owned(),
            trust: Trust::Verified,
            observed_at: at,
            evidence: evidence(from),
        },
        confidence: Ratio::ONE,
        contradictions: Vec::new(),
    };
    let ground = |name: &str, number| Ground {
        evidence: evidence(name),
        entry: EntryId::from(uuid::Uuid::from_u128(number)),
        source_type: "telemetry".to_owned(),
        source_id: String::new(),
        locator: String::new(),
        observed_at: at,
    };
    Snapshot {
        subject: Subject::parse(subject).unwrap(),
        schema: SchemaRef {
            entity: "host".to_owned(),
            version: 1,
            hash: Digest::of(b""),
        },
        state_version: 1,
        fields: fields
            .iter()
            .map(|(name, value, from)| ((*name).to_owned(), belief(value, from)))
            .collect(),
        grounds: vec![ground("old", 1), ground("new", 2)],
    }
}

fn made(subject: &str, snapshot: &Snapshot, parameters: &Value) -> Result<Contract, Refusal> {
    let pack = load(&files(TEMPLATE)).unwrap();
    let contract = pack.templates["call"].contract(&Asked {
        subject: &Subject::parse(subject).unwrap(),
        snapshot,
        parameters: parameters.as_object().unwrap(),
        issued_by: &Actor::new(PrincipalKind::Human, "ann"),
    })?;
    Ok(contract)
}

fn known() -> Snapshot {
    let fields = [
        ("up", json!(false), "new"),
        ("console", json!("c/1"), "old"),
    ];
    snapshot("host/h1", &fields)
}

#[test]
fn a_contract_is_made_of_parameters_and_what_is_known() {
    let known = known();
    let contract = made("host/h1", &known, &json!({ "note": "hello" })).unwrap();
    assert_eq!(contract.objective, "call h1 1 times: hello");
    assert_eq!(contract.success_metrics, ["host/h1 answers"]);
    let input = &contract.steps[0].input["note"];
    assert_eq!(
        *input,
        json!({ "times": 1, "at": "c/1" }),
        "typed, not text"
    );
    let ground = Grounding::Entry(EntryId::from(uuid::Uuid::from_u128(2)));
    assert_eq!(contract.steps[0].evidence, [ground], "what `up` rests on");
    assert_eq!(contract.snapshot, known.id().unwrap());
    assert_eq!(contract.issued_by.to_string(), "human:ann");
    let again = made("host/h1", &known, &json!({ "note": "hello", "times": 1 })).unwrap();
    assert_eq!(again.digest().unwrap(), contract.digest().unwrap());
}

#[test]
fn what_is_missing_unknown_or_unfit_is_named() {
    let known = known();
    let check = |subject: &str, snapshot: &Snapshot, parameters: Value, says: &[&str]| {
        let refusal = made(subject, snapshot, &parameters)
            .unwrap_err()
            .to_string();
        for part in says {
            assert!(refusal.contains(part), "{parameters}: {refusal}");
        }
    };
    let fine = json!({ "note": "x" });
    check(
        "host/h1",
        &known,
        json!({}),
        &["the parameter `note` is missing"],
    );
    let all = ["`note` is missing", "no parameter `nots`", "field `times`"];
    check("host/h1", &known, json!({ "nots": "x", "times": 4 }), &all);
    check(
        "host/h1",
        &known,
        json!({ "note": "x", "times": "2" }),
        &["field `times`"],
    );
    check(
        "host/h1",
        &known,
        json!({ "note": "too long for it" }),
        &["field `note`"],
    );
    check(
        "host/h1",
        &known,
        json!({ "note": "a\nb" }),
        &["control characters"],
    );
    check(
        "disk/d1",
        &known,
        fine.clone(),
        &["is for `host`, not for `disk/d1`"],
    );
    let unknown = snapshot("host/h1", &[("console", json!("c"), "old")]);
    check(
        "host/h1",
        &unknown,
        fine.clone(),
        &["nothing is known of the field `up`"],
    );
    let unknown = snapshot("host/h1", &[("up", json!(true), "new")]);
    check(
        "host/h1",
        &unknown,
        fine,
        &["nothing is known of the field `console`"],
    );
}
