//! Moves pages from the write-ahead log to the main file while others write, on
//! a thread of its own. SQLite would do all of it within the commit that fills
//! the log, and whoever waits for that commit would wait for it too.

use super::{at, connect_writer, fault};
use ledger::store::StoreFault;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode};
use std::ffi::c_int;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// New pages in the log after which they are moved.
const MOVE_PAGES: c_int = 1_000;
/// Pages in the log after which the writer moves the few that are left, so that
/// the next commit can begin the log anew. A page that many commits change is
/// moved less often than it is written; what stands in the log must be read when
/// the file is opened after a crash, so it stays small.
const FULL_PAGES: c_int = 4_000;
/// Pages after which the writer tries that again, when readers were in the way.
const AGAIN_PAGES: c_int = 100;

/// The thread. It ends with this, and its connection with it: the one that is
/// closed last moves what is left, and removes the log.
pub(super) struct Mover {
    orders: Option<Arc<SyncSender<()>>>,
    resting: Arc<Mutex<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// Follows this writing connection of the database at this path.
    pub(super) fn follow(writer: &mut Connection, path: &Path) -> Result<Self, StoreFault> {
        let own = connect_writer(path)?;
        own.pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(fault)?;
        // One order waits at most: it moves what has come until then.
        let (sender, orders) = sync_channel(1);
        let resting = Arc::new(Mutex::new(()));
        let pause = resting.clone();
        let thread = std::thread::Builder::new()
            .name("mover".into())
            .spawn(move || run(&own, &orders, &pause))
            .map_err(|e| at(path, &e))?;
        let sender = Arc::new(sender);
        let mut log = Log::new(Arc::downgrade(&sender));
        writer
            .wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, pages| {
                if log.is_full(pages) {
                    let done = wal.checkpoint();
                    tell(done);
                }
                // The commit stands, whatever came of this.
                Ok(())
            }))
            .map_err(fault)?;
        Ok(Self {
            orders: Some(sender),
            resting,
            thread: Some(thread),
        })
    }

    /// Nothing is moved while this is held.
    pub(super) fn rest(&self) -> MutexGuard<'_, ()> {
        self.resting.lock()
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.orders = None;
        if self.thread.take().is_some_and(|t| t.join().is_err()) {
            tracing::error!("the thread that moves pages to the main file panicked");
        }
    }
}

fn run(connection: &Connection, orders: &Receiver<()>, resting: &Mutex<()>) {
    while orders.recv().is_ok() {
        let _moving = resting.lock();
        let moved =
            connection.pragma_update_and_check(None, "wal_checkpoint", "PASSIVE", |_| Ok(()));
        tell(moved);
    }
}

/// Another may be moving them just now; a fault of the disk is met again by the
/// next commit, which reports it.
fn tell(moved: rusqlite::Result<()>) {
    match moved {
        Err(fault) if fault.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
            tracing::warn!(error = %fault, "pages were not moved to the main file");
        }
        _ => {}
    }
}

/// How full the log is, as its writer knows it after each commit.
struct Log {
    orders: Weak<SyncSender<()>>,
    /// Its pages when they were last asked to be moved, or the writer tried.
    asked: c_int,
}

impl Log {
    fn new(orders: Weak<SyncSender<()>>) -> Self {
        Self { orders, asked: 0 }
    }

    /// Whether the writer moves what is left in this log of so many pages. The
    /// thread is told where it should.
    fn is_full(&mut self, pages: c_int) -> bool {
        if pages < self.asked {
            // It was begun anew.
            self.asked = 0;
        }
        let (full, new) = (pages >= FULL_PAGES, pages - self.asked);
        if new < if full { AGAIN_PAGES } else { MOVE_PAGES } {
            return false;
        }
        self.asked = pages;
        if !full && let Some(orders) = self.orders.upgrade() {
            // Where one waits already, it will do. Without the thread the log
            // fills, and the writer moves all of it.
            let _waits = orders.try_send(());
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_asked_as_the_log_grows_and_the_writer_when_it_is_full() {
        let (sender, orders) = sync_channel(1);
        let sender = Arc::new(sender);
        let mut log = Log::new(Arc::downgrade(&sender));
        let mut asked = |pages| (log.is_full(pages), orders.try_recv().is_ok());
        for (pages, expected) in [
            (999, (false, false)),
            (1_000, (false, true)),
            (1_999, (false, false)),
            (2_500, (false, true)),
            (3_499, (false, false)),
            (4_000, (true, false)),
            (4_099, (false, false)),
            (4_100, (true, false)),
            (3, (false, false)),
            (1_002, (false, true)),
        ] {
            assert_eq!(asked(pages), expected, "{pages} pages");
        }
    }
}
