//! The writer: one thread that makes groups durable, one after another, while
//! the committer decides the next one.

use crate::group::Sealed;
use crate::store::{Store, StoreFault};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// What became of a group.
pub(crate) struct Landed {
    pub(crate) result: Result<(), StoreFault>,
    /// How long it took to write.
    pub(crate) took: Duration,
}

impl Landed {
    /// The writer has gone away; nobody knows what is on disk.
    pub(crate) fn lost() -> Self {
        let fault = StoreFault::Unavailable("the writer has stopped; restart writ".into());
        Self {
            result: Err(fault),
            took: Duration::ZERO,
        }
    }
}

type Order = (Vec<Sealed>, oneshot::Sender<Landed>);

/// The handle of the thread, which ends with it.
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
}

impl Writer {
    pub(crate) fn start(store: Arc<dyn Store>, runtime: Handle) -> std::io::Result<Self> {
        let (orders, mut receiver) = mpsc::channel::<Order>(1);
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                while let Some((batches, done)) = receiver.blocking_recv() {
                    // The committer waits for it for as long as it runs.
                    drop(done.send(write(store.as_ref(), &runtime, batches)));
                }
            })?;
        Ok(Self { orders })
    }

    /// Writes these batches, durable when the answer says so. One group at a
    /// time: the next one is handed over when this one has landed.
    pub(crate) fn write(&self, batches: Vec<Sealed>) -> oneshot::Receiver<Landed> {
        let (sender, done) = oneshot::channel();
        if let Err(refused) = self.orders.try_send((batches, sender)) {
            tracing::error!(error = %refused, "the writer takes no more groups");
        }
        done
    }
}

/// Writes these batches on this thread.
#[allow(
    clippy::disallowed_methods,
    reason = "how long the disk takes sets how long commands are gathered, and no decision"
)]
pub(crate) fn write(store: &dyn Store, runtime: &Handle, batches: Vec<Sealed>) -> Landed {
    let began = Instant::now();
    let batches: Result<Vec<_>, _> = batches.into_iter().map(Sealed::batch).collect();
    let result = batches.and_then(|batches| runtime.block_on(store.append(batches)));
    Landed {
        result,
        took: began.elapsed(),
    }
}
