//! Tests of the validators: a table for each, at every boundary.

mod rules;

use super::url::Destination;
use super::*;
use crate::contract::{ActionClass, Grounding, Scope};
use kernel::{
    Actor, Belief, Claim, Digest, EntryId, EvidenceId, Ground, Money, PrincipalKind, Ratio,
    SchemaRef, SnapshotId, Span, Subject, Trust,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const NOW: i64 = 1_800_000_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW + micros)
}

fn evidence(name: &str) -> EvidenceId {
    EvidenceId(Digest::of(name.as_bytes()))
}

fn claim(source: &str, value: Value) -> Claim {
    Claim {
        value,
        source: source.to_owned(),
        trust: Trust::Reported,
        observed_at: at(0),
        evidence: evidence(source),
    }
}

fn belief(value: Value) -> Belief {
    Belief {
        claim: claim("alertmanager", value),
        confidence: Ratio::ONE,
        contradictions: Vec::new(),
    }
}

fn ground(name: &str, number: u128, locator: &str) -> Ground {
    Ground {
        evidence: evidence(name),
        entry: EntryId(uuid(number)),
        source_type: "alert".to_owned(),
        source_id: name.to_owned(),
        locator: locator.to_owned(),
        observed_at: at(0),
    }
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

/// Everything that a validator looks at, for a test to bend.
struct World {
    contract: Contract,
    snapshot: Snapshot,
    settings: Settings,
    bound: Bound,
}

/// Whether the contract is bound to the snapshot as the test bent it.
enum Bound {
    Rightly,
    Elsewhere,
}

impl World {
    fn new() -> Self {
        let subject = Subject::parse("service/checkout").unwrap();
        let step = Step {
            id: "mend".to_owned(),
            module: "http.request".to_owned(),
            input: json!({"method": "POST", "url": "https://api.example.com/mend"})
                .as_object()
                .unwrap()
                .clone(),
            cost: Money::parse("1 EUR", None).unwrap(),
            evidence: vec![Grounding::Entry(EntryId(uuid(1)))],
        };
        let set = |names: &[&str]| {
            names
                .iter()
                .map(ToString::to_string)
                .collect::<BTreeSet<_>>()
        };
        let lists = |allow: &[&str], deny: &[&str]| Lists {
            allow: set(allow),
            deny: set(deny),
        };
        Self {
            contract: Contract {
                issued_by: Actor::new(PrincipalKind::System, "runbook"),
                role: "operator".to_owned(),
                kind: "thing.mend".to_owned(),
                objective: "mend it".to_owned(),
                scope: Scope {
                    subjects: vec![subject.clone()],
                },
                constraints: BTreeMap::new(),
                success_metrics: vec!["mended".to_owned()],
                budget: Money::parse("1 EUR", None).unwrap(),
                timebox: Span::from_secs(600),
                action_class: ActionClass::InternalMutation,
                steps: vec![step],
                snapshot: SnapshotId(Digest::ZERO),
            },
            snapshot: Snapshot {
                subject,
                schema: SchemaRef {
                    entity: "service".to_owned(),
                    version: 1,
                    hash: Digest::ZERO,
                },
                state_version: 1,
                fields: BTreeMap::from([("health".to_owned(), belief(json!("bad")))]),
                grounds: vec![ground("a", 1, "https://alerts/a"), ground("b", 2, "")],
            },
            settings: Settings {
                freshness: Freshness {
                    default: Ttl {
                        soft_ttl: Span::from_secs(60),
                        hard_ttl: Span::from_secs(300),
                    },
                    fields: BTreeMap::new(),
                    evidence: BTreeMap::new(),
                },
                contradiction: Contradiction {
                    fields: set(&["health"]),
                    null_is_contradiction: false,
                },
                compliance: Compliance {
                    tools: lists(&["http.request"], &["shell"]),
                    fields: lists(&["method", "url", "body"], &["body.note", "*.password"]),
                    destinations: lists(
                        &["api.example.com", "*.svc.example.com", "[::1]:8080"],
                        &["bad.svc.example.com"],
                    ),
                    data_classes: DataClasses {
                        of: BTreeMap::from([("body.mail".to_owned(), "personal".to_owned())]),
                        allow: set(&[UNCLASSIFIED]),
                        deny: set(&["personal"]),
                    },
                },
                rules: Vec::new(),
            },
            bound: Bound::Rightly,
        }
    }

    fn run(&mut self) -> Vec<Finding> {
        if let Bound::Rightly = self.bound {
            self.contract.snapshot = self.snapshot.id().unwrap();
        }
        run_all(&Input {
            contract: &self.contract,
            step: None,
            snapshot: &self.snapshot,
            now: at(0),
            settings: &self.settings,
            conditions: &[],
        })
    }
}

/// Bends the world and checks one validator; the others must not care.
fn check(validator: Validator, bend: impl Fn(&mut World), verdict: Verdict, reason: &str) {
    let mut world = World::new();
    bend(&mut world);
    let findings = world.run();
    for finding in &findings {
        let wanted = match finding.validator == validator.name() {
            true => verdict,
            false => Allow,
        };
        assert_eq!(finding.verdict, wanted, "{finding:?}");
        assert_eq!(finding.runbook, None, "writ's own, found by name");
    }
    let found = findings
        .iter()
        .find(|f| f.validator == validator.name())
        .unwrap();
    assert!(found.reason.contains(reason), "{found:?}");
}

use Verdict::{Allow, Block, Warn};
use kernel::names::Name;

#[test]
fn all_four_run_in_order_and_none_cuts_short() {
    let mut world = World::new();
    let findings = world.run();
    let order: Vec<_> = findings.iter().map(|f| f.validator.as_str()).collect();
    assert_eq!(order, names(&world.settings).collect::<Vec<_>>());
    assert_eq!(
        order,
        ["freshness", "grounding", "contradiction", "compliance"]
    );
    assert!(findings.iter().all(|f| f.verdict == Allow), "{findings:?}");

    world.settings.freshness.default.hard_ttl = Span::ZERO;
    world.contract.steps[0].evidence.clear();
    world.settings.contradiction.fields.clear();
    world.settings.compliance.tools.allow.clear();
    let findings = world.run();
    assert!(findings.iter().all(|f| f.verdict == Block), "{findings:?}");
    assert_eq!(findings, world.run(), "the same again");
    let text = serde_json::to_string(&findings).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<Finding>>(&text).unwrap(),
        findings
    );
}

