//! Torture on PostgreSQL: workers are killed while the server runs, and the
//! server with all of its sessions while workers run. The judges look when no
//! session of a dead worker is left: what it sent may still be under way.

use crate::checker::{Checker, prove};
use crate::kill::{Harmed, Life, arguments, lives};
use crate::process::{self, Ended, Worker};
use crate::told::Told;
use crate::{Plan, Sabotage};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Dice, PostgresDatabase, PostgresServer};

/// Commands of a worker: more than it has time for.
const COMMANDS: u64 = 1_000_000;
/// The user whom row-level security hides nothing from.
const ADMIN: &str = "admin";
/// The longest life of a worker from when it has opened, and of what it has
/// after its server is back, in milliseconds.
const WORK_MS_MAX: usize = 400;
/// How long a server stays away at most, in milliseconds.
const AWAY_MS_MAX: usize = 300;
/// How often and how long it is waited for sessions to end.
const LOOKS_MAX: usize = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Sessions of writ in this database.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'writ'";

/// Kills workers as often as planned.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn workers(plan: &Plan) -> Result<Vec<String>> {
    let server = PostgresServer::start();
    lives(plan, "kill", |seed| {
        Database::new(plan, &server, seed, Victim::Worker)
    })
}

/// Kills the server as often as planned.
///
/// # Errors
/// When a process cannot be started.
pub(crate) fn run(plan: &Plan) -> Result<Vec<String>> {
    let server = PostgresServer::start();
    lives(plan, "server", |seed| {
        Database::new(plan, &server, seed, Victim::Server)
    })
}

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Worker,
    Server,
}

/// A database and what was told of it.
struct Database {
    database: PostgresDatabase,
    directory: tempfile::TempDir,
    told: Told,
    seed: u64,
    lie: bool,
    victim: Victim,
}

impl Database {
    fn new(plan: &Plan, server: &Arc<PostgresServer>, seed: u64, victim: Victim) -> Result<Self> {
        let directory = plan.directory()?;
        let told = Told::new(directory.path().join("told"))?;
        Ok(Self {
            database: server.database(),
            directory,
            told,
            seed,
            lie: plan.sabotage == Some(Sabotage::Lie),
            victim,
        })
    }

    /// A worker that is killed at any moment, from its start on.
    fn kill_worker(&self, worker: Worker, dice: &mut Dice) -> Result<Ended> {
        if dice.roll(4) == 0 {
            return worker.kill_after(millis(dice, 60));
        }
        worker.wait("the opening", 0, |told| heard(told, "open"))?;
        worker.kill_after(millis(dice, WORK_MS_MAX))
    }

    /// A worker whose server is killed at any moment. It either ends before
    /// the server is back, or goes on with it for a while.
    fn kill_server(&self, worker: Worker, dice: &mut Dice) -> Result<Ended> {
        let server = self.database.server();
        if dice.roll(8) > 0 {
            worker.wait("the opening", 0, |told| heard(told, "open"))?;
        }
        std::thread::sleep(millis(dice, WORK_MS_MAX));
        server.kill();
        let away = millis(dice, AWAY_MS_MAX);
        if dice.roll(3) == 0 {
            let ended = worker.kill_after(away)?;
            server.restart();
            return Ok(ended);
        }
        std::thread::sleep(away);
        let mark = worker.mark();
        server.restart();
        let goes_on = |told: &[Value]| heard(told, "ack") || heard(told, "closed");
        worker.wait("the first acknowledgement after it is back", mark, goes_on)?;
        worker.kill_after(millis(dice, WORK_MS_MAX))
    }

    /// Waits until what a dead worker sent has come to an end.
    fn settle(&self) -> Result<()> {
        for _ in 0..LOOKS_MAX {
            if self.database.sql(SESSIONS) == "0" {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("sessions of a dead worker do not end")
    }
}

/// From nothing to this many milliseconds.
fn millis(dice: &mut Dice, most: usize) -> Duration {
    Duration::from_millis(dice.roll(most) as u64)
}

fn heard(told: &[Value], say: &str) -> bool {
    told.iter().any(|line| line["say"] == say)
}

impl Life for Database {
    fn cycle(&mut self, dice: &mut Dice, checker: &mut Checker) -> Result<Harmed> {
        let again = self.told.again(dice);
        let arguments = arguments(self.seed, self.told.next, COMMANDS, &again, self.lie);
        let url = self.database.url();
        let worker = Worker::start(process::command(&url, &arguments)?)?;
        let ended = match self.victim {
            Victim::Worker => self.kill_worker(worker, dice)?,
            Victim::Server => self.kill_server(worker, dice)?,
        };
        self.told.hear(&ended.told)?;
        let phase = self.told.phase_name();
        let mut faults = Vec::new();
        // One that could not open a store whose server is gone says so.
        let closed = self.victim == Victim::Server && phase == "closed";
        if !ended.killed() && !closed {
            faults.push(format!("a worker ended by itself: {}", ended.status));
        }
        self.settle()?;
        // A worker that died before the tables were there is gone on from.
        let proved = prove(&url).err().map(|fault| format!("{fault:#}"));
        faults.extend(proved);
        let (path, lines) = (self.told.path(), self.told.lines);
        let found = checker.check(&self.database.url_of(ADMIN), path, lines)?;
        faults.extend(found.faults);
        Ok(Harmed {
            phase,
            faults,
            acks: found.acks,
            entries: found.entries,
        })
    }

    fn keep(mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        let dump = self.directory.path().join("dump.sql");
        let dumped = Command::new("pg_dump")
            .args(["--dbname", &self.database.url_of(ADMIN), "--file"])
            .arg(dump)
            .status();
        if let Err(fault) = dumped.context("no dump") {
            println!("{fault:#}");
        }
        self.directory.path().to_owned()
    }
}
