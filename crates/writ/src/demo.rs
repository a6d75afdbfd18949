//! `writ demo`: starts writ on an empty ledger with a built-in pack, plays the
//! pack's recorded input through the HTTP endpoint, and says what happened and
//! what to do next. A small real service stands by to be mended.

use crate::cli::{Demo, Patient as PatientArgs, Up};
use crate::commands::{Json, items, needed};
use crate::failure::Failure;
use crate::packs;
use crate::render;
use crate::up::{self, Running};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::port::Clock as _;
use pack::recording::{self, Shift};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use sense::definition::{Authentication, Mapping, Source};
use serde_json::{Value, json};
use server::patient::{self, Patient};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;

/// Where recordings of a demonstration stand in a pack.
const RECORDINGS: &str = "fixtures/demo/";
/// The address that the recordings name as the service that can be mended.
const PATIENT_ADDRESS: &str = "127.0.0.1:18099";
/// How long the loop may take to propose something.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs the demonstration.
pub(crate) async fn run(demo: Demo, output: Json) -> Result<(), Failure> {
    crate::logs::start("warn")?;
    let name = match &demo.pack {
        Some(name) => name.clone(),
        None => with_recordings()?,
    };
    let data = match &demo.data {
        Some(data) => data.clone(),
        None => {
            PathBuf::from(".writ-demo").join(connect::SystemClock.now().as_micros().to_string())
        }
    };
    if data.exists() {
        return Err(Failure::usage(format!("`{}` exists", data.display()))
            .hint("the demonstration begins with an empty ledger; name another --data"));
    }
    let patient = start_patient(PATIENT_ADDRESS).await?;
    let running = up::start(&Up {
        pack: Some(name.clone()),
        allow_hosts: vec![PATIENT_ADDRESS.to_owned()],
        allow_private: true,
        ..Up::on(data.clone(), demo.listen)
    })
    .await?;
    let player = Player::new(&running)?;
    let played = player.play(&name).await?;
    let story = player.story().await?;
    let token = running.token.clone().unwrap_or_default();
    let url = format!("http://{}", running.address);
    tell(
        output,
        &Telling {
            url: &url,
            token: &token,
            data: &data,
            played,
            story: &story,
        },
    );
    if demo.once {
        return running.stop().await;
    }
    let healing = player.resolve_when_mended(&name, patient);
    let asked_to_end = up::asked_to_end();
    tokio::pin!(asked_to_end);
    tokio::select! {
        () = &mut asked_to_end => {}
        healed = healing => {
            if let Err(failure) = healed {
                failure.report();
            }
            asked_to_end.await;
        }
    }
    running.stop().await
}

/// `writ patient`: the small service by itself.
#[allow(
    clippy::print_stdout,
    reason = "the address is what the caller waits for"
)]
pub(crate) async fn patient(args: PatientArgs) -> Result<(), Failure> {
    let listener = bind(&args.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::failed(e.to_string()))?;
    let asked_to_end = up::asked_to_end();
    println!("http://{address}");
    patient::serve(listener, Patient::default(), asked_to_end)
        .await
        .map_err(|e| Failure::failed(e.to_string()))
}

async fn bind(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::failed(format!("cannot listen on `{address}`: {e}"))
            .hint("stop the program that uses the port; is another demonstration running?")
    })
}

async fn start_patient(address: &str) -> Result<Patient, Failure> {
    let listener = bind(address).await?;
    let patient = Patient::default();
    let serving = patient::serve(listener, patient.clone(), std::future::pending());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the service that can be mended has stopped");
        }
    });
    Ok(patient)
}

/// The first built-in pack that has recordings for a demonstration.
fn with_recordings() -> Result<String, Failure> {
    for name in packs::built_in_names() {
        let files = packs::built_in(&name)?;
        if files.keys().any(|path| path.starts_with(RECORDINGS)) {
            return Ok(name);
        }
    }
    Err(Failure::failed(
        "no built-in pack has recordings for a demonstration",
    ))
}

/// Plays recordings and reads what came of them, as a client would.
struct Player {
    http: reqwest::Client,
    url: String,
    ingest: String,
    bearer: String,
    token: String,
}

