//! Who sends what: sources, an approver, an agent that pays for calls, people
//! who stop and release, readers of API and pages, streams of events. A request
//! whose answer was lost in a kill is sent again under its idempotency key.

use crate::place::{People, Place, SOURCE, client};
use crate::tally::Tally;
use kernel::Timestamp;
use kernel::port::Clock as _;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testkit::Dice;
use tokio::task::JoinHandle;

/// Services that fail and recover.
const SERVICES: usize = 40;
/// How long a service fails before its alerts end, in seconds.
const FAILS_SECONDS: i64 = 45;
/// Streams of events that stay open.
const STREAMS: usize = 25;

/// Where an agent sets money aside.
const MAKE: &str = "/v1/reservations";

/// What was acknowledged and must be there in the end: the path to ask for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) paths: Vec<String>,
}

/// What all share.
#[derive(Clone)]
struct Shared {
    http: reqwest::Client,
    url: String,
    tenant: String,
    patient: String,
    people: People,
    tally: Arc<Tally>,
    kept: Arc<Mutex<Kept>>,
    over: Arc<AtomicBool>,
    keys: Arc<AtomicU64>,
}

/// The load while it lasts.
pub(crate) struct Load {
    shared: Shared,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins it.
    pub(crate) fn begin(place: &Place, tally: &Arc<Tally>, deliveries: f64, reads: f64) -> Self {
        let shared = Shared {
            http: client().unwrap_or_default(),
            url: place.url.clone(),
            tenant: place.tenant.clone(),
            patient: place.patient.clone(),
            people: place.people.clone(),
            tally: tally.clone(),
            kept: Arc::default(),
            over: Arc::default(),
            keys: Arc::default(),
        };
        let mut tasks = vec![
            tokio::spawn(deliver(shared.clone(), deliveries)),
            tokio::spawn(approve(shared.clone())),
            tokio::spawn(pay(shared.clone())),
            tokio::spawn(stop_and_release(shared.clone())),
            tokio::spawn(health(shared.clone())),
            tokio::spawn(read(shared.clone(), reads)),
        ];
        let streams = (0..STREAMS).map(|_| tokio::spawn(listen(shared.clone())));
        tasks.extend(streams);
        Self { shared, tasks }
    }

    /// Ends it, when each has finished what it was at.
    pub(crate) async fn end(self) -> Kept {
        self.shared.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            if let Err(fault) = task.await {
                eprintln!("a sender ended: {fault}");
            }
        }
        let kept = self.shared.kept.lock();
        kept.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request.
struct Ask<'a> {
    kind: &'static str,
    path: &'a str,
    token: &'a str,
    /// A command has one.
    body: Option<&'a Value>,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Asks once: the status and the body, or nothing where no answer came.
    async fn once(&self, ask: &Ask<'_>, key: Option<&str>) -> Option<(u16, Value)> {
        let url = format!("{}{}", self.url, ask.path);
        let mut request = match ask.body {
            None => self.http.get(url),
            Some(body) => self
                .http
                .post(url)
                .header("content-type", "application/json")
                .body(body.to_string()),
        };
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        // What makes a thing has no version yet.
        if key.is_some() && ask.path != MAKE {
            request = request.header("if-match", "*");
        }
        let began = Instant::now();
        let answer = request.bearer_auth(ask.token).send().await;
        let read = match answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                answer.text().await.ok().map(|text| (status, text))
            }
            Err(_) => None,
        };
        let status = read.as_ref().map(|(status, _)| *status);
        self.tally.answered(ask.kind, status, began.elapsed());
        let (status, text) = read?;
        if status >= 400 {
            self.tally.refused(ask.kind, status, &text);
        }
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// A command, sent under one key until it is answered; `None` when the load
    /// ends before.
    async fn command(&self, ask: Ask<'_>) -> Option<(u16, Value)> {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        let key = format!("soak-{number}");
        for _ in 0..200 {
            match self.once(&ask, Some(&key)).await {
                Some((429 | 503, _)) | None => tokio::time::sleep(Duration::from_millis(250)).await,
                answered => return answered,
            }
        }
        None
    }

    fn keep(&self, path: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.paths.push(path);
    }
}

