//! A broken pack is refused with file and line: one small pack that is whole,
//! and one change for each kind of fault.

use pack::{Fault, Files, load};

mod definitions;
mod rules;
mod runbooks;
#[path = "../whole/mod.rs"]
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

/// A file, a text in it, what stands there instead, the line of the fault, and
/// words of it.
type Row<'a> = (&'a str, &'a str, &'a str, u64, &'a str);

fn one_change_one_fault(rows: &[Row<'_>]) {
    let mut failed = Vec::new();
    for (file, what, with, line, says) in rows {
        let mut files = whole();
        change(&mut files, file, what, with);
        failed.extend(verdict(&files, file, *line, says).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
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