impl Player {
    fn new(running: &Running) -> Result<Self, Failure> {
        let in_force = running.control.in_force(running.tenant)?;
        let source = recorded_source(&in_force.pack.definitions.sources)?;
        let url = format!("http://{}", running.address);
        connect::http::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|e| Failure::failed(format!("cannot start the HTTP client: {e}")))?;
        Ok(Self {
            http,
            ingest: format!("{url}/v1/ingest/{}/{}", running.tenant, source.name),
            url,
            bearer: running.source_secret(source)?,
            token: running.token.clone().unwrap_or_default(),
        })
    }

    /// Sends every recording, moved in time so that the last event is now.
    async fn play(&self, pack: &str) -> Result<usize, Failure> {
        let bodies = recordings(pack)?;
        let bar = ProgressBar::new(bodies.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        for (name, body) in &bodies {
            bar.set_message(name.clone());
            self.send(body.clone()).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(bodies.len())
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), Failure> {
        let answer = self
            .http
            .post(&self.ingest)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.bearer))
            .body(body)
            .send()
            .await
            .map_err(|e| Failure::failed(format!("cannot send a recording: {e}")))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(Failure::failed(format!("a recording was refused: {text}")))
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let fault = |e: reqwest::Error| Failure::failed(format!("cannot read `{path}`: {e}"));
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(fault)?;
        let bytes = answer
            .error_for_status()
            .map_err(fault)?
            .bytes()
            .await
            .map_err(fault)?;
        serde_json::from_slice(&bytes).map_err(|e| Failure::failed(format!("`{path}`: {e}")))
    }

    /// What came of it, once something waits for a person.
    async fn story(&self) -> Result<Value, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            let approvals = self.get("/v1/approvals?status=pending").await?;
            if !items(&approvals).is_empty() || waited > PATIENCE {
                return Ok(json!({
                    "approvals": items(&approvals),
                    "signals": items(&self.get("/v1/signals?limit=200").await?).len(),
                    "detections": items(&self.get("/v1/detections?limit=200").await?),
                    "candidates": items(&self.get("/v1/candidates?limit=200").await?),
                    "incidents": items(&self.get("/v1/incidents?limit=200").await?),
                    "directives": items(&self.get("/v1/directives?limit=200").await?),
                }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }

    /// Waits until the service is mended, then plays the end of the alerts.
    async fn resolve_when_mended(&self, pack: &str, patient: Patient) -> Result<(), Failure> {
        let mut changes = patient.changes();
        loop {
            if changes.changed().await.is_err() {
                return Ok(());
            }
            for (_, body) in recordings(pack)? {
                let Some(resolved) = ended(&body, &patient)? else {
                    continue;
                };
                self.send(resolved).await?;
            }
        }
    }
}

/// The source whose webhooks were recorded: one that speaks Alertmanager's
/// format and proves itself by a bearer token.
fn recorded_source(sources: &[Source]) -> Result<&Source, Failure> {
    let recorded = |source: &&Source| {
        matches!(source.mapping, Mapping::AlertmanagerV4(_))
            && matches!(source.authentication, Authentication::Bearer { .. })
    };
    sources
        .iter()
        .find(recorded)
        .ok_or_else(|| Failure::failed("the pack has no source for recorded webhooks"))
}

/// The recordings in order, moved in time so that the latest event is now.
fn recordings(pack: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let files = packs::built_in(pack)?;
    let found: Vec<(&String, &Vec<u8>)> = files
        .iter()
        .filter(|(path, _)| path.starts_with(RECORDINGS))
        .collect();
    let mut latest = None;
    for (_, body) in &found {
        latest = latest.max(recording::latest(body)?);
    }
    let Some(latest) = latest else {
        return Err(Failure::failed(format!(
            "the pack `{pack}` has no recordings"
        )));
    };
    let shift = Shift::between(latest, connect::SystemClock.now());
    found
        .into_iter()
        .map(|(path, body)| Ok((path.clone(), recording::shifted(body, shift)?)))
        .collect()
}

/// The same webhook once its service is mended: every alert has ended now.
/// `None` while the service is not mended.
fn ended(body: &[u8], patient: &Patient) -> Result<Option<Vec<u8>>, Failure> {
    let mut webhook = kernel::json::parse(body).map_err(kernel::Refusal::from)?;
    let mended = |alert: &Value| {
        let service = render::at(alert, "labels.service").and_then(Value::as_str);
        service.is_some_and(|name| patient.is_mitigated(name))
    };
    let now = connect::SystemClock.now().to_string();
    let Some(alerts) = webhook.get_mut("alerts").and_then(Value::as_array_mut) else {
        return Ok(None);
    };
    if !alerts.iter().all(mended) {
        return Ok(None);
    }
    for alert in alerts.iter_mut().filter_map(Value::as_object_mut) {
        alert.insert("status".into(), "resolved".into());
        alert.insert("endsAt".into(), now.clone().into());
    }
    if let Some(object) = webhook.as_object_mut() {
        object.insert("status".into(), "resolved".into());
    }
    Ok(Some(webhook.to_string().into_bytes()))
}

/// What a person is told.
struct Telling<'a> {
    url: &'a str,
    token: &'a str,
    data: &'a std::path::Path,
    played: usize,
    story: &'a Value,
}