/// A beat of so many in a second; what is late is left out.
fn beat(per_second: f64) -> tokio::time::Interval {
    let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second.max(0.01)));
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    beat
}

/// Services fail, are told of again and again, and recover.
async fn deliver(shared: Shared, per_second: f64) {
    let mut beat = beat(per_second);
    let mut since: Vec<Option<Timestamp>> = vec![None; SERVICES];
    let path = format!("/v1/ingest/{}/{SOURCE}", shared.tenant);
    let mut dice = Dice::new(1);
    while shared.goes_on() {
        beat.tick().await;
        let service = dice.roll(since.len());
        let now = connect::SystemClock.now();
        let ends =
            since[service].filter(|at| now.since(*at).as_micros() > FAILS_SECONDS * 1_000_000);
        let starts = *since[service].get_or_insert(now);
        if ends.is_some() {
            since[service] = None;
        }
        let body = alerts(&shared.patient, service, starts, ends.map(|_| now));
        let token = &shared.people.source;
        let ask = Ask {
            kind: "delivery",
            path: &path,
            token,
            body: Some(&body),
        };
        if let Some((202, received)) = shared.once(&ask, None).await
            && let Some(id) = received["evidence"].as_str()
        {
            shared.keep(format!("/v1/evidence/{id}"));
        }
    }
}

fn alerts(patient: &str, service: usize, starts: Timestamp, ends: Option<Timestamp>) -> Value {
    let name = format!("s{service:02}");
    let one = |alert: &str| {
        json!({
            "status": if ends.is_some() { "resolved" } else { "firing" },
            "labels": {"alertname": alert, "service": name, "severity": "critical"},
            "annotations": {
                "summary": format!("{alert} on {name}"), "value": "2400",
                "mitigation_url": format!("{patient}/services/{name}/mitigation"),
            },
            "startsAt": starts.to_string(),
            "endsAt": ends.map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
            "generatorURL": "http://prometheus.example.net/graph",
            "fingerprint": format!("{:016x}", service * 2 + usize::from(alert == "LatencyHigh")),
        })
    };
    json!({
        "receiver": "writ", "status": "firing", "version": "4", "truncatedAlerts": 0,
        "groupKey": format!("{{}}:{{service=\"{name}\"}}"), "groupLabels": {"service": name},
        "commonLabels": {"service": name}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.net:9093",
        "alerts": [one("ErrorRateHigh"), one("LatencyHigh")],
    })
}

/// A person looks at what waits and decides, four times of five for it.
async fn approve(shared: Shared) {
    let mut beat = beat(1.0);
    let mut dice = Dice::new(2);
    while shared.goes_on() {
        beat.tick().await;
        let token = &shared.people.approver;
        let path = "/v1/approvals?status=pending&limit=20";
        let ask = Ask {
            kind: "listing",
            path,
            token,
            body: None,
        };
        let Some((200, waiting)) = shared.once(&ask, None).await else {
            continue;
        };
        for one in waiting["items"].as_array().into_iter().flatten() {
            let digest = &one["state"]["request"]["binding"]["digest"];
            let (what, body) = match dice.roll(5) {
                0 => (
                    "reject",
                    json!({"digest": digest, "reason": "not this one"}),
                ),
                _ => ("approve", json!({"digest": digest})),
            };
            let id = one["id"].as_str().unwrap_or_default();
            let path = format!("/v1/approvals/{id}/{what}");
            let ask = Ask {
                kind: "approval",
                path: &path,
                token,
                body: Some(&body),
            };
            if let Some((200, _)) = shared.command(ask).await {
                shared.keep(format!("/v1/approvals/{id}?decided"));
            }
        }
    }
}

