//! Metrics in the text format of Prometheus. Requests are counted as they are
//! answered; what happens in the control loop is counted by reading each
//! tenant's log, so that every way in is counted alike. Labels are bounded:
//! routes, not paths; a bounded number of tenants.

mod follow;

use axum::http::StatusCode;
use kernel::Refusal;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
};
use std::time::Duration;

use follow::Followed;

/// The metrics.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    followed: Followed,
    session_cache: IntCounterVec,
}

fn broken(fault: &prometheus::Error) -> Refusal {
    Refusal::unavailable(format!("the metrics cannot be set up: {fault}"))
}

/// Registers a collector.
fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<C>,
) -> Result<C, Refusal> {
    let collector = made.map_err(|e| broken(&e))?;
    registry
        .register(Box::new(collector.clone()))
        .map_err(|e| broken(&e))?;
    Ok(collector)
}

fn counter(
    registry: &Registry,
    name: &str,
    about: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Refusal> {
    registered(registry, IntCounterVec::new(Opts::new(name, about), labels))
}

fn histogram(
    registry: &Registry,
    name: &str,
    about: &str,
    labels: &[&str],
) -> Result<HistogramVec, Refusal> {
    let buckets = vec![
        0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
        600.0, 3600.0,
    ];
    let opts = HistogramOpts::new(name, about).buckets(buckets);
    registered(registry, HistogramVec::new(opts, labels))
}

impl Metrics {
    /// Sets the metrics up.
    ///
    /// # Errors
    /// `unavailable` when two have one name, which a test rules out.
    pub fn new() -> Result<Self, Refusal> {
        let registry = Registry::new();
        Ok(Self {
            requests: counter(
                &registry,
                "http_requests_total",
                "requests answered",
                &["method", "route", "status"],
            )?,
            durations: histogram(
                &registry,
                "http_request_duration_seconds",
                "time until an answer began",
                &["route"],
            )?,
            followed: Followed::new(&registry)?,
            session_cache: counter(
                &registry,
                "session_cache_requests_total",
                "what the cache of session states answered",
                &["outcome"],
            )?,
            registry,
        })
    }

    /// Counts an answered request.
    pub fn answered(&self, method: &str, route: &str, status: StatusCode, took: Duration) {
        let method = match method {
            "GET" | "POST" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "PATCH" => method,
            _ => "other",
        };
        let labels = [method, route, status.as_str()];
        self.requests.with_label_values(&labels).inc();
        let duration = self.durations.with_label_values(&[route]);
        duration.observe(took.as_secs_f64());
    }

    /// Reads on in every tenant's log.
    ///
    /// # Errors
    /// `unavailable` when storage does not answer.
    pub async fn follow(&self, app: &crate::App) -> Result<(), Refusal> {
        let counts = app.control().session_cache();
        let outcomes = [
            ("hit", counts.hits),
            ("miss", counts.misses),
            ("poisoned", counts.poisoned),
            ("fault", counts.faults),
        ];
        for (outcome, count) in outcomes {
            let counter = self.session_cache.with_label_values(&[outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.followed.read_on(app.ledger().store()).await
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// `unavailable` when it cannot be written.
    pub fn text(&self) -> Result<String, Refusal> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|e| broken(&e))
    }
}
