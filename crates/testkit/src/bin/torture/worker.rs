//! The worker: opens a store on the production path and works on it with many
//! producers, until it has done its part or is killed. What it is about to do
//! it tells the harness before it does it, and what was answered as soon as it
//! was answered, each in one write without a buffer.

use crate::load::{self, Command};
use anyhow::{Context, Result};
use kernel::{Actor, Code, Ctx, Digest, Refusal, Timestamp, TraceId};
use ledger::request::Key;
use ledger::{Committed, EntryQuery, Ledger, Settings, Store};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the worker reads beside its writing, and asks whether it is ready.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// How long a producer waits after a fault of storage.
const FAULT_PAUSE: Duration = Duration::from_millis(5);
/// Commands that a producer has under way.
const UNDER_WAY: usize = 1;

/// What a worker does.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The data directory, or the database's URL.
    #[arg(long)]
    pub(crate) store: String,
    /// Where the worker reports: a file or a pipe.
    #[arg(long)]
    pub(crate) report: PathBuf,
    /// The seed that the commands follow from.
    #[arg(long)]
    pub(crate) seed: u64,
    /// The number of the first new command.
    #[arg(long)]
    pub(crate) from: u64,
    /// How many new commands.
    #[arg(long)]
    pub(crate) count: u64,
    /// Producers that send at the same time.
    #[arg(long, default_value_t = 16)]
    pub(crate) producers: usize,
    /// Numbers of commands that were sent before, to be sent again first.
    #[arg(long, value_delimiter = ',')]
    pub(crate) again: Vec<u64>,
    /// Acknowledge before the command is sent: what the check must find.
    #[arg(long)]
    pub(crate) lie: bool,
}

/// Where the worker reports.
#[derive(Clone)]
pub(crate) struct Report(Arc<File>);

impl Report {
    fn open(options: &Options) -> Result<Self> {
        let file = File::options().append(true).open(&options.report);
        let file = file.with_context(|| format!("cannot open `{}`", options.report.display()))?;
        Ok(Self(Arc::new(file)))
    }

    /// One line in one write: whole or not at all.
    fn say(&self, what: &Value) {
        let line = format!("{what}\n");
        // Nobody listens any more: the harness has ended, and so does this.
        if (&*self.0).write_all(line.as_bytes()).is_err() {
            std::process::exit(1);
        }
    }
}

/// Works.
///
/// # Errors
/// When the store cannot be opened.
pub(crate) async fn run(options: Options) -> Result<()> {
    let report = Report::open(&options)?;
    report.say(&json!({"say": "opening"}));
    let store = open(&options.store).await;
    let store = match store {
        Ok(store) => store,
        Err(fault) => {
            report.say(&json!({"say": "closed", "why": fault.to_string()}));
            return Err(fault.into());
        }
    };
    let ledger = Ledger::open(store, load::registry(), Settings::default())?;
    report.say(&json!({"say": "open"}));
    let work = Arc::new(Work {
        next: AtomicU64::new(options.from),
        done: AtomicBool::new(false),
        options,
        ledger,
        report,
    });
    let watcher = tokio::spawn(watch(work.clone()));
    let again = work.options.again.clone();
    for n in again {
        work.again(n).await;
    }
    let producers: Vec<_> = (0..work.options.producers * UNDER_WAY)
        .map(|_| tokio::spawn(produce(work.clone())))
        .collect();
    for producer in producers {
        producer.await?;
    }
    work.done.store(true, Ordering::Relaxed);
    watcher.await?;
    work.ledger.store().flush().await?;
    work.report.say(&json!({"say": "done"}));
    Ok(())
}

/// Opens the store of this name: a URL for PostgreSQL, a directory for SQLite.
pub(crate) async fn open(name: &str) -> Result<Arc<dyn Store>, ledger::StoreFault> {
    if name.contains("://") {
        return Ok(Arc::new(store::Postgres::open(name).await?));
    }
    let directory = PathBuf::from(name);
    let opened = tokio::task::spawn_blocking(move || store::Sqlite::open(&directory)).await;
    let opened = opened.map_err(|e| ledger::StoreFault::Unavailable(e.to_string()))??;
    Ok(Arc::new(opened))
}

