//! Disks that are full, broken, or gone while writ runs, and before it starts.
//! While the fault lasts every command is answered, with what is wrong and
//! what to do; nothing is acknowledged that is not kept; reading goes on where
//! it can, readiness says no; and when the fault is over the same process goes
//! on by itself.

use crate::Plan;
use crate::checker::{Checker, prove};
use crate::kill::arguments;
use crate::process::{self, Worker};
use crate::told::Told;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use testkit::Dice;

/// Commands of a worker: more than it has time for.
const COMMANDS: u64 = 1_000_000;
/// Commands of a worker that is to be refused.
const COMMANDS_REFUSED: u64 = 40;
/// The same where the write-ahead log of before may have room within it.
const COMMANDS_REFUSED_LATER: u64 = 2_000;
/// Acknowledgements before a fault comes, and after it is over.
const ACKS: usize = 150;
/// Refusals that are waited for while a fault lasts.
const REFUSALS: usize = 60;
/// Reads that are waited for while a fault lasts.
const READS: usize = 5;
/// Bytes of the small disk: room for a short life.
const DISK_BYTES: u64 = 24 << 20;

/// A fault and what is expected of writ meanwhile.
struct Fault {
    name: &'static str,
    cause: Cause,
    /// Words that every refusal has.
    words: &'static str,
    /// Whether commands are refused at all.
    bites: bool,
}

/// A fault that is there when a worker starts.
struct Start {
    name: &'static str,
    cause: Cause,
    /// Words of the one line that it says then.
    words: &'static str,
}

/// How a fault is made.
#[derive(Clone, Copy)]
enum Cause {
    /// The library between the worker and the disk answers so.
    Answer(u8),
    /// A small disk is filled by somebody else.
    Ballast,
    /// The data directory is moved away.
    Moved,
    /// The disk can only be read.
    Remounted,
}

const NONE: u8 = b'0';
const FULL: u8 = b'f';
const READ_ONLY: u8 = b'r';
const NO_SYNC: u8 = b's';
const BROKEN: u8 = b'b';
const NO_HANDLES: u8 = b'h';
const FORBIDDEN: u8 = b'p';

/// The disk is full.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn full(plan: &Plan) -> Result<Vec<String>> {
    let bites = |name, cause| Fault {
        name,
        cause,
        words: "the disk is full",
        bites: true,
    };
    let faults = [
        bites("a small disk that is full", Cause::Ballast),
        bites("no space", Cause::Answer(FULL)),
    ];
    let starts = [
        Start {
            name: "a small disk that is full",
            cause: Cause::Ballast,
            words: "No space left on device",
        },
        Start {
            name: "no space",
            cause: Cause::Answer(FULL),
            words: "No space left on device",
        },
    ];
    torture(plan, &faults, &starts)
}

/// The disk takes no writes.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn read_only(plan: &Plan) -> Result<Vec<String>> {
    let faults = [Fault {
        name: "a disk that became read-only",
        cause: Cause::Answer(READ_ONLY),
        words: "Read-only file system",
        bites: true,
    }];
    let start = |name, cause| Start {
        name,
        cause,
        words: "Read-only file system",
    };
    let starts = [
        start("a read-only disk", Cause::Remounted),
        start("writes to a read-only disk", Cause::Answer(READ_ONLY)),
    ];
    torture(plan, &faults, &starts)
}

/// Syncs and writes fail, files and handles are gone.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn broken(plan: &Plan) -> Result<Vec<String>> {
    let fault = |name, cause, words, bites| Fault {
        name,
        cause,
        words,
        bites,
    };
    let start = |name, answer, words| Start {
        name,
        cause: Cause::Answer(answer),
        words,
    };
    let faults = [
        fault(
            "syncs that fail",
            Cause::Answer(NO_SYNC),
            "the disk reports an error",
            true,
        ),
        fault(
            "writes that fail",
            Cause::Answer(BROKEN),
            "Input/output error",
            true,
        ),
        fault(
            "a data directory that is gone",
            Cause::Moved,
            "the database ",
            true,
        ),
        // What is open stays open: only what must be opened anew is refused.
        fault(
            "no file handles",
            Cause::Answer(NO_HANDLES),
            "how many files writ may open",
            false,
        ),
    ];
    let starts = [
        start("no file handles", NO_HANDLES, "Too many open files"),
        start("no permission", FORBIDDEN, "Permission denied"),
        start("writes that fail", BROKEN, "Input/output error"),
        start("syncs that fail", NO_SYNC, "Input/output error"),
    ];
    torture(plan, &faults, &starts)
}

