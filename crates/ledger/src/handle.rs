//! The handle that the rest of writ holds: run a command, read, follow.

use crate::committer::{Committer, Job};
use crate::registry::Registry;
use crate::request::{self, Key};
use crate::store::{Store, StoreFault};
use kernel::{Ctx, Haste, Refusal, Unit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Bounds of the committer.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Commands that may wait; one more is refused as overload.
    pub waiting_max: usize,
    /// Commands in haste that may wait beside them.
    pub urgent_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            waiting_max: 4096,
            urgent_max: 1024,
        }
    }
}

/// A command's answer, durable.
#[derive(Clone, Debug)]
pub struct Committed<R> {
    /// What the command returned.
    pub answer: R,
    /// Positions of its first and last entry; `None` when it wrote nothing.
    pub seqs: Option<(u64, u64)>,
}

/// A ledger over one store. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    jobs: mpsc::Sender<Box<dyn Job>>,
    urgent: mpsc::Sender<Box<dyn Job>>,
    commits: watch::Receiver<u64>,
    fault: Arc<watch::Sender<Option<StoreFault>>>,
}

impl Ledger {
    /// Opens the ledger over this store and starts its committer. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When the committer's thread cannot be started.
    pub fn open(
        store: Arc<dyn Store>,
        registry: Registry,
        settings: Settings,
    ) -> Result<Self, Refusal> {
        let (jobs, receiver) = mpsc::channel(settings.waiting_max);
        let (urgent, hurried) = mpsc::channel(settings.urgent_max);
        let (sender, commits) = watch::channel(0);
        let fault = Arc::new(watch::Sender::new(None));
        let runtime = tokio::runtime::Handle::current();
        if let Some(others) = store.others() {
            runtime.spawn(hear(others, sender.clone()));
        }
        Committer::start(
            store.clone(),
            runtime,
            (hurried, receiver),
            sender,
            fault.clone(),
        )
        .map_err(|e| Refusal::unavailable(format!("cannot start the committer: {e}")))?;
        Ok(Self {
            store,
            registry: Arc::new(registry),
            jobs,
            urgent,
            commits,
            fault,
        })
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Which aggregates exist.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Changes after each durable commit, of this node or another. Followers
    /// read from where they were.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Whether the ledger can do its work: storage answers, and takes writes
    /// again if the last commit failed.
    ///
    /// # Errors
    /// What is wrong with storage.
    pub async fn readiness(&self) -> Result<(), Refusal> {
        self.store.tenants().await?;
        if self.fault.borrow().is_none() {
            return Ok(());
        }
        // Nobody may be sending commands, so that no commit would show that
        // the fault is over.
        self.store.probe().await?;
        self.fault.send_replace(None);
        Ok(())
    }

    /// Decides a command against the current states and appends what it
    /// recorded as one unit. When this returns `Ok`, it is on disk.
    /// `decide` may run more than once and must depend on nothing but the unit.
    ///
    /// # Errors
    /// What `decide` refuses; `unavailable` when the ledger is overloaded or
    /// storage fails. Then nothing was recorded, unless the refusal says that
    /// storage does not tell.
    pub async fn run<R, F>(&self, ctx: Ctx, decide: F) -> Result<Committed<R>, Refusal>
    where
        R: Send + 'static,
        F: Fn(&mut Unit<'_>) -> Result<R, Refusal> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let queue = match ctx.haste {
            Haste::None => &self.jobs,
            Haste::Urgent => &self.urgent,
        };
        let job = Command {
            ctx,
            decide,
            answer: None,
            sender,
        };
        queue.try_send(Box::new(job)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::limit("too many commands are waiting").hint("try again in a second")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Refusal::unavailable("the ledger has stopped").hint("restart writ")
            }
        })?;
        receiver.await.unwrap_or_else(|_| {
            Err(Refusal::unavailable(
                "the ledger stopped before it answered",
            ))
        })
    }

    /// As [`Ledger::run`], but at most once per key, for ever (LED-5).
    ///
    /// # Errors
    /// As [`Ledger::run`], and a conflict when the key was used for another
    /// request.
    pub async fn run_once<R, F>(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        decide: F,
    ) -> Result<Committed<R>, Refusal>
    where
        R: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(&mut Unit<'_>) -> Result<R, Refusal> + Send + 'static,
    {
        match key {
            None => self.run(ctx, decide).await,
            Some(key) => {
                self.run(ctx, move |unit| request::once(unit, &key, &decide))
                    .await
            }
        }
    }
}

/// Passes on that another node has appended, for as long as anyone follows.
async fn hear(mut others: watch::Receiver<u64>, commits: watch::Sender<u64>) {
    loop {
        tokio::select! {
            changed = others.changed() => {
                if changed.is_err() {
                    return;
                }
                commits.send_modify(|count| *count += 1);
            }
            () = commits.closed() => return,
        }
    }
}

struct Command<R, F> {
    ctx: Ctx,
    decide: F,
    answer: Option<R>,
    sender: oneshot::Sender<Result<Committed<R>, Refusal>>,
}

impl<R, F> Job for Command<R, F>
where
    R: Send,
    F: Fn(&mut Unit<'_>) -> Result<R, Refusal> + Send,
{
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn decide(&mut self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        self.answer = Some((self.decide)(unit)?);
        Ok(())
    }

    fn answer(self: Box<Self>, written: Result<Option<(u64, u64)>, Refusal>) {
        let outcome = match (written, self.answer) {
            (Ok(seqs), Some(answer)) => Ok(Committed { answer, seqs }),
            (Ok(_), None) => Err(Refusal::integrity("a command gave no answer")),
            (Err(refusal), _) => Err(refusal),
        };
        // A caller that has gone away does not undo what is on disk.
        drop(self.sender.send(outcome));
    }
}
