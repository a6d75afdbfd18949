//! Power cuts: a worker runs while everything that it does to its disk is
//! written down; then the disk is made as it could be after a cut at any of
//! these changes, and judged by what had been acknowledged by then. A worker
//! goes on from such a disk, and is written down again.

use crate::checker::{Checker, prove};
use crate::image::{Disk, Survives};
use crate::journal::{self, Change, Record};
use crate::kill::arguments;
use crate::process;
use crate::told::Told;
use crate::{Plan, Sabotage};
use anyhow::{Context, Result};
use std::path::Path;
use testkit::Dice;

/// Images of one run of a worker.
const IMAGES_OF_RUN: usize = 60;
/// Commands of one run at most, in 1,000s of a roll.
const COMMANDS_MAX: usize = 700;
/// Where the worker reports, below the root.
const REPORT: &str = "report";
/// The data directory, below the root.
const DATA: &str = "data";
/// Faults after which a run ends.
const FAULTS_MAX: usize = 3;
const GARBAGE_BYTES: usize = 32_768;

/// Makes as many images as planned.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn run(plan: &Plan) -> Result<Vec<String>> {
    let mut dice = Dice::new(plan.seed());
    let mut power = Power {
        checker: Checker::start()?,
        sabotage: plan.sabotage,
        images: 0,
        acks: 0,
        changes: 0,
        faults: Vec::new(),
    };
    let directory = plan.directory()?;
    let shim = process::shim(directory.path())?;
    let mut runs = 0_u64;
    let mut base: Option<Base> = None;
    while power.images < plan.images && power.faults.len() < FAULTS_MAX {
        let place = directory.path().join(format!("run-{runs}"));
        // Every third run begins with nothing, the others where a cut left off.
        let before = base.take().filter(|_| !runs.is_multiple_of(3));
        let left = usize::try_from(plan.images - power.images)?;
        let mut run = Run::new(&place, &shim, before, &mut dice)?;
        base = power.judge_all(&mut run, &mut dice, left.min(IMAGES_OF_RUN))?;
        if power.faults.is_empty() {
            std::fs::remove_dir_all(&place)?;
        }
        runs += 1;
        if runs.is_multiple_of(10) {
            println!(
                "power: {} images, {} acks checked",
                power.images, power.acks
            );
        }
    }
    println!(
        "power: {} images of {runs} runs with {} changes, {} acknowledgements checked, {} faults",
        power.images,
        power.changes,
        power.acks,
        power.faults.len()
    );
    if !power.faults.is_empty() {
        println!("kept: {}", directory.keep().display());
    }
    Ok(power.faults)
}

/// A disk that a cut left, and what had been told by then.
struct Base {
    root: tempfile::TempDir,
    told: Vec<u8>,
    seed: u64,
}

/// What a worker did to its disk.
struct Run {
    told: Told,
    lines_before: usize,
    seed: u64,
    disk: Disk,
    journal: Vec<Record>,
}

impl Run {
    /// Lets a worker work, and reads what it did.
    fn new(place: &Path, shim: &Path, base: Option<Base>, dice: &mut Dice) -> Result<Self> {
        let root = place.join("root");
        std::fs::create_dir_all(&root)?;
        let mut told = Told::new(place.join("told"))?;
        let mut seed = dice.bits();
        if let Some(base) = base {
            told.hear(&base.told)?;
            seed = base.seed;
            let from = base.root.path().join(DATA);
            if from.is_dir() {
                crate::kill::copy_files(&from, &root.join(DATA))?;
            }
        }
        let lines_before = told.lines;
        let disk = Disk::of(&root, DATA)?;
        std::fs::write(root.join(REPORT), "")?;
        let commands = dice.roll(COMMANDS_MAX) as u64 + 20;
        let again = told.again(dice);
        let store = root.join(DATA);
        let arguments = arguments(seed, told.next, commands, &again, false);
        let mut command = process::command(&store.to_string_lossy(), &arguments)?;
        command
            .arg("--report")
            .arg(root.join(REPORT))
            .env("LD_PRELOAD", shim)
            .env("TORTURE_ROOT", &root)
            .env("TORTURE_JOURNAL", place.join("journal"));
        if dice.roll(3) == 0 {
            // This one does not stop in order.
            command.env("TORTURE_KILL_AT", (dice.roll(3_000) + 100).to_string());
        }
        command.status().context("a worker cannot be started")?;
        told.hear(&std::fs::read(root.join(REPORT))?)?;
        let journal = journal::read(&place.join("journal"))?;
        Ok(Self {
            told,
            lines_before,
            seed,
            disk,
            journal,
        })
    }
}

