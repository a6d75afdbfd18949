//! Counting what happened by reading the logs. Reading begins at the first
//! entry, so the counters say the same after a restart as before it.

use super::{counter, histogram};
use crate::limits;
use kernel::{Refusal, Span, TenantId, Timestamp};
use ledger::{Entry, EntryQuery, Store};
use prometheus::{HistogramVec, IntCounterVec, Registry};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// Entries read at a time.
const PAGE: usize = 1_000;
/// Things under way whose beginning is remembered, for durations.
const OPEN_MAX: usize = 100_000;
/// The label of tenants beyond [`limits::METRIC_TENANTS_MAX`].
const OTHERS: &str = "others";

/// How far each log was read, and what is under way in it.
#[derive(Default)]
struct Place {
    seqs: BTreeMap<TenantId, u64>,
    open: BTreeMap<(TenantId, String), (Timestamp, String)>,
}

/// The counters that are fed from the logs.
pub(super) struct Followed {
    place: Mutex<Place>,
    entries: IntCounterVec,
    directives: IntCounterVec,
    approvals: IntCounterVec,
    approval_waits: HistogramVec,
    plans: IntCounterVec,
    plan_durations: HistogramVec,
    evaluations: IntCounterVec,
    checks: IntCounterVec,
    executions: IntCounterVec,
    failures: IntCounterVec,
    durations: HistogramVec,
    incidents: IntCounterVec,
    kill_switch: IntCounterVec,
}

impl Followed {
    pub(super) fn new(registry: &Registry) -> Result<Self, Refusal> {
        let made = |name, about, labels: &[&str]| counter(registry, name, about, labels);
        let timed = |name, about, labels: &[&str]| histogram(registry, name, about, labels);
        Ok(Self {
            place: Mutex::default(),
            entries: made(
                "ledger_entries_total",
                "entries recorded",
                &["tenant", "category"],
            )?,
            directives: made(
                "directives_total",
                "moves of directives",
                &["tenant", "event"],
            )?,
            approvals: made(
                "approvals_total",
                "approvals asked for and decided",
                &["tenant", "event"],
            )?,
            approval_waits: timed(
                "approval_wait_seconds",
                "from asking to deciding",
                &["event"],
            )?,
            plans: made("plans_total", "runs begun and ended", &["tenant", "event"])?,
            plan_durations: timed(
                "plan_duration_seconds",
                "from a run's creation to its end",
                &["event"],
            )?,
            evaluations: made(
                "policy_evaluations_total",
                "verdicts of the gate",
                &["tenant", "choke_point", "verdict"],
            )?,
            checks: made(
                "validator_results_total",
                "results of the checks at the gate",
                &["tenant", "check", "verdict"],
            )?,
            executions: made(
                "module_executions_total",
                "attempts of steps that ended",
                &["tenant", "module", "ending"],
            )?,
            failures: made(
                "execution_failures_total",
                "attempts of steps that did not succeed",
                &["tenant", "module"],
            )?,
            durations: timed(
                "execution_duration_seconds",
                "from an attempt's start to its recorded end",
                &["module"],
            )?,
            incidents: made(
                "sense_events_total",
                "what became of signals, detections, candidates and incidents",
                &["tenant", "event"],
            )?,
            kill_switch: made(
                "kill_switch_total",
                "moves of the kill switch",
                &["tenant", "event"],
            )?,
        })
    }

