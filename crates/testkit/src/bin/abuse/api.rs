//! Requests that schemathesis makes up from the API's document, right and
//! wrong ones, as each role, against the built binary with live data.

use crate::live::{self, Live};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::Sample;
use testkit::served::Served;

/// Requests that schemathesis makes up from the API's document.
#[derive(Args)]
pub(crate) struct Api {
    /// The program.
    #[arg(long, hide = true)]
    schemathesis: PathBuf,
    /// The folder of its settings, and of what it calls to put live ids into
    /// paths.
    #[arg(long, hide = true)]
    settings: PathBuf,
    /// Minutes; without them a short run.
    #[arg(long)]
    minutes: Option<u64>,
    /// The seed of what is made up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As this role only.
    #[arg(long)]
    role: Option<String>,
    /// What else schemathesis is told.
    #[arg(last = true)]
    more: Vec<String>,
}

/// As whom, which phases of schemathesis, and with which part of the time. The
/// phases before the last of each line end by themselves.
const PARTS: &[(&str, &str, u64)] = &[
    ("admin", "examples,coverage", 15),
    ("admin", "fuzzing", 35),
    ("admin", "stateful", 20),
    ("approver", "fuzzing", 8),
    ("operator", "fuzzing", 8),
    ("agent", "fuzzing", 8),
    ("viewer", "coverage", 3),
    ("auditor", "coverage", 3),
];
/// A short run tells of faults only, not of how far its requests got.
const QUIET: &[&str] = &["--warnings", "off"];
/// How long a short run takes.
const SHORT_SECONDS: u64 = 75;

/// Runs it.
///
/// # Errors
/// What broke, and the command that shows it again.
pub(crate) async fn run(writ: &Path, api: &Api) -> Result<()> {
    let served = Served::start(writ, &Sample::default(), &[])?;
    let live = live::make(&served).await?;
    let seconds = api.minutes.map_or(SHORT_SECONDS, |minutes| minutes * 60);
    let mut failed = Vec::new();
    for (role, phases, part) in PARTS {
        if api.role.as_deref().is_some_and(|only| only != *role) {
            continue;
        }
        println!("\n== as {role}: {phases}");
        let budget = (*phases, (seconds * part / 100).max(1));
        if !as_role(&served, &live, api, role, budget)? {
            failed.push(format!("{role} ({phases})"));
        }
    }
    served.is_sound().await?;
    match failed.is_empty() {
        true => Ok(()),
        false => bail!(
            "schemathesis found faults as {}; again with `cargo xtask abuse api --seed {}`",
            failed.join(", "),
            api.seed
        ),
    }
}

fn as_role(
    served: &Served,
    live: &Live,
    api: &Api,
    role: &str,
    (phases, seconds): (&str, u64),
) -> Result<bool> {
    let token = live.tokens.get(role).context("a role without a token")?;
    let url = format!("http://{}", served.address);
    let mut command = Command::new(&api.schemathesis);
    command
        .arg("--config-file")
        .arg(api.settings.join("settings.toml"))
        .args(["run", &format!("{url}/openapi.json"), "--url", &url])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "all", "--mode", "all", "--no-color"])
        .args(["--phases", phases])
        .args(["--seed", &api.seed.to_string()])
        .args(["--max-time", &seconds.to_string()])
        .args(if api.minutes.is_none() { QUIET } else { &[] })
        .args(&api.more)
        .env("SCHEMATHESIS_HOOKS", api.settings.join("hooks.py"))
        .env("WRIT_LIVE", serde_json::to_string(&live.ids)?)
        .current_dir(served.data())
        .stdin(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", api.schemathesis.display()))?;
    Ok(status.success())
}