fn torture(plan: &Plan, faults: &[Fault], starts: &[Start]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut acks = 0;
    let mut dice = Dice::new(plan.seed());
    for fault in faults {
        let mut stand = Stand::new(plan, fault.cause, dice.bits())?;
        let done = stand.endure(fault);
        match done.and_then(|()| stand.judge()) {
            Ok(checked) => acks += checked,
            Err(error) => found.push(format!("{}: {error:#}", fault.name)),
        }
    }
    for start in starts {
        for is_new in [true, false] {
            let mut stand = Stand::new(plan, start.cause, dice.bits())?;
            let done = stand.does_not_start(start, is_new);
            match done.and_then(|()| stand.judge()) {
                Ok(checked) => acks += checked,
                Err(error) => found.push(format!("{} at the start: {error:#}", start.name)),
            }
        }
    }
    println!(
        "faults: {} while running and {} at the start, {acks} acknowledgements checked, {} faults",
        faults.len(),
        2 * starts.len(),
        found.len()
    );
    Ok(found)
}

/// A store, its disk, and what stands between.
struct Stand {
    directory: tempfile::TempDir,
    root: PathBuf,
    mounted: bool,
    shim: PathBuf,
    told: Told,
    seed: u64,
}

impl Stand {
    fn new(plan: &Plan, cause: Cause, seed: u64) -> Result<Self> {
        let directory = plan.directory()?;
        let shim = process::shim(directory.path())?;
        let told = Told::new(directory.path().join("told"))?;
        let root = directory.path().join("root");
        std::fs::create_dir_all(&root)?;
        let mut stand = Self {
            directory,
            root,
            mounted: false,
            shim,
            told,
            seed,
        };
        stand.answer(NONE)?;
        if matches!(cause, Cause::Ballast | Cause::Remounted) {
            stand.mount()?;
        }
        Ok(stand)
    }

