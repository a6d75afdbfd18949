//! What the tests need beyond the Rust toolchain, and how a Debian machine
//! gets it: a browser with its driver, the real Alertmanager with its command
//! line tool, PostgreSQL, Redis, and Python for the small service that a
//! scenario heals. Debian has no S3 server that enforces Object Lock: one is
//! built by Go, at a pinned version, into the user's cache. What makes up
//! requests from the API's document, schemathesis, is installed there by pip.

use crate::shell;
use crate::supply;
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Debian package and the programs that show that it is there.
struct Package {
    name: &'static str,
    programs: &'static [&'static str],
}

const PACKAGES: &[Package] = &[
    Package {
        name: "chromium",
        programs: &["chromium"],
    },
    Package {
        name: "chromium-driver",
        programs: &["chromedriver"],
    },
    Package {
        name: "prometheus-alertmanager",
        programs: &["prometheus-alertmanager", "amtool"],
    },
    Package {
        name: "postgresql",
        programs: &["psql", "postgres"],
    },
    Package {
        name: "python3",
        programs: &["python3"],
    },
    Package {
        name: "redis-server",
        programs: &["redis-server", "redis-cli", "redis-benchmark"],
    },
];

/// Where Debian keeps the server's programs, a folder for each version; only
/// the client's are on the `PATH`.
const POSTGRESQL: &str = "/usr/lib/postgresql";
/// Tells Debian's package, before it is there, to make no server of its own:
/// the tests make theirs.
const NO_CLUSTER: &str = "\
    mkdir -p /etc/postgresql-common/createcluster.d && \
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/writ.conf";

/// Packages whose service would start on a machine with an init system.
const UNWANTED_SERVICES: &[&str] = &["prometheus-alertmanager", "redis-server"];

/// Installs what is missing; looks only at `PATH` when nothing is.
///
/// # Errors
/// Names the packages and the command to run by hand when they cannot be
/// installed from here.
pub(crate) fn run() -> Result<()> {
    packages()?;
    object_store()?;
    schemathesis()?;
    supply::set_up()
}

/// The S3 server that the archive is tested against.
const S3_MODULE: &str = "github.com/versity/versitygw/cmd/versitygw";
const S3_VERSION: &str = "1.8.0";

/// The version of `cargo fuzz`.
pub(crate) const CARGO_FUZZ: &str = "0.13.2";

/// A tool that comes as a crate, at this version; it is built where it is
/// missing.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let folder = tools()?.join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        println!("building {name} {version}");
        // Kept out of writ's own build output, which is kept for long.
        let build = folder.join("build");
        let mut install = Command::new("cargo");
        install
            .args(["install", name, "--version", version, "--locked", "--quiet"])
            // They run for seconds, and build in a third of the time.
            .arg("--debug")
            .arg("--root")
            .arg(&folder)
            .arg("--target-dir")
            .arg(&build)
            .stdin(Stdio::null());
        shell::run(&mut install)?;
        std::fs::remove_dir_all(&build)
            .with_context(|| format!("cannot remove `{}`", build.display()))?;
    }
    Ok(program)
}

/// Where tools are that no package brings.
fn tools() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = cache
        .or_else(home)
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("writ/tools"))
}

/// Schemathesis with everything that it needs, each at its version.
const SCHEMATHESIS: &str = include_str!("../schemathesis/requirements.txt");

/// The program schemathesis, installed where it is missing: half a minute,
/// once a machine.
///
/// # Errors
/// When Python cannot install it.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    let mut pinned = SCHEMATHESIS.lines();
    let version = pinned
        .find_map(|line| line.strip_prefix("schemathesis=="))
        .context("the requirements do not pin schemathesis")?;
    let folder = tools()?.join(format!("schemathesis-{version}"));
    let program = folder.join("bin/schemathesis");
    let installed = folder.join("requirements.txt");
    // Written last: what was cut off, or is of other versions, is made anew.
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == SCHEMATHESIS) {
        return Ok(program);
    }
    println!("installing schemathesis {version}");
    let python = |args: &[&str]| -> Result<()> {
        let mut command = Command::new("python3");
        shell::run(command.args(args).arg(&folder).stdin(Stdio::null()))
    };
    python(&["-m", "venv", "--clear"])
        .context("cannot make a Python environment; install `python3-venv`")?;
    let listed = folder.join("pinned.txt");
    std::fs::write(&listed, SCHEMATHESIS)?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    shell::run(pip.arg("--requirement").arg(&listed).stdin(Stdio::null()))?;
    std::fs::rename(&listed, &installed)?;
    Ok(program)
}

