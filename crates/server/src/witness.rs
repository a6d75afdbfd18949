//! A witness (C2SP tlog-witness) over HTTP: `POST /add-checkpoint` cosigns a
//! checkpoint that extends the last one of its log, `GET /ORIGIN-HASH/checkpoint`
//! shows that one. What was cosigned is on disk before it is answered.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use kernel::port::{Clock, PrivateFiles};
use kernel::{Digest, Refusal};
use ledger::note::{Note, SigningKey};
use ledger::witness::{
    AddCheckpoint, Declined, KnownLog, REQUEST_BYTES_MAX, cosigned, decide, read,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// What a size is answered as.
const SIZE_TYPE: &str = "text/x.tlog.size";
/// What a note or a sentence is answered as.
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

struct Inner {
    key: SigningKey,
    logs: BTreeMap<String, KnownLog>,
    files: Arc<dyn PrivateFiles>,
    clock: Arc<dyn Clock>,
    /// One request at a time looks, decides and stores: two that overlap could
    /// otherwise set a log back.
    turn: Mutex<()>,
}

/// A witness.
#[derive(Clone)]
pub struct Witness(Arc<Inner>);

enum Failed {
    Declined(Declined),
    Broken(Refusal),
}

impl From<Declined> for Failed {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Broken(refusal)
    }
}

/// The name of the file that holds what was cosigned last of a log, and of the
/// place where it is shown.
fn place(origin: &str) -> String {
    Digest::of(origin.as_bytes()).to_string()
}

impl Witness {
    /// A witness of these logs that cosigns with this key.
    #[must_use]
    pub fn new(
        key: SigningKey,
        logs: Vec<KnownLog>,
        files: Arc<dyn PrivateFiles>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let logs = logs.into_iter().map(|log| (log.origin.clone(), log));
        Self(Arc::new(Inner {
            key,
            logs: logs.collect(),
            files,
            clock,
            turn: Mutex::new(()),
        }))
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/add-checkpoint", post(add))
            .route("/{place}/checkpoint", get(show))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(self)
    }

    fn last(&self, origin: &str) -> Result<Option<Note>, Refusal> {
        let bytes = self.0.files.read(&place(origin))?;
        let parse = |bytes: Vec<u8>| {
            Note::parse(&bytes)
                .map_err(|e| Refusal::integrity(format!("what was cosigned of `{origin}`: {e}")))
        };
        bytes.map(parse).transpose()
    }

    /// Decides and stores; the signature line is what may be answered then.
    fn add(&self, body: &[u8]) -> Result<String, Failed> {
        let request = AddCheckpoint::parse(body)?;
        let origin = read(&request.note)?.origin;
        let known = self.0.logs.get(&origin);
        let log = known.ok_or_else(|| Declined::UnknownLog(origin.clone()))?;
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(&origin)?;
        let last = last.as_ref().map(read).transpose()?;
        decide(log, last.as_ref(), &request)?;
        let seconds = self.0.clock.now().as_micros() / 1_000_000;
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let (kept, signature) = cosigned(log, &request.note, &self.0.key, seconds);
        let bytes = kept.to_string().into_bytes();
        self.0.files.replace(&place(&origin), &bytes)?;
        Ok(format!("{signature}\n"))
    }
}

async fn add(State(witness): State<Witness>, body: Bytes) -> Response {
    // It waits for the disk, so it leaves the runtime's threads alone.
    let done = tokio::task::spawn_blocking(move || witness.add(&body)).await;
    match done {
        Ok(Ok(line)) => ([(header::CONTENT_TYPE, TEXT_TYPE)], line).into_response(),
        Ok(Err(Failed::Declined(declined))) => {
            tracing::warn!(error = %declined, "a checkpoint was not cosigned");
            answer(&declined)
        }
        Ok(Err(Failed::Broken(refusal))) => broken(&refusal.to_string()),
        Err(fault) => broken(&fault.to_string()),
    }
}

async fn show(State(witness): State<Witness>, Path(asked): Path<String>) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "nothing was cosigned\n").into_response();
    let known = witness.0.logs.keys().find(|origin| place(origin) == asked);
    let Some(origin) = known.cloned() else {
        return missing();
    };
    let found = tokio::task::spawn_blocking(move || witness.last(&origin)).await;
    match found {
        Ok(Ok(Some(note))) => {
            ([(header::CONTENT_TYPE, TEXT_TYPE)], note.to_string()).into_response()
        }
        Ok(Ok(None)) => missing(),
        Ok(Err(refusal)) => broken(&refusal.to_string()),
        Err(fault) => broken(&fault.to_string()),
    }
}

fn answer(declined: &Declined) -> Response {
    let status = StatusCode::from_u16(declined.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match declined {
        Declined::Stale(size) => (
            status,
            [(header::CONTENT_TYPE, SIZE_TYPE)],
            format!("{size}\n"),
        )
            .into_response(),
        other => (
            status,
            [(header::CONTENT_TYPE, TEXT_TYPE)],
            format!("{other}\n"),
        )
            .into_response(),
    }
}

fn broken(what: &str) -> Response {
    tracing::error!(error = what, "the witness cannot do its work");
    let said = "the witness cannot do its work\n";
    (StatusCode::INTERNAL_SERVER_ERROR, said).into_response()
}

/// Serves until `shutdown` is ready.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    witness: Witness,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Refusal> {
    axum::serve(listener, witness.router())
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|e| Refusal::unavailable(format!("the witness stopped: {e}")))
}
