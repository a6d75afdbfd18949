//! Measurements: the machine and the versions first, then every bench target
//! of the workspace in release form, then the build itself.

use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The measurement that is not a bench target: a clean release build.
const BUILD: &str = "build";
/// The one that takes an hour: it runs only when it is named.
pub(crate) const SOAK: &str = "soak";

/// Runs all measurements, or the one of this name.
///
/// # Errors
/// When none has this name, or one fails.
pub(crate) fn run(shell: &Shell, what: Option<&str>, args: &[String]) -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(shell.root.join("Cargo.toml"))
        .exec()?;
    let benches = benches(&metadata);
    let known = |name: &str| name == BUILD || benches.iter().any(|(_, bench)| bench == name);
    if let Some(name) = what.filter(|name| !known(name)) {
        let names: Vec<_> = benches.iter().map(|(_, bench)| bench.as_str()).collect();
        let names = [names.as_slice(), &[BUILD]].concat().join(", ");
        bail!("no bench is called `{name}`; there are {names}");
    }
    print!("{}", machine(&metadata)?);
    for (package, bench) in &benches {
        if what.map_or(bench != SOAK, |name| name == bench) {
            println!("\n== {bench}");
            let mut command = shell.cargo(&["bench", "--quiet", "--package", package]);
            command.args(["--bench", bench, "--"]).args(args);
            shell::run(&mut command)?;
        }
    }
    if what.is_none_or(|name| name == BUILD) {
        println!("\n== {BUILD}");
        build(shell)?;
    }
    Ok(())
}

/// Package and name of every bench target, in order of name.
fn benches(metadata: &Metadata) -> Vec<(String, String)> {
    let mut benches = Vec::new();
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            if target.kind.contains(&TargetKind::Bench) {
                benches.push((package.name.to_string(), target.name.clone()));
            }
        }
    }
    benches.sort();
    benches
}

/// Builds the release binary from nothing, in a directory of its own.
fn build(shell: &Shell) -> Result<()> {
    let target = std::env::temp_dir().join(format!("writ-build-{}", std::process::id()));
    let began = Instant::now();
    let mut command = shell.cargo(&["build", "--quiet", "--release", "--package", "writ"]);
    let built = shell::run(command.env("CARGO_TARGET_DIR", &target));
    let seconds = began.elapsed().as_secs_f64();
    let size = std::fs::metadata(target.join("release/writ")).map(|file| file.len());
    std::fs::remove_dir_all(&target)
        .with_context(|| format!("cannot remove `{}`", target.display()))?;
    built?;
    let bytes = size.context("the build left no binary")?;
    println!("clean release build   {seconds:.0} s");
    println!("binary                {bytes} bytes");
    Ok(())
}

fn machine(metadata: &Metadata) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let rustc = shell::output(Command::new("rustc").arg("--version"))?;
    let cpuinfo = read("/proc/cpuinfo")?;
    let meminfo = read("/proc/meminfo")?;
    let rows = [
        (
            "cpu",
            field(&cpuinfo, "model name")
                .unwrap_or("unknown")
                .to_owned(),
        ),
        ("cores", cores.to_string()),
        (
            "memory",
            field(&meminfo, "MemTotal").unwrap_or("unknown").to_owned(),
        ),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        ),
        (
            "rustc",
            rustc.trim().trim_start_matches("rustc ").to_owned(),
        ),
        ("sqlite", sqlite(metadata)?),
    ];
    let lines = rows.map(|(name, value)| format!("{name:<8} {value}\n"));
    Ok(lines.concat())
}

/// The version of the SQLite that is linked in.
fn sqlite(metadata: &Metadata) -> Result<String> {
    let bundle = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "libsqlite3-sys");
    let Some(dir) = bundle.and_then(|package| package.manifest_path.parent()) else {
        return Ok("not linked".to_owned());
    };
    let header = read(dir.join("sqlite3/sqlite3.h").as_str())?;
    defined(&header, "SQLITE_VERSION").context("the SQLite header names no version")
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(Path::new(path)).with_context(|| format!("cannot read `{path}`"))
}

/// The value of the first `name : value` line.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// The text of the first `#define name "text"` line.
fn defined(header: &str, name: &str) -> Option<String> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let found = words.next() == Some("#define") && words.next() == Some(name);
        let value = words.next().filter(|_| found)?;
        Some(value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files_are_read() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2: GHz\nmodel name\t: other\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 2: GHz"));
        assert_eq!(field(text, "MemTotal"), None);
    }

    #[test]
    fn the_version_is_read_from_the_header() {
        let header = "#define SQLITE_VERSION_NUMBER 3\n#define SQLITE_VERSION        \"3.54.1\"\n";
        assert_eq!(defined(header, "SQLITE_VERSION").as_deref(), Some("3.54.1"));
        assert_eq!(defined(header, "SQLITE_SOURCE_ID"), None);
    }
}
