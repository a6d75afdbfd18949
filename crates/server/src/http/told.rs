//! Connections that were told to wait. A client that asks again at once, and is
//! refused again, would take the time of those who wait as they were told: its
//! next refusal comes when the time in `Retry-After` is over.

use crate::limits;
use axum::http::Response;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a refusal tells a client to wait.
const WAIT: Duration = Duration::from_secs(limits::RETRY_AFTER_SECS as u64);

/// Marks an answer that refuses because there is too much to do.
#[derive(Clone, Copy)]
pub(crate) struct Shed;

/// Until when a connection was told to wait.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Option<Instant>>>);

impl Told {
    /// Until when this answer is held back: when it tells a client to wait that
    /// does not. `None` for every other answer.
    pub(crate) fn early<B>(&self, response: &Response<B>) -> Option<Instant> {
        self.early_at(Instant::now(), response)
    }

    fn early_at<B>(&self, now: Instant, response: &Response<B>) -> Option<Instant> {
        response.extensions().get::<Shed>()?;
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = told.filter(|until| *until > now);
        *told = Some(until.unwrap_or(now) + WAIT);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_early_waits_and_who_waits_is_answered_at_once() {
        let (told, began, mut shed) = (Told::default(), Instant::now(), Response::new(()));
        let soon = began + Duration::from_millis(1);
        assert_eq!(told.early_at(began, &shed), None, "it is served");
        shed.extensions_mut().insert(Shed);
        assert_eq!(told.early_at(began, &shed), None, "it did not know");
        assert_eq!(told.early_at(soon, &shed), Some(began + WAIT));
        assert_eq!(told.early_at(soon, &shed), Some(began + 2 * WAIT));
        let served = Response::new(());
        assert_eq!(told.early_at(soon, &served), None, "there was room");
        let later = began + 3 * WAIT;
        assert_eq!(told.early_at(later, &shed), None, "it waited");
    }
}
