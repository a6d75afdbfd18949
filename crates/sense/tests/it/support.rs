//! A ledger in memory, a catalogue, and payloads to play into it.

use kernel::aggregate::Fold;
use kernel::{
    Actor, Ctx, Draft, EvidenceId, Held, PrincipalKind, Reader, Refusal, Role, Span, StreamId,
    TenantId, Timestamp, TraceId, Unit,
};
use sense::catalog::Catalog;
use sense::signal::EvidenceRef;
use sense::{Definitions, Intake, intake, normalise};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) struct Ledger {
    states: BTreeMap<StreamId, (u64, String)>,
    dues: BTreeMap<StreamId, Timestamp>,
    pub(crate) drafts: Vec<Draft>,
    stamps: Vec<(Timestamp, Actor)>,
    pub(crate) now: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) roles: Vec<Role>,
    commands: u128,
    evidence: BTreeMap<EvidenceId, EvidenceRef>,
}

impl Reader for Ledger {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        Ok(self
            .states
            .get(stream)
            .map(|(version, body)| Held::Json(*version, body.clone())))
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            states: BTreeMap::new(),
            dues: BTreeMap::new(),
            drafts: Vec::new(),
            stamps: Vec::new(),
            now: at("2026-03-01T10:00:30Z"),
            actor: Actor::system("test"),
            roles: Vec::new(),
            commands: 0,
            evidence: BTreeMap::new(),
        }
    }

    pub(crate) fn act_as(&mut self, kind: PrincipalKind, roles: &[Role]) {
        self.actor = Actor::new(kind, "someone");
        self.roles = roles.to_vec();
    }

    pub(crate) fn run<R>(
        &mut self,
        op: impl FnOnce(&mut Unit<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.commands += 1;
        let ctx = Ctx::new(
            TenantId(uuid_of(1)),
            self.now,
            self.actor.clone(),
            TraceId::new(7).unwrap(),
            self.commands,
        )
        .with_roles(self.roles.clone());
        let mut unit = Unit::new(self, &ctx);
        let reply = op(&mut unit)?;
        let work = unit.finish();
        for draft in work.drafts {
            self.stamps.push((self.now, self.actor.clone()));
            self.drafts.push(draft);
        }
        for changed in work.changed {
            match changed.state.due() {
                Some(due) => self.dues.insert(changed.stream.clone(), due),
                None => self.dues.remove(&changed.stream),
            };
            let body = changed.state.body().unwrap();
            self.states.insert(changed.stream, (changed.version, body));
        }
        Ok(reply)
    }

    /// Takes in a payload as the shell does: evidence named by the body.
    pub(crate) fn webhook(
        &mut self,
        catalog: &Catalog,
        source: &str,
        payload: &Value,
    ) -> Result<Intake, Refusal> {
        let digest = kernel::Digest::of_value("test.evidence", payload).unwrap();
        let id = EvidenceId(digest);
        let next = u128::try_from(self.evidence.len()).unwrap() + 1;
        let evidence = *self.evidence.entry(id).or_insert_with(|| EvidenceRef {
            id,
            entry: uuid_of(1_000_000 + next),
        });
        let parsed = normalise::read(catalog, source, payload)?;
        self.run(|unit| intake::observe(unit, catalog, source, parsed, evidence))
    }

    /// Calls the tick of every candidate that is due.
    pub(crate) fn tick(&mut self, catalog: &Catalog) {
        let now = self.now;
        let due: Vec<StreamId> = self
            .dues
            .iter()
            .filter(|(stream, due)| stream.kind() == "candidate" && **due <= now)
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in due {
            let id = stream.id().parse().unwrap();
            self.run(|unit| sense::candidate::settle(unit, catalog, id))
                .unwrap();
        }
    }

    pub(crate) fn later(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// The bodies of all states of a kind, by id.
    pub(crate) fn all(&self, kind: &str) -> BTreeMap<String, Value> {
        self.states
            .iter()
            .filter(|(stream, _)| stream.kind() == kind)
            .map(|(stream, (_, body))| {
                (stream.id().to_owned(), serde_json::from_str(body).unwrap())
            })
            .collect()
    }

    pub(crate) fn one(&self, kind: &str) -> (String, Value) {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "one {kind}, not {all:#?}");
        all.into_iter().next().unwrap()
    }

    /// Folds every entry again from nothing and compares.
    pub(crate) fn check_replay(&self) {
        let folds = [
            Fold::of::<sense::Signal>(),
            Fold::of::<sense::dead_letter::DeadLetter>(),
            Fold::of::<sense::detection::Detection>(),
            Fold::of::<sense::bundle::Bundle>(),
            Fold::of::<sense::candidate::Candidate>(),
            Fold::of::<sense::watch::Watch>(),
            Fold::of::<sense::incident::Incident>(),
            Fold::of::<sense::investigation::Investigation>(),
        ];
        let mut states: BTreeMap<StreamId, _> = BTreeMap::new();
        for (draft, (at, actor)) in self.drafts.iter().zip(&self.stamps) {
            let fold = folds
                .iter()
                .find(|f| f.kind == draft.stream.kind())
                .unwrap();
            let stamp = kernel::Stamp {
                at: *at,
                actor: actor.clone(),
                entry: draft.id,
                version: draft.version,
            };
            let payload = serde_json::from_str(&draft.payload).unwrap();
            let before = states.remove(&draft.stream);
            let after = (fold.step)(before, draft.kind, &payload, &stamp).unwrap();
            states.insert(draft.stream.clone(), after);
        }
        assert_eq!(states.len(), self.states.len());
        for (stream, state) in states {
            assert_eq!(state.body().unwrap(), self.states[&stream].1, "{stream}");
        }
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.drafts.iter().map(|d| d.kind).collect()
    }
}

