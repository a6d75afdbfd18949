//! Runbooks: when one proposes, what it proposes, and why it does not.

use gate::{Contract, Grounding};
use kernel::{
    Actor, Belief, Claim, Digest, EntryId, EvidenceId, Ground, IncidentId, Ratio, SchemaRef,
    Snapshot, Subject, Timestamp, Trust,
};
use pack::{Files, Situation, choose, load, propose};
use sense::Severity;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const FIRST: &str = "id: first\ntitle: First\nsubject_type: host\nrules: [down, slow]\nmin_severity: high\nwhen: \"has(state.console) && incident.rules.exists(r, r == 'down') && subject.id != 'spared'\"\ndirective:\n  type: host.mend\n  role: operator\n  objective: \"mend ${subject} (${incident.severity})\"\n  action_class: internal_mutation\n  constraints: { incident: \"${incident.id}\", load: \"${field.load}\" }\n  success_metrics: [\"${subject.id} is up\"]\n  budget: 1 EUR\n  timebox: 10m\n  steps:\n    - id: call\n      module: noop\n      cost: 0.50 EUR\n      input:\n        url: \"${field.console}/hosts/${subject.id}\"\n        body: { load: \"${field.load}\", text: \"load ${field.load}\" }\n";
const SECOND: &str = "id: second\ntitle: Second\nsubject_type: host\nmin_severity: info\ndirective:\n  type: host.watch\n  role: operator\n  objective: watch it\n  action_class: internal_non_destructive\n  success_metrics: [it is seen]\n  budget: 1 EUR\n  timebox: 10m\n  steps:\n    - { id: watch, module: noop, cost: 0 EUR, input: {} }\n";

fn files() -> Files {
    let rule = |id: &str| {
        format!(
            "id: {id}\ntitle: x\nsignal_types: [S]\nwindow: {{ length: 1m }}\nthreshold: 1\nseverity: high\nexplanation: x\n"
        )
    };
    let (down, slow) = (rule("down"), rule("slow"));
    let texts: &[(&str, &str)] = &[
        (
            "pack.yaml",
            "name: small\nversion: 1.0.0\ntitle: Small\ndescription: For tests.\nrequires_writ: 0.1.0\n",
        ),
        (
            "schemas/host.yaml",
            "entity: host\nversion: 1\nfields:\n  load: {}\n  console: {}\n",
        ),
        (
            "sources/probe.yaml",
            "name: probe\nevidence: telemetry\ntrust: verified\nauthentication:\n  bearer: { secret: env:T }\nmapping:\n  json:\n    id: { pointer: /id }\n    type: { from: { constant: S } }\n    subject: { kind: host, id: { pointer: /host } }\n    observed_at: { pointer: /at }\n",
        ),
        (
            "signals.yaml",
            "signal_types:\n  - { name: S, ttl: 1h, severity: high, attributes: {} }\n",
        ),
        ("rules/down.yaml", &down),
        ("rules/slow.yaml", &slow),
        (
            "correlation.yaml",
            "gap: 10m\nsettle: 0s\nmin_rules: 1\nmin_signals: 1\n",
        ),
        (
            "policies/all.cedar",
            "@id(\"all\")\npermit (principal, action, resource);\n",
        ),
        (
            "validators.yaml",
            "freshness:\n  default: { soft_ttl: 1h, hard_ttl: 2h }\ncontradiction:\n  fields: [load]\n  null_is_contradiction: false\ncompliance:\n  tools: { allow: [noop] }\n  fields: { allow: [\"*\"] }\n  destinations: { allow: [] }\n  data_classes: { allow: [unclassified] }\n",
        ),
        (
            "budgets.yaml",
            "- { name: day, scope: tenant, period: day, unit: money, hard: 10 EUR }\n",
        ),
        ("approvals.yaml", "expires_after: 1h\n"),
        ("runbooks/1-first.yaml", FIRST),
        ("runbooks/2-second.yaml", SECOND),
    ];
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    texts.iter().map(own).collect()
}

fn evidence(name: &str) -> EvidenceId {
    EvidenceId(Digest::of(name.as_bytes()))
}

fn entry(number: u128) -> EntryId {
    EntryId::from(uuid::Uuid::from_u128(number))
}

fn snapshot(subject: &str, fields: &[(&str, Value)]) -> Snapshot {
    let at = Timestamp::parse("2026-03-01T10:00:00Z").unwrap();
    let belief = |value: &Value| Belief {
        claim: Claim {
            value: value.clone(),
            source: "probe".to_owned(),
            trust: Trust::Verified,
            observed_at: at,
            evidence: evidence("one"),
        },
        confidence: Ratio::ONE,
        contradictions: Vec::new(),
    };
    let ground = |name: &str, number| Ground {
        evidence: evidence(name),
        entry: entry(number),
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
            .map(|(name, value)| ((*name).to_owned(), belief(value)))
            .collect::<BTreeMap<_, _>>(),
        grounds: vec![ground("one", 1), ground("other", 2)],
    }
}

struct Case {
    subject: &'static str,
    severity: Severity,
    rules: &'static [&'static str],
    evidence: &'static [&'static str],
    fields: Vec<(&'static str, Value)>,
}

