//! Work that leaves room for other work: what many ask for may not take every
//! reader or connection of the store from approvals, the kill switch, the
//! committer and the control loop.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    static ORDINARY: ();
}

/// Does this work, whose reads leave room for those of everybody else.
pub async fn ordinary<F: Future>(work: F) -> F::Output {
    ORDINARY.scope((), work).await
}

/// Places that ordinary work shares; what is not ordinary needs none.
pub struct Room(Arc<Semaphore>);

impl Room {
    /// So many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Waits for a place, when the work that asks is ordinary; who came first
    /// is first. The place is taken until what is returned is dropped.
    pub async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if ORDINARY.try_get().is_err() {
            return None;
        }
        // It is never closed.
        self.0.clone().acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    #[tokio::test]
    async fn ordinary_work_waits_for_a_place_and_other_work_does_not() {
        let room = Room::new(1);
        let held = ordinary(room.enter()).await;
        assert!(held.is_some());
        assert!(room.enter().await.is_none(), "at once");
        let mut next = Box::pin(ordinary(room.enter()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(matches!(next.as_mut().poll(&mut cx), Poll::Ready(Some(_))));
    }
}
