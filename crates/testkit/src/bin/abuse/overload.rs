//! Load far beyond capacity: callers that never rest, and arrivals that do not
//! wait for answers. Meanwhile approvals, the kill switch and health are asked
//! for and timed.

use crate::live::{self, Live};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use connect::SystemClock;
use kernel::port::Clock as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testkit::Sample;
use testkit::alerts::{Alert, webhook};
use testkit::served::{Answer, Served, Waiting, Wire, request};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Load far beyond capacity.
#[derive(Args)]
pub(crate) struct Overload {
    /// How long, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Callers that ask again as soon as they are answered.
    #[arg(long, default_value_t = 1_000)]
    callers: usize,
    /// Requests per second that come whatever happens to those before.
    #[arg(long, default_value_t = 2_000)]
    arrivals: u64,
    /// Directives that are approved meanwhile.
    #[arg(long, default_value_t = 150)]
    approvals: usize,
}

/// Requests of the open loop that are under way at most: the sockets of this
/// machine are not the subject.
const OPEN_MAX: usize = 4_000;
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Between two requests of one probe.
const PROBE_PAUSE: Duration = Duration::from_millis(10);
/// What is asked for: p99 of each probe.
const AIM: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Tally {
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    without_retry: AtomicU64,
    cut: AtomicU64,
    stop: AtomicBool,
}

impl Tally {
    fn count(&self, what: &'static str, status: u16, retry: bool) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((what, status)).or_default() += 1;
        drop(answers);
        if matches!(status, 429 | 503) && !retry {
            self.without_retry.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What the load is made of: webhooks, reads, proposals.
struct Mix {
    address: SocketAddr,
    source: String,
    ingest: String,
    tokens: [String; 3],
    contracts: [serde_json::Value; 2],
}

impl Mix {
    fn request(&self, number: u64) -> (&'static str, Vec<u8>) {
        let [admin, operator, agent] = &self.tokens;
        match number % 3 {
            0 => {
                let machine = format!("flood-{}", number % 5_000);
                let body = webhook(&[Alert::firing("Other", &machine, SystemClock.now())]);
                let post = request("POST", &self.ingest, Some(&self.source), &[], Some(&body));
                ("webhook", post)
            }
            1 => {
                let token = if number.is_multiple_of(2) {
                    operator
                } else {
                    admin
                };
                let path = "/v1/ledger/entries?limit=50&order=desc";
                ("read", request("GET", path, Some(token), &[], None))
            }
            _ => {
                let [by_operator, by_agent] = &self.contracts;
                let (token, contract) = match number % 2 {
                    0 => (operator, by_operator),
                    _ => (agent, by_agent),
                };
                let body = json!({"contract": contract, "wanted": "propose"}).to_string();
                let bytes = Some(body.as_bytes());
                (
                    "proposal",
                    request("POST", "/v1/directives", Some(token), &[], bytes),
                )
            }
        }
    }
}

/// Runs it.
///
/// # Errors
/// When something is not shed as it must be, or writ is not sound afterwards.
pub(crate) async fn run(writ: &Path, asked: &Overload) -> Result<()> {
    let sample = Sample::default();
    let served = Served::start(writ, &sample, &[])?;
    let live = live::make(&served).await?;
    let waiting = to_approve(&served, asked.approvals).await?;
    let mix = Arc::new(mix(&served, &live).await?);
    let calm = probes(&served, &live, &waiting[..asked.approvals / 4], None).await?;
    show("without load", calm);
    let tally = Arc::new(Tally::default());
    let mut load = closed(&mix, &tally, asked.callers);
    load.push(open(&mix, &tally, asked.arrivals));
    sleep(Duration::from_secs(3)).await;
    let over = Duration::from_secs(asked.seconds);
    let memory = watch(&served, over);
    // The load's own tasks must not make the probes wait: they have a thread.
    let rest = &waiting[asked.approvals / 4..];
    let (memory, probed) = std::thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(probes(&served, &live, rest, Some(over)))
        });
        let memory =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(memory));
        (memory, probing.join())
    });
    let probed = probed.unwrap_or_else(|_| bail!("the probes panicked"));
    tally.stop.store(true, Ordering::Relaxed);
    for each in load {
        each.await?;
    }
    println!(
        "memory, KiB every {} s: {:?}",
        LOOK_EVERY.as_secs(),
        memory?
    );
    for ((what, status), count) in &*tally.answers.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{what:<9} {status}: {count}");
    }
    println!("connections cut: {}", tally.cut.load(Ordering::Relaxed));
    let is_fast = show("under load", probed?);
    let silent = tally.without_retry.load(Ordering::Relaxed);
    served.is_sound().await?;
    if silent > 0 {
        bail!("{silent} requests were shed without Retry-After");
    }
    println!(
        "p99 under {} ms for each: {}",
        AIM.as_millis(),
        if is_fast { "yes" } else { "NO" }
    );
    Ok(())
}

