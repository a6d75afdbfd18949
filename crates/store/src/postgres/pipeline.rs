//! Statements that are sent one after another without waiting for the answers
//! in between: a whole transaction costs one round trip.

use super::fault::is_echo;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, poll};
use std::future::Future;
use std::task::Poll;
use tokio_postgres::Error;

/// Statements on their way.
#[derive(Default)]
pub(super) struct Pipeline<'a> {
    waiting: Vec<BoxFuture<'a, Result<(), Error>>>,
    first: Option<Error>,
}

impl<'a> Pipeline<'a> {
    /// Sends a statement: the client sends when it is polled first.
    pub(super) async fn send<T>(
        &mut self,
        statement: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) where
        T: 'a,
    {
        let mut statement = statement.map(|done| done.map(drop)).boxed();
        match poll!(&mut statement) {
            Poll::Pending => self.waiting.push(statement),
            Poll::Ready(done) => self.note(done),
        }
    }

    fn note(&mut self, done: Result<(), Error>) {
        if let Err(error) = done {
            let tells_more = self.first.as_ref().is_none_or(is_echo);
            if tells_more {
                self.first = Some(error);
            }
        }
    }

    /// Waits for every answer; the fault is the first one.
    pub(super) async fn done(mut self) -> Result<(), Error> {
        for statement in std::mem::take(&mut self.waiting) {
            let done = statement.await;
            self.note(done);
        }
        self.first.map_or(Ok(()), Err)
    }
}