#[test]
fn freshness_at_every_boundary() {
    let v = Validator::Freshness;
    let aged = |micros: i64| {
        move |w: &mut World| {
            w.snapshot
                .fields
                .get_mut("health")
                .unwrap()
                .claim
                .observed_at = at(-micros);
        }
    };
    for (age, verdict, reason) in [
        (-5_000_000, Allow, "all 1 ages are within"),
        (0, Allow, "within"),
        (59_999_999, Allow, "within"),
        (
            60_000_000,
            Warn,
            "`health` is 1m old, it should be younger than 1m",
        ),
        (299_999_999, Warn, "should be younger than 1m"),
        (
            300_000_000,
            Block,
            "`health` is 5m old, it must be younger than 5m",
        ),
        (i64::MAX / 4, Block, "must be younger"),
    ] {
        check(v, aged(age), verdict, reason);
    }
    let own = Ttl {
        soft_ttl: Span::from_secs(1),
        hard_ttl: Span::from_secs(1),
    };
    let with_own = |micros: i64| {
        move |w: &mut World| {
            aged(micros)(w);
            w.settings.freshness.fields.insert("health".to_owned(), own);
        }
    };
    check(v, with_own(999_999), Allow, "within");
    check(v, with_own(1_000_000), Block, "younger than 1s");
    check(
        v,
        |w| {
            aged(60_000_000)(w);
            w.snapshot.fields.insert("old".to_owned(), belief(json!(1)));
            w.snapshot.fields.get_mut("old").unwrap().claim.observed_at = at(-400_000_000);
        },
        Block,
        "`old` is 6m40s old, it must be younger than 5m; and 1 more",
    );
    check(
        v,
        |w| w.settings.contradiction.fields = BTreeSet::from(["x".to_owned()]),
        Allow,
        "",
    );
    let cited = |micros: i64| {
        move |w: &mut World| {
            w.snapshot.grounds[0].observed_at = at(-micros);
            w.settings
                .freshness
                .evidence
                .insert("alert".to_owned(), own);
        }
    };
    check(v, cited(999_999), Allow, "all 2 ages");
    check(v, cited(1_000_000), Block, "evidence `evd_");
    // Evidence that no step cites is not looked at.
    check(
        v,
        |w| {
            cited(0)(w);
            w.snapshot.grounds[1].observed_at = at(-9_000_000);
        },
        Allow,
        "all 2 ages",
    );
    check(v, |w| w.snapshot.fields.clear(), Block, "nothing is known");
}