struct Work {
    options: Options,
    ledger: Ledger,
    report: Report,
    next: AtomicU64,
    done: AtomicBool,
}

async fn produce(work: Arc<Work>) {
    let end = work.options.from + work.options.count;
    loop {
        let n = work.next.fetch_add(1, Ordering::Relaxed);
        if n >= end {
            return;
        }
        let command = Command::new(work.options.seed, n);
        work.report.say(&command.intent());
        if work.options.lie {
            work.report.say(&json!({"say": "lie", "n": n}));
        }
        work.send(command).await;
    }
}

impl Work {
    /// Sends a command; whether it was acknowledged.
    async fn send(&self, command: Command) -> bool {
        let n = command.n;
        let key = command.key.as_deref();
        let key = key.map(|key| Key::new("torture", key, command.request()));
        let Ok(key) = key.transpose() else {
            return false;
        };
        let ctx = ctx(&command);
        let decide = move |unit: &mut kernel::Unit<'_>| command.decide(unit);
        match self.ledger.run_once(ctx, key, decide).await {
            Ok(Committed { answer, seqs }) => {
                self.report
                    .say(&json!({"say": "ack", "n": n, "seqs": seqs, "answer": answer}));
                true
            }
            Err(refusal) => {
                self.report.say(&refused(n, &refusal));
                if refusal.code == Code::Unavailable {
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
                false
            }
        }
    }

    /// Sends a command of before once more, and another request under its key.
    async fn again(&self, n: u64) {
        let command = Command::new(self.options.seed, n);
        self.report.say(&json!({"say": "again", "n": n}));
        let acknowledged = self.send(command.clone()).await;
        let Some(key) = command.key.as_deref().filter(|_| acknowledged) else {
            return;
        };
        let Ok(key) = Key::new("torture", key, Digest::of(b"another request")) else {
            return;
        };
        let ctx = ctx(&command);
        let found = self.ledger.run_once(ctx, Some(key), |_| Ok(true)).await;
        let code = match found {
            Ok(_) => "none".to_owned(),
            Err(refusal) => refusal.code.to_string(),
        };
        self.report
            .say(&json!({"say": "other", "n": n, "code": code}));
    }
}

/// Reads beside the producers and tells what was read: what a reader has seen
/// must stay; and tells whether the ledger can do its work.
async fn watch(work: Arc<Work>) {
    let mut turn = 0_u64;
    while !work.done.load(Ordering::Relaxed) {
        tokio::time::sleep(WATCH_EVERY).await;
        turn += 1;
        let tenant = Command::new(work.options.seed, turn).tenant;
        let query = EntryQuery {
            order: ledger::Order::Descending,
            limit: 1,
            ..EntryQuery::default()
        };
        match work.ledger.store().entries(tenant, &query).await {
            Ok(found) => {
                for entry in found {
                    work.report.say(&json!({
                        "say": "read", "tenant": tenant.to_string(), "seq": entry.seq,
                        "hash": entry.hash.to_string(),
                    }));
                }
            }
            Err(fault) => work
                .report
                .say(&json!({"say": "unread", "why": fault.to_string()})),
        }
        let ready = work.ledger.readiness().await;
        let why = ready.err().map(|refusal| refusal.to_string());
        work.report.say(&json!({"say": "ready", "fault": why}));
    }
}

fn refused(n: u64, refusal: &Refusal) -> Value {
    json!({
        "say": "refused", "n": n, "code": refusal.code.to_string(),
        "message": refusal.message, "hint": refusal.hint,
    })
}

fn ctx(command: &Command) -> Ctx {
    // A command that is sent again is another attempt: with ids of its own, and
    // the trace of the first, so that an effect in double is seen.
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    let now = Timestamp::from_micros(i64::try_from(micros).unwrap_or(0));
    let drawn = u128::from(DRAWN.fetch_add(1, Ordering::Relaxed));
    let seed = micros << 64 | u128::from(std::process::id()) << 32 | drawn;
    let trace = TraceId::new(u128::from(command.n) + 1).unwrap_or_else(first_trace);
    Ctx::new(command.tenant, now, Actor::system("torture"), trace, seed)
}

fn first_trace() -> TraceId {
    TraceId::parse("00000000000000000000000000000001").expect("a trace id")
}
