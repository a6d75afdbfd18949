//! A small pack for tests: hosts that a probe (bearer) and a gauge (HMAC)
//! watch, and a runbook that proposes a harmless step.

use serde_json::{Value, json};

const FILES: &[(&str, &str)] = &[
    (
        "pack.yaml",
        "name: small\nversion: 1.0.0\ntitle: Small\ndescription: A pack for tests.\nrequires_writ: 0.1.0\n",
    ),
    (
        "schemas/host.yaml",
        "entity: host\nversion: 1\ncritical: [up]\nfields:\n  up: { type: boolean }\n  console: { type: string }\n",
    ),
    (
        "sources/probe.yaml",
        "name: probe\nevidence: telemetry\ntrust: verified\nauthentication:\n  bearer: { secret: env:PROBE_TOKEN }\nmapping:\n  json:\n    items: /items\n    id: { pointer: /id }\n    type:\n      from: { constant: DOWN }\n    subject:\n      kind: host\n      id: { pointer: /host }\n    observed_at: { pointer: /at }\n    status: { cel: \"item.up ? 'resolved' : 'firing'\" }\nfacts:\n  - field: up\n    firing: { constant: false }\n    resolved: { constant: true }\n",
    ),
    (
        "sources/gauge.yaml",
        "name: gauge\nevidence: telemetry\ntrust: verified\nauthentication:\n  hmac: { secret: env:GAUGE_KEY, header: x-signature, prefix: \"sha256=\" }\nmapping:\n  json:\n    items: /items\n    id: { pointer: /id }\n    type:\n      from: { constant: DOWN }\n    subject:\n      kind: host\n      id: { pointer: /host }\n    observed_at: { pointer: /at }\n    status: { cel: \"item.up ? 'resolved' : 'firing'\" }\n",
    ),
    (
        "sources/hook.yaml",
        "name: hook\nevidence: telemetry\ntrust: verified\nauthentication:\n  standard_webhooks: { secret: env:HOOK_KEY }\nmapping:\n  json:\n    items: /items\n    id: { pointer: /id }\n    type:\n      from: { constant: DOWN }\n    subject:\n      kind: host\n      id: { pointer: /host }\n    observed_at: { pointer: /at }\n    status: { cel: \"item.up ? 'resolved' : 'firing'\" }\n",
    ),
    (
        "sources/mute.yaml",
        "name: mute\nevidence: telemetry\ntrust: verified\nauthentication:\n  bearer: { secret: env:NOT_SET }\nmapping:\n  json:\n    items: /items\n    id: { pointer: /id }\n    type:\n      from: { constant: DOWN }\n    subject:\n      kind: host\n      id: { pointer: /host }\n    observed_at: { pointer: /at }\n",
    ),
    (
        "signals.yaml",
        "signal_types:\n  - name: DOWN\n    ttl: 1h\n    severity: critical\n    attributes:\n      type: object\n",
    ),
    (
        "rules/down.yaml",
        "id: down\ntitle: Down\nsignal_types: [DOWN]\nwindow: { length: 10m }\nthreshold: 1\nseverity: critical\nexplanation: \"{subject} is down\"\n",
    ),
    (
        "correlation.yaml",
        "gap: 10m\nsettle: 0s\nmin_rules: 1\nmin_signals: 1\n",
    ),
    (
        "confidence.yaml",
        "version: 1.0.0\nweights:\n  detection_strength: 0.4\n  rule_agreement: 0.2\n  source_diversity: 0.1\n  temporal_density: 0.2\n  historical_precision: 0.1\nstrengths: { info: 0.1, low: 0.2, medium: 0.4, high: 0.7, critical: 1.0 }\nrules_saturation: 1\nsources_saturation: 1\ndensity_saturation: 1\ndensity_window: 10m\nprecisions:\n  down: 0.9\nprecision_default: 0.5\n",
    ),
    (
        "policies/all.cedar",
        "@id(\"hosts\")\npermit (principal, action, resource in SubjectType::\"host\");\n",
    ),
    (
        "validators.yaml",
        "freshness:\n  default: { soft_ttl: 1h, hard_ttl: 2h }\ncontradiction:\n  fields: [up]\n  null_is_contradiction: false\ncompliance:\n  tools: { allow: [noop] }\n  fields: { allow: [note] }\n  destinations: { allow: [] }\n  data_classes: { allow: [unclassified] }\n",
    ),
    (
        "budgets.yaml",
        "- name: day\n  scope: tenant\n  period: day\n  unit: money\n  hard: 10 EUR\n  soft: 8 EUR\n",
    ),
    (
        "templates/look.yaml",
        "name: look\ntitle: Look\nsubject_type: host\nparameters:\n  note: { type: string, maxLength: 16 }\n  times: { type: integer, default: 1 }\nevidence: [up]\ndirective:\n  type: host.look\n  role: operator\n  objective: \"look at ${subject.id}: ${parameter.note}\"\n  action_class: internal_mutation\n  success_metrics: [\"it is seen ${parameter.times} times\"]\n  budget: 1 EUR\n  timebox: 10m\n  steps:\n    - { id: look, module: noop, cost: 0.50 EUR, input: { note: \"${parameter.note}\" } }\n",
    ),
    (
        "residency.yaml",
        "regions: [eu]\ndemands: { retention_max: none, training_allowed: false, logging_max: none }\nproviders:\n  acme:\n    region: eu\n    attestation: { retention: none, training: false, logging: none, by: acme, at: 2026-01-01T00:00:00Z }\n",
    ),
    (
        "approvals.yaml",
        "expires_after: 1h\nquorum:\n  internal_mutation:\n    needed: 1\n    among: [approver]\n",
    ),
    (
        "runbooks/look.yaml",
        "id: look\ntitle: Look\nsubject_type: host\nrules: [down]\nmin_severity: high\nwhen: \"!state.up\"\ndirective:\n  type: host.look\n  role: operator\n  objective: \"look at ${subject.id}\"\n  action_class: internal_mutation\n  success_metrics: [\"it is up\"]\n  budget: 1 EUR\n  timebox: 10m\n  steps:\n    - id: look\n      module: noop\n      cost: 0.50 EUR\n      input:\n        note: \"${subject.id}\"\n",
    ),
];

/// The body of a request that loads it.
pub(crate) fn body() -> Value {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), json!({"text": text}));
    let files: serde_json::Map<_, _> = FILES.iter().map(file).collect();
    json!({"files": files})
}

/// Its files, with this at the end of one of them.
pub(crate) fn files_with(longer: &str, end: &str) -> pack::Files {
    let own = |(path, text): &(&str, &str)| {
        let end = if *path == longer { end } else { "" };
        ((*path).to_owned(), format!("{text}{end}").into_bytes())
    };
    FILES.iter().map(own).collect()
}
