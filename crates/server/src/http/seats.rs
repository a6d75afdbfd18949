//! Connections that wait for their client: those that have sent no whole
//! request yet, or none since their last answer. When no more connections fit,
//! the one that has waited longest gives way, so that nobody keeps others out
//! by holding connections open.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// The connections that wait, the longest first.
#[derive(Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Arc<Notify>>,
}

impl Seats {
    /// A connection that has come.
    pub(crate) fn sit(&self) -> Seat {
        let seat = Seat {
            seats: self.clone(),
            turn: Arc::new(Mutex::new(None)),
            leave: Arc::new(Notify::new()),
        };
        seat.wait();
        seat
    }

    /// Asks the connection that has waited longest to leave; `false` when none
    /// waits.
    pub(crate) fn make_room(&self) -> bool {
        let mut waiting = self.lock();
        let longest = waiting.since.pop_first();
        longest.map(|(_, leave)| leave.notify_one()).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection.
#[derive(Clone)]
pub(crate) struct Seat {
    seats: Seats,
    turn: Arc<Mutex<Option<u64>>>,
    leave: Arc<Notify>,
}

impl Seat {
    /// Ready when it must give way.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// It has gone.
    pub(crate) fn left(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turn.take() {
            self.seats.lock().since.remove(&turn);
        }
    }

    /// Its request is under way until this and its answer's body are dropped.
    pub(crate) fn serve(&self) -> Serving {
        self.left();
        Serving(self.clone())
    }

    fn wait(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.seats.lock();
        waiting.next += 1;
        let own = waiting.next;
        waiting.since.insert(own, self.leave.clone());
        if let Some(before) = turn.replace(own) {
            waiting.since.remove(&before);
        }
    }
}

/// A request that is under way.
pub(crate) struct Serving(Seat);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// A body during which its request is under way.
struct Held {
    body: Body,
    _serving: Serving,
}

/// The answer, with its request under way until all of it is handed over.
pub(crate) fn held(response: Response<Body>, serving: Serving) -> Response<Body> {
    response.map(|body| {
        Body::new(Held {
            body,
            _serving: serving,
        })
    })
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::task::Waker;

    fn leaves(seat: &Seat) -> bool {
        let mut asked = std::pin::pin!(seat.asked_to_leave());
        let mut cx = Context::from_waker(Waker::noop());
        asked.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn the_one_that_waits_longest_gives_way_and_who_is_served_does_not() {
        let seats = Seats::default();
        let [first, second, third] = [seats.sit(), seats.sit(), seats.sit()];
        let serving = first.serve();
        assert!(seats.make_room());
        assert_eq!([&first, &second, &third].map(leaves), [false, true, false]);
        drop(serving);
        assert!(seats.make_room());
        assert_eq!(
            [&first, &third].map(leaves),
            [false, true],
            "it waits since now"
        );
        first.left();
        assert!(!seats.make_room(), "nobody is left");
    }
}