fn usual() -> Case {
    Case {
        subject: "host/a",
        severity: Severity::Critical,
        rules: &["down"],
        evidence: &["one", "elsewhere"],
        fields: vec![
            ("console", json!("https://c.example.net")),
            ("load", json!(0.5)),
        ],
    }
}

fn with<T>(case: &Case, then: impl FnOnce(&Situation<'_>) -> T) -> T {
    let snapshot = snapshot(case.subject, &case.fields);
    let rules: BTreeSet<String> = case.rules.iter().map(|r| (*r).to_owned()).collect();
    let evidence: BTreeSet<EvidenceId> = case.evidence.iter().map(|e| evidence(e)).collect();
    let subject = snapshot.subject.clone();
    let issued_by = Actor::system("runbooks");
    then(&Situation {
        incident: IncidentId(Digest::of(b"incident")),
        subject: &subject,
        severity: case.severity,
        confidence: Ratio::ONE,
        rules: &rules,
        snapshot: &snapshot,
        evidence: &evidence,
        issued_by: &issued_by,
    })
}

fn first(case: &Case) -> Result<Contract, kernel::Refusal> {
    let pack = load(&files()).unwrap();
    with(case, |situation| propose(&pack.runbooks[0], situation))
}

#[test]
fn the_contract_is_filled_in_from_the_situation() {
    let contract = first(&usual()).unwrap();
    let incident = IncidentId(Digest::of(b"incident")).to_string();
    assert_eq!(contract.objective, "mend host/a (critical)");
    assert_eq!(contract.constraints["incident"], json!(incident));
    assert_eq!(contract.constraints["load"], json!(0.5));
    assert_eq!(contract.success_metrics, ["a is up"]);
    assert_eq!(contract.scope.subjects, [Subject::parse("host/a").unwrap()]);
    let step = &contract.steps[0];
    assert_eq!(step.input["url"], "https://c.example.net/hosts/a");
    assert_eq!(step.input["body"], json!({"load": 0.5, "text": "load 0.5"}));
    // Only what both the incident and the snapshot rest on.
    assert_eq!(step.evidence, [Grounding::Entry(entry(1))]);
    contract.check().unwrap();
    let again = first(&usual()).unwrap();
    assert_eq!(again.digest().unwrap(), contract.digest().unwrap());
}

#[test]
fn why_a_runbook_does_not_propose() {
    let at_the_threshold = Case {
        severity: Severity::High,
        ..usual()
    };
    assert!(first(&at_the_threshold).is_ok());
    for (case, says) in [
        (
            Case {
                severity: Severity::Medium,
                ..usual()
            },
            "severity `high` and above",
        ),
        (
            Case {
                rules: &["other"],
                ..usual()
            },
            "none of its rules matched",
        ),
        (
            Case {
                rules: &[],
                ..usual()
            },
            "none of its rules matched",
        ),
        (
            Case {
                rules: &["slow"],
                ..usual()
            },
            "`when` is not met",
        ),
        (
            Case {
                subject: "host/spared",
                ..usual()
            },
            "`when` is not met",
        ),
        (
            Case {
                subject: "disk/a",
                ..usual()
            },
            "it is for `host`",
        ),
        (
            Case {
                evidence: &["elsewhere"],
                ..usual()
            },
            "no evidence of the incident",
        ),
        (
            Case {
                fields: vec![("load", json!(1))],
                ..usual()
            },
            "`when` is not met",
        ),
        (
            Case {
                fields: vec![("console", json!("https://c"))],
                ..usual()
            },
            "nothing is known of the field `load`",
        ),
        (
            Case {
                fields: vec![("console", json!(["x"])), ("load", json!(1))],
                ..usual()
            },
            "cannot stand within one",
        ),
    ] {
        let fault = first(&case).unwrap_err();
        assert!(fault.message.contains(says), "`{says}` is not in: {fault}");
    }
}

#[test]
fn an_id_cannot_lead_the_request_elsewhere() {
    let contract = first(&Case {
        subject: "host/../admin?x=1#y",
        ..usual()
    })
    .unwrap();
    assert_eq!(
        contract.steps[0].input["url"],
        "https://c.example.net/hosts/..%2Fadmin%3Fx%3D1%23y"
    );
}

#[test]
fn the_first_that_applies_proposes_and_the_others_say_why_not() {
    let pack = load(&files()).unwrap();
    for (case, chosen, passed_over) in [
        (usual(), Some("first"), 0),
        (
            Case {
                rules: &["slow"],
                ..usual()
            },
            Some("second"),
            1,
        ),
        (
            Case {
                evidence: &[],
                ..usual()
            },
            None,
            2,
        ),
    ] {
        let choice = with(&case, |situation| choose(&pack.runbooks, situation));
        assert_eq!(choice.proposal.map(|(id, _)| id).as_deref(), chosen);
        assert_eq!(choice.passed_over.len(), passed_over);
    }
}

#[test]
fn a_snapshot_of_another_subject_is_refused() {
    let pack = load(&files()).unwrap();
    let other = snapshot("host/b", &usual().fields);
    let fault = with(&usual(), |situation| {
        let mixed = Situation {
            snapshot: &other,
            ..*situation
        };
        propose(&pack.runbooks[0], &mixed).unwrap_err()
    });
    assert!(
        fault.message.contains("the snapshot is of `host/b`"),
        "{fault}"
    );
}
