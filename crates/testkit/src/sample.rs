//! A small pack about machines that get too hot or too slow: one schema, one
//! source, two rules, one runbook of two steps. As small as a complete pack
//! can be.

use pack::Files;

/// The name of its source.
pub const SOURCE: &str = "alertmanager";
/// The host that its runbook reaches.
pub const HOST: &str = "plant.example";

/// The pack, with what tests vary.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How long a candidate waits for more signals.
    pub settle: String,
    /// Hard cap of the tenant, per day.
    pub tenant_hard: String,
    /// Hard cap of each machine, per day.
    pub machine_hard: String,
    /// How long an approval waits.
    pub approval_expires: String,
    /// The timebox of the runbook's directive.
    pub timebox: String,
    /// More of `approvals.yaml`: the types on the ladder of autonomy.
    pub autonomous: String,
    /// More Cedar policies.
    pub policies: String,
    /// Validators of the pack's own, as the list under `rules`.
    pub validators: String,
    /// Where data may be.
    pub residency: String,
    /// Classes of data, as the section of compliance.
    pub data_classes: String,
    /// What policy may ask about before now: the text of `history.yaml`, empty
    /// for none.
    pub history: String,
    /// Whether the far side of the second step honours the idempotency key:
    /// `honoured` or `ignored`.
    pub note_idempotency: String,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            settle: "1s".into(),
            tenant_hard: "1000 EUR".into(),
            machine_hard: "100 EUR".into(),
            approval_expires: "1h".into(),
            timebox: "2h".into(),
            autonomous: String::new(),
            policies: String::new(),
            validators: String::new(),
            residency: RESIDENCY.into(),
            data_classes: "    allow: [unclassified]\n".into(),
            history: String::new(),
            note_idempotency: "honoured".into(),
        }
    }
}

const MANIFEST: &str = "\
name: sample
version: 1.0.0
title: Machines
description: Machines that get too hot or too slow.
requires_writ: 0.1.0
";

const SIGNALS: &str = "\
signal_types:
  - name: TOO_HOT
    title: Too hot
    ttl: 1h
    attributes:
      type: object
      additionalProperties: false
      properties:
        value: { type: number }
        summary: { type: string, maxLength: 256 }
  - name: TOO_SLOW
    title: Too slow
    ttl: 1h
    attributes:
      type: object
      additionalProperties: false
      properties:
        value: { type: number }
        summary: { type: string, maxLength: 256 }
  - name: OTHER
    title: Something else
    ttl: 1h
    attributes:
      type: object
      additionalProperties: false
      properties:
        value: { type: number }
        summary: { type: string, maxLength: 256 }
";

const SCHEMA: &str = "\
entity: machine
version: 1
title: Machine
critical: [health]
fields:
  health:
    enum: [good, bad]
  heat:
    type: number
";

const SOURCE_TEXT: &str = "\
name: alertmanager
title: Alertmanager
evidence: alert
trust: reported
authentication:
  bearer:
    secret: file:alertmanager
mapping:
  alertmanager_v4:
    subject:
      kind: machine
      labels: [machine]
    type:
      label: alertname
      map: { TooHot: TOO_HOT, TooSlow: TOO_SLOW }
      default: OTHER
    severity:
      label: severity
      map: { critical: critical, warning: medium }
      default: medium
    attributes:
      value: { from: annotations.value, as: number }
      summary: { from: annotations.summary }
facts:
  - field: health
    signal_types: [TOO_HOT, TOO_SLOW]
    firing: { constant: bad }
    resolved: { constant: good }
  - { field: heat, signal_types: [TOO_HOT], firing: { attribute: value } }
";

const VALIDATORS: &str = "\
freshness:
  default: { soft_ttl: 1d, hard_ttl: 7d }
contradiction:
  fields: [health]
  null_is_contradiction: false