#[test]
fn grounding_by_each_kind_of_reference() {
    let v = Validator::Grounding;
    let cites = |reference: Grounding| {
        move |w: &mut World| w.contract.steps[0].evidence = vec![reference.clone()]
    };
    let source = |kind: &str, id: &str| Grounding::Source {
        source_type: kind.to_owned(),
        source_id: id.to_owned(),
    };
    let locator = |text: &str| Grounding::Locator(text.to_owned());
    check(v, cites(source("alert", "a")), Allow, "all 1 references");
    check(
        v,
        cites(source("alert", "z")),
        Block,
        "alert `z`, which is not in",
    );
    check(v, cites(source("page", "a")), Block, "page `a`");
    check(v, cites(Grounding::Entry(EntryId(uuid(2)))), Allow, "all 1");
    check(
        v,
        cites(Grounding::Entry(EntryId(uuid(9)))),
        Block,
        "entry `ent_",
    );
    check(v, cites(locator("https://alerts/a")), Allow, "all 1");
    check(
        v,
        cites(locator("https://alerts/z")),
        Block,
        "the record at",
    );
    check(v, cites(locator("")), Block, "the record at ``");
    check(
        v,
        |w| w.contract.steps[0].evidence.clear(),
        Block,
        "names no evidence",
    );
    check(v, |w| w.contract.steps.clear(), Block, "no step to ground");
    check(v, |w| w.snapshot.grounds.clear(), Block, "not in the bound");
    check(
        v,
        |w| w.bound = Bound::Elsewhere,
        Block,
        "is bound to snapshot",
    );
    check(
        v,
        |w| w.contract.scope.subjects = vec![Subject::parse("service/other").unwrap()],
        Block,
        "not the directive's first subject",
    );
    // Each step is asked; every fault is listed.
    check(
        v,
        |w| {
            let mut second = w.contract.steps[0].clone();
            second.id = "second".to_owned();
            second.evidence = vec![source("alert", "y"), source("alert", "z")];
            w.contract.steps.push(second);
        },
        Block,
        "step `second` rests on alert `y`, which is not in the bound snapshot; and 1 more",
    );
}

#[test]
fn one_step_is_asked_alone() {
    let mut world = World::new();
    let mut second = world.contract.steps[0].clone();
    second.evidence.clear();
    second.module = "shell".to_owned();
    world.contract.steps.push(second);
    world.run();
    for (step, verdict) in [(0, Allow), (1, Block)] {
        let findings = run_all(&Input {
            contract: &world.contract,
            step: Some(&world.contract.steps[step]),
            snapshot: &world.snapshot,
            now: at(0),
            settings: &world.settings,
            conditions: &[],
        });
        assert_eq!(
            Verdict::aggregate(findings.iter().map(|f| f.verdict)),
            verdict
        );
    }
}

