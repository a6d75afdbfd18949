//! A small real service that can be broken and mended over HTTP, for trying
//! writ out and for scenarios. It honours `Idempotency-Key`: one effect per
//! key, and it keeps its own record of what it was asked to do, so that
//! another party than writ can say what happened.
//!
//! | request                             | effect                            |
//! |-------------------------------------|-----------------------------------|
//! | `GET /services/{name}`              | its health and its record         |
//! | `POST /services/{name}/break`       | breaks it                         |
//! | `GET /services/{name}/mitigation`   | the mitigation in force           |
//! | `PUT /services/{name}/mitigation`   | `{"state": …}`; mends it unless   |
//! |                                     | the state is `normal`             |

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Services that are kept at most; each is small.
const SERVICES_MAX: usize = 1_000;
/// Requests that the record of one service keeps at most.
const RECORD_MAX: usize = 1_000;

/// One request that changed something, or was seen before.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// What was asked.
    pub what: &'static str,
    /// The `Idempotency-Key`, where one was sent.
    pub key: Option<String>,
    /// Whether it took effect; a key that was seen before takes none.
    pub effect: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Service {
    healthy: bool,
    mitigation: Value,
    asked: Vec<Asked>,
}

/// The state of a service that nobody mitigates.
const NORMAL: &str = "normal";

impl Default for Service {
    fn default() -> Self {
        Self {
            healthy: false,
            mitigation: json!({"state": NORMAL}),
            asked: Vec::new(),
        }
    }
}

impl Service {
    fn is_mitigated(&self) -> bool {
        self.mitigation.get("state").is_some_and(|s| s != NORMAL)
    }
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Patient {
    services: Arc<Mutex<BTreeMap<String, Service>>>,
    changes: watch::Sender<u64>,
}

impl Default for Patient {
    fn default() -> Self {
        Self {
            services: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Patient {
    /// Changes with every effect.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether this service is mended.
    #[must_use]
    pub fn is_mitigated(&self, name: &str) -> bool {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.get(name).is_some_and(Service::is_mitigated)
    }

    /// Its routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/services/{name}", get(show))
            .route("/services/{name}/break", post(break_it))
            .route("/services/{name}/mitigation", get(mitigation).put(mitigate))
            .with_state(self)
    }

    fn ask(
        &self,
        name: String,
        what: &'static str,
        headers: &HeaderMap,
        change: impl FnOnce(&mut Service),
    ) -> (StatusCode, Json<Value>) {
        let key = headers.get("idempotency-key");
        let key = key.and_then(|k| k.to_str().ok()).map(str::to_owned);
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if services.len() >= SERVICES_MAX && !services.contains_key(&name) {
            return refused("too many services");
        }
        let service = services.entry(name).or_default();
        if service.asked.len() >= RECORD_MAX {
            return refused("too many requests for one service");
        }
        let seen = |a: &Asked| a.effect && a.what == what && a.key == key;
        let effect = key.is_none() || !service.asked.iter().any(seen);
        if effect {
            change(service);
        }
        service.asked.push(Asked { what, key, effect });
        let answer = service.mitigation.clone();
        drop(services);
        self.changes.send_modify(|count| *count += 1);
        (StatusCode::OK, Json(answer))
    }
}

fn refused(why: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::TOO_MANY_REQUESTS, Json(json!({"error": why})))
}

async fn show(State(patient): State<Patient>, Path(name): Path<String>) -> Json<Value> {
    let services = patient
        .services
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let service = services.get(&name).cloned().unwrap_or_default();
    Json(json!({"service": name, "state": service}))
}

async fn break_it(
    State(patient): State<Patient>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    patient.ask(name, "break", &headers, |service| {
        service.healthy = false;
        service.mitigation = json!({"state": NORMAL});
    })
}

async fn mitigation(State(patient): State<Patient>, Path(name): Path<String>) -> Json<Value> {
    let services = patient
        .services
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Json(services.get(&name).cloned().unwrap_or_default().mitigation)
}

async fn mitigate(
    State(patient): State<Patient>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(wanted): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let state = wanted.get("state").and_then(Value::as_str);
    match state {
        None => (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "`state` is missing"})),
        ),
        Some(NORMAL) => patient.ask(name, "normal", &headers, |service| {
            service.healthy = false;
            service.mitigation = json!({"state": NORMAL});
        }),
        Some(_) => patient.ask(name, "mitigate", &headers, |service| {
            service.healthy = true;
            service.mitigation = wanted;
        }),
    }
}

/// Serves on this listener until `shutdown` is ready.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    patient: Patient,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, patient.router())
        .with_graceful_shutdown(shutdown)
        .await
}
