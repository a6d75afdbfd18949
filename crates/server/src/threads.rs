//! The threads on which ordinary requests are worked. Connections, what is
//! urgent and the control loop have the others: what waits there is short, and
//! the system runs it first when there is more to do than processors.

use crate::http::problem::{Kind, Problem};
use kernel::Refusal;
use rustix::process::{getpriority_process, setpriority_process};
use std::future::Future;
use std::panic::resume_unwind;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinSet, spawn_blocking};
use tracing::Instrument as _;

/// How much later than the other threads the system runs these, as `nice`
/// counts: a tenth of their share.
const NICE: i32 = 10;
/// The system knows none beyond it.
const NICE_MAX: i32 = 19;
/// How long the end waits for work that nobody asks for any more.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The threads; they end with this.
pub struct Threads(Option<Runtime>);

impl Threads {
    /// As many as there are processors.
    ///
    /// # Errors
    /// `unavailable` when the system gives none.
    pub fn start() -> Result<Self, Refusal> {
        let priority = getpriority_process(None).map(below);
        let priority = priority.map_err(|e| {
            Refusal::unavailable(format!("cannot read this thread's priority: {e}"))
        })?;
        let runtime = Builder::new_multi_thread()
            .thread_name("ordinary")
            .on_thread_start(move || give_way(priority))
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|e| Refusal::unavailable(format!("cannot start threads for requests: {e}")))?;
        Ok(Self(Some(runtime)))
    }

    /// Where work is handed over.
    ///
    /// # Errors
    /// `unavailable` when they have ended.
    pub fn handle(&self) -> Result<Handle, Refusal> {
        let runtime = self.0.as_ref();
        let runtime = runtime.ok_or_else(|| Refusal::unavailable("writ is stopping"))?;
        Ok(runtime.handle().clone())
    }

    /// Ends them, and waits a moment for what they do.
    pub async fn end(mut self) {
        if let Some(runtime) = self.0.take() {
            let ended = spawn_blocking(move || runtime.shutdown_timeout(END_WITHIN)).await;
            if let Err(fault) = ended {
                tracing::warn!(error = %fault, "the threads of requests did not end in order");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn below(priority: i32) -> i32 {
    (priority + NICE).min(NICE_MAX)
}

/// A thread begins with the priority of the one that starts it, which may have
/// given way already.
fn give_way(priority: i32) {
    // Of this thread alone, on Linux.
    if let Err(fault) = setpriority_process(None, priority) {
        tracing::warn!(error = %fault, "ordinary requests run no later than urgent ones");
    }
}

/// Works there, until whoever asked goes away. A panic comes through.
///
/// # Errors
/// `unavailable` when the threads have ended.
pub(crate) async fn work<T: Send + 'static>(
    threads: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    // A set, because what is in it ends when it is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn_on(work.in_current_span(), threads);
    match tasks.join_next().await {
        Some(Ok(done)) => Ok(done),
        Some(Err(fault)) if fault.is_panic() => resume_unwind(fault.into_panic()),
        Some(Err(_)) | None => Err(Problem::new(Kind::Unavailable, "writ is stopping")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_threads_that_give_way_and_ends_with_who_asked() {
        let threads = Threads::start().unwrap();
        let handle = threads.handle().unwrap();
        let own = getpriority_process(None).unwrap();
        let (worker, blocking) = work(&handle, async {
            let blocking = spawn_blocking(|| getpriority_process(None).unwrap());
            (getpriority_process(None).unwrap(), blocking.await.unwrap())
        })
        .await
        .unwrap();
        assert_eq!((worker, blocking), (below(own), below(own)));
        let after = getpriority_process(None).unwrap();
        assert_eq!(after, own, "this thread is what it was");

        let (held, mut gone) = tokio::sync::oneshot::channel::<()>();
        let forever = work(&handle, async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let asked = tokio::time::timeout(Duration::from_millis(10), forever).await;
        assert!(asked.is_err());
        (&mut gone).await.unwrap_err();

        threads.end().await;
        let problem = work(&handle, async {}).await.unwrap_err();
        assert_eq!(problem.kind, Kind::Unavailable);
    }
}