#[test]
fn contradiction_of_values_and_of_nulls() {
    let v = Validator::Contradiction;
    let sides = |believed: Value, other: Option<Value>, strict: bool| {
        move |w: &mut World| {
            let mut both = belief(believed.clone());
            both.contradictions = other.iter().map(|o| claim("probe", o.clone())).collect();
            w.snapshot.fields.insert("health".to_owned(), both);
            w.settings.contradiction.null_is_contradiction = strict;
        }
    };
    let (up, down, null) = (json!("up"), json!("down"), Value::Null);
    let disagree = "`alertmanager` and `probe` disagree on field `health`";
    for (believed, other, strict, verdict, reason) in [
        (&up, None, false, Allow, "no source contradicts"),
        (&up, None, true, Allow, "no source contradicts"),
        (&up, Some(&down), false, Block, disagree),
        (&up, Some(&down), true, Block, disagree),
        (&up, Some(&null), false, Allow, "no source"),
        (&up, Some(&null), true, Block, disagree),
        (&null, Some(&up), false, Allow, "no source"),
        (&null, Some(&up), true, Block, "`health` is unknown"),
        (&null, None, false, Allow, "no source"),
        (&null, None, true, Block, "`health` is unknown"),
    ] {
        let bend = sides(believed.clone(), other.cloned(), strict);
        check(v, bend, verdict, reason);
    }
    // A field that is not there, and one that is not listed.
    let absent = |strict: bool| {
        move |w: &mut World| {
            let bad = w.snapshot.fields.remove("health").unwrap();
            w.snapshot.fields.insert("other".to_owned(), bad);
            w.settings.contradiction.null_is_contradiction = strict;
        }
    };
    check(v, absent(false), Allow, "");
    check(v, absent(true), Block, "`health` is unknown");
    check(
        v,
        |w| {
            sides(json!(1), Some(json!(2)), false)(w);
            w.settings.contradiction.fields = BTreeSet::from(["other".to_owned()]);
        },
        Allow,
        "",
    );
    check(
        v,
        |w| w.settings.contradiction.fields.clear(),
        Block,
        "nothing could be checked",
    );
}

