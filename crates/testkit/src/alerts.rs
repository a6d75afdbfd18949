//! Webhooks of Alertmanager, version 4, as the sample pack reads them.

use kernel::{Digest, Timestamp};
use serde_json::{Value, json};

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// `TooHot`, `TooSlow`, or any other name.
    pub name: String,
    /// Of which machine.
    pub machine: String,
    /// `critical`, `warning`, …
    pub severity: String,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it ended; it fires while there is none.
    pub ends_at: Option<Timestamp>,
}

impl Alert {
    /// A critical alert that fires.
    #[must_use]
    pub fn firing(name: &str, machine: &str, starts_at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            machine: machine.to_owned(),
            severity: "critical".to_owned(),
            starts_at,
            ends_at: None,
        }
    }

    /// The same, ended.
    #[must_use]
    pub fn ended(&self, at: Timestamp) -> Self {
        Self {
            ends_at: Some(at),
            ..self.clone()
        }
    }

    /// The two alerts that together make an incident of the sample pack.
    #[must_use]
    pub fn pair(machine: &str, starts_at: Timestamp) -> [Self; 2] {
        ["TooHot", "TooSlow"].map(|name| Self::firing(name, machine, starts_at))
    }

    fn json(&self) -> Value {
        let labels = json!({
            "alertname": self.name,
            "machine": self.machine,
            "severity": self.severity,
            "instance": format!("{}:9100", self.machine),
        });
        let fingerprint: String = Digest::of(labels.to_string().as_bytes())
            .to_string()
            .chars()
            .take(16)
            .collect();
        let ends_at = self.ends_at.map(|at| at.to_string());
        json!({
            "status": if self.ends_at.is_some() { "resolved" } else { "firing" },
            "labels": labels,
            "annotations": { "summary": format!("{} on {}", self.name, self.machine), "value": "97.5" },
            "startsAt": self.starts_at.to_string(),
            "endsAt": ends_at.unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned()),
            "generatorURL": "http://prometheus.example.net:9090/graph",
            "fingerprint": fingerprint,
        })
    }
}

/// The body of a webhook with these alerts.
#[must_use]
pub fn webhook(alerts: &[Alert]) -> Vec<u8> {
    let firing = alerts.iter().any(|a| a.ends_at.is_none());
    let body = json!({
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": if firing { "firing" } else { "resolved" },
        "receiver": "writ",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.net:9093",
        "alerts": alerts.iter().map(Alert::json).collect::<Vec<_>>(),
    });
    body.to_string().into_bytes()
}
