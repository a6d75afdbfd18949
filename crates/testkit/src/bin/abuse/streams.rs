//! Idle event streams by the thousand on one writ: what each costs, what they
//! do to health, how long an event takes to all of them, and what happens at
//! the bound.

use anyhow::{Result, bail};
use clap::Args;
use connect::SystemClock;
use kernel::port::Clock as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::Sample;
use testkit::served::{Served, Wire, request};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Event streams by the thousand.
#[derive(Args)]
pub(crate) struct Streams {
    /// How many.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Events that are delivered to all of them.
    #[arg(long, default_value_t = 5)]
    events: usize,
}

/// Connections that are opened at once.
const OPENED_AT_ONCE: usize = 64;
/// How often a stream is asked for, with the wait that writ names in between.
const TRIES: usize = 60;
/// Beyond the bound, so many are tried.
const BEYOND: usize = 20;
/// An event that has not come by then is lost.
const EVENT_WITHIN: Duration = Duration::from_secs(60);
/// Requests of health in each state.
const HEALTH: usize = 200;

/// Runs it.
///
/// # Errors
/// When a stream is refused within the bound, or misses an event.
pub(crate) async fn run(writ: &Path, asked: &Streams) -> Result<()> {
    let count = asked.streams;
    let (streams, connections) = (count.to_string(), (count + 2_000).to_string());
    let options = [
        ["--streams-max", &streams],
        ["--streams-per-tenant-max", &streams],
        ["--connections-max", &connections],
    ];
    let served = Served::start(writ, &Sample::default(), options.as_flattened())?;
    let before = served.usage()?;
    health(&served, "no streams").await?;
    let began = Instant::now();
    let mut open = opened(&served, count).await?;
    println!(
        "opened {count} streams in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let idle = served.usage()?;
    let each = idle.resident_kib.saturating_sub(before.resident_kib) * 1024 / count as u64;
    println!(
        "memory {} KiB before, {} KiB with them: {each} bytes each; {} sockets",
        before.resident_kib, idle.resident_kib, idle.sockets
    );
    health(&served, "all streams idle").await?;
    for number in 0..asked.events {
        delivered(&served, &mut open, number).await?;
    }
    refused(&served).await?;
    health(&served, "at the bound").await?;
    let most = served.usage()?.resident_kib_max;
    println!("memory {most} KiB at most");
    drop(open);
    served.is_sound().await
}

async fn opened(served: &Served, count: usize) -> Result<Vec<Wire>> {
    let places = Arc::new(Semaphore::new(OPENED_AT_ONCE));
    let asked = request("GET", "/v1/events", Some(&served.token), &[], None);
    let asked: Arc<[u8]> = asked.into();
    let address = served.address;
    let opening: Vec<_> = (0..count)
        .map(|_| {
            let (places, asked) = (places.clone(), asked.clone());
            tokio::spawn(async move {
                let _place = places.acquire().await?;
                stream(address, &asked).await
            })
        })
        .collect();
    let mut open = Vec::with_capacity(count);
    for each in opening {
        open.push(each.await??);
    }
    Ok(open)
}

/// One stream. A key may not open all of them at once: it waits as it is told.
async fn stream(address: SocketAddr, asked: &[u8]) -> Result<Wire> {
    for _ in 0..TRIES {
        let mut wire = Wire::to(address).await?;
        wire.send(asked).await?;
        let head = wire.head().await?;
        match (head.status, head.header("retry-after").parse()) {
            (200, _) => return Ok(wire),
            (429, Ok(seconds)) => sleep(Duration::from_secs(seconds)).await,
            (status, _) => bail!("a stream within the bound got {status}"),
        }
    }
    bail!("a stream within the bound was told to wait {TRIES} times")
}

/// Sends an alert, and sees it come to every stream.
async fn delivered(served: &Served, open: &mut Vec<Wire>, number: usize) -> Result<()> {
    let began = Instant::now();
    served
        .alert(&format!("press-{number}"), SystemClock.now())
        .await?;
    let waiting: Vec<_> = std::mem::take(open)
        .into_iter()
        .map(|mut wire| {
            tokio::spawn(async move {
                let first = timeout(EVENT_WITHIN, event(&mut wire)).await;
                (wire, first.is_ok_and(|came| came), began.elapsed())
            })
        })
        .collect();
    let mut times = Vec::with_capacity(waiting.len());
    for each in waiting {
        let (wire, came, took) = each.await?;
        if !came {
            bail!("an event did not come to a stream");
        }
        times.push(took);
        open.push(wire);
    }
    println!("event {number}: {}", crate::figures(&mut times));
    Ok(())
}

/// Reads until an event of an alert comes.
async fn event(wire: &mut Wire) -> bool {
    loop {
        match wire.chunk().await {
            Ok(Some(part)) if String::from_utf8_lossy(&part).contains("evidence.") => return true,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
    }
}

async fn refused(served: &Served) -> Result<()> {
    let asked = request("GET", "/v1/events", Some(&served.token), &[], None);
    for _ in 0..BEYOND {
        let mut wire = Wire::to(served.address).await?;
        let answer = wire.ask(&asked).await?;
        if answer.status != 429 || answer.header("retry-after").is_empty() {
            bail!("a stream beyond the bound got {}", answer.status);
        }
    }
    println!("{BEYOND} streams beyond the bound: 429 with Retry-After");
    Ok(())
}

async fn health(served: &Served, when: &str) -> Result<()> {
    let asked = request("GET", "/healthz", None, &[], None);
    let mut wire = Wire::to(served.address).await?;
    let mut times = Vec::with_capacity(HEALTH);
    for _ in 0..HEALTH {
        let began = Instant::now();
        let answer = wire.ask(&asked).await?;
        times.push(began.elapsed());
        if answer.status != 200 {
            bail!("health answered {}", answer.status);
        }
    }
    println!("health, {when}: {}", crate::figures(&mut times));
    Ok(())
}