#[test]
fn compliance_of_tools_fields_classes_and_destinations() {
    let v = Validator::Compliance;
    let input = |value: Value| {
        move |w: &mut World| w.contract.steps[0].input = value.as_object().unwrap().clone()
    };
    let tool =
        |name: &'static str| move |w: &mut World| w.contract.steps[0].module = name.to_owned();
    check(v, tool("noop"), Block, "tool `noop` is not allowed");
    check(v, tool("shell"), Block, "tool `shell` is denied");
    check(
        v,
        |w| {
            w.settings.compliance.tools.allow.insert("shell".to_owned());
            tool("shell")(w);
        },
        Block,
        "denied",
    );
    check(
        v,
        |w| w.settings.compliance.tools.allow.clear(),
        Block,
        "not allowed",
    );
    for (value, verdict, reason) in [
        (json!({}), Allow, "are allowed"),
        (json!({"method": "GET"}), Allow, "are allowed"),
        (
            json!({"header": "x"}),
            Block,
            "field `header` is not allowed",
        ),
        (
            json!({"header": {}}),
            Block,
            "field `header` is not allowed",
        ),
        (
            json!({"header": {"a": 1}}),
            Block,
            "field `header.a` is not allowed",
        ),
        (
            json!({"header": [1]}),
            Block,
            "field `header` is not allowed",
        ),
        (
            json!({"header": [{"a": 1}, 2]}),
            Block,
            "field `header` is not allowed; and 1",
        ),
        (json!({"body": {"a": {"b": [1]}}}), Allow, "are allowed"),
        (json!({"body.a": 1}), Block, "field `body.a` is not allowed"),
        (
            json!({"body": {"note": 1}}),
            Block,
            "field `body.note` is denied",
        ),
        (
            json!({"body": {"note": {"x": 1}}}),
            Block,
            "field `body.note` is denied",
        ),
        (
            json!({"body": [{"note": 1}]}),
            Block,
            "field `body.note` is denied",
        ),
        (
            json!({"body": {"a": {"password": 1}}}),
            Block,
            "`body.a.password` is denied",
        ),
        (
            json!({"body": {"mail": "x"}}),
            Block,
            "data class `personal` is denied",
        ),
        (
            json!({"body": {"mail": {"to": "x"}}}),
            Block,
            "data class `personal` is denied",
        ),
        (json!({"body": {"url": "gopher://x"}}), Allow, "are allowed"),
        (
            json!({"url": "https://API.example.com/x"}),
            Allow,
            "are allowed",
        ),
        (
            json!({"url": "https://api.example.com:443/x"}),
            Allow,
            "are allowed",
        ),
        (
            json!({"url": "https://api.example.com:8443/x"}),
            Block,
            "`api.example.com:8443` is not allowed",
        ),
        (json!({"url": "http://[::1]:8080/x"}), Allow, "are allowed"),
        (
            json!({"url": "http://[::1]/x"}),
            Block,
            "`[::1]` is not allowed",
        ),
        (
            json!({"url": "https://a.svc.example.com"}),
            Allow,
            "are allowed",
        ),
        (
            json!({"url": "https://svc.example.com"}),
            Block,
            "is not allowed",
        ),
        (
            json!({"url": "https://xsvc.example.com"}),
            Block,
            "is not allowed",
        ),
        (
            json!({"url": "https://bad.svc.example.com"}),
            Block,
            "is denied",
        ),
        (
            json!({"url": "https://bad.svc.example.com:99"}),
            Block,
            "is denied",
        ),
        (
            json!({"url": "https://api.example.com@evil.org"}),
            Block,
            "is not a plain",
        ),
        (json!({"url": 7}), Block, "is not text"),
        (
            json!({"url": ["https://api.example.com"]}),
            Block,
            "is not text",
        ),
    ] {
        check(v, input(value), verdict, reason);
    }
    check(
        v,
        |w| {
            w.settings.compliance.fields.allow.insert("undo".to_owned());
            input(json!({"undo": {"url": "https://evil.org"}}))(w);
        },
        Block,
        "`evil.org` is not allowed",
    );
    check(
        v,
        |w| w.settings.compliance.data_classes.allow.clear(),
        Block,
        "data class `unclassified` is not allowed",
    );
    check(
        v,
        |w| w.settings.compliance.fields.allow.clear(),
        Block,
        "`method` is not allowed",
    );
    let anything = |w: &mut World| {
        w.settings.compliance.fields.allow = BTreeSet::from(["*".to_owned()]);
        input(json!({"x": 1}))(w);
    };
    check(v, anything, Allow, "are allowed");
    check(
        v,
        |w| w.settings.compliance.destinations.allow.clear(),
        Block,
        "`api.example.com` is not allowed",
    );
}

#[test]
fn the_destinations_of_a_step() {
    let mut world = World::new();
    let value = json!({
        "url": "https://B.example.com:444/x", "undo": {"url": "http://a.example.com"},
        "body": {"url": "http://not.example.com"}, "more": {"url": 3},
    });
    world.contract.steps[0].input = value.as_object().unwrap().clone();
    let found: Vec<_> = destinations(&world.contract.steps[0]).into_iter().collect();
    assert_eq!(found, ["a.example.com", "b.example.com:444"]);
}