/// Builds the S3 server where it is missing: about a minute, once a machine.
fn object_store() -> Result<()> {
    // The archive's test looks there.
    let folder = tools()?.join(format!("versitygw-{S3_VERSION}"));
    if folder.join("versitygw").is_file() {
        return Ok(());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if program_in(&path, "go").is_none() {
        bail!("missing Go 1.26 or newer, which builds the S3 server of the tests; install `go`");
    }
    println!("building versitygw {S3_VERSION}");
    let module = format!("{S3_MODULE}@v{S3_VERSION}");
    shell::run(
        Command::new("go")
            .args(["install", &module])
            .env("GOBIN", &folder)
            .env("GOFLAGS", "-trimpath")
            .stdin(Stdio::null()),
    )
}

fn packages() -> Result<()> {
    let path = search_path()?;
    let mut lacking = missing(&path);
    if !makes_environments() {
        lacking.push(PYTHON_ENVIRONMENTS);
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        lacking.join(" ")
    );
    if program_in(&path, "apt-get").is_none() {
        bail!(
            "missing {}, and there is no `apt-get` here; install them in this system's own way",
            quoted(&lacking)
        );
    }
    let as_root = privilege()
        .with_context(|| format!("missing {}; run `{by_hand}` as root", quoted(&lacking)))?;
    println!("installing {}", lacking.join(" "));
    if lacking.contains(&"postgresql") {
        let words = ["sh", "-c", NO_CLUSTER];
        shell::run(&mut command(as_root.iter().copied().chain(words))?)?;
    }
    let install: Vec<&str> = ["install", "--yes", "--quiet=2", "--no-install-recommends"]
        .into_iter()
        .chain(lacking.iter().copied())
        .collect();
    apt(as_root, &["update", "--quiet=2"])
        .and_then(|()| apt(as_root, &install))
        .with_context(|| format!("missing {}; run `{by_hand}` as root", quoted(&lacking)))?;
    for service in UNWANTED_SERVICES {
        if lacking.contains(service) {
            stop_service(as_root, service)?;
        }
    }
    let still = missing(&search_path()?);
    if !still.is_empty() {
        bail!(
            "{} installed without an error, but their programs are not on the PATH",
            quoted(&still)
        );
    }
    Ok(())
}

/// The package that lets Python make environments; it has no program.
const PYTHON_ENVIRONMENTS: &str = "python3-venv";

fn makes_environments() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import ensurepip, venv"]);
    let done = python.stdin(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// The `PATH`, then where Debian keeps programs that are not on it.
fn search_path() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir(POSTGRESQL).into_iter().flatten();
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    Ok(std::env::join_paths(
        std::env::split_paths(&path).chain(folders),
    )?)
}

/// The packages of which a program is not on this path.
fn missing(path: &OsStr) -> Vec<&'static str> {
    PACKAGES
        .iter()
        .filter(|p| {
            p.programs
                .iter()
                .any(|name| program_in(path, name).is_none())
        })
        .map(|p| p.name)
        .collect()
}

fn program_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The words before a command that needs root.
///
/// # Errors
/// When this is not root and `sudo` wants a password or is not there.
fn privilege() -> Result<&'static [&'static str]> {
    let uid = shell::output(Command::new("id").arg("-u"))?;
    if uid.trim() == "0" {
        return Ok(&[]);
    }
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match sudo {
        Ok(status) if status.success() => Ok(&["sudo", "-n"]),
        Ok(_) | Err(_) => bail!("this is not root, and `sudo -n` does not work"),
    }
}

fn apt(as_root: &[&str], args: &[&str]) -> Result<()> {
    // RUNLEVEL=1 keeps `invoke-rc.d` from starting services of new packages.
    // `env` because `sudo` drops variables.
    let words = as_root.iter().copied().chain([
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "RUNLEVEL=1",
        "apt-get",
    ]);
    shell::run(&mut command(words.chain(args.iter().copied()))?)
}

/// Under systemd the package starts its service whatever the run level is.
fn stop_service(as_root: &[&str], service: &str) -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let words = ["systemctl", "disable", "--quiet", "--now", service];
    shell::run(&mut command(as_root.iter().copied().chain(words))?)
}

fn command<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Command> {
    let mut command = Command::new(words.next().context("an empty command")?);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_missing_on_an_empty_path() {
        let all: Vec<_> = PACKAGES.iter().map(|p| p.name).collect();
        assert_eq!(missing(OsStr::new("/nowhere")), all);
    }

    #[test]
    fn a_package_is_there_only_with_all_its_programs() {
        let dir = std::env::temp_dir().join(format!("writ-setup-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in [
            "chromium",
            "chromedriver",
            "prometheus-alertmanager",
            "psql",
            "postgres",
            "python3",
            "redis-server",
            "redis-cli",
            "redis-benchmark",
        ] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let without_amtool = missing(dir.as_os_str());
        std::fs::write(dir.join("amtool"), "").unwrap();
        let with_amtool = missing(dir.as_os_str());
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(without_amtool, ["prometheus-alertmanager"]);
        assert!(with_amtool.is_empty());
    }

    #[test]
    fn commands_that_need_root_begin_with_the_privilege() {
        let words = ["sudo", "-n", "apt-get", "update"];
        let command = command(words.into_iter()).unwrap();
        assert_eq!(shell::shown(&command), "sudo -n apt-get update");
    }
}
