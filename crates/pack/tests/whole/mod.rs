//! A small pack that is whole, for tests that break or extend it.

use pack::Files;

const WHOLE: &[(&str, &str)] = &[
    (
        "pack.yaml",
        "name: small\nversion: 1.0.0\ntitle: Small\ndescription: A pack for tests.\nrequires_writ: 0.1.0\n",
    ),
    (
        "schemas/host.yaml",
        "entity: host\nversion: 1\ncritical: [up]\nfields:\n  up: { type: boolean }\n  load: { type: number }\n  console: { type: string }\n",
    ),
    (
        "sources/probe.yaml",
        "name: probe\nevidence: telemetry\ntrust: verified\nauthentication:\n  bearer: { secret: env:PROBE_TOKEN }\nmapping:\n  json:\n    items: /items\n    id: { pointer: /id }\n    type:\n      from: { constant: DOWN }\n    subject:\n      kind: host\n      id: { pointer: /host }\n    observed_at: { pointer: /at }\n    status: { cel: \"item.up ? 'resolved' : 'firing'\" }\n    attributes:\n      console: { pointer: /console }\nfacts:\n  - field: up\n    firing: { constant: false }\n    resolved: { constant: true }\n  - field: console\n    firing: { attribute: console }\n",
    ),
    (
        "signals.yaml",
        "signal_types:\n  - name: DOWN\n    ttl: 1h\n    severity: critical\n    attributes:\n      type: object\n",
    ),
    (
        "rules/down.yaml",
        "id: down\ntitle: Down\nsignal_types: [DOWN]\ncondition: \"signal.severity == 'critical'\"\nwindow: { length: 10m }\nthreshold: 1\nseverity: critical\nexplanation: \"{subject} is down\"\n",
    ),
    (
        "rules/gone.yaml",
        "id: gone\ntitle: Gone\nsignal_types: [DOWN]\nwindow: { length: 1h }\nthreshold: 2\nseverity: high\nexplanation: \"{subject} is gone\"\n",
    ),
    (
        "correlation.yaml",
        "gap: 10m\nsettle: 1s\nmin_rules: 1\nmin_signals: 1\n",
    ),
    (
        "confidence.yaml",
        "version: 1.0.0\nweights:\n  detection_strength: 0.4\n  rule_agreement: 0.2\n  source_diversity: 0.1\n  temporal_density: 0.2\n  historical_precision: 0.1\nstrengths: { info: 0.1, low: 0.2, medium: 0.4, high: 0.7, critical: 1.0 }\nrules_saturation: 1\nsources_saturation: 1\ndensity_saturation: 1\ndensity_window: 10m\nprecisions:\n  down: 0.9\nprecision_default: 0.5\n",
    ),
    (
        "policies/all.cedar",
        "@id(\"hosts\")\npermit (principal, action, resource in SubjectType::\"host\")\nwhen { context.human_approved };\n",
    ),
    (
        "validators.yaml",
        "freshness:\n  default: { soft_ttl: 1h, hard_ttl: 2h }\n  fields:\n    load: { soft_ttl: 1m, hard_ttl: 5m }\ncontradiction:\n  fields: [up]\n  null_is_contradiction: false\ncompliance:\n  tools: { allow: [noop] }\n  fields: { allow: [note] }\n  destinations: { allow: [] }\n  data_classes: { allow: [unclassified] }\nrules:\n  - name: loaded\n    require: \"!has(fields.load) || fields.load.value < 9.0 && step.cost.micros <= 1000000\"\n    verdict: WARN\n    reason: it has much to do\n    modules: [noop]\n",
    ),
    (
        "history.yaml",
        "facts:\n  - name: looks_today\n    happening: step_permitted\n    per: subject\n    within: day\n    zone: Europe/Berlin\n    measure: count\n    only: { modules: [noop] }\n",
    ),
    (
        "budgets.yaml",
        "- name: day\n  scope: tenant\n  period: day\n  unit: money\n  hard: 10 EUR\n  soft: 8 EUR\n",
    ),
    (
        "approvals.yaml",
        "expires_after: 1h\nquorum:\n  internal_mutation:\n    needed: 1\n    among: [approver]\n",
    ),
    (
        "runbooks/look.yaml",
        "id: look\ntitle: Look\nsubject_type: host\nrules: [down]\nmin_severity: high\nwhen: \"!state.up\"\ndirective:\n  type: host.look\n  role: operator\n  objective: \"look at ${subject.id}\"\n  action_class: internal_mutation\n  success_metrics: [\"it is up\"]\n  budget: 1 EUR\n  timebox: 10m\n  steps:\n    - id: look\n      module: noop\n      cost: 0.50 EUR\n      input:\n        note: \"${field.console}\"\n",
    ),
    (
        "labels.yaml",
        "subject_types:\n  host: Host\nfields:\n  host:\n    up: Up\ndirective_types:\n  host.look: Look\n",
    ),
    (
        "tests/down.yaml",
        "name: down\ntitle: a host that is down is an incident\nplay:\n  - { source: probe, fixture: fixtures/down.json, at: 2026-03-01T10:00:01Z }\nsettle_at: 2026-03-01T10:01:00Z\nexpect:\n  signals: 1\n  dead_letters: 0\n  detections: { down: 1 }\n  incidents:\n    - subject: host/a\n      status: OPEN\n      severity: critical\n      band: VERY_HIGH\n      rules: [down]\n      all_resolved: false\n      proposes: { runbook: look, type: host.look }\n  rejected: []\n",
    ),
    (
        "fixtures/down.json",
        "{\"items\":[{\"id\":\"1\",\"host\":\"a\",\"at\":\"2026-03-01T10:00:00Z\",\"up\":false,\"console\":\"tty1\"}]}\n",
    ),
];

/// Its files.
pub(crate) fn files() -> Files {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    WHOLE.iter().map(own).collect()
}
