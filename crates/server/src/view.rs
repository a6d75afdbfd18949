//! How current states and events are shown: the JSON of the API.

use flow::personal::Gone;
use kernel::{Actor, Category, DirectiveId, EntryId, Subject, TenantId, Timestamp, TraceId};
use ledger::{Document, Entry};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::http::problem::{Kind, Problem};

/// A current state with where it stands in the log.
#[derive(Debug, Serialize)]
pub struct Resource {
    /// The id within its kind.
    pub id: String,
    /// The kind of aggregate.
    pub kind: String,
    /// The version; also the `ETag`.
    pub version: u64,
    /// The status.
    pub status: String,
    /// The subject that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The directive that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directive: Option<DirectiveId>,
    /// Position of its first entry.
    pub created_seq: u64,
    /// Position of its last entry.
    pub updated_seq: u64,
    /// When writ looks at it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The state.
    pub state: Box<RawValue>,
    /// What stands sealed in the state and was erased, by where it stands.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub erased: BTreeMap<String, Gone>,
}

/// Stored JSON as it is.
pub(crate) fn raw(text: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(text)
        .map_err(|_| Problem::new(Kind::Integrity, "a stored record is no JSON"))
}

impl Resource {
    /// The view of a stored state.
    ///
    /// # Errors
    /// `integrity` when its body is no JSON.
    pub fn of(document: Document) -> Result<Self, Problem> {
        Ok(Self {
            id: document.stream.id().to_owned(),
            kind: document.stream.kind().to_owned(),
            version: document.version,
            status: document.status,
            subject: document.subject,
            directive: document.directive,
            created_seq: document.created_seq,
            updated_seq: document.updated_seq,
            due_at: document.due_at,
            state: raw(document.body)?,
            erased: BTreeMap::new(),
        })
    }
}

/// An entry as an event (CloudEvents 1.0, JSON).
#[derive(Debug, Serialize)]
pub struct EventView {
    /// `1.0`.
    pub specversion: &'static str,
    /// The entry's id.
    pub id: EntryId,
    /// Whose log it stands in.
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The stream.
    pub subject: String,
    /// When.
    pub time: Timestamp,
    /// `application/json`.
    pub datacontenttype: &'static str,
    /// The tenant.
    pub tenant: TenantId,
    /// The trace.
    pub traceid: TraceId,
    /// Position in the log.
    pub sequence: String,
    /// What the entry is about.
    pub category: Category,
    /// Who acted.
    pub actor: Actor,
    /// The subject that is governed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Subject>,
    /// The directive that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directive: Option<DirectiveId>,
    /// What was recorded.
    pub data: Box<RawValue>,
}

impl EventView {
    /// The event of an entry of this tenant.
    ///
    /// # Errors
    /// `integrity` when its payload is no JSON.
    pub fn of(tenant: TenantId, entry: Entry) -> Result<Self, Problem> {
        Ok(Self {
            specversion: "1.0",
            id: entry.id,
            source: format!("/v1/tenants/{tenant}"),
            kind: entry.kind,
            subject: entry.stream.to_string(),
            time: entry.at,
            datacontenttype: "application/json",
            tenant,
            traceid: entry.trace_id,
            sequence: entry.seq.to_string(),
            category: entry.category,
            actor: entry.actor,
            account: entry.subject,
            directive: entry.directive,
            data: raw(entry.payload)?,
        })
    }
}
