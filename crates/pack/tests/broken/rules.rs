//! Faults of the rules of the gate.

use super::{change, one_change_one_fault, verdict, whole};
use pack::load;

#[test]
fn policies() {
    one_change_one_fault(&[
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
            "policies/all.cedar",
            "context.human_approved",
            "context.history.looks_todya < 3",
            3,
            "looks_todya",
        ),
    ]);
}

#[test]
fn validators() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn history() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn budgets() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn approvals() {
    one_change_one_fault(&[
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
    ]);
}

/// A file that the whole pack lacks, and one change each.
fn each_change(file: &str, text: &str, rows: &[(&str, &str, u64, &str)]) {
    let mut files = whole();
    files.insert(file.to_owned(), text.as_bytes().to_vec());
    assert!(load(&files).is_ok());
    let mut failed = Vec::new();
    for (what, with, line, says) in rows {
        let mut files = files.clone();
        change(&mut files, file, what, with);
        failed.extend(verdict(&files, file, *line, says).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn the_register_of_residency() {
    let text = "regions: [eu]\ndata_classes:\n  unclassified: [eu]\ndemands: { retention_max: 1d, training_allowed: false, logging_max: none }\ndestinations:\n  a.example: { region: eu }\n";
    each_change(
        "residency.yaml",
        text,
        &[
            ("[eu]\ndata", "[]\ndata", 1, "names no region"),
            (
                "unclassified:",
                "personal:",
                3,
                "unknown class of data `personal`",
            ),
            ("1d", "day", 4, "is not how long data is kept"),
            ("region: eu", "region: EU", 6, "`EU` is no region"),
            ("demands:", "demand:", 4, "demand"),
        ],
    );
}

#[test]
fn rules_of_conflicts() {
    let text = "otherwise: wait\npairs:\n  - { earlier: a, later: b, then: block }\n  - { earlier: b, later: a, then: wait }\n";
    each_change(
        "conflicts.yaml",
        text,
        &[
            ("otherwise: wait", "otherwise: allow", 1, "allow"),
            (
                "earlier: b, later: a",
                "earlier: a, later: b",
                4,
                "stands twice",
            ),
            ("later: a", "later: ''", 4, "names no type"),
        ],
    );
}