#[test]
fn urls_are_read_strictly() {
    for (url, host) in [
        ("https://example.com", Some("example.com")),
        ("HTTPS://Example.COM/a?b#c", Some("example.com")),
        ("http://example.com:80/", Some("example.com")),
        ("https://example.com:80/", Some("example.com:80")),
        ("http://127.0.0.1:8080", Some("127.0.0.1:8080")),
        ("http://[2001:db8::1]:81/", Some("[2001:db8::1]:81")),
        ("https://example.com?x=@y", Some("example.com")),
        ("https://", None),
        ("https:///x", None),
        ("ftp://example.com", None),
        ("//example.com", None),
        ("https://user@example.com", None),
        ("https://example.com\\@evil.org", None),
        ("https://exa mple.com", None),
        ("https://example.com\n", None),
        ("https://example..com", None),
        ("https://.example.com", None),
        ("https://example.com.", None),
        ("https://ex%61mple.com", None),
        ("https://exämple.com", None),
        ("https://example.com:", None),
        ("https://example.com:+80", None),
        ("https://example.com:99999", None),
        ("https://example.com::80", None),
        ("https://[::1", None),
        ("https://[nonsense]", None),
        ("https://[::1]x", None),
    ] {
        let read = Destination::of(url).ok().map(|d| d.to_string());
        assert_eq!(read.as_deref(), host, "{url}");
    }
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut world = World::new();
    let references = (100..200).map(|n| Grounding::Entry(EntryId(uuid(n))));
    world.contract.steps[0].evidence = references.collect();
    let unresolved = &world.run()[1].inputs["unresolved"];
    assert_eq!(unresolved.as_array().unwrap().len(), LISTED_MAX + 1);
    assert_eq!(unresolved[LISTED_MAX], json!({"more": 84}));
}

#[test]
fn settings_are_strict() {
    let good = World::new().settings;
    good.check().unwrap();
    let value = serde_json::to_value(&good).unwrap();
    assert_eq!(
        serde_json::from_value::<Settings>(value.clone()).unwrap(),
        good
    );
    for path in [
        "/freshness",
        "/freshness/default",
        "/freshness/default/hard_ttl",
        "/freshness/default/soft_ttl",
        "/contradiction",
        "/contradiction/fields",
        "/contradiction/null_is_contradiction",
        "/compliance",
        "/compliance/tools",
        "/compliance/tools/allow",
        "/compliance/fields",
        "/compliance/destinations",
        "/compliance/data_classes",
        "/compliance/data_classes/allow",
    ] {
        let mut less = value.clone();
        let (above, name) = path.rsplit_once('/').unwrap();
        let parent = less.pointer_mut(above).unwrap().as_object_mut().unwrap();
        parent.remove(name).unwrap();
        let fault = serde_json::from_value::<Settings>(less).unwrap_err();
        assert!(
            fault.to_string().contains("missing field"),
            "{path}: {fault}"
        );
    }
    let mut more = value;
    more["freshness"]["limit"] = json!("none");
    assert!(serde_json::from_value::<Settings>(more).is_err());

    let faulty = |bend: &dyn Fn(&mut Settings), place: &str| {
        let mut settings = good.clone();
        bend(&mut settings);
        let fault = settings.check().unwrap_err().message;
        assert!(fault.starts_with(place), "{fault}");
    };
    let ttl = |soft, hard| Ttl {
        soft_ttl: Span::from_secs(soft),
        hard_ttl: Span::from_secs(hard),
    };
    faulty(&|s| s.freshness.default = ttl(2, 1), "freshness.default:");
    faulty(&|s| s.freshness.default = ttl(0, 0), "freshness.default:");
    let put = |map: &mut BTreeMap<String, Ttl>| {
        map.insert("x".to_owned(), ttl(2, 1));
    };
    faulty(&|s| put(&mut s.freshness.fields), "freshness.fields.x:");
    faulty(&|s| put(&mut s.freshness.evidence), "freshness.evidence.x:");
    faulty(&|s| s.contradiction.fields.clear(), "contradiction.fields:");
    faulty(
        &|s| s.compliance.tools.allow.extend(["shell".to_owned()]),
        "compliance.tools: `shell` is both",
    );
    faulty(
        &|s| {
            s.compliance
                .data_classes
                .deny
                .extend([UNCLASSIFIED.to_owned()])
        },
        "compliance.data_classes: `unclassified` is both",
    );
    faulty(
        &|s| s.compliance.destinations.deny.extend([" ".to_owned()]),
        "compliance.destinations: holds an empty",
    );
}
