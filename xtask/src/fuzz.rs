//! The search for inputs that break a parser, led by coverage. The targets
//! stand in `fuzz/`; every test run hands them the corpus and changes of it,
//! and this goes on from there for as long as one likes.

use crate::setup;
use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How inputs are bounded: their length in bytes, the time of one in seconds,
/// the memory of the process in MiB.
const BOUNDS: [&str; 3] = ["-max_len=16384", "-timeout=20", "-rss_limit_mb=4096"];

/// What is asked for.
#[derive(Args)]
pub(crate) struct Asked {
    /// These targets only.
    targets: Vec<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Keep what reaches further than the corpus does in the corpus.
    #[arg(long)]
    keep: bool,
}

/// Runs the targets one after the other.
///
/// # Errors
/// When a target is not known, does not build, or an input breaks it; then the
/// input is kept and the message says where.
pub(crate) fn run(shell: &Shell, asked: &Asked) -> Result<()> {
    let place = shell.target.join("fuzz");
    let seeds = place.join("seeds");
    let tool = setup::cargo_tool("cargo-fuzz", setup::CARGO_FUZZ)?;
    let fuzz = |action: &str| {
        let mut command = shell.command(&tool);
        command
            // The release profile optimises the program as a whole, which takes
            // longer than the search gains by it.
            .args(["fuzz", action, "--fuzz-dir", "fuzz", "--dev"])
            .args(["--sanitizer", "none"])
            .args(["--features", "guided", "guided"])
            .env("CARGO_TARGET_DIR", &place);
        command
    };
    // Builds it, too.
    shell::run(fuzz("run").env("WRIT_FUZZ_SEEDS", &seeds))?;
    let known = names(&seeds)?;
    let chosen = chosen(&known, &asked.targets)?;
    let mut broken = Vec::new();
    for name in chosen {
        println!("\n== {name}, {} s", asked.seconds);
        let found = place.join("found").join(name);
        let kept = shell.root.join("fuzz/corpus").join(name);
        for folder in [&found, &kept] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let run = |folders: &[&Path], options: &[&str]| {
            let mut command: Command = fuzz("run");
            command.env("WRIT_FUZZ_TARGET", name).args(folders);
            shell::run(command.arg("--").args(BOUNDS).args(options))
        };
        let artifacts = format!("-artifact_prefix={}/{name}-", place.display());
        let time = format!("-max_total_time={}", asked.seconds);
        let options = [time.as_str(), &artifacts, "-print_final_stats=1"];
        if run(&[&found, &kept, &seeds.join(name)], &options).is_err() {
            broken.push(name);
        } else if asked.keep {
            run(&[&kept, &found], &["-merge=1", "-max_len=2048"])?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "an input breaks {}; it is kept under {}",
        broken.join(", "),
        place.display()
    )
}

/// The targets, which have a folder of seeds each.
fn names(seeds: &Path) -> Result<Vec<String>> {
    let folders = fs::read_dir(seeds).with_context(|| seeds.display().to_string())?;
    let paths: Vec<PathBuf> = folders.map(|f| Ok(f?.path())).collect::<Result<_>>()?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

fn chosen<'a>(known: &'a [String], asked: &'a [String]) -> Result<Vec<&'a str>> {
    if let Some(other) = asked.iter().find(|name| !known.contains(name)) {
        bail!(
            "no target is called `{other}`; there are {}",
            known.join(", ")
        );
    }
    let chosen = if asked.is_empty() { known } else { asked };
    Ok(chosen.iter().map(String::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name_and_an_unknown_one_names_the_others() {
        let known = ["cel".to_owned(), "json".to_owned()];
        assert_eq!(chosen(&known, &[]).unwrap(), ["cel", "json"]);
        assert_eq!(chosen(&known, &["json".to_owned()]).unwrap(), ["json"]);
        let fault = chosen(&known, &["jsn".to_owned()]).unwrap_err().to_string();
        assert!(
            fault.contains("`jsn`") && fault.contains("cel, json"),
            "{fault}"
        );
    }
}
