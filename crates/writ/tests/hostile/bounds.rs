//! At the bounds, which are set low here: who comes next is told so, or takes
//! the place of who waits longest; nobody keeps the others out.

use super::{refused, served};
use anyhow::{Context as _, Result};
use connect::SystemClock;
use kernel::port::Clock as _;
use serde_json::json;
use std::time::Duration;
use testkit::served::{Served, Wire, request};
use tokio::time::timeout;

/// An event must come at all; how fast is measured elsewhere.
const COMES_WITHIN: Duration = Duration::from_secs(60);
const STREAMS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out() -> Result<()> {
    let served = served(&[
        "--connections-max=400",
        "--requests-max=32",
        "--streams-max=32",
        "--streams-per-tenant-max=16",
    ]);
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(Wire::to(served.address).await?);
    }
    let ready = request("GET", "/readyz", None, &[], None);
    let asked = timeout(COMES_WITHIN, served.ask(&ready)).await??;
    assert_eq!(asked.status, 200);
    assert!(served.usage()?.sockets < 500, "{:?}", served.usage()?);
    // The first of them gave way; the last did not.
    let first = silent.first_mut().context("there are some")?;
    first.until_closed(COMES_WITHIN).await?;
    let last = silent.last_mut().context("there are some")?;
    assert_eq!(last.ask(&ready).await?.status, 200);
    drop(silent);
    served.is_sound().await
}

async fn stream(served: &Served, token: &str) -> Result<Wire> {
    let mut wire = Wire::to(served.address).await?;
    let asked = request("GET", "/v1/events", Some(token), &[], None);
    wire.send(&asked).await?;
    assert_eq!(wire.head().await?.status, 200);
    Ok(wire)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_beyond_the_bound_are_refused_and_the_others_go_on() -> Result<()> {
    let served = served(&[
        "--streams-max=300",
        &format!("--streams-per-tenant-max={STREAMS}"),
    ]);
    let token = served.token.clone();
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        open.push(stream(&served, &token).await?);
    }
    let asked = request("GET", "/v1/events", Some(&token), &[], None);
    let answer = served.ask(&asked).await?;
    refused(&answer, 429, "no more event streams can be open");
    assert_eq!(answer.header("retry-after"), "1");
    // Another tenant has its own, and health is as ever.
    let new = json!({"name": "second", "admin": "its admin"});
    let founded = served.post(&token, "/v1/tenants", &new).await?;
    let theirs = founded["admin"]["token"].as_str().context("a token")?;
    drop(stream(&served, theirs).await?);
    let health = request("GET", "/healthz", None, &[], None);
    assert_eq!(served.ask(&health).await?.status, 200);
    // What happens comes to each of them.
    served.alert("press-1", SystemClock.now()).await?;
    for wire in &mut open {
        let part = timeout(COMES_WITHIN, wire.chunk()).await??;
        let part = part.context("the stream goes on")?;
        assert!(String::from_utf8_lossy(&part).contains("data:"));
    }
    // A place that is given back is taken again.
    drop(open.pop());
    let again = async {
        while served.ask_status(&asked).await? == 429 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(COMES_WITHIN, again).await??;
    drop(open);
    served.is_sound().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_that_cannot_hold_are_refused_at_the_start() {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_writ"));
    let options = ["--connections-max=100"];
    let fault = Served::start(binary, &testkit::Sample::default(), &options).err();
    let said = fault.map(|fault| format!("{fault:#}")).unwrap_or_default();
    assert!(said.contains("100 connections are too few"), "{said}");
    assert!(said.contains("--connections-max"), "{said}");
}