#[allow(clippy::print_stdout, reason = "this is what the demonstration is for")]
fn tell(output: Json, telling: &Telling<'_>) {
    if output == Json::Yes {
        let all = json!({
            "url": telling.url,
            "token": telling.token,
            "data": telling.data,
            "webhooks": telling.played,
            "story": telling.story,
        });
        println!("{all:#}");
        return;
    }
    print!("{}", text(telling));
}

fn text(telling: &Telling<'_>) -> String {
    let story = telling.story;
    let list = |name: &str| {
        story
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut lines = vec![
        format!("writ serves at  {}", telling.url),
        format!("admin token     {}   (shown once)", telling.token),
        format!("the ledger      {}", telling.data.display()),
        String::new(),
        format!(
            "{} recorded webhooks gave {} signals and {} detections:",
            telling.played,
            render::text(story, "signals"),
            list("detections").len()
        ),
    ];
    for detection in list("detections") {
        lines.push(format!("  {}", whole(&detection, "state.explanation")));
    }
    for candidate in list("candidates") {
        if render::text(&candidate, "status") == "rejected" {
            lines.push(format!(
                "not promoted: {}",
                render::text(&candidate, "subject")
            ));
            for reason in at_list(&candidate, "state.decision.reasons") {
                lines.push(format!("  {reason}"));
            }
        }
    }
    for incident in list("incidents") {
        lines.push(String::new());
        lines.push(format!(
            "incident: {} ({}, confidence {})",
            whole(&incident, "state.title"),
            render::text(&incident, "state.severity"),
            render::text(&incident, "state.confidence")
        ));
        lines.push(format!(
            "  {}/incidents/{}",
            telling.url,
            whole(&incident, "id")
        ));
    }
    lines.extend(waiting(telling, &list("directives"), &list("approvals")));
    lines.push(String::new());
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// The text at a dotted path, uncut.
fn whole<'a>(value: &'a Value, path: &str) -> &'a str {
    let text = render::at(value, path).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// How this program was called, so that the next command can be typed alike.
fn this_program() -> String {
    std::env::args().next().unwrap_or_else(|| "writ".to_owned())
}

fn at_list(value: &Value, path: &str) -> Vec<String> {
    let list = render::at(value, path).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn waiting(telling: &Telling<'_>, directives: &[Value], approvals: &[Value]) -> Vec<String> {
    let mut lines = vec![String::new()];
    let Some(approval) = approvals.first() else {
        lines.push("nothing waits for approval".to_owned());
        return lines;
    };
    let directive = needed(approval, "state.request.binding.directive").unwrap_or_default();
    let proposed = directives
        .iter()
        .find(|d| render::text(d, "id") == directive);
    lines.push("this waits for you:".to_owned());
    if let Some(proposed) = proposed {
        let objective = render::at(proposed, "state.contract.objective").and_then(Value::as_str);
        lines.push(format!("  {}", objective.unwrap_or_default()));
    }
    lines.push(format!("  {}/directives/{directive}", telling.url));
    lines.push(String::new());
    lines
        .push("next: open that page and sign in with the token, or in another terminal".to_owned());
    lines.push(format!(
        "  export WRIT_SERVER={} WRIT_TOKEN={}",
        telling.url, telling.token
    ));
    let writ = this_program();
    for command in ["approve", "why"] {
        lines.push(format!("  {writ} {command} {directive}"));
    }
    lines.push(format!("  {writ} ledger verify"));
    lines
}
