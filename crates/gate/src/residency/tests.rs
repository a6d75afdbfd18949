//! The register held against what is reached: one row a rule, the boundaries
//! exact.

use super::{Line, Question, Settings, Store, StoreRole, check, coverage, faults_of_stores};
use crate::Rules;
use crate::contract::Step;
use crate::tests::world::{POLICY, modules, rules, source};
use kernel::names::Name as _;
use kernel::{Money, Timestamp, Verdict};
use serde_json::{Value, json};

const AT: &str = "2026-06-01T00:00:00Z";

fn attested() -> Value {
    json!({
        "retention": "30d", "training": false, "logging": "metadata", "by": "operations",
        "at": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
    })
}

fn endpoint(region: &str) -> Value {
    json!({ "region": region, "attestation": attested() })
}

fn register() -> Value {
    json!({
        "regions": ["eu-1", "eu-2"],
        "data_classes": { "personal": ["eu-1"] },
        "demands": { "retention_max": "30d", "training_allowed": false, "logging_max": "metadata" },
        "destinations": {
            "*.example.com": endpoint("eu-2"),
            "*.us.example.com": endpoint("us-1"),
            "near.us.example.com": endpoint("eu-1"),
            "ports.example.com:8443": endpoint("us-1"),
        },
        "tools": { "tell": endpoint("eu-1") },
        "providers": { "acme": endpoint("eu-1") },
        "stores": { "ledger": { "local": endpoint("eu-1"), "db.us": endpoint("us-1") } },
    })
}

fn step(module: &str, input: Value) -> Step {
    Step {
        id: "s".into(),
        module: module.into(),
        input: input.as_object().unwrap().clone(),
        cost: Money::parse("1 EUR", None).unwrap(),
        evidence: Vec::new(),
    }
}

/// The rules of the small world with this register; addresses of mail are
/// personal in it.
fn rules_with(register: Option<Value>) -> Rules {
    let mut declared = source();
    declared["residency"] = json!(register);
    let classes = &mut declared["validators"]["compliance"]["data_classes"];
    classes["of"] = json!({ "*.email": "personal" });
    rules(declared, POLICY)
}

/// What is said of this step under this register, at this instant.
fn said(register: Option<Value>, stores: &[(StoreRole, &str)], step: &Step, at: &str) -> String {
    let mut rules = rules_with(register);
    rules.stores = stores
        .iter()
        .map(|(role, at)| Store {
            role: *role,
            at: (*at).to_owned(),
        })
        .collect();
    let answer = check(&Question {
        rules: &rules,
        steps: &[step],
        capabilities: &modules(),
        at: Timestamp::parse(at).unwrap(),
    });
    format!("{}: {}", answer.verdict, answer.reason)
}

#[track_caller]
fn holds(said: &str, verdict: Verdict, part: &str) {
    let as_expected = said.starts_with(verdict.name()) && said.contains(part);
    assert!(
        as_expected,
        "expected {verdict} with `{part}`, got `{said}`"
    );
}

#[test]
fn what_is_reached_decides() {
    use Verdict::{Allow, Block};
    let url = |url: &str| json!({ "url": url });
    for (module, input, verdict, part) in [
        ("look", json!({}), Allow, "nothing outside is reached"),
        // The most exact entry counts.
        (
            "mend",
            url("https://a.example.com/x"),
            Allow,
            "in an allowed region",
        ),
        (
            "mend",
            url("https://a.us.example.com/x"),
            Block,
            "`us-1`, allowed is `eu-1`, `eu-2`",
        ),
        ("mend", url("https://near.us.example.com/x"), Allow, ""),
        ("mend", url("https://NEAR.us.example.com:443/x"), Allow, ""),
        // A port of its own is another endpoint, and needs its own entry.
        ("mend", url("https://ports.example.com/x"), Allow, ""),
        (
            "mend",
            url("https://ports.example.com:8443/x"),
            Block,
            "`us-1`",
        ),
        (
            "mend",
            url("https://a.example.com:8443/x"),
            Block,
            "no entry: name `a.example.com:8443` under `destinations`",
        ),
        ("mend", url("https://example.com/x"), Block, "no entry"),
        // What only reads reaches out all the same.
        ("look", url("https://a.us.example.com/x"), Block, "`us-1`"),
        // Every host of the input is looked at.
        (
            "mend",
            json!({ "url": "https://a.example.com/", "verify": { "url": "https://a.us.example.com/" } }),
            Block,
            "`a.us.example.com`",
        ),
        (
            "mend",
            json!({ "url": "https://a.example.com/", "body": { "url": "https://a.us.example.com/" } }),
            Allow,
            "",
        ),
        // Without a host, the module's own entry counts.
        ("tell", json!({}), Allow, ""),
        (
            "mend",
            json!({}),
            Block,
            "what `mend` writes to has no entry",
        ),
        (
            "mend",
            url("no host"),
            Block,
            "what `mend` writes to has no entry",
        ),
        (
            "nobody",
            json!({}),
            Block,
            "what `nobody` writes to has no entry",
        ),
        // Data of a class may be held closer.
        (
            "mend",
            json!({ "url": "https://a.example.com/", "email": "x" }),
            Block,
            "data of class `personal` may only be in `eu-1`",
        ),
        (
            "mend",
            json!({ "url": "https://near.us.example.com/", "email": "x" }),
            Allow,
            "",
        ),
    ] {
        let step = step(module, input);
        holds(&said(Some(register()), &[], &step, AT), verdict, part);
    }
}

