//! What can be asked of a log and of the current states.

mod page;

pub use page::page;

use kernel::{Actor, Category, DirectiveId, StreamId, Subject, Timestamp, TraceId};

/// Which way a listing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// Entries by any of these; what is `None` does not filter.
#[derive(Clone, Debug, Default)]
pub struct EntryQuery {
    /// Only of this stream.
    pub stream: Option<StreamId>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this category.
    pub category: Option<Category>,
    /// Only by this actor.
    pub actor: Option<Actor>,
    /// Only about this subject.
    pub subject: Option<Subject>,
    /// Only of this trace.
    pub trace: Option<TraceId>,
    /// Only of this directive.
    pub directive: Option<DirectiveId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Beyond this position, in the direction of `order`.
    pub beyond_seq: Option<u64>,
    /// Not beyond this position, in the direction of `order`.
    pub until_seq: Option<u64>,
    /// Which way.
    pub order: Order,
    /// At most this many rows.
    pub limit: usize,
}

/// Current states of one kind of aggregate.
#[derive(Clone, Debug, Default)]
pub struct DocumentQuery {
    /// The kind of aggregate.
    pub kind: String,
    /// Only in one of these statuses; empty means any.
    pub statuses: Vec<String>,
    /// Only about this subject.
    pub subject: Option<Subject>,
    /// Only of this directive.
    pub directive: Option<DirectiveId>,
    /// Beyond this position, in the direction of `order`. Documents stand in
    /// the order of their first entry.
    pub beyond_seq: Option<u64>,
    /// Which way.
    pub order: Order,
    /// At most this many rows.
    pub limit: usize,
}