async fn to_approve(served: &Served, count: usize) -> Result<Vec<Waiting>> {
    let mut waiting = Vec::with_capacity(count);
    for number in 0..count {
        served
            .alert(&format!("unit-{number}"), SystemClock.now())
            .await?;
    }
    for number in 0..count {
        waiting.push(served.waiting(&format!("unit-{number}")).await?);
    }
    Ok(waiting)
}

async fn mix(served: &Served, live: &Live) -> Result<Mix> {
    let id = live.ids["directives"].as_str().context("a directive")?;
    let seen = served
        .get(&served.token, &format!("/v1/directives/{id}"))
        .await?;
    let mut contracts = [
        seen["state"]["contract"].clone(),
        seen["state"]["contract"].clone(),
    ];
    for (contract, role) in contracts.iter_mut().zip(["operator", "agent"]) {
        let token = live.tokens.get(role).context("a token")?;
        contract["issued_by"] = served.get(token, "/v1/me").await?["actor"].clone();
    }
    let token = |role: &str| live.tokens.get(role).cloned().context("a token");
    Ok(Mix {
        address: served.address,
        source: served.source_token()?,
        ingest: served.ingest(),
        tokens: [token("admin")?, token("operator")?, token("agent")?],
        contracts,
    })
}

/// Callers that never rest.
fn closed(mix: &Arc<Mix>, tally: &Arc<Tally>, callers: usize) -> Vec<JoinHandle<()>> {
    let each = |caller: usize| {
        let (mix, tally) = (mix.clone(), tally.clone());
        tokio::spawn(async move {
            let mut number = caller as u64 * 1_000_003;
            let mut wire = None;
            while !tally.is_over() {
                number += 1;
                let connected = match wire.take() {
                    Some(open) => Some(open),
                    None => Wire::to(mix.address).await.ok(),
                };
                let Some(mut connected) = connected else {
                    tally.cut.fetch_add(1, Ordering::Relaxed);
                    sleep(PROBE_PAUSE).await;
                    continue;
                };
                let (what, bytes) = mix.request(number);
                match connected.ask(&bytes).await {
                    Ok(answer) => {
                        let retry = !answer.header("retry-after").is_empty();
                        tally.count(what, answer.status, retry);
                        wire = Some(connected);
                    }
                    Err(_) => {
                        tally.cut.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        })
    };
    (0..callers).map(each).collect()
}

/// Arrivals that do not wait for answers.
fn open(mix: &Arc<Mix>, tally: &Arc<Tally>, per_second: u64) -> JoinHandle<()> {
    let (mix, tally) = (mix.clone(), tally.clone());
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let places = Arc::new(tokio::sync::Semaphore::new(OPEN_MAX));
        let mut number = 0;
        while !tally.is_over() {
            ticks.tick().await;
            for _ in 0..per_second.div_ceil(100) {
                let Ok(place) = places.clone().try_acquire_owned() else {
                    tally.count("not sent", 0, true);
                    continue;
                };
                number += 1;
                let (what, bytes) = mix.request(number);
                let (address, tally) = (mix.address, tally.clone());
                tokio::spawn(async move {
                    let asked = async { Wire::to(address).await?.ask(&bytes).await };
                    match asked.await {
                        Ok(answer) => {
                            let retry = !answer.header("retry-after").is_empty();
                            tally.count(what, answer.status, retry);
                        }
                        Err(_) => {
                            tally.cut.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    drop(place);
                });
            }
        }
    })
}

async fn watch(served: &Served, over: Duration) -> Result<Vec<u64>> {
    let began = Instant::now();
    let mut seen = Vec::new();
    while began.elapsed() < over {
        seen.push(served.usage()?.resident_kib);
        sleep(LOOK_EVERY).await;
    }
    Ok(seen)
}

/// Asks on this connection, or on a new one where it has ended meanwhile.
async fn asked_on(wire: Option<Wire>, served: &Served, bytes: &[u8]) -> Result<(Wire, Answer)> {
    if let Some(mut wire) = wire
        && let Ok(answer) = wire.ask(bytes).await
    {
        return Ok((wire, answer));
    }
    let mut wire = Wire::to(served.address).await?;
    let answer = wire.ask(bytes).await?;
    Ok((wire, answer))
}

type Times = BTreeMap<&'static str, Vec<Duration>>;

/// Asks for health, engages and releases the kill switch for a tool that
/// nobody uses, and approves, one after another, each on its own connection.
async fn probes(
    served: &Served,
    live: &Live,
    waiting: &[Waiting],
    over: Option<Duration>,
) -> Result<Times> {
    let began = Instant::now();
    let approver = live.tokens.get("approver").context("an approver")?;
    let (first, second) = (&served.token, live.tokens.get("admin").context("an admin")?);
    let scope = json!({"scope": "tool:nobody", "reason": "measured"}).to_string();
    let confirm = json!({"scope": "tool:nobody"}).to_string();
    let post = |token: &str, path: &str, body: &str| {
        request("POST", path, Some(token), &[], Some(body.as_bytes()))
    };
    let mut times = Times::new();
    let mut waiting = waiting.iter();
    let mut wires: BTreeMap<&str, Wire> = BTreeMap::new();
    loop {
        let mut round = vec![
            ("health", request("GET", "/healthz", None, &[], None)),
            ("ready", request("GET", "/readyz", None, &[], None)),
            ("kill engage", post(first, "/v1/kill-switch/engage", &scope)),
            (
                "kill release",
                post(first, "/v1/kill-switch/request-release", &scope),
            ),
            (
                "kill confirm",
                post(second, "/v1/kill-switch/confirm-release", &confirm),
            ),
        ];
        let next = waiting.next();
        // What an approver looks at.
        let listed = "/v1/approvals?status=pending";
        round.push((
            "approvals",
            request("GET", listed, Some(approver), &[], None),
        ));
        if let Some(next) = next {
            let yes = json!({"digest": next.digest}).to_string();
            let path = format!("/v1/approvals/{}/approve", next.approval);
            round.push(("approval", post(approver, &path, &yes)));
        }
        for (what, bytes) in round {
            let asked = Instant::now();
            let (wire, answer) = asked_on(wires.remove(what), served, &bytes).await?;
            times.entry(what).or_default().push(asked.elapsed());
            if answer.status != 200 {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                bail!("{what} answered {}: {body}", answer.status);
            }
            wires.insert(what, wire);
            sleep(PROBE_PAUSE).await;
        }
        let is_over = match over {
            None => next.is_none(),
            Some(over) => began.elapsed() >= over,
        };
        if is_over {
            return Ok(times);
        }
    }
}

fn show(when: &str, times: Times) -> bool {
    let mut is_fast = true;
    println!("{when}:");
    for (what, mut times) in times {
        println!("  {what:<13} {}", crate::figures(&mut times));
        is_fast &= crate::percentile(&times, 99) < AIM;
    }
    is_fast
}
