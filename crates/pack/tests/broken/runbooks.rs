//! Faults of runbooks, labels and the pack's own tests.

use super::one_change_one_fault;

#[test]
fn runbooks() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn labels() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn tests() {
    one_change_one_fault(&[
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
    ]);
}
