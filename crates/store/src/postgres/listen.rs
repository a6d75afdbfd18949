//! Hearing of what other nodes append. Each node tells the others after its
//! commits, on a connection that it listens on, too. A notification may be
//! missed: the node that should send it dies, or the connection breaks. So a
//! new connection counts as news, and the heads are looked at now and then.

use super::connect::{CALL_MAX, Drive, Place, within};
use super::fault::fault;
use ledger::store::StoreFault;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};

const LISTEN: &str = "SET ROLE writ_app; LISTEN writ_appended";
/// Waking others need not survive a crash, so it waits for no disk.
const TELL: &str = "SET synchronous_commit = off; NOTIFY writ_appended";
/// Changes with every append to any log.
const MARK: &str = "SELECT coalesce(sum(seq), 0)::text FROM writ.logs";
/// How often the heads are looked at, in case a notification was missed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long after a broken connection the next one is made, at first and at
/// most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the store keeps of the listener.
pub(super) struct Listener {
    /// Woken after an append of this node.
    appended: Arc<Notify>,
    others: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(place: Place) -> Self {
        let appended = Arc::new(Notify::new());
        let (sender, others) = watch::channel(0);
        let own = appended.clone();
        let task = tokio::spawn(async move { keep_listening(&place, &own, &sender).await });
        Self {
            appended,
            others,
            task,
        }
    }

    /// Tells the other nodes, soon; appends in quick succession share a
    /// notification.
    pub(super) fn tell(&self) {
        self.appended.notify_one();
    }

    pub(super) fn others(&self) -> watch::Receiver<u64> {
        self.others.clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_listening(place: &Place, appended: &Notify, others: &watch::Sender<u64>) {
    let mut pause = PAUSE_MIN;
    loop {
        let begun = Instant::now();
        if let Err(error) = listen(place, appended, others).await {
            tracing::warn!(%error, "cannot hear of other nodes; connecting again");
        }
        if begun.elapsed() > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Listens on one connection until it breaks.
async fn listen(
    place: &Place,
    appended: &Notify,
    others: &watch::Sender<u64>,
) -> Result<(), StoreFault> {
    let (sender, mut heard) = mpsc::channel(64);
    let client = place.connect(Forward(sender)).await?;
    let own = within(CALL_MAX, begin(&client)).await??;
    // What was appended before this moment was not heard of.
    others.send_modify(|count| *count += 1);
    let mut mark = String::new();
    let mut look_at = Instant::now();
    loop {
        tokio::select! {
            () = appended.notified() => {
                let told = within(CALL_MAX, client.batch_execute(TELL)).await?;
                told.map_err(|error| fault(&error))?;
            }
            heard = timeout_at(look_at, heard.recv()) => match heard {
                Ok(Some(from)) if from == own => {}
                Ok(Some(_)) => others.send_modify(|count| *count += 1),
                Ok(None) => return Err(StoreFault::Unavailable("the connection closed".into())),
                Err(_) => {
                    let now = within(CALL_MAX, look(&client)).await??;
                    if now != mark {
                        mark = now;
                        others.send_modify(|count| *count += 1);
                    }
                    look_at = Instant::now() + LOOK_EVERY;
                }
            },
        }
    }
}

async fn begin(client: &Client) -> Result<i32, StoreFault> {
    client.batch_execute(LISTEN).await.map_err(|e| fault(&e))?;
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    let row = row.map_err(|error| fault(&error))?;
    row.try_get(0).map_err(|error| fault(&error))
}

async fn look(client: &Client) -> Result<String, StoreFault> {
    let row = client.query_one(MARK, &[]).await;
    let row = row.map_err(|error| fault(&error))?;
    row.try_get(0).map_err(|error| fault(&error))
}

/// Drives a connection and hands on from which session each notification came.
struct Forward(mpsc::Sender<i32>);

impl Drive for Forward {
    fn start<T>(self, mut connection: Connection<Socket, T>)
    where
        T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|ctx| connection.poll_message(ctx)).await {
                if let AsyncMessage::Notification(notification) = message
                    && let Err(mpsc::error::TrySendError::Closed(_)) =
                        self.0.try_send(notification.process_id())
                {
                    return;
                }
            }
        });
    }
}
