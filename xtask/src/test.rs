//! Every check in one command: the stages in order, each with its time, and a
//! stop at the first that fails.

use crate::shell::{self, Shell};
use crate::{abuse, docs, scenarios, setup, supply, tidy};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// One stage.
struct Stage {
    name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// What `cargo xtask test` does, in this order: what is quick and what fails
/// most often comes first.
const STAGES: &[Stage] = &[
    Stage {
        name: "setup",
        run: |_| setup::run(),
    },
    Stage {
        name: "fmt",
        run: |shell| shell::run(&mut shell.cargo(&["fmt", "--all", "--check"])),
    },
    Stage {
        name: "tidy",
        run: tidy::run,
    },
    Stage {
        name: "deny",
        // What is known to be unsafe needs a database from elsewhere.
        run: |shell| supply::deny(shell, false),
    },
    Stage {
        name: "clippy",
        run: |shell| {
            let args = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            shell::run(&mut shell.cargo(&args))
        },
    },
    Stage {
        name: "tests",
        // Every failing test is shown, not only those of the first crate.
        run: |shell| {
            let mut cargo = shell.cargo(&["test", "--workspace", "--no-fail-fast"]);
            // What must not compile must fail for the reason that it names.
            shell::run(cargo.env("RUSTDOC", shell.root.join("xtask/rustdoc.sh")))
        },
    },
    Stage {
        name: "docs",
        run: docs::compare,
    },
    Stage {
        name: "scenarios",
        run: |shell| scenarios::run(shell, None),
    },
    Stage {
        name: "abuse",
        run: abuse::short,
    },
];

/// Runs all stages, or the one of this name.
///
/// # Errors
/// At the first stage that fails, with the command that runs it again.
pub(crate) fn run(shell: &Shell, only: Option<&str>) -> Result<()> {
    let stages = chosen(only)?;
    println!("build output: {}", shell.target.display());
    let mut times = Vec::with_capacity(stages.len());
    for stage in &stages {
        println!("\n== {}", stage.name);
        let began = Instant::now();
        let done = (stage.run)(shell);
        times.push((stage.name, began.elapsed()));
        if let Err(fault) = done {
            print!("\n{}", summary(&times, Some(stage.name)));
            return Err(fault).with_context(|| {
                format!(
                    "stage `{0}` failed; again with `cargo xtask test --stage {0}`",
                    stage.name
                )
            });
        }
    }
    print!("\n{}", summary(&times, None));
    Ok(())
}

fn chosen(only: Option<&str>) -> Result<Vec<&'static Stage>> {
    let Some(name) = only else {
        return Ok(STAGES.iter().collect());
    };
    match STAGES.iter().find(|stage| stage.name == name) {
        Some(stage) => Ok(vec![stage]),
        None => {
            let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            bail!(
                "no stage is called `{name}`; there are {}",
                names.join(", ")
            )
        }
    }
}

fn summary(times: &[(&str, Duration)], failed: Option<&str>) -> String {
    let mut text = String::new();
    for (name, time) in times {
        let result = if failed == Some(*name) {
            "FAILED"
        } else {
            "ok"
        };
        text.push_str(&format!(
            "{name:<10} {:>7.1} s  {result}\n",
            time.as_secs_f64()
        ));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    text.push_str(&format!("{:<10} {:>7.1} s\n", "all", total.as_secs_f64()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_chosen_by_name_and_an_unknown_one_names_the_others() {
        assert_eq!(chosen(None).unwrap().len(), STAGES.len());
        assert_eq!(chosen(Some("tidy")).unwrap()[0].name, "tidy");
        let fault = chosen(Some("tdy")).err().unwrap().to_string();
        assert!(
            fault.contains("`tdy`") && fault.contains("tidy, deny, clippy"),
            "{fault}"
        );
    }

    #[test]
    fn the_summary_shows_each_time_and_the_failed_stage() {
        let times = [
            ("fmt", Duration::from_millis(1500)),
            ("tidy", Duration::from_secs(2)),
        ];
        assert_eq!(
            summary(&times, Some("tidy")),
            "fmt            1.5 s  ok\ntidy           2.0 s  FAILED\nall            3.5 s\n"
        );
    }
}