compliance:
  tools:
    allow: [http.request, noop, echo]
  fields:
    allow: [\"*\"]
  destinations:
    allow: [plant.example]
  data_classes:
";

const RESIDENCY: &str = "\
regions: [eu]
demands: { retention_max: 30d, training_allowed: false, logging_max: metadata }
destinations:
  plant.example:
    region: eu
    attestation:
      { retention: none, training: false, logging: metadata, by: plant, at: 2026-01-01T00:00:00Z }
providers:
  acme:
    region: eu
    attestation:
      { retention: 30d, training: false, logging: none, by: acme, at: 2026-01-01T00:00:00Z }
stores:
  ledger:
    local:
      region: eu
      attestation:
        { retention: unbounded, training: false, logging: none, by: operations, at: 2026-01-01T00:00:00Z }
  keyring:
    local:
      region: eu
      attestation:
        { retention: unbounded, training: false, logging: none, by: operations, at: 2026-01-01T00:00:00Z }
";

const POLICY: &str = "\
@id(\"plans\")
permit (principal, action == Action::\"plan_approval\", resource in SubjectType::\"machine\");
@id(\"approved-steps\")
permit (
  principal,
  action in [Action::\"step_execution\", Action::\"external_write\", Action::\"expensive_operation\"],
  resource in SubjectType::\"machine\"
)
when { context.human_approved };
";

fn rule(id: &str, signal: &str) -> String {
    format!(
        "id: {id}\n\
         title: {id}\n\
         signal_types: [{signal}]\n\
         condition: \"signal.severity in ['high', 'critical']\"\n\
         window: {{ length: 10m }}\n\
         aggregate: count\n\
         threshold: 1\n\
         severity: critical\n\
         explanation: \"{{subject}}: {{value}} alerts within {{window}}, threshold {{threshold}}\"\n"
    )
}

impl Sample {
    fn runbook(&self) -> String {
        format!(
            "\
id: cool-down
title: Cool it down
subject_type: machine
rules: [too-hot, too-slow]
min_severity: high
directive:
  type: machine.cool_down
  role: operator
  objective: \"Cool ${{subject.id}} down\"
  action_class: internal_mutation
  constraints:
    incident: \"${{incident.id}}\"
  success_metrics: [\"the alerts of ${{incident.id}} end\"]
  budget: 2 EUR
  timebox: {timebox}
  steps:
    - id: cool
      module: http.request
      cost: 1 EUR
      input:
        method: PUT
        url: \"http://plant.example/machines/${{subject.id}}/mode\"
        json: {{ mode: cool, incident: \"${{incident.id}}\" }}
        compensate:
          method: PUT
          url: \"http://plant.example/machines/${{subject.id}}/mode\"
          json: {{ mode: normal, incident: \"${{incident.id}}\" }}
    - id: note
      module: http.request
      cost: 0.10 EUR
      input:
        method: POST
        url: \"http://plant.example/notes\"
        idempotency: {idempotency}
        json: {{ machine: \"${{subject.id}}\", incident: \"${{incident.id}}\" }}
",
            timebox = self.timebox,
            idempotency = self.note_idempotency,
        )
    }

    fn budgets(&self) -> String {
        format!(
            "- {{ name: tenant-day, scope: tenant, period: day, unit: money, hard: {} }}\n\
             - {{ name: machine-day, scope: subject, period: day, unit: money, hard: {} }}\n\
             - {{ name: calls-day, scope: tenant, period: day, unit: calls.CHEAP, hard: 1000000 calls }}\n",
            self.tenant_hard, self.machine_hard
        )
    }

    /// The files of the pack.
    #[must_use]
    pub fn files(&self) -> Files {
        let correlation = format!(
            "gap: 10m\nsettle: {}\nmin_rules: 2\nmin_signals: 2\nmax_signals: 256\n",
            self.settle
        );
        let approvals = format!(
            "expires_after: {}\n{}",
            self.approval_expires, self.autonomous
        );
        let policy = format!("{POLICY}{}", self.policies);
        let mut validators = format!("{VALIDATORS}{}", self.data_classes);
        if !self.validators.is_empty() {
            validators.push_str("rules:\n");
            validators.push_str(&self.validators);
        }
        let files = [
            ("pack.yaml", MANIFEST.to_owned()),
            ("signals.yaml", SIGNALS.to_owned()),
            ("correlation.yaml", correlation),
            ("validators.yaml", validators),
            ("budgets.yaml", self.budgets()),
            ("approvals.yaml", approvals),
            ("residency.yaml", self.residency.clone()),
            ("schemas/machine.yaml", SCHEMA.to_owned()),
            ("sources/alertmanager.yaml", SOURCE_TEXT.to_owned()),
            ("rules/too-hot.yaml", rule("too-hot", "TOO_HOT")),
            ("rules/too-slow.yaml", rule("too-slow", "TOO_SLOW")),
            ("policies/allow.cedar", policy),
            ("runbooks/cool-down.yaml", self.runbook()),
        ];
        let history = ("history.yaml", self.history.clone());
        files
            .into_iter()
            .chain((!self.history.is_empty()).then_some(history))
            .map(|(path, text)| (path.to_owned(), text.into_bytes()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_complete_pack() {
        let faults = pack::load(&Sample::default().files()).err();
        let lines: Vec<_> = faults
            .into_iter()
            .flatten()
            .map(|f| f.to_string())
            .collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
}
