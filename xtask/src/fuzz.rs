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

/// Inputs of a target that are kept in the repository. The search goes on from
/// all that it found on this machine; these are for the test runs.
const KEPT_MAX: usize = 64;

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
    let fuzz = || {
        let mut command = shell.command(&tool);
        command
            // The release profile optimises the program as a whole, which takes
            // longer than the search gains by it.
            .args(["fuzz", "run", "--fuzz-dir", "fuzz", "--dev"])
            .args(["--sanitizer", "none"])
            .args(["--features", "guided", "guided"])
            .env("CARGO_TARGET_DIR", &place);
        command
    };
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    // Builds it, too; without a folder it would make one of its own.
    shell::run(fuzz().arg(&place).env("WRIT_FUZZ_SEEDS", &seeds))?;
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
            let mut command: Command = fuzz();
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
            thin_out(&kept)?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "an input breaks {}; it is kept under {}: copy it to `fuzz/corpus/TARGET`, \
         and `cargo test --workspace --test corpus` shows it again",
        broken.join(", "),
        place.display()
    )
}

/// Removes found inputs beyond what is kept. They are named by their hash, so
/// that those which come first are of every kind; what has a name stays.
fn thin_out(folder: &Path) -> Result<()> {
    let found = names(folder)?;
    for name in found.iter().filter(|name| is_hash(name)).skip(KEPT_MAX) {
        fs::remove_file(folder.join(name)).with_context(|| name.clone())?;
    }
    Ok(())
}

/// Whether this is how libFuzzer names what it finds.
fn is_hash(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The names of what lies in a folder, sorted: of the targets, which have a
/// folder of seeds each, and of inputs.
fn names(folder: &Path) -> Result<Vec<String>> {
    let listing = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<PathBuf> = listing.map(|f| Ok(f?.path())).collect::<Result<_>>()?;
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
    fn found_inputs_are_thinned_out_and_named_ones_stay() {
        let place = std::env::temp_dir().join(format!("writ-thin-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        for number in 0..KEPT_MAX + 3 {
            fs::write(place.join(format!("{number:040x}")), "x").unwrap();
        }
        fs::write(place.join("zz-a-crash"), "x").unwrap();
        thin_out(&place).unwrap();
        let left = names(&place).unwrap();
        fs::remove_dir_all(&place).unwrap();
        assert_eq!(left.len(), KEPT_MAX + 1);
        assert_eq!(left.last().unwrap(), "zz-a-crash");
        assert_eq!(left[0], format!("{:040x}", 0));
    }

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
