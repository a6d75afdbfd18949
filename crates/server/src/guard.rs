//! What stands before each handler: a place in the lane, who asks, whether
//! they may, how fast, which parameters, and how long it may take.

use crate::app::App;
use crate::auth::{self, Caller, Identified, Via};
use crate::http::command;
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::http::told::Shed;
use crate::http::trace::Matched;
use crate::lanes::Lane;
use crate::routes::table::{Facts, Guard, Matching, Posting, Repeating, Verb};
use crate::streams::Share;
use crate::threads;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kernel::KeyId;
use ledger::room::ordinary;
use std::sync::{Arc, OnceLock};
use tokio::time::{Instant, timeout};

/// The header in which a script of a page sends its session's token.
const CSRF_HEADER: &str = "x-csrf-token";

/// The row that a guard watches.
#[derive(Clone)]
pub(crate) struct Watch {
    app: App,
    facts: Arc<Facts>,
}

impl Watch {
    /// A guard of this row.
    #[must_use]
    pub(crate) fn new(app: App, facts: Facts) -> Self {
        Self {
            app,
            facts: Arc::new(facts),
        }
    }
}

/// A refusal because there is too much to do.
fn shed(lane: Lane, problem: Problem) -> Response {
    let mut response = problem.into_response();
    if lane != Lane::Urgent {
        response.extensions_mut().insert(Shed);
    }
    response
}

/// Who asks, once it is known; also where the answer comes too late.
type Who = Arc<OnceLock<Identified>>;

/// The layer around one route's handler.
pub(crate) async fn layer(State(watch): State<Watch>, request: Request, next: Next) -> Response {
    let who = Who::default();
    let (app, lane) = (watch.app.clone(), watch.facts.lane);
    let path = watch.facts.path;
    let answered = match app.lanes().enter(lane) {
        Err(full) => shed(lane, full),
        Ok(_place) => {
            let work = answer(watch, request, next, who.clone());
            let done = match lane {
                Lane::Urgent => timeout(lane.timeout(), work).await.map(Ok),
                Lane::Ordinary | Lane::Slow => {
                    let work = threads::work(app.ordinary(), ordinary(work));
                    timeout(lane.timeout(), work).await
                }
            };
            match done {
                Ok(Ok(response)) => response,
                Ok(Err(problem)) => problem.into_response(),
                Err(_) => late(lane.timeout().as_secs()).into_response(),
            }
        }
    };
    let mut response = answered;
    let extensions = response.extensions_mut();
    extensions.insert(Matched(path));
    if let Some(who) = who.get() {
        extensions.insert(who.clone());
    }
    response
}

/// The handler's answer, when whoever asks may have it.
async fn answer(watch: Watch, request: Request, next: Next, who: Who) -> Response {
    let (mut parts, body) = request.into_parts();
    let lane = watch.facts.lane;
    let caller = match admit(&watch, &parts).await {
        Ok(caller) => caller,
        Err(problem) if problem.kind == Kind::LimitExceeded => return shed(lane, problem),
        Err(problem) => return problem.into_response(),
    };
    let mut share = None;
    if let Some(caller) = caller {
        match one_of_many(&watch, &caller) {
            Ok(own) => share = own,
            Err(problem) => return shed(lane, problem),
        }
        who.get_or_init(|| Identified::from(&caller));
        parts.extensions.insert(caller.in_haste(lane.haste()));
    }
    let answer = next.run(Request::from_parts(parts, body)).await;
    drop(share);
    answer
}

/// The key's share of the ordinary requests: one that is slow, or floods, must
/// leave room for the others.
fn one_of_many(watch: &Watch, caller: &Caller) -> Result<Option<Share<KeyId>>, Problem> {
    if watch.facts.lane != Lane::Ordinary {
        return Ok(None);
    }
    match watch.app.under_way().take(caller.key()) {
        Some(share) => Ok(Some(share)),
        None => Err(Problem::new(
            Kind::LimitExceeded,
            "too many requests of this key are under way",
        )
        .hint("wait for some of them, then for the time in `Retry-After`")),
    }
}

fn late(seconds: u64) -> Problem {
    Problem::new(
        Kind::Unavailable,
        format!("the request took longer than {seconds} s"),
    )
    .hint("whether it was done can be read back; with an `Idempotency-Key` it is safe to repeat")
}

/// Who asks, when they may.
async fn admit(watch: &Watch, request: &Parts) -> Result<Option<Caller>, Problem> {
    let Watch { app, facts } = watch;
    let caller = match facts.guard {
        Guard::Open | Guard::Source => None,
        Guard::SignedIn | Guard::Own(_) | Guard::Installation(_) => {
            let found = auth::identify(app, &request.headers).await?;
            let caller = found.ok_or_else(|| Problem::unauthenticated("nobody is known to ask"))?;
            permitted(app, &caller, facts.guard)?;
            genuine(facts, &caller, request)?;
            if !app.rates().take(caller.key(), Instant::now()) {
                return Err(Problem::new(
                    Kind::LimitExceeded,
                    "this key asks faster than is allowed",
                )
                .hint("wait for the time in `Retry-After`"));
            }
            Some(caller)
        }
    };
    let once = request.headers.contains_key(command::IDEMPOTENCY_KEY);
    if once && facts.verb == Verb::Post && facts.repeating == Repeating::EachTime {
        return Err(command::each_time());
    }
    if facts.matching == Matching::Nothing && request.headers.contains_key(header::IF_MATCH) {
        return Err(command::meaningless());
    }
    let names: Vec<_> = facts.parameters.iter().map(|p| p.name).collect();
    Query::read(&request.uri)?.only(&names)?;
    Ok(caller)
}

fn permitted(app: &App, caller: &Caller, guard: Guard) -> Result<(), Problem> {
    let (allowed, permission) = match guard {
        Guard::Own(permission) => (caller.may(app, permission), permission),
        Guard::Installation(permission) => (caller.may_install(app, permission), permission),
        Guard::Open | Guard::Source | Guard::SignedIn => return Ok(()),
    };
    match allowed {
        true => Ok(()),
        false => Err(caller.refusal(permission)),
    }
}

/// A post with a session must come from a page of that session.
fn genuine(facts: &Facts, caller: &Caller, request: &Parts) -> Result<(), Problem> {
    let by_header = facts.verb == Verb::Post && facts.posting == Posting::Header;
    if !by_header || caller.via() == Via::Bearer {
        return Ok(());
    }
    let given = request.headers.get(CSRF_HEADER);
    let text = given.and_then(|v| v.to_str().ok()).unwrap_or_default();
    match caller.csrf_is(text) {
        true => Ok(()),
        false => Err(auth::forged()),
    }
}
