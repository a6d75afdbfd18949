//! A broken pack is refused with file and line: one small pack that is whole,
//! and one change for each kind of fault.

use pack::{Fault, Files, load};

mod whole;

use whole::files as whole;

/// Puts `with` in place of `what` in one file.
fn change(files: &mut Files, file: &str, what: &str, with: &str) {
    let text = String::from_utf8(files[file].clone()).unwrap();
    assert_eq!(text.matches(what).count(), 1, "{file}: {what}");
    files.insert(file.to_owned(), text.replace(what, with).into_bytes());
}

/// The faults, which must be exactly one, at this line, with these words.
fn verdict(files: &Files, file: &str, line: u64, says: &str) -> Result<(), String> {
    let faults = load(files)
        .err()
        .ok_or(format!("{file}: nothing was found"))?;
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let all = lines.join("\n");
    match faults.as_slice() {
        [one] if (one.file.as_str(), one.line) == (file, line) && all.contains(says) => Ok(()),
        _ => Err(format!(
            "expected {file}:{line} with `{says}`, found\n{all}"
        )),
    }
}

fn check(files: &Files, file: &str, line: u64, says: &str) {
    verdict(files, file, line, says).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn the_whole_pack_loads_and_passes_its_test() {
    let pack = load(&whole()).unwrap();
    let tested = pack::testing::run(&pack);
    assert_eq!(tested.len(), 1);
    assert_eq!(tested[0].faults, Vec::<String>::new());
}

#[test]
fn the_manifest_says_which_book_of_budgets_holds() {
    let mut files = whole();
    let book = String::from_utf8(files["budgets.yaml"].clone()).unwrap();
    files.insert("budgets/later.yaml".to_owned(), book.clone().into_bytes());
    let hard = |files: &Files| {
        load(files).unwrap().rules.budgets.budgets[0]
            .hard
            .to_string()
    };
    change(
        &mut files,
        "budgets/later.yaml",
        "hard: 10 EUR",
        "hard: 20 EUR",
    );
    assert_eq!(hard(&files), "10.00 EUR");
    change(&mut files, "pack.yaml", "title:", "budgets: later\ntitle:");
    assert_eq!(hard(&files), "20.00 EUR");

    change(&mut files, "pack.yaml", "budgets: later", "budgets: last");
    check(&files, "pack.yaml", 3, "there are: budgets/later.yaml");
    change(&mut files, "pack.yaml", "budgets: last", "budgets: later");
    change(
        &mut files,
        "budgets/later.yaml",
        "period: day",
        "period: month",
    );
    check(
        &files,
        "budgets/later.yaml",
        1,
        "what was used is forgotten",
    );
}

#[test]
fn one_change_one_fault_at_its_line() {
    let mut failed = Vec::new();
    for (file, what, with, line, says) in [
        // The manifest.
        ("pack.yaml", "name: small", "name: Small!", 1, "is no name"),
        (
            "pack.yaml",
            "version: 1.0.0",
            "version: 1.0",
            2,
            "is not a version",
        ),
        (
            "pack.yaml",
            "requires_writ: 0.1.0",
            "requires_writ: 99.0.0",
            5,
            "needs writ `99.0.0`",
        ),
        (
            "pack.yaml",
            "title:",
            "tittle:",
            3,
            "unknown field `tittle`",
        ),
        (
            "pack.yaml",
            "title: Small\n",
            "title: Small\ntitle: Again\n",
            4,
            "duplicate",
        ),
        // Schemas.
        (
            "schemas/host.yaml",
            "critical: [up]",
            "critical: [up, upp]",
            3,
            "critical field `upp`",
        ),
        (
            "schemas/host.yaml",
            "load: { type: number }",
            "load: { type: nummer }",
            6,
            "no JSON Schema",
        ),
        // Sources.
        (
            "sources/probe.yaml",
            "secret: env:PROBE_TOKEN",
            "secret: hunter2",
            5,
            "not a reference",
        ),
        (
            "sources/probe.yaml",
            "kind: host",
            "kind: hots",
            13,
            "no schema of the subject type `hots`",
        ),
        (
            "sources/probe.yaml",
            "item.up ?",
            "itm.up ?",
            16,
            "unknown variable `itm`",
        ),
        (
            "sources/probe.yaml",
            "pointer: /at",
            "pointer: at",
            15,
            "no JSON Pointer",
        ),
        (
            "sources/probe.yaml",
            "- field: up",
            "- field: down",
            20,
            "unknown field `down`",
        ),
        (
            "sources/probe.yaml",
            "constant: false",
            "constant: never",
            21,
            "field `up`",
        ),
        (
            "sources/probe.yaml",
            "attribute: console",
            "attribute: konsole",
            24,
            "unknown attribute `konsole`",
        ),
        // Signal types.
        (
            "signals.yaml",
            "ttl: 1h",
            "ttl: 1 hour",
            3,
            "not a length of time",
        ),
        (
            "signals.yaml",
            "type: object",
            "type: thing",
            6,
            "no JSON Schema",
        ),
        // Rules.
        (
            "rules/down.yaml",
            "signal_types: [DOWN]",
            "signal_types: [DOWM]",
            3,
            "unknown signal type `DOWM`",
        ),
        (
            "rules/down.yaml",
            "== 'critical'",
            "== 'critical",
            4,
            "no CEL",
        ),
        (
            "rules/down.yaml",
            "signal.severity ==",
            "sginal.severity ==",
            4,
            "unknown variable `sginal`",
        ),
        (
            "rules/down.yaml",
            "severity: critical",
            "severity: fatal",
            7,
            "fatal",
        ),
        (
            "rules/down.yaml",
            "{subject}",
            "{subjekt}",
            8,
            "unknown placeholder `{subjekt}`",
        ),
        (
            "rules/down.yaml",
            "length: 10m",
            "length: 0s",
            5,
            "the window is empty",
        ),
        ("rules/gone.yaml", "id: gone", "id: down", 1, "twice"),
        // Assessment.
        (
            "correlation.yaml",
            "min_rules: 1",
            "min_rules: 0",
            3,
            "no incident without a rule",
        ),
        (
            "confidence.yaml",
            "historical_precision: 0.1",
            "historical_precision: 0.2",
            2,
            "1",
        ),
        (
            "confidence.yaml",
            "down: 0.9",
            "dwon: 0.9",
            14,
            "unknown rule `dwon`",
        ),
        (
            "confidence.yaml",
            "precision_default: 0.5",
            "precision_default: 1.5",
            15,
            "between 0 and 1",
        ),
        // The gate.
        (
            "policies/all.cedar",
            "SubjectType::\"host\")",
            "SubjectType::\"host\"",
            3,
            "",
        ),
        (
            "policies/all.cedar",
            "context.human_approved",
            "context.human_aproved",
            3,
            "human_aproved",
        ),
        ("policies/all.cedar", "@id(\"hosts\")\n", "", 1, "@id"),
        (
            "validators.yaml",
            "soft_ttl: 1m",
            "soft_ttl: 1d",
            4,
            "do not fit",
        ),
        (
            "validators.yaml",
            "    load: {",
            "    laod: {",
            4,
            "unknown field `laod`",
        ),
        (
            "validators.yaml",
            "fields: [up]",
            "fields: [upp]",
            6,
            "unknown field `upp`",
        ),
        (
            "validators.yaml",
            "fields: [up]",
            "fields: []",
            6,
            "names no field",
        ),
        (
            "validators.yaml",
            "fields.load.value <",
            "fields.laod.value <",
            15,
            "unknown field `laod`",
        ),
        (
            "validators.yaml",
            "fields.load.value <",
            "fields.load.vlaue <",
            15,
            "`fields` has no `vlaue`",
        ),
        (
            "validators.yaml",
            "step.cost",
            "setp.cost",
            15,
            "unknown variable `setp`",
        ),
        (
            "validators.yaml",
            "step.cost",
            "step.price",
            15,
            "`step` has no `price`",
        ),
        ("validators.yaml", "9.0 &&", "9.0 & &", 15, "no CEL"),
        (
            "validators.yaml",
            "name: loaded",
            "name: freshness",
            14,
            "of a check of its own",
        ),
        (
            "validators.yaml",
            "verdict: WARN",
            "verdict: ALLOW",
            16,
            "checks nothing",
        ),
        (
            "validators.yaml",
            "modules: [noop]",
            "modules: [nop]",
            18,
            "the module `nop` is not allowed",
        ),
        (
            "policies/all.cedar",
            "context.human_approved",
            "context.history.looks_todya < 3",
            3,
            "looks_todya",
        ),
        (
            "history.yaml",
            "happening: step_permitted",
            "happening: step_taken",
            3,
            "step_taken",
        ),
        ("history.yaml", "within: day", "within: week", 5, "week"),
        (
            "history.yaml",
            "name: looks_today",
            "name: looks-today",
            2,
            "is no name",
        ),
        (
            "history.yaml",
            "zone: Europe/Berlin",
            "zone: Europe/Berlim",
            6,
            "is no time zone",
        ),
        (
            "history.yaml",
            "modules: [noop]",
            "data_classes: [customer]",
            8,
            "no field holds data of class `customer`",
        ),
        (
            "budgets.yaml",
            "hard: 10 EUR",
            "hard: 10 calls",
            5,
            "is not an amount of `money`",
        ),
        (
            "budgets.yaml",
            "soft: 8 EUR",
            "soft: 80 EUR",
            6,
            "more than the hard cap",
        ),
        (
            "budgets.yaml",
            "scope: tenant",
            "scope: planet",
            2,
            "planet",
        ),
        (
            "approvals.yaml",
            "expires_after: 1h",
            "expires_after: 0s",
            1,
            "longer than nothing",
        ),
        (
            "approvals.yaml",
            "needed: 1",
            "needed: 0",
            3,
            "at least one person",
        ),
        // Runbooks.
        (
            "runbooks/look.yaml",
            "rules: [down]",
            "rules: [up]",
            4,
            "unknown rule `up`",
        ),
        (
            "runbooks/look.yaml",
            "subject_type: host",
            "subject_type: hots",
            3,
            "unknown subject type `hots`",
        ),
        (
            "runbooks/look.yaml",
            "\"!state.up\"",
            "\"!stat.up\"",
            6,
            "unknown variable `stat`",
        ),
        (
            "runbooks/look.yaml",
            "module: noop",
            "module: nop",
            17,
            "module `nop` is not allowed",
        ),
        (
            "runbooks/look.yaml",
            "${field.console}",
            "${field.konsole}",
            20,
            "unknown field `konsole`",
        ),
        (
            "runbooks/look.yaml",
            "${subject.id}",
            "${subject.name}",
            10,
            "unknown placeholder",
        ),
        (
            "runbooks/look.yaml",
            "${subject.id}",
            "${subject.id",
            10,
            "not closed",
        ),
        (
            "runbooks/look.yaml",
            "budget: 1 EUR",
            "budget: 0.10 EUR",
            13,
            "the steps cost",
        ),
        (
            "runbooks/look.yaml",
            "timebox: 10m",
            "timebox: 0s",
            14,
            "longer than nothing",
        ),
        (
            "runbooks/look.yaml",
            "[\"it is up\"]",
            "[]",
            12,
            "say how success is known",
        ),
        // Labels and tests.
        (
            "labels.yaml",
            "    up: Up",
            "    upp: Up",
            5,
            "unknown field `upp`",
        ),
        (
            "labels.yaml",
            "host.look: Look",
            "host.lok: Look",
            7,
            "no runbook proposes `host.lok`",
        ),
        (
            "tests/down.yaml",
            "fixtures/down.json",
            "fixtures/dwon.json",
            4,
            "no fixture",
        ),
        (
            "tests/down.yaml",
            "source: probe",
            "source: prob",
            4,
            "unknown source `prob`",
        ),
        (
            "tests/down.yaml",
            "{ down: 1 }",
            "{ up: 1 }",
            9,
            "unknown rule `up`",
        ),
        (
            "tests/down.yaml",
            "runbook: look",
            "runbook: loook",
            17,
            "unknown runbook `loook`",
        ),
        (
            "tests/down.yaml",
            "settle_at: 2026-03-01T10:01",
            "settle_at: 2026-03-01T09:01",
            4,
            "ends before",
        ),
    ] {
        let mut files = whole();
        change(&mut files, file, what, with);
        failed.extend(verdict(&files, file, line, says).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_validator_may_not_need_what_is_personal() {
    for (require, refused) in [
        ("fields.console.value == 'x'", true),
        ("fields.console == fields.up", true),
        ("size(fields) > 0", true),
        ("has(fields.console.value) || fields.console.sealed", false),
        ("fields.console.age_seconds < 60", false),
    ] {
        let mut files = whole();
        change(
            &mut files,
            "schemas/host.yaml",
            "critical: [up]",
            "critical: [up]\npersonal: [console]",
        );
        let old = "!has(fields.load) || fields.load.value < 9.0 && step.cost.micros <= 1000000";
        change(&mut files, "validators.yaml", old, require);
        // The source is not personal, which is another fault.
        let faults = load(&files).unwrap_err();
        let found = faults.iter().any(|f| {
            f.file == "validators.yaml" && f.line == 15 && f.message.contains("stands sealed")
        });
        assert_eq!(found, refused, "{require}: {faults:#?}");
    }
}

#[test]
fn a_test_of_the_pack_states_what_its_validators_say_of_a_proposal() {
    let mut files = whole();
    let proposes = "proposes: { runbook: look, type: host.look }";
    let said = "proposes: { runbook: look, type: host.look, validators: { loaded: WARN } }";
    let outcome = |files: &Files| pack::testing::run(&load(files).unwrap()).remove(0).faults;
    assert_eq!(outcome(&files), Vec::<String>::new());
    // The load is not known, so the condition cannot be evaluated now.
    change(&mut files, "validators.yaml", "!has(fields.load) || ", "");
    assert!(
        outcome(&files)[0].contains("loaded"),
        "{:?}",
        outcome(&files)
    );
    change(
        &mut files,
        "tests/down.yaml",
        proposes,
        &said.replace("WARN", "BLOCK"),
    );
    assert_eq!(outcome(&files), Vec::<String>::new());
    change(
        &mut files,
        "validators.yaml",
        "fields.load.value < 9.0 && ",
        "",
    );
    assert!(!outcome(&files).is_empty(), "it holds now");
    change(&mut files, "validators.yaml", "<= 1000000", "< 500000");
    change(
        &mut files,
        "tests/down.yaml",
        "loaded: BLOCK",
        "loaded: WARN",
    );
    assert_eq!(outcome(&files), Vec::<String>::new());
}

#[test]
fn files_that_are_missing_unknown_or_no_text() {
    for (file, named) in [
        ("pack.yaml", "pack.yaml"),
        ("signals.yaml", "signals.yaml"),
        ("correlation.yaml", "correlation.yaml"),
        ("validators.yaml", "validators.yaml"),
        ("budgets.yaml", "budgets.yaml"),
        ("approvals.yaml", "approvals.yaml"),
    ] {
        let mut files = whole();
        files.remove(file);
        check(&files, named, 0, "is missing");
    }
    for (file, says) in [
        ("budget.yaml", "write it as `budgets.yaml`"),
        ("rule/x.yaml", "unknown file"),
        ("rules/x.yml", "end with `.yaml`"),
        ("rules/deeper/x.yaml", "in no further folder"),
        ("notes.txt", "below `fixtures/`"),
    ] {
        let mut files = whole();
        files.insert(file.to_owned(), b"x: 1\n".to_vec());
        check(&files, file, 0, says);
    }
    let mut files = whole();
    files.insert("fixtures/any/where.bin".to_owned(), vec![0xff, 0xfe]);
    assert!(load(&files).is_ok());
    files.insert("labels.yaml".to_owned(), b"fields: {}\n# \xff\n".to_vec());
    check(&files, "labels.yaml", 2, "not UTF-8");
    let mut files = whole();
    files.insert("labels.yaml".to_owned(), vec![b'#'; 256 * 1024 + 1]);
    check(&files, "labels.yaml", 0, "allowed are");
    let mut files = whole();
    files.insert("budgets.yaml".to_owned(), b"[]\n".to_vec());
    check(&files, "budgets.yaml", 1, "declares no budget");
    let mut files = whole();
    files.insert("policies/all.cedar".to_owned(), b"// nothing\n".to_vec());
    check(&files, "policies", 0, "the set is empty");
}

#[test]
fn all_faults_are_told_at_once_and_one_mistake_once() {
    let mut files = whole();
    change(
        &mut files,
        "rules/down.yaml",
        "threshold: 1",
        "threshhold: 1",
    );
    change(&mut files, "rules/gone.yaml", "[DOWN]", "[UP]");
    change(&mut files, "budgets.yaml", "scope: tenant", "scope: planet");
    change(
        &mut files,
        "runbooks/look.yaml",
        "when: \"!state.up\"",
        "when: \"!stat.up\"",
    );
    change(
        &mut files,
        "policies/all.cedar",
        "human_approved",
        "human_aproved",
    );
    let faults = load(&files).unwrap_err();
    let places: Vec<(&str, u64)> = faults.iter().map(|f| (f.file.as_str(), f.line)).collect();
    assert_eq!(
        places,
        [
            ("budgets.yaml", 2),
            ("policies/all.cedar", 3),
            ("rules/down.yaml", 6),
            ("rules/gone.yaml", 3),
            ("runbooks/look.yaml", 6),
        ],
        "{faults:#?}"
    );
}

#[test]
fn a_test_that_expects_something_else_fails() {
    for (what, with, says) in [
        ("signals: 1", "signals: 2", "signals"),
        ("dead_letters: 0", "dead_letters: 1", "dead letters"),
        ("detections: { down: 1 }", "detections: {}", "detections"),
        (
            "severity: critical",
            "severity: high",
            "incident of `host/a`",
        ),
        ("band: VERY_HIGH", "band: HIGH", "incident of `host/a`"),
        (
            "all_resolved: false",
            "all_resolved: true",
            "incident of `host/a`",
        ),
        (
            "proposes: { runbook: look, type: host.look }",
            "proposes: null",
            "incident of `host/a`",
        ),
        ("rejected: []", "rejected: [host/b]", "rejected"),
    ] {
        let mut files = whole();
        change(&mut files, "tests/down.yaml", what, with);
        let pack = load(&files).unwrap();
        let tested = pack::testing::run(&pack);
        assert!(!tested[0].passed());
        assert!(tested[0].faults[0].contains(says), "{:?}", tested[0].faults);
    }
}

#[test]
fn modules_that_do_not_exist_are_found() {
    let pack = load(&whole()).unwrap();
    let faults = pack.check_modules(&gate::Capabilities::new());
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].file.as_str(), faults[0].line),
        ("runbooks/look.yaml", 17)
    );
}

#[test]
fn the_hash_is_of_the_content() {
    let one = load(&whole()).unwrap();
    let two = load(&whole()).unwrap();
    assert_eq!(one.hash, two.hash);
    let mut files = whole();
    change(&mut files, "budgets.yaml", "hard: 10 EUR", "hard: 11 EUR");
    let three = load(&files).unwrap();
    assert_ne!(one.hash, three.hash);
    let diff = pack::diff(&one, &three);
    assert_eq!(diff.files.len(), 1);
    assert_eq!(diff.files["budgets.yaml"], pack::Change::Changed);
}

#[test]
fn registers_and_rules_of_conflicts_have_places() {
    let register = "regions: [eu]\ndata_classes:\n  unclassified: [eu]\ndemands: { retention_max: 1d, training_allowed: false, logging_max: none }\ndestinations:\n  a.example: { region: eu }\n";
    let rules = "otherwise: wait\npairs:\n  - { earlier: a, later: b, then: block }\n  - { earlier: b, later: a, then: wait }\n";
    let with = |file: &str, text: &str| {
        let mut files = whole();
        files.insert(file.to_owned(), text.as_bytes().to_vec());
        files
    };
    assert!(load(&with("residency.yaml", register)).is_ok());
    assert!(load(&with("conflicts.yaml", rules)).is_ok());
    for (file, text, what, by, line, says) in [
        (
            "residency.yaml",
            register,
            "[eu]\ndata",
            "[]\ndata",
            1,
            "names no region",
        ),
        (
            "residency.yaml",
            register,
            "unclassified:",
            "personal:",
            3,
            "unknown class of data `personal`",
        ),
        (
            "residency.yaml",
            register,
            "1d",
            "day",
            4,
            "is not how long data is kept",
        ),
        (
            "residency.yaml",
            register,
            "region: eu",
            "region: EU",
            6,
            "`EU` is no region",
        ),
        (
            "residency.yaml",
            register,
            "demands:",
            "demand:",
            4,
            "demand",
        ),
        (
            "conflicts.yaml",
            rules,
            "otherwise: wait",
            "otherwise: allow",
            1,
            "allow",
        ),
        (
            "conflicts.yaml",
            rules,
            "earlier: b, later: a",
            "earlier: a, later: b",
            4,
            "stands twice",
        ),
        (
            "conflicts.yaml",
            rules,
            "later: a",
            "later: ''",
            4,
            "names no type",
        ),
    ] {
        let files = with(file, &text.replace(what, by));
        check(&files, file, line, says);
    }
}
