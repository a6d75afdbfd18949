//! `kill -9` under load: at a random instant from the start of the process on,
//! or at a random change of the disk, in the middle of a write. The next
//! worker starts on the files as they were left; the judges work on a copy.

use crate::checker::{Checker, prove};
use crate::process::{self, Worker};
use crate::told::Told;
use crate::{Plan, Sabotage};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::Dice;

/// Kills of one store, before the next one is made.
const LIFE: u64 = 20;
/// Commands of a worker that nobody kills.
const COMMANDS: u64 = 4_000;
/// Where the logarithm of the instant ends: 2^8.5 ms.
const DOUBLINGS_MAX: usize = 86;
/// Where the logarithm of the number of the change ends: 2^11.
const CHANGES_DOUBLINGS_MAX: usize = 110;
/// Faults after which a run ends.
const FAULTS_MAX: usize = 3;
/// How often the run tells how far it is.
const TELL_EVERY: u64 = 50;

/// What a run came to.
#[derive(Default)]
pub(crate) struct Count {
    acks: u64,
    entries: u64,
    phases: BTreeMap<String, u64>,
}

/// One store, which is tortured again and again.
pub(crate) trait Life: Sized {
    /// Starts a worker, does its harm, and asks the judges.
    ///
    /// # Errors
    /// When a process cannot be started.
    fn cycle(&mut self, dice: &mut Dice, checker: &mut Checker) -> Result<Harmed>;
    /// Keeps what is there for whoever looks into a fault.
    fn keep(self) -> PathBuf;
}

/// What came of a cycle.
pub(crate) struct Harmed {
    /// What was going on then.
    pub(crate) phase: String,
    /// What the judges found.
    pub(crate) faults: Vec<String>,
    /// Acknowledgements and entries of this store so far.
    pub(crate) acks: u64,
    pub(crate) entries: u64,
}

/// Runs as many kills of workers as planned.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn run(plan: &Plan) -> Result<Vec<String>> {
    lives(plan, "kill", |seed| Files::new(plan, seed))
}

/// Runs as many cycles as planned, each life of them on a store of its own.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn lives<L: Life>(
    plan: &Plan,
    name: &str,
    mut make: impl FnMut(u64) -> Result<L>,
) -> Result<Vec<String>> {
    let mut dice = Dice::new(plan.seed());
    let mut checker = Checker::start()?;
    let mut count = Count::default();
    let mut faults = Vec::new();
    let mut done = 0;
    while done < plan.cycles && faults.len() < FAULTS_MAX {
        let mut life = make(dice.bits())?;
        let faults_before = faults.len();
        let (mut acks, mut entries) = (0, 0);
        for _ in 0..LIFE.min(plan.cycles - done) {
            let harmed = life.cycle(&mut dice, &mut checker)?;
            let at = format!("{name} {done}");
            let found = harmed.faults.into_iter();
            faults.extend(found.map(|fault| format!("{at}: {fault}")));
            *count.phases.entry(harmed.phase).or_default() += 1;
            (acks, entries) = (harmed.acks, harmed.entries);
            done += 1;
            if done.is_multiple_of(TELL_EVERY) {
                println!("{name}: {done} cycles, {} acks checked", count.acks + acks);
            }
            if faults.len() >= FAULTS_MAX {
                break;
            }
        }
        count.acks += acks;
        count.entries += entries;
        if faults.len() > faults_before {
            println!("kept: {}", life.keep().display());
        }
    }
    println!(
        "{name}: {done} cycles, {} acknowledgements and {} entries checked, killed while {:?}, \
         {} faults",
        count.acks,
        count.entries,
        count.phases,
        faults.len()
    );
    Ok(faults)
}

/// A data directory and what was told of it.
struct Files {
    directory: tempfile::TempDir,
    shim: PathBuf,
    told: Told,
    seed: u64,
    lie: bool,
    acks: u64,
    entries: u64,
}

impl Files {
    fn new(plan: &Plan, seed: u64) -> Result<Self> {
        let directory = plan.directory()?;
        let shim = process::shim(directory.path())?;
        let told = Told::new(directory.path().join("told"))?;
        Ok(Self {
            directory,
            shim,
            told,
            seed,
            lie: plan.sabotage == Some(Sabotage::Lie),
            acks: 0,
            entries: 0,
        })
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("root/data")
    }

    /// Both judges on a copy; the one that comes first recovers the files.
    fn judge(
        &mut self,
        copy: &Path,
        checker: &mut Checker,
        own_first: bool,
    ) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let store = copy.to_string_lossy();
        // A process that died before it had made its tables has acknowledged
        // nothing, and only writ goes on from there.
        let own_first = own_first || !self.told.opened;
        let proofs = || prove(&store).err().map(|fault| format!("{fault:#}"));
        if own_first {
            faults.extend(proofs());
        }
        let file = copy.join(store::sqlite::FILE_NAME);
        let (path, lines) = (self.told.path(), self.told.lines);
        let found = checker.check(&file.to_string_lossy(), path, lines)?;
        faults.extend(found.faults);
        self.acks = found.acks;
        self.entries = found.entries;
        if !own_first {
            faults.extend(proofs());
        }
        Ok(faults)
    }
}

impl Life for Files {
    fn cycle(&mut self, dice: &mut Dice, checker: &mut Checker) -> Result<Harmed> {
        let root = self.directory.path().join("root");
        std::fs::create_dir_all(&root)?;
        let again = self.told.again(dice);
        let arguments = arguments(self.seed, self.told.next, COMMANDS, &again, self.lie);
        let mut command = process::command(&self.store().to_string_lossy(), &arguments)?;
        let ended = if dice.roll(2) == 0 {
            let change = 2_f64.powf(dice.roll(CHANGES_DOUBLINGS_MAX) as f64 / 10.0);
            command
                .env("LD_PRELOAD", &self.shim)
                .env("TORTURE_ROOT", &root)
                .env("TORTURE_KILL_AT", format!("{change:.0}"));
            Worker::start(command)?.end()?
        } else {
            // From 50 microseconds to 360 milliseconds, each doubling as likely.
            let doublings = dice.roll(DOUBLINGS_MAX + 43) as f64 / 10.0 - 4.3;
            let time = Duration::from_secs_f64(2_f64.powf(doublings) / 1000.0);
            Worker::start(command)?.kill_after(time)?
        };
        let mut faults = Vec::new();
        self.told.hear(&ended.told)?;
        let phase = self.told.phase_name();
        if !ended.killed() && !ended.status.success() {
            faults.push(format!("a worker failed: {}", ended.status));
        }
        let copy = self.directory.path().join("copy");
        if self.store().is_dir() {
            copy_files(&self.store(), &copy)?;
            faults.extend(self.judge(&copy, checker, dice.roll(2) == 0)?);
            std::fs::remove_dir_all(&copy)?;
        }
        Ok(Harmed {
            phase,
            faults,
            acks: self.acks,
            entries: self.entries,
        })
    }

    fn keep(mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}

/// The arguments of a worker.
pub(crate) fn arguments(seed: u64, from: u64, count: u64, again: &[u64], lie: bool) -> Vec<String> {
    let mut arguments = vec![
        "--seed".to_owned(),
        seed.to_string(),
        "--from".to_owned(),
        from.to_string(),
        "--count".to_owned(),
        count.to_string(),
    ];
    if !again.is_empty() {
        let again: Vec<String> = again.iter().map(ToString::to_string).collect();
        arguments.extend(["--again".to_owned(), again.join(",")]);
    }
    if lie {
        arguments.push("--lie".to_owned());
    }
    arguments
}

/// Copies the files of a directory.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