pub(crate) fn uuid_of<T: From<uuid::Uuid>>(number: u128) -> T {
    T::from(uuid::Uuid::from_u128(number))
}

pub(crate) fn definitions() -> Value {
    json!({
        "sources": [
            {
                "name": "alertmanager",
                "evidence": "alert",
                "trust": "verified",
                "authentication": { "bearer": { "secret": "env:ALERTMANAGER_TOKEN" } },
                "mapping": { "alertmanager_v4": {
                    "subject": { "kind": "service", "labels": ["service", "job"] },
                    "type": {
                        "label": "alertname",
                        "map": {
                            "HighErrorRate": "ERROR_RATE_HIGH",
                            "HighLatency": "LATENCY_HIGH",
                            "PodCrashLooping": "CRASH_LOOP"
                        }
                    },
                    "severity": {
                        "label": "severity",
                        "map": { "critical": "critical", "page": "critical", "warning": "medium", "info": "info" }
                    },
                    "attributes": {
                        "instance": { "from": "labels.instance" },
                        "ratio": { "from": "annotations.value", "as": "number" },
                        "summary": { "from": "annotations.summary" }
                    }
                }},
                "facts": [
                    { "field": "errors", "signal_types": ["ERROR_RATE_HIGH"],
                      "firing": { "constant": "elevated" }, "resolved": { "constant": "normal" } },
                    { "field": "error_ratio", "signal_types": ["ERROR_RATE_HIGH"],
                      "firing": { "attribute": "ratio" } }
                ]
            },
            {
                "name": "probe",
                "evidence": "telemetry",
                "trust": "reported",
                "authentication": { "hmac": { "secret": "env:PROBE_KEY", "header": "x-signature", "prefix": "sha256=" } },
                "mapping": { "json": {
                    "items": "/results",
                    "id": { "pointer": "/check" },
                    "type": { "from": { "pointer": "/kind" }, "map": { "latency": "LATENCY_HIGH" } },
                    "subject": { "kind": "service", "id": { "cel": "item.target.name" } },
                    "severity": { "pointer": "/level" },
                    "severities": { "bad": "high" },
                    "observed_at": { "pointer": "/ts" },
                    "time": "unix_seconds",
                    "status": { "cel": "item.ok == false" },
                    "attributes": { "ratio": { "pointer": "/score" } }
                }}
            }
        ],
        "signal_types": [
            { "name": "ERROR_RATE_HIGH", "attributes": schema(), "ttl": "1h" },
            { "name": "LATENCY_HIGH", "attributes": schema(), "ttl": "1h", "severity": "medium" },
            { "name": "CRASH_LOOP", "attributes": schema(), "ttl": "1h" }
        ],
        "rules": [
            {
                "id": "error-rate", "title": "Error rate above 5 %",
                "signal_types": ["ERROR_RATE_HIGH"],
                "condition": "!has(signal.attributes.ratio) || signal.attributes.ratio > 0.05",
                "window": { "length": "10m" },
                "threshold": 1, "severity": "high",
                "explanation": "{signals} alerts say that {subject} fails more than allowed"
            },
            {
                "id": "many-instances", "title": "Several instances fail",
                "signal_types": ["ERROR_RATE_HIGH", "CRASH_LOOP"],
                "window": { "length": "10m", "slide": "5m" },
                "aggregate": { "distinct": "instance" },
                "threshold": 2, "severity": "critical",
                "explanation": "{value} instances of {subject} fail within {window}"
            },
            {
                "id": "slow", "title": "Slow answers",
                "signal_types": ["LATENCY_HIGH"],
                "window": { "length": "10m" },
                "threshold": 1, "severity": "medium",
                "explanation": "{subject} is slow"
            }
        ],
        "correlation": { "gap": "15m", "settle": "30s", "min_rules": 2, "min_signals": 2, "max_signals": 64 }
    })
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "instance": { "type": "string" },
            "ratio": { "type": "number", "minimum": 0 },
            "summary": { "type": "string", "maxLength": 200 }
        },
        "additionalProperties": false
    })
}