/// An agent sets aside what a call costs, and says afterwards what it did cost.
async fn pay(shared: Shared) {
    let mut beat = beat(2.0);
    let token = shared.people.agent.clone();
    while shared.goes_on() {
        beat.tick().await;
        let body = json!({"amount": "0.02 EUR", "cost_class": "CHEAP", "tool": "echo",
            "lease": "1m", "subject": "service/s01"});
        let ask = Ask {
            kind: "reserve",
            path: MAKE,
            token: &token,
            body: Some(&body),
        };
        let Some((201, held)) = shared.command(ask).await else {
            continue;
        };
        let Some(id) = held["reservation"].as_str() else {
            continue;
        };
        let path = format!("/v1/reservations/{id}/settle");
        let body = json!({"cost": "0.01 EUR"});
        let ask = Ask {
            kind: "settle",
            path: &path,
            token: &token,
            body: Some(&body),
        };
        if let Some((200, _)) = shared.command(ask).await {
            shared.keep(format!("/v1/reservations/{id}?settled"));
        }
    }
}

/// One person stops a tool, asks for its release, and another confirms it.
async fn stop_and_release(shared: Shared) {
    let mut beat = beat(1.0 / 20.0);
    while shared.goes_on() {
        beat.tick().await;
        let (first, second) = (&shared.people.admin, &shared.people.second);
        let stop = json!({"scope": "tool:webhook.send", "reason": "to see that it stops"});
        let scope = json!({"scope": "tool:webhook.send"});
        for (what, token, body) in [
            ("engage", first, &stop),
            ("request-release", first, &stop),
            ("confirm-release", second, &scope),
        ] {
            let path = format!("/v1/kill-switch/{what}");
            shared
                .command(Ask {
                    kind: "kill switch",
                    path: &path,
                    token,
                    body: Some(body),
                })
                .await;
        }
    }
}

async fn health(shared: Shared) {
    let mut beat = beat(5.0);
    while shared.goes_on() {
        beat.tick().await;
        let ask = Ask {
            kind: "health",
            path: "/readyz",
            token: "",
            body: None,
        };
        shared.once(&ask, None).await;
    }
}

/// People and programs that look.
async fn read(shared: Shared, per_second: f64) {
    const PATHS: &[(&str, &str)] = &[
        ("listing", "/v1/incidents?limit=50"),
        ("listing", "/v1/directives?limit=50"),
        ("listing", "/v1/signals?limit=50"),
        ("listing", "/v1/ledger/entries?limit=100&order=desc"),
        ("listing", "/v1/budget-counters"),
        ("listing", "/v1/states?limit=20"),
        ("listing", "/v1/history"),
        ("page", "/"),
        ("page", "/incidents"),
        ("page", "/approvals"),
        ("page", "/ledger"),
        ("page", "/budgets"),
        ("listing", "/v1/ledger/head"),
        ("listing", "/v1/budgets/forecast"),
        ("listing", "/metrics"),
    ];
    let mut beat = beat(per_second);
    let mut dice = Dice::new(3);
    while shared.goes_on() {
        beat.tick().await;
        let Some((kind, path)) = dice.pick(PATHS) else {
            continue;
        };
        let shared = shared.clone();
        // One that is slow must not keep the others from asking.
        tokio::spawn(async move {
            let token = &shared.people.admin;
            let ask = Ask {
                kind,
                path,
                token,
                body: None,
            };
            shared.once(&ask, None).await
        });
    }
}

/// Listens to what happens, and comes again when the stream breaks.
async fn listen(shared: Shared) {
    while shared.goes_on() {
        let url = format!("{}/v1/events", shared.url);
        let request = shared.http.get(url).bearer_auth(&shared.people.admin);
        // The client's own bound of time ends a stream after a while too.
        let Ok(mut answer) = request.send().await else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        let status = answer.status().as_u16();
        shared
            .tally
            .answered("stream", Some(status), Duration::ZERO);
        while shared.goes_on() && matches!(answer.chunk().await, Ok(Some(_))) {}
    }
}