struct Power {
    checker: Checker,
    sabotage: Option<Sabotage>,
    images: u64,
    acks: u64,
    changes: u64,
    faults: Vec<String>,
}

impl Power {
    /// Cuts the power at `count` of the changes, in their order, and judges each
    /// disk; returns one of them to go on from.
    fn judge_all(&mut self, run: &mut Run, dice: &mut Dice, count: usize) -> Result<Option<Base>> {
        let mut at: Vec<usize> = (0..count)
            .map(|_| dice.roll(run.journal.len() + 1))
            .collect();
        at.sort_unstable();
        self.changes += run.journal.len() as u64;
        let mut lines = run.lines_before;
        let mut done = 0;
        let mut base = None;
        let chosen = dice.roll(count.max(1));
        for (number, cut) in at.into_iter().enumerate() {
            for record in &run.journal[done..cut] {
                lines += usize::from(told(record));
                if !told(record) && !self.forgets(record) {
                    run.disk.apply(record);
                }
            }
            done = cut;
            let survives = Survives::any(dice);
            let root = image_directory()?;
            run.disk.cut(root.path(), survives, dice)?;
            if number == chosen {
                let kept = image_directory()?;
                if root.path().join(DATA).is_dir() {
                    crate::kill::copy_files(&root.path().join(DATA), &kept.path().join(DATA))?;
                }
                base = Some(Base {
                    root: kept,
                    told: first_lines(&std::fs::read(run.told.path())?, lines),
                    seed: run.seed,
                });
            }
            self.judge(
                root.path(),
                run,
                lines,
                dice,
                &format!("{survives:?} at {cut}"),
            )?;
            if self.faults.len() >= FAULTS_MAX {
                break;
            }
        }
        Ok(base)
    }

    fn judge(
        &mut self,
        root: &Path,
        run: &Run,
        lines: usize,
        dice: &mut Dice,
        at: &str,
    ) -> Result<()> {
        let data = root.join(DATA);
        if data.is_dir() && dice.roll(3) == 0 {
            // The index of the log is no file that anyone syncs.
            let byte = u8::try_from(dice.roll(256))?;
            let index = data.join(format!("{}-shm", store::sqlite::FILE_NAME));
            std::fs::write(index, vec![byte; GARBAGE_BYTES])?;
        }
        let mut faults = Vec::new();
        if let Err(fault) = prove(&data.to_string_lossy()) {
            faults.push(format!("{fault:#}"));
        }
        let file = data.join(store::sqlite::FILE_NAME);
        let file = file.to_string_lossy();
        let found = self.checker.check(&file, run.told.path(), lines)?;
        faults.extend(found.faults);
        self.images += 1;
        self.acks += found.acks;
        let seed = run.seed;
        let named = |fault| format!("power, {at} of run with seed {seed}: {fault}");
        self.faults.extend(faults.into_iter().map(named));
        Ok(())
    }

    /// Whether the harness, broken on purpose, does not know of this sync.
    fn forgets(&self, record: &Record) -> bool {
        let is_directory = record.path.is_empty() || record.path == DATA;
        record.change == Change::Synced
            && match self.sabotage {
                Some(Sabotage::NoSync) => true,
                Some(Sabotage::NoMainSync) => record.path.ends_with(".db"),
                Some(Sabotage::NoDirectorySync) => is_directory,
                Some(Sabotage::Lie) | None => false,
            }
    }
}

fn first_lines(told: &[u8], lines: usize) -> Vec<u8> {
    let all = told.split_inclusive(|byte| *byte == b'\n');
    all.take(lines).flatten().copied().collect()
}

/// Whether this is a line of the report and no change of the store.
fn told(record: &Record) -> bool {
    record.path == REPORT
}

/// Where an image stands: in memory where the machine has a place for that,
/// for nothing of it has to last.
fn image_directory() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("writ-torture-");
    let memory = Path::new("/dev/shm");
    Ok(match builder.tempdir_in(memory) {
        Ok(directory) => directory,
        Err(_) => builder.tempdir()?,
    })
}