#[test]
fn no_register_means_that_nothing_is_reached() {
    let reaching = step("mend", json!({ "url": "https://a.example.com/" }));
    let text = said(None, &[(StoreRole::Ledger, "db.us")], &reaching, AT);
    holds(&text, Verdict::Block, "the pack has no `residency.yaml`");
    let still = step("look", json!({}));
    let text = said(None, &[(StoreRole::Ledger, "db.us")], &still, AT);
    holds(&text, Verdict::Allow, "nothing outside is reached");
    let mut any = register();
    any["regions"] = json!("any");
    let step = step("mend", json!({ "url": "https://a.us.example.com/" }));
    holds(&said(Some(any), &[], &step, AT), Verdict::Allow, "");
}

#[test]
fn an_attestation_holds_from_its_beginning_until_its_end() {
    use Verdict::{Allow, Block};
    let step = step("tell", json!({}));
    for (at, verdict, part) in [
        (
            "2025-12-31T23:59:59.999999Z",
            Block,
            "holds from 2026-01-01",
        ),
        ("2026-01-01T00:00:00Z", Allow, ""),
        ("2026-12-31T23:59:59.999999Z", Allow, ""),
        (
            "2027-01-01T00:00:00Z",
            Block,
            "ended at 2027-01-01T00:00:00.000000Z: have `operations` renew it",
        ),
    ] {
        holds(&said(Some(register()), &[], &step, at), verdict, part);
    }
    for (field, value, verdict, part) in [
        ("retention", json!("none"), Allow, ""),
        ("retention", json!("30d"), Allow, ""),
        ("retention", json!("30d1us"), Block, "at most `30d`"),
        ("retention", json!("unbounded"), Block, "`unbounded`"),
        ("training", json!(true), Block, "trains models"),
        ("logging", json!("none"), Allow, ""),
        (
            "logging",
            json!("content"),
            Block,
            "logs `content`, at most `metadata`",
        ),
        ("until", Value::Null, Allow, ""),
    ] {
        let mut changed = register();
        changed["tools"]["tell"]["attestation"][field] = value.clone();
        let text = said(Some(changed), &[], &step, AT);
        holds(&text, verdict, part);
    }
    let mut missing = register();
    missing["tools"]["tell"] = json!({ "region": "eu-1" });
    holds(
        &said(Some(missing), &[], &step, AT),
        Block,
        "has no attestation",
    );
    let mut lax = register();
    lax["demands"] =
        json!({ "retention_max": "unbounded", "training_allowed": true, "logging_max": "content" });
    lax["tools"]["tell"]["attestation"]["training"] = json!(true);
    lax["tools"]["tell"]["attestation"]["retention"] = json!("unbounded");
    lax["tools"]["tell"]["attestation"]["logging"] = json!("content");
    holds(&said(Some(lax), &[], &step, AT), Allow, "");
}

#[test]
fn the_nodes_own_stores_stop_every_step() {
    use Verdict::{Allow, Block};
    let still = step("look", json!({}));
    for (role, at, verdict, part) in [
        (StoreRole::Ledger, "local", Allow, ""),
        (
            StoreRole::Ledger,
            "db.us",
            Block,
            "ledger store at `db.us` is in region `us-1`",
        ),
        (
            StoreRole::Ledger,
            "db.eu",
            Block,
            "no entry: name `db.eu` under `stores.ledger`",
        ),
        (
            StoreRole::Archive,
            "local",
            Block,
            "no entry: name `local` under `stores.archive`",
        ),
    ] {
        let text = said(Some(register()), &[(role, at)], &still, AT);
        holds(&text, verdict, part);
    }
    // What keeps data keeps that of every class; keys and hashes are none.
    for (role, verdict, part) in [
        (
            StoreRole::Ledger,
            Block,
            "data of class `personal` may only be in `eu-1`",
        ),
        (
            StoreRole::Archive,
            Block,
            "data of class `personal` may only be in `eu-1`",
        ),
        (
            StoreRole::SessionCache,
            Block,
            "data of class `personal` may only be in `eu-1`",
        ),
        (StoreRole::Keyring, Allow, ""),
        (StoreRole::Witness, Allow, ""),
    ] {
        let mut wide = register();
        wide["stores"][role.name()] = json!({ "host.eu": endpoint("eu-2") });
        let text = said(Some(wide), &[(role, "host.eu")], &still, AT);
        holds(&text, verdict, part);
    }
    // The ledger keeps everything: that limit is for others.
    let mut kept = register();
    kept["stores"]["ledger"]["local"]["attestation"]["retention"] = json!("unbounded");
    let text = said(Some(kept), &[(StoreRole::Ledger, "local")], &still, AT);
    holds(&text, Allow, "");
}