    /// A small disk of its own, in memory.
    fn mount(&mut self) -> Result<()> {
        let size = format!("size={DISK_BYTES}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        let status = command.arg(&self.root).status().context("no `mount`")?;
        if !status.success() {
            bail!("`mount` failed: {status}; a small disk takes root, or a container's root");
        }
        self.mounted = true;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn answer(&self, answer: u8) -> Result<()> {
        let path = self.directory.path().join("fault");
        if !path.exists() {
            std::fs::write(&path, [answer])?;
        }
        // In place: the worker has the page before its eyes.
        let file = std::fs::File::options().write(true).open(path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &[answer], 0)?;
        Ok(())
    }

    fn command(&self, count: u64) -> Result<Command> {
        let arguments = arguments(self.seed, self.told.next, count, &[], false);
        let mut command = process::command(&self.data().to_string_lossy(), &arguments)?;
        command
            .env("LD_PRELOAD", &self.shim)
            .env("TORTURE_ROOT", &self.root)
            .env("TORTURE_FAULT", self.directory.path().join("fault"));
        Ok(command)
    }

    /// A worker that lives through a fault.
    fn endure(&mut self, fault: &Fault) -> Result<()> {
        let worker = Worker::start(self.command(COMMANDS)?)?;
        let done = self.watch(&worker, fault);
        let ended = worker.kill_after(Duration::ZERO)?;
        self.told.hear(&ended.told)?;
        done
    }

    fn watch(&self, worker: &Worker, fault: &Fault) -> Result<()> {
        worker.wait("work", 0, |told| count(told, "ack") >= ACKS)?;
        self.begin(fault.cause)?;
        if fault.bites {
            worker.wait("the fault", 0, |told| refusals(told).count() > 0)?;
        }
        let mark = worker.mark();
        let during = |told: &[Value]| {
            let bitten = refusals(told).count() >= REFUSALS && unready(told).count() > 0;
            let goes_on = !fault.bites && count(told, "ack") >= ACKS;
            let reads = count(told, "read") + count(told, "unread") >= READS;
            reads && (bitten || goes_on)
        };
        worker.wait("answers during the fault", mark, during)?;
        let told = worker.told_after(mark);
        let texts = refusals(&told).filter_map(|line| line["message"].as_str());
        for text in texts.chain(unready(&told)) {
            if !text.contains(fault.words) {
                bail!("`{text}` does not say `{}`", fault.words);
            }
        }
        if !matches!(fault.cause, Cause::Moved) && count(&told, "read") == 0 {
            bail!("nothing could be read meanwhile");
        }
        self.end(fault.cause)?;
        let mark = worker.mark();
        let after = |told: &[Value]| count(told, "ack") >= ACKS && told.iter().any(is_ready);
        worker.wait("work after the fault", mark, after)
    }

    fn begin(&self, cause: Cause) -> Result<()> {
        match cause {
            Cause::Answer(answer) => self.answer(answer),
            Cause::Ballast => {
                // Until there is no room, whatever the worker takes meanwhile.
                let path = self.root.join("ballast");
                let status = Command::new("dd")
                    .args(["if=/dev/zero", "bs=4096", "status=none"])
                    .arg(format!("of={}", path.display()))
                    .stderr(std::process::Stdio::null())
                    .status()?;
                if status.success() {
                    bail!("the small disk has no end");
                }
                Ok(())
            }
            Cause::Moved => Ok(std::fs::rename(self.data(), self.root.join("away"))?),
            Cause::Remounted => self.remount("remount,ro"),
        }
    }

    fn remount(&self, options: &str) -> Result<()> {
        let mut command = Command::new("mount");
        let status = command.args(["-o", options]).arg(&self.root).status()?;
        match status.success() {
            true => Ok(()),
            false => bail!("`mount -o {options}` failed: {status}"),
        }
    }

    fn end(&self, cause: Cause) -> Result<()> {
        match cause {
            Cause::Answer(_) => self.answer(NONE),
            Cause::Ballast => Ok(std::fs::remove_file(self.root.join("ballast"))?),
            Cause::Moved => Ok(std::fs::rename(self.root.join("away"), self.data())?),
            Cause::Remounted => self.remount("remount,rw"),
        }
    }

    /// The judges, on the files that a killed worker left.
    fn judge(&self) -> Result<u64> {
        let store = self.data();
        prove(&store.to_string_lossy())?;
        let file = store.join(store::sqlite::FILE_NAME);
        let (path, lines) = (self.told.path(), self.told.lines);
        let found = Checker::start()?.check(&file.to_string_lossy(), path, lines)?;
        match found.faults.is_empty() {
            true => Ok(found.acks),
            false => bail!("{:?}", found.faults),
        }
    }

    /// A worker that meets the fault as it starts, with or without a store of
    /// before, and says so; and one that starts when the fault is over.
    fn does_not_start(&mut self, start: &Start, is_new: bool) -> Result<()> {
        if !is_new {
            self.work()?;
        }
        self.begin(start.cause)?;
        let commands = match (start.cause, is_new) {
            (Cause::Ballast, false) => COMMANDS_REFUSED_LATER,
            _ => COMMANDS_REFUSED,
        };
        let mut command = self.command(commands)?;
        command.stderr(std::process::Stdio::null());
        let ended = Worker::start(command)?.end()?;
        let told = self.told.hear(&ended.told)?;
        // A store that is there may open without a write: then its commands are
        // refused, and it is the same fault that they name.
        let closed = told.iter().filter_map(|line| line["why"].as_str());
        let refused = refusals(&told).filter_map(|line| line["message"].as_str());
        let texts: Vec<&str> = closed.chain(refused).collect();
        if texts.is_empty() || is_new && count(&told, "open") > 0 {
            bail!("it starts all the same");
        }
        if let Some(text) = texts.iter().find(|text| !text.contains(start.words)) {
            bail!("`{text}` does not say `{}`", start.words);
        }
        self.end(start.cause)?;
        self.work()
    }

    /// A worker that works for a while and is killed.
    fn work(&mut self) -> Result<()> {
        let worker = Worker::start(self.command(COMMANDS)?)?;
        let works = worker.wait("work", 0, |told| count(told, "ack") >= ACKS);
        let ended = worker.kill_after(Duration::ZERO)?;
        self.told.hear(&ended.told)?;
        works
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if self.mounted {
            drop(Command::new("umount").arg(&self.root).status());
        }
    }
}

fn count(told: &[Value], say: &str) -> usize {
    told.iter().filter(|line| line["say"] == say).count()
}

fn refusals(told: &[Value]) -> impl Iterator<Item = &Value> {
    let refused = |line: &&Value| line["say"] == "refused" && line["code"] == "unavailable";
    told.iter().filter(refused)
}

fn unready(told: &[Value]) -> impl Iterator<Item = &str> {
    let ready = told.iter().filter(|line| line["say"] == "ready");
    ready.filter_map(|line| line["fault"].as_str())
}

fn is_ready(line: &Value) -> bool {
    line["say"] == "ready" && line["fault"].is_null()
}