pub(crate) fn typed(definitions: &Value) -> Definitions {
    serde_json::from_value(definitions.clone()).unwrap()
}

pub(crate) fn catalog() -> Catalog {
    Catalog::compile(&typed(&definitions())).unwrap()
}

pub(crate) fn catalog_with(change: impl FnOnce(&mut Value)) -> Catalog {
    let mut value = definitions();
    change(&mut value);
    Catalog::compile(&typed(&value)).unwrap()
}

/// An alert as Alertmanager writes it.
pub(crate) fn alert(
    name: &str,
    service: &str,
    instance: &str,
    starts: &str,
    severity: &str,
) -> Value {
    json!({
        "status": "firing",
        "labels": {
            "alertname": name, "service": service, "instance": instance, "severity": severity,
            "job": "node", "prometheus": "monitoring/k8s"
        },
        "annotations": { "summary": format!("{name} on {instance}"), "value": "0.12" },
        "startsAt": starts,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1",
        "fingerprint": format!("{:016x}", u64::from_be_bytes(
            kernel::Digest::of(format!("{name}/{service}/{instance}/{severity}").as_bytes()).0[..8]
                .try_into().unwrap()
        ))
    })
}

pub(crate) fn resolved(mut alert: Value, ends: &str) -> Value {
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!(ends);
    alert
}

pub(crate) fn payload(alerts: &[Value]) -> Value {
    let firing = alerts.iter().any(|a| a["status"] == "firing");
    json!({
        "receiver": "writ",
        "status": if firing { "firing" } else { "resolved" },
        "alerts": alerts,
        "groupLabels": { "service": "checkout" },
        "commonLabels": { "service": "checkout" },
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": "{}/{severity=~\"critical|warning\"}:{service=\"checkout\"}",
        "truncatedAlerts": 0
    })
}

/// Two alerts of two instances: enough for an incident.
pub(crate) fn pair() -> [Value; 2] {
    [
        alert(
            "HighErrorRate",
            "checkout",
            "a",
            "2026-03-01T10:00:00Z",
            "critical",
        ),
        alert(
            "HighErrorRate",
            "checkout",
            "b",
            "2026-03-01T10:01:00Z",
            "warning",
        ),
    ]
}

/// The incident of [`pair`], just opened.
pub(crate) fn opened() -> (Ledger, Catalog, kernel::IncidentId) {
    let (mut ledger, catalog) = (Ledger::new(), catalog());
    ledger
        .webhook(&catalog, "alertmanager", &payload(&pair()))
        .unwrap();
    ledger.later(Span::from_secs(30));
    ledger.tick(&catalog);
    let (id, _) = ledger.one("incident");
    (ledger, catalog, id.parse().unwrap())
}
