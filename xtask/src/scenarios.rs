//! Scenarios: the scripts `scenarios/NAME.sh`, which a person can run as well.
//! Each gets the built binary's path in `WRIT` and an empty directory of its
//! own in `WORK`, which is removed when it passes. It passes when it exits
//! with zero and, where `scenarios/NAME.golden` stands, has written exactly
//! that to its standard output.

use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Runs all scenarios in order of name, or the one of this name.
///
/// # Errors
/// At the first that fails, and when there is none to run.
pub(crate) fn run(shell: &Shell, only: Option<&str>) -> Result<()> {
    let scripts = scripts(&shell.root.join("scenarios"), only)?;
    let binary = shell.binary()?;
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy();
        println!("scenario {name}");
        play(shell, &script, &binary).with_context(|| format!("scenario `{name}`"))?;
    }
    Ok(())
}

fn play(shell: &Shell, script: &Path, binary: &Path) -> Result<()> {
    let name = script.file_stem().unwrap_or_default();
    let work = std::env::temp_dir().join(format!(
        "writ-scenario-{}-{}",
        std::process::id(),
        name.to_string_lossy()
    ));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make `{}`", work.display()))?;
    let written = shell::output(
        shell
            .command("bash")
            .arg(script)
            .env("WRIT", binary)
            .env("WORK", &work),
    )
    .with_context(|| format!("what it left stands in `{}`", work.display()))?;
    print!("{written}");
    let golden = script.with_extension("golden");
    if golden.is_file() {
        let expected = std::fs::read_to_string(&golden)
            .with_context(|| format!("cannot read `{}`", golden.display()))?;
        if let Some(difference) = first_difference(&expected, &written) {
            bail!(
                "its output is not `{}`: {difference}; what it left stands in `{}`",
                golden.display(),
                work.display()
            );
        }
    }
    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove `{}`", work.display()))
}

fn scripts(dir: &Path, only: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    let listing =
        std::fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()));
    for file in listing? {
        let path = file?.path();
        let named = only.is_none_or(|name| path.file_stem().is_some_and(|stem| stem == name));
        if named && path.extension().is_some_and(|extension| extension == "sh") {
            scripts.push(path);
        }
    }
    if scripts.is_empty() {
        bail!(
            "no scenario `{}.sh` in `{}`",
            only.unwrap_or("*"),
            dir.display()
        );
    }
    scripts.sort();
    Ok(scripts)
}

/// Where two texts part, for a person; `None` when they are the same.
pub(crate) fn first_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let mut expected_lines = expected.lines();
    let mut found_lines = found.lines();
    let mut number = 0;
    loop {
        number += 1;
        match (expected_lines.next(), found_lines.next()) {
            (None, None) => return Some("they differ in line ends only".to_owned()),
            (e, f) if e == f => {}
            (e, f) => {
                let shown =
                    |line: Option<&str>| line.map_or("nothing".into(), |l| format!("`{l}`"));
                return Some(format!(
                    "line {number} is {}, expected is {}",
                    shown(f),
                    shown(e)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_with_its_line() {
        let check = |expected, found, message: Option<&str>| {
            assert_eq!(first_difference(expected, found).as_deref(), message);
        };
        check("a\nb\n", "a\nb\n", None);
        check("a\nb\n", "a\nc\n", Some("line 2 is `c`, expected is `b`"));
        check("a\n", "a\nc\n", Some("line 2 is `c`, expected is nothing"));
        check("a\nb\n", "a\n", Some("line 2 is nothing, expected is `b`"));
        check("a\n", "a", Some("they differ in line ends only"));
    }

    #[test]
    fn scripts_run_in_order_of_name_and_none_is_an_error() {
        let dir = std::env::temp_dir().join(format!("writ-scripts-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let none = scripts(&dir, None).unwrap_err().to_string();
        for name in ["b.sh", "a.sh", "a.golden"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let all = scripts(&dir, None).unwrap();
        let one = scripts(&dir, Some("b")).unwrap();
        let other = scripts(&dir, Some("c")).unwrap_err().to_string();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(all, [dir.join("a.sh"), dir.join("b.sh")]);
        assert_eq!(one, [dir.join("b.sh")]);
        assert!(none.contains("no scenario `*.sh`"), "{none}");
        assert!(other.contains("no scenario `c.sh`"), "{other}");
    }

    /// Plays a script beside this golden file, in a checkout of its own.
    fn played(name: &str, script: &str, golden: Option<&str>) -> Result<()> {
        let root = std::env::temp_dir().join(format!("writ-play-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&root)?;
        let path = root.join(name).with_extension("sh");
        std::fs::write(&path, script)?;
        if let Some(golden) = golden {
            std::fs::write(path.with_extension("golden"), golden)?;
        }
        let shell = Shell {
            target: root.join("target"),
            root: root.clone(),
        };
        let done = play(&shell, &path, Path::new("/bin/writ"));
        std::fs::remove_dir_all(&root)?;
        done
    }

    #[test]
    fn a_scenario_passes_by_its_exit_code_and_its_golden_output() {
        let script = "set -eu; cd \"$WORK\"; touch made; echo \"$(ls) by $WRIT\"; cat";
        played("plain", script, None).unwrap();
        played("golden", script, Some("made by /bin/writ\n")).unwrap();
    }

    #[test]
    fn a_scenario_that_fails_says_where_its_leavings_are() {
        let work = |name: &str| {
            let name = format!("writ-scenario-{}-{name}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let fault = played("exit", "exit 3", None).unwrap_err();
        assert!(format!("{fault:#}").contains(&work("exit").display().to_string()));
        std::fs::remove_dir_all(work("exit")).unwrap();

        let fault = played("other", "echo a", Some("b\n")).unwrap_err();
        assert!(format!("{fault:#}").contains("line 1 is `a`, expected is `b`"));
        assert!(format!("{fault:#}").contains(&work("other").display().to_string()));
        std::fs::remove_dir_all(work("other")).unwrap();
    }
}
