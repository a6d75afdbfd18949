//! Permanent idempotency (LED-5): a request that was answered is an aggregate
//! of its own, recorded in the same unit as what the request did. The same key
//! with the same request gives the recorded answer for ever; with another
//! request it is a conflict that names the first.

use crate::store::Store;
use kernel::{
    Aggregate, Digest, EntryId, Impossible, Refusal, Stamp, StreamId, TenantId, Timestamp, Unit,
    limits,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A key that the caller chose, within what it is unique in (its principal),
/// and the digest of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    scope: String,
    key: String,
    request: Digest,
}

impl Key {
    /// A key of this caller for a request with this digest.
    ///
    /// # Errors
    /// When the key is empty, too long, or not printable ASCII.
    pub fn new(scope: &str, key: &str, request: Digest) -> Result<Self, Refusal> {
        let fine = !key.is_empty()
            && key.len() <= limits::IDEMPOTENCY_KEY_BYTES_MAX
            && key.bytes().all(|b| b.is_ascii_graphic());
        if !fine {
            return Err(Refusal::invalid(format!(
                "the idempotency key `{}` is not 1 to {} printable ASCII characters",
                key.escape_debug(),
                limits::IDEMPOTENCY_KEY_BYTES_MAX
            )));
        }
        Ok(Self {
            scope: scope.to_owned(),
            key: key.to_owned(),
            request,
        })
    }

    fn id(&self) -> String {
        format!("{}/{}", self.scope, self.key)
    }

    /// The stream of the request.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::of::<Request>(self.id())
    }
}

/// What was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// Digest of the request.
    pub request: Digest,
    /// The answer.
    pub answer: Value,
}

kernel::events! {
    /// What happens to a request: it is answered, once.
    pub enum RequestEvent {
        /// It was answered.
        Answered(Answered) = "request.answered" in System,
    }
}

/// A request that was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Digest of the request.
    pub request: Digest,
    /// The answer.
    pub answer: Value,
    /// When.
    pub at: Timestamp,
    /// The entry that says so.
    pub entry: EntryId,
}

impl Aggregate for Request {
    const KIND: &'static str = "request";
    type Event = RequestEvent;

    fn evolve(
        state: Option<Self>,
        event: &RequestEvent,
        stamp: &Stamp,
    ) -> Result<Self, Impossible> {
        let RequestEvent::Answered(answered) = event;
        match state {
            Some(_) => Err(Impossible::new("a request is answered once")),
            None => Ok(Self {
                request: answered.request,
                answer: answered.answer.clone(),
                at: stamp.at,
                entry: stamp.entry,
            }),
        }
    }
    fn status(&self) -> &'static str {
        "answered"
    }
}

/// The answer that was recorded for this key.
///
/// # Errors
/// A conflict when the key was used for another request.
fn repeated<R: DeserializeOwned>(key: &Key, first: &Request) -> Result<R, Refusal> {
    if first.request != key.request {
        return Err(Refusal::conflict(format!(
            "the idempotency key `{}` was used for another request at {} (entry `{}`)",
            key.key, first.at, first.entry
        ))
        .hint("use a new key for a new request"));
    }
    serde_json::from_value(first.answer.clone())
        .map_err(|e| Refusal::integrity(format!("the recorded answer does not parse: {e}")))
}

/// The answer that was recorded for this key, if there is one: for commands
/// whose work lies partly outside the ledger and must not begin again.
///
/// # Errors
/// A conflict when the key was used for another request; when storage does not
/// answer.
pub async fn answered<R: DeserializeOwned>(
    store: &dyn Store,
    tenant: TenantId,
    key: &Key,
) -> Result<Option<R>, Refusal> {
    let Some(found) = store.document(tenant, &key.stream()).await? else {
        return Ok(None);
    };
    let first: Request = serde_json::from_str(&found.body)
        .map_err(|e| Refusal::integrity(format!("a recorded request does not parse: {e}")))?;
    repeated(key, &first).map(Some)
}

/// Does `work` once per key: a repeated request gets the recorded answer.
///
/// # Errors
/// What `work` refuses; a conflict when the key was used for another request.
pub fn once<R: Serialize + DeserializeOwned>(
    unit: &mut Unit<'_>,
    key: &Key,
    work: impl Fn(&mut Unit<'_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    if let Some(first) = unit.find::<Request>(key.id())? {
        return repeated(key, &first);
    }
    let answer = work(unit)?;
    let recorded = serde_json::to_value(&answer)
        .map_err(|e| Refusal::invalid(format!("the answer has no JSON form: {e}")))?;
    unit.record::<Request>(
        key.id(),
        RequestEvent::Answered(Answered {
            request: key.request,
            answer: recorded,
        }),
    )?;
    Ok(answer)
}
