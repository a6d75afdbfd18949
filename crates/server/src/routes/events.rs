//! Server-sent events: the tenant's entries as they become durable. A stream
//! reads from storage by position and is only woken by commits, so a slow
//! client misses nothing and holds nothing up; it resumes from
//! `Last-Event-ID` or `?after=`.

use super::ledger::{FILTERS, filters};
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::{Caller, still_valid};
use crate::http::Query;
use crate::http::problem::{Answer, Kind, Problem};
use crate::limits;
use crate::streams::Place;
use crate::view::EventView;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use gate::access::Permission;
use ledger::room::ordinary;
use ledger::{Entry, EntryQuery};
use std::collections::VecDeque;
use std::convert::Infallible;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

const AFTER: Parameter = Parameter {
    name: "after",
    about: "only entries after this position; without it, and without `Last-Event-ID`, from now on",
};

pub(super) fn rows() -> Vec<Route> {
    let read = Guard::Own(Permission::LedgerRead);
    vec![
        Route::get(
            "/v1/events",
            read,
            "entries as they happen, as CloudEvents",
            events,
        )
        .parameters(&[AFTER])
        .parameters(&FILTERS)
        .gives(Gives::Events),
    ]
}

struct Follower {
    app: App,
    caller: Caller,
    query: EntryQuery,
    waiting: VecDeque<Entry>,
    commits: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    recheck: Instant,
    _place: Place,
}

async fn events(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let mut asked = filters(&query)?;
    let asked_after = query.number("after")?;
    let after = match headers.get("last-event-id") {
        // A browser that connects again says where it was; the address, with
        // its `after`, is still the one from the beginning.
        Some(value) => Some(resumed(value.to_str().unwrap_or_default())?),
        None => asked_after,
    };
    let place = app.streams().enter(caller.tenant())?;
    let commits = app.ledger().commits();
    let end = app.ledger().store().head(caller.tenant()).await?.seq;
    let after = after.unwrap_or(end);
    if after > end {
        return Err(beyond(after, end));
    }
    asked.beyond_seq = Some(after);
    asked.limit = limits::STREAM_PAGE;
    let follower = Follower {
        stopping: app.stopping(),
        app,
        caller,
        query: asked,
        waiting: VecDeque::new(),
        commits,
        recheck: Instant::now() + limits::STREAM_RECHECK,
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    let alive = KeepAlive::new()
        .interval(limits::STREAM_KEEP_ALIVE)
        .text("alive");
    Ok(Sse::new(events).keep_alive(alive))
}

/// Who comes from there has seen another log than this one, or one that was
/// put back to an earlier state: waiting in silence would hide it.
fn beyond(after: u64, end: u64) -> Problem {
    let detail = format!("the log ends at {end}, it has no position {after} yet");
    Problem::new(Kind::Invalid, detail)
        .hint("read what it has with `/v1/ledger/entries`, and go on from its last position")
}

fn resumed(text: &str) -> Answer<u64> {
    text.trim().parse().map_err(|_| {
        let detail = format!("the header `Last-Event-ID` is `{}`", text.escape_debug());
        Problem::new(Kind::Invalid, detail).hint("send the id of the last event that was received")
    })
}

impl Follower {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                let seq = entry.seq;
                self.query.beyond_seq = Some(seq);
                let view = EventView::of(self.caller.tenant(), entry).ok()?;
                let event = Event::default().id(seq.to_string()).json_data(view);
                return event.inspect_err(|fault| {
                    tracing::error!(error = %fault, seq, "an entry cannot be shown as an event");
                }).ok();
            }
            if *self.stopping.borrow() {
                return None;
            }
            if Instant::now() >= self.recheck {
                if !still_valid(&self.app, &self.caller).await {
                    return None;
                }
                self.recheck = Instant::now() + limits::STREAM_RECHECK;
            }
            // Seen before reading: a commit during the read wakes us again.
            self.commits.borrow_and_update();
            let store = self.app.ledger().store();
            let read = store.entries(self.caller.tenant(), &self.query);
            match ordinary(read).await {
                Ok(page) if page.is_empty() => self.wait().await?,
                Ok(page) => self.waiting.extend(page),
                Err(fault) => {
                    tracing::warn!(error = %fault, "an event stream cannot read and ends");
                    return None;
                }
            }
        }
    }

    /// Waits for a commit, the next check of the key, or the end.
    async fn wait(&mut self) -> Option<()> {
        let committed = tokio::select! {
            changed = self.commits.changed() => changed.is_ok(),
            stopped = self.stopping.changed() => return stopped.ok(),
            () = sleep_until(self.recheck) => return Some(()),
        };
        // A burst of commits is read at once.
        sleep(limits::STREAM_PAUSE).await;
        committed.then_some(())
    }
}