    /// Reads on in every log, to its end.
    pub(super) async fn read_on(&self, store: &dyn Store) -> Result<(), Refusal> {
        let mut place = self.place.lock().await;
        for (at, tenant) in store.tenants().await?.into_iter().enumerate() {
            let label = match at < limits::METRIC_TENANTS_MAX {
                true => tenant.to_string(),
                false => OTHERS.to_owned(),
            };
            loop {
                let seq = place.seqs.get(&tenant).copied().unwrap_or(0);
                let query = EntryQuery {
                    beyond_seq: Some(seq),
                    limit: PAGE,
                    ..EntryQuery::default()
                };
                let page = store.entries(tenant, &query).await?;
                for entry in &page {
                    self.count(&mut place, (tenant, &label), entry);
                    place.seqs.insert(tenant, entry.seq);
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(())
    }

    fn count(&self, place: &mut Place, (id, tenant): (TenantId, &str), entry: &Entry) {
        let category = kernel::names::Name::name(entry.category);
        self.entries.with_label_values(&[tenant, category]).inc();
        let (kind, event) = entry.kind.split_once('.').unwrap_or((&entry.kind, ""));
        let key = (id, entry.stream.to_string());
        match kind {
            "directive" => self.directives.with_label_values(&[tenant, event]).inc(),
            "kill_switch" => self.kill_switch.with_label_values(&[tenant, event]).inc(),
            "signal" | "detection" | "candidate" | "incident" | "dead_letter" => {
                self.incidents
                    .with_label_values(&[tenant, &entry.kind])
                    .inc();
            }
            "gate" if event == "verdict_given" => self.verdict(tenant, entry),
            "approval" => {
                self.approvals.with_label_values(&[tenant, event]).inc();
                let waits = &self.approval_waits;
                match event {
                    "requested" => place.begin(key, entry.at, String::new()),
                    "endorsed" | "used" => {}
                    _ => place.end(&key, |from, _| observe(waits, event, from, entry.at)),
                }
            }
            "run" => self.run(place, (id, tenant), event, entry),
            _ => {}
        }
    }

    fn verdict(&self, tenant: &str, entry: &Entry) {
        let payload: Value = serde_json::from_str(&entry.payload).unwrap_or_default();
        let text = |value: &Value, pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or("unknown").to_owned()
        };
        let point = text(&payload, "/question/choke_point");
        let verdict = text(&payload, "/verdict");
        let labels = [tenant, &point, &verdict];
        self.evaluations.with_label_values(&labels).inc();
        for result in payload
            .get("results")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let (check, verdict) = (text(result, "/check"), text(result, "/verdict"));
            let labels = [tenant, &check, &verdict];
            self.checks.with_label_values(&labels).inc();
        }
    }

    fn run(&self, place: &mut Place, (id, tenant): (TenantId, &str), event: &str, entry: &Entry) {
        let run = (id, entry.stream.to_string());
        let step = (id, format!("{}#step", entry.stream));
        let Some(ended) = event.strip_prefix("step_") else {
            self.plans.with_label_values(&[tenant, event]).inc();
            match event {
                "created" => place.begin(run, entry.at, String::new()),
                "completed" | "failed" | "canceled" => {
                    place.end(&run, |from, _| {
                        observe(&self.plan_durations, event, from, entry.at);
                    });
                }
                _ => {}
            }
            return;
        };
        match ended {
            "started" => {
                let payload: Value = serde_json::from_str(&entry.payload).unwrap_or_default();
                let module = payload
                    .get("module")
                    .and_then(Value::as_str)
                    .unwrap_or("unknown")
                    .to_owned();
                place.begin(step, entry.at, module);
            }
            "succeeded" | "failed" | "retry_scheduled" | "unknown" => {
                place.end(&step, |from, module| {
                    let labels = [tenant, module, ended];
                    self.executions.with_label_values(&labels).inc();
                    if ended != "succeeded" {
                        self.failures.with_label_values(&[tenant, module]).inc();
                    }
                    observe(&self.durations, module, from, entry.at);
                });
            }
            _ => {}
        }
    }
}

impl Place {
    fn begin(&mut self, key: (TenantId, String), at: Timestamp, what: String) {
        if self.open.len() < OPEN_MAX {
            self.open.insert(key, (at, what));
        }
    }

    fn end(&mut self, key: &(TenantId, String), seen: impl FnOnce(Timestamp, &str)) {
        if let Some((from, what)) = self.open.remove(key) {
            seen(from, &what);
        }
    }
}

fn observe(durations: &HistogramVec, label: &str, from: Timestamp, until: Timestamp) {
    let took: Span = until.since(from);
    let duration = durations.with_label_values(&[label]);
    duration.observe(took.to_std().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;

    #[test]
    fn no_two_metrics_have_one_name() {
        assert!(Metrics::new().is_ok());
    }
}
