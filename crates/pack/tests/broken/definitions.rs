//! Faults of what a pack senses: its manifest, schemas, sources, signals, rules
//! and how they are assessed.

use super::one_change_one_fault;

#[test]
fn the_manifest() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn schemas() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn sources() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn signal_types() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn rules() {
    one_change_one_fault(&[
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
    ]);
}

#[test]
fn correlation_and_confidence() {
    one_change_one_fault(&[
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
    ]);
}
