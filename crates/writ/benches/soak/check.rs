//! What must hold in the end: all that was acknowledged is there, nothing was
//! done twice by the outside's own record, and the ledger verifies and replays
//! when the process has ended.

use crate::Fault;
use crate::load::Kept;
use crate::place::{Place, client};
use crate::tally::Tally;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// What does not hold.
    pub(crate) faults: Vec<String>,
    /// What was looked at, for the report.
    pub(crate) lines: Vec<String>,
}

/// Checks everything; the place is at rest afterwards.
pub(crate) async fn check(place: &mut Place, kept: &Kept, tally: &Tally) -> Result<Found, Fault> {
    let mut found = Found::default();
    acknowledged(place, kept, &mut found).await?;
    outside(place, &mut found).await?;
    answers(tally, &mut found);
    place.stop().await?;
    for what in [["ledger", "verify"].as_slice(), &["replay"]] {
        let done = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(what)
            .arg("--data")
            .arg(place.data())
            .output()?;
        let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        found
            .lines
            .push(format!("`writ {}`: {said}", what.join(" ")));
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            found
                .faults
                .push(format!("`writ {}` fails: {why}", what.join(" ")));
        }
    }
    let log = fs::read_to_string(place.log())?;
    let panics = log.lines().filter(|line| line.contains("panicked")).count();
    found.lines.push(format!(
        "{} lines of warnings in the log, {panics} panics",
        log.lines().count()
    ));
    if panics > 0 {
        found.faults.push(format!("{panics} panics in the log"));
    }
    Ok(found)
}

/// Every path that was kept is answered; a decision and a settlement hold.
async fn acknowledged(place: &Place, kept: &Kept, found: &mut Found) -> Result<(), Fault> {
    let http = client()?;
    let mut lost = Vec::new();
    let mut paths = kept.paths.clone();
    paths.sort();
    paths.dedup();
    for kept in &paths {
        let (path, what) = kept.split_once('?').unwrap_or((kept, ""));
        let url = format!("{}{path}", place.url);
        let ask = || http.get(&url).bearer_auth(&place.people.admin).send();
        let mut answer = ask().await?;
        // A key may ask so often in a second.
        while answer.status().as_u16() == 429 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = ask().await?;
        }
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        let held = match what {
            "decided" => body["status"] != "pending",
            "settled" => body["status"] == "settled",
            _ => true,
        };
        if status != 200 || !held {
            lost.push(format!("{kept} ({status}, {})", body["status"]));
        }
    }
    found.lines.push(format!(
        "{} acknowledged things asked for again, {} not there",
        paths.len(),
        lost.len()
    ));
    if let Some(first) = lost.first() {
        found.faults.push(format!(
            "{} acknowledged things are not there, the first is {first}",
            lost.len()
        ));
    }
    Ok(())
}

/// By the service's own record each key took effect once at most.
async fn outside(place: &Place, found: &mut Found) -> Result<(), Fault> {
    let (mut keys, mut repeated, mut keyless) = (0, 0, 0);
    for service in 0..100 {
        let url = format!("{}/services/s{service:02}", place.patient);
        let record: Value = serde_json::from_str(&client()?.get(url).send().await?.text().await?)?;
        let mut effects: BTreeMap<&str, u32> = BTreeMap::new();
        for asked in record["state"]["asked"].as_array().into_iter().flatten() {
            match asked["key"].as_str() {
                None => keyless += 1,
                Some(key) if asked["effect"] == true => *effects.entry(key).or_default() += 1,
                Some(_) => repeated += 1,
            }
        }
        keys += effects.len();
        if let Some((key, times)) = effects.iter().find(|(_, times)| **times > 1) {
            found.faults.push(format!(
                "s{service:02}: the key {key} took effect {times} times"
            ));
        }
    }
    found.lines.push(format!("the service outside was changed under {keys} keys, asked again {repeated} times, {keyless} times without a key"));
    if keyless > 0 || keys == 0 {
        found
            .faults
            .push(format!("{keyless} changes without a key, {keys} with one"));
    }
    Ok(())
}

/// No answer was a fault of the server, and each kind of request was answered.
fn answers(tally: &Tally, found: &mut Found) {
    for (name, (kind, _)) in tally.all() {
        let faults: u64 = kind
            .answers
            .range(500..)
            .filter(|(s, _)| **s != 503)
            .map(|(_, n)| n)
            .sum();
        if faults > 0 {
            found.faults.push(format!(
                "{faults} answers to {name} were faults of the server"
            ));
        }
        let good: u64 = kind.answers.range(200..300).map(|(_, n)| n).sum();
        if good == 0 {
            found.faults.push(format!("no {name} was ever done"));
        }
    }
}