#[test]
fn what_is_wrong_with_a_store_names_its_rule() {
    let mut declared = register();
    declared["stores"]["ledger"]["db.eu"] = endpoint("eu-2");
    declared["stores"]["ledger"]["db.bare"] = json!({ "region": "eu-1" });
    declared["stores"]["ledger"]["db.chatty"] = endpoint("eu-1");
    declared["stores"]["ledger"]["db.chatty"]["attestation"]["logging"] = json!("content");
    let settings: Settings = serde_json::from_value(declared).unwrap();
    for (at, rules) in [
        ("local", &[][..]),
        ("db.none", &["stores/ledger"]),
        ("db.us", &["regions", "data_classes/personal"]),
        ("db.eu", &["data_classes/personal"]),
        ("db.bare", &["stores/ledger/db.bare"]),
        ("db.chatty", &["demands"]),
    ] {
        let store = Store {
            role: StoreRole::Ledger,
            at: at.to_owned(),
        };
        let found = faults_of_stores(&settings, &[store], Timestamp::parse(AT).unwrap());
        let found: Vec<String> = found.iter().map(|f| f.rule.join("/")).collect();
        assert_eq!(found, rules, "{at}");
    }
}

#[test]
fn coverage_names_what_is_missing_and_what_is_wrong() {
    let mut rules = rules_with(Some(register()));
    rules.stores = vec![Store {
        role: StoreRole::Archive,
        at: "s3.eu".into(),
    }];
    let allow = [
        "a.example.com",
        "*.b.example.com",
        "*.example.com",
        "example.com",
    ];
    rules.validators.compliance.destinations.allow = allow.map(str::to_owned).into();
    let lines = coverage(&rules, Timestamp::parse(AT).unwrap());
    let faulty: Vec<_> = lines
        .iter()
        .filter(|line| !line.faults.is_empty())
        .map(|line| line.endpoint.as_str())
        .collect();
    let expected = [
        "destinations/*.us.example.com",
        "destinations/example.com",
        "destinations/ports.example.com:8443",
        "stores.archive/s3.eu",
        "stores.ledger/db.us",
    ];
    assert_eq!(faulty, expected);
    let fine = lines.iter().find(|l| l.endpoint == "tools/tell").unwrap();
    assert_eq!(
        *fine,
        Line {
            endpoint: "tools/tell".into(),
            region: Some("eu-1".into()),
            by: Some("operations".into()),
            until: Some(Timestamp::parse("2027-01-01T00:00:00Z").unwrap()),
            faults: Vec::new(),
        }
    );
    rules.residency = None;
    let lines = coverage(&rules, Timestamp::parse(AT).unwrap());
    assert!(
        lines.len() == 4 && lines.iter().all(|l| l.faults.len() == 1),
        "{lines:?}"
    );
}

#[test]
fn what_makes_no_register() {
    let check = |change: fn(&mut Value), part: &str| {
        let mut changed = register();
        change(&mut changed);
        let fault = match serde_json::from_value::<Settings>(changed) {
            Ok(settings) => settings.check().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(fault.contains(part), "expected `{part}`, got `{fault}`");
    };
    check(|r| r["regions"] = json!([]), "names no region");
    check(
        |r| r["regions"] = json!("all"),
        "write `any` or a list of regions",
    );
    check(
        |r| r["regions"] = json!([1]),
        "write `any` or a list of regions",
    );
    check(|r| r["regions"] = json!(["any"]), "`any` is no region");
    check(|r| r["regions"] = json!(["EU"]), "`EU` is no region");
    check(
        |r| drop(r.as_object_mut().unwrap().remove("regions")),
        "regions",
    );
    check(
        |r| drop(r.as_object_mut().unwrap().remove("demands")),
        "demands",
    );
    check(
        |r| r["data_classes"]["personal"] = json!([]),
        "data_classes.personal",
    );
    check(
        |r| r["tools"]["tell"]["region"] = json!(""),
        "tools.tell.region",
    );
    check(
        |r| r["tools"]["tell"]["attestation"]["by"] = json!(" "),
        "tools.tell.attestation",
    );
    check(
        |r| r["tools"]["tell"]["attestation"]["retention"] = json!("long"),
        "`long` is not how long",
    );
    check(
        |r| r["tools"]["tell"]["attestation"]["until"] = json!("2026-01-01T00:00:00Z"),
        "ends before it begins",
    );
    check(
        |r| r["destinations"]["https://x"] = endpoint("eu-1"),
        "is not a host",
    );
    check(
        |r| r["destinations"]["*"] = endpoint("eu-1"),
        "is not a host",
    );
    check(|r| r["more"] = json!(1), "unknown field");
}
