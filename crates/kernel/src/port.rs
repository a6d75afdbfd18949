//! The ports: what the pure core needs from outside, as traits. Adapters stand
//! in the shells; `testkit` has a twin of each.

use crate::sealed::Sealed;
use crate::{DataKeyId, Refusal, Span, Subject, TenantId, Timestamp, TraceId};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
    /// How long something unknown in the past is ago, counted by what nobody
    /// sets. Two readings of one process can be compared, and nothing else.
    fn monotonic(&self) -> Span;
}

/// Where unpredictable bits come from.
pub trait Entropy: Send + Sync {
    /// 128 unpredictable bits, never the same twice.
    fn bits(&self) -> u128;

    /// A new trace id.
    fn trace(&self) -> TraceId {
        loop {
            if let Some(trace) = TraceId::new(self.bits()) {
                return trace;
            }
        }
    }
}

/// A secret by reference: `env:NAME` or `file:PATH`.
pub trait Secrets: Send + Sync {
    /// The secret's bytes.
    ///
    /// # Errors
    /// A refusal that names the reference, never the secret.
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal>;
}

/// Why a cache did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cache: {0}")]
pub struct CacheFault(pub String);

/// Bytes by key that may be forgotten at any time. What it gives is not
/// trusted: whoever asks compares it with a digest.
#[async_trait]
pub trait Cache: Send + Sync {
    /// The bytes under this key, if they are kept still.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheFault>;
    /// Keeps bytes under this key for a while.
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), CacheFault>;
    /// Forgets what is under this key.
    async fn remove(&self, key: &str) -> Result<(), CacheFault>;
}

/// Files that only writ may read: private halves of keys, and what must be
/// remembered beside the ledger. Names are letters, digits, `.`, `_` and `-`.
pub trait PrivateFiles: Send + Sync {
    /// What is in the file; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be read, or others could read or write it.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal>;
    /// Makes the file; durable when this returns.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal>;
    /// Makes the file or puts other contents into it, whole or not at all;
    /// durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal>;
}

/// A request to the outside over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// The whole exchange may take this long.
    pub timeout: Span,
    /// The answer's body may be this long, in bytes.
    pub answer_bytes_max: usize,
    /// Whether private, loopback and link-local addresses may be reached.
    pub private_ranges_allowed: bool,
}

/// The answer to an [`HttpRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// The request never left: nothing happened outside.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have left, and no complete answer came: whether anything
    /// happened outside is unknown.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// Sends HTTP requests. Redirects are not followed.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and waits for its answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault>;
}

/// Something that is to be sealed.
pub struct Plain {
    /// What kind of thing it is; it cannot be opened as another.
    pub place: String,
    /// What is sealed.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} …)", self.place)
    }
}

/// Whether the ledger knows of the tenant's keyring. A keyring that it knows
/// and that is not there was lost, and is not made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founding {
    /// The tenant has none yet; it is made where it is needed.
    New,
    /// The tenant has one.
    Known,
}

/// Under whose key to seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWanted {
    /// Whose key.
    pub subject: Subject,
    /// The key that the ledger knows; without one it is made where it is
    /// needed.
    pub key: Option<DataKeyId>,
}

/// What the keyring holds of one subject: names, never keys.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holding {
    /// Whose keys.
    pub subject: Subject,
    /// The keys, oldest first; the last one seals.
    pub keys: Vec<DataKeyId>,
    /// Which key of the tenant they are wrapped by.
    pub wrapped_by: u32,
}

/// The tenant's key was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// The number of the tenant key that wraps everything now.
    pub generation: u32,
    /// How many subjects' keys were wrapped again.
    pub subjects: u64,
}

/// Seals and opens what is personal, and keeps the keys: a data key per
/// subject, wrapped by a key of the tenant. Keys never leave it.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// Seals these under the newest keys of all of these subjects. A key that
    /// was made is durable when this returns.
    ///
    /// # Errors
    /// `unavailable` when the keyring or a key that the ledger knows is
    /// missing, or may be read by others; nothing is sealed then.
    async fn seal(
        &self,
        tenant: TenantId,
        founding: Founding,
        under: Vec<KeyWanted>,
        plain: Vec<Plain>,
    ) -> Result<Vec<Sealed>, Refusal>;

    /// Opens a sealed value.
    ///
    /// # Errors
    /// `unavailable` when a key is missing; `integrity` when the value was
    /// changed, moved, or is another tenant's.
    async fn open(&self, tenant: TenantId, sealed: Sealed) -> Result<Vec<u8>, Refusal>;

    /// What the keyring holds, sorted by subject.
    ///
    /// # Errors
    /// `unavailable` when it cannot be read.
    async fn list(&self, tenant: TenantId) -> Result<Vec<Holding>, Refusal>;

    /// Makes a new key of a subject, for what is sealed from now on.
    ///
    /// # Errors
    /// `not_found` when the subject has none; `unavailable` as above.
    async fn rotate(&self, tenant: TenantId, subject: Subject) -> Result<DataKeyId, Refusal>;

    /// Makes a new tenant key, wraps every data key by it, and destroys the
    /// old one. What a crash interrupted is finished by doing it again.
    ///
    /// # Errors
    /// `unavailable` as above; both tenant keys are kept then.
    async fn rotate_tenant(&self, tenant: TenantId) -> Result<Rewrapped, Refusal>;

    /// Destroys every key of a subject, for good. Doing it again is no fault.
    /// Returns the keys that were destroyed.
    ///
    /// # Errors
    /// `unavailable` when it could not be done; the keys may still be there.
    async fn destroy(&self, tenant: TenantId, subject: Subject) -> Result<Vec<DataKeyId>, Refusal>;
}

/// How a place keeps an object from being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// It does not.
    None,
    /// A read-only file: whoever owns the machine can still remove it.
    ReadOnly,
    /// Nobody can change or delete it before this instant, its owner included
    /// (S3 Object Lock in compliance mode).
    Compliance(Timestamp),
}

/// Why an object was not written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectFault {
    /// An object of this name is there already; it was not touched.
    #[error("`{0}` is there already")]
    Exists(String),
    /// The place says no, and will say it again.
    #[error("the object store refuses: {0}")]
    Refused(String),
    /// The place does not answer, or cannot: another try may succeed.
    #[error("the object store does not answer: {0}")]
    Unavailable(String),
}

/// Where objects are kept that are written once and locked: the archive. Names
/// are parts of `a-z`, `0-9`, `_`, `-` and `.`, joined by `/`.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Writes an object that is not there yet, to be locked until this
    /// instant. Durable when it returns.
    async fn put(&self, name: &str, bytes: &[u8], until: Timestamp) -> Result<(), ObjectFault>;
    /// The object as it was first written; `None` when it never was.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ObjectFault>;
    /// How the place itself says that it keeps the object.
    async fn lock(&self, name: &str) -> Result<Lock, ObjectFault>;
    /// The names that begin so, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectFault>;
}

impl From<ObjectFault> for Refusal {
    fn from(fault: ObjectFault) -> Self {
        let text = fault.to_string();
        match fault {
            ObjectFault::Exists(_) => Self::conflict(text),
            ObjectFault::Refused(_) => Self::unavailable(text)
                .hint("check the place, its credentials and what they may do"),
            ObjectFault::Unavailable(_) => {
                Self::unavailable(text).hint("try again; what was begun goes on from the record")
            }
        }
    }
}
