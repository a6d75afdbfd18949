//! Aggregates: a state, the events that made it, and the pure fold between
//! them. The ledger keeps the events; every state is a fold of its stream.

use crate::unit::Refs;
use crate::{Actor, EntryId, Refusal, Timestamp, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;

crate::names! {
    /// What an entry is about (LED-1).
    pub enum Category {
        /// Someone wants something.
        Intent = "INTENT",
        /// Something was observed.
        Signal = "SIGNAL",
        /// A fact was filed.
        Evidence = "EVIDENCE",
        /// Deterministic code decided.
        Decision = "DECISION",
        /// Something was checked.
        Validation = "VALIDATION",
        /// Budget was reserved, settled or released.
        Budget = "BUDGET",
        /// A person decided.
        Approval = "APPROVAL",
        /// Something was done.
        Action = "ACTION",
        /// An agent called a tool.
        ToolCall = "TOOL_CALL",
        /// What came of it.
        Outcome = "OUTCOME",
        /// writ itself changed.
        System = "SYSTEM",
    }
}

/// A fact in the past tense. Declare the events of an aggregate with
/// [`crate::events!`].
pub trait Event: Sized {
    /// Every kind of this aggregate's events, for documents and tests.
    const KINDS: &'static [&'static str];
    /// The kind, for example `directive.approved`.
    fn kind(&self) -> &'static str;
    /// The category.
    fn category(&self) -> Category;
    /// The payload as canonical JSON.
    ///
    /// # Errors
    /// When the payload has no canonical form.
    fn payload(&self) -> Result<String, json::JsonFault>;
    /// The event of this kind with this payload.
    ///
    /// # Errors
    /// When the kind is not this aggregate's or the payload is not the kind's.
    fn decode(kind: &str, payload: &Value) -> Result<Self, Impossible>;
}

/// Declares the events of an aggregate: one payload struct per variant.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// pub struct Opened { pub by: String }
/// kernel::events! {
///     /// What happened to a door.
///     pub enum DoorEvent {
///         Opened(Opened) = "door.opened" in Action,
///     }
/// }
/// use kernel::Event;
/// assert_eq!(DoorEvent::Opened(Opened { by: "me".into() }).kind(), "door.opened");
/// ```
#[macro_export]
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$vmeta:meta])* $variant:ident($payload:ty) = $kind:literal in $category:ident),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis enum $name { $($(#[$vmeta])* $variant($payload)),+ }

        impl $crate::Event for $name {
            const KINDS: &'static [&'static str] = &[$($kind),+];
            fn kind(&self) -> &'static str {
                match self { $($name::$variant(_) => $kind),+ }
            }
            fn category(&self) -> $crate::Category {
                match self { $($name::$variant(_) => $crate::Category::$category),+ }
            }
            fn payload(&self) -> Result<String, $crate::json::JsonFault> {
                match self { $($name::$variant(payload) => $crate::json::canonical(payload)),+ }
            }
            fn decode(kind: &str, payload: &$crate::aggregate::Payload) -> Result<Self, $crate::Impossible> {
                match kind {
                    $($kind => $crate::aggregate::read(kind, payload).map($name::$variant),)+
                    other => Err($crate::Impossible::new(format!("no event is called `{other}` here"))),
                }
            }
        }
    };
}

/// The payload of an entry, parsed.
pub type Payload = Value;

/// Reads a payload struct; used by [`events!`].
///
/// # Errors
/// When the payload is not a `T`.
pub fn read<T: DeserializeOwned>(kind: &str, payload: &Value) -> Result<T, Impossible> {
    T::deserialize(payload).map_err(|e| Impossible::new(format!("payload of `{kind}`: {e}")))
}

/// An event that cannot follow the state it meets: the record contradicts
/// itself, or code recorded an event that its own `decide` should have refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("impossible event: {message}")]
pub struct Impossible {
    /// What does not fit.
    pub message: String,
}

impl Impossible {
    /// With this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl From<Refusal> for Impossible {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.message)
    }
}

impl From<Impossible> for Refusal {
    fn from(impossible: Impossible) -> Self {
        Self::integrity(impossible.message)
    }
}

/// When, by whom and where an event was recorded.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The time of the command.
    pub at: Timestamp,
    /// Who acted.
    pub actor: Actor,
    /// The entry.
    pub entry: EntryId,
    /// The version of the stream after this event, from 1.
    pub version: u64,
}

/// A state that is a pure fold of its stream's events.
pub trait Aggregate: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The first part of the stream's name, for example `directive`.
    const KIND: &'static str;
    /// The events.
    type Event: Event;
    /// The state after `event`; `None` is the state before the first.
    ///
    /// # Errors
    /// When the event cannot follow the state.
    fn evolve(state: Option<Self>, event: &Self::Event, stamp: &Stamp) -> Result<Self, Impossible>;
    /// The status that listings filter by.
    fn status(&self) -> &str;
    /// What the entries of this stream refer to.
    fn refs(&self) -> Refs {
        Refs::default()
    }
    /// When the shell must look at this aggregate again, if ever.
    fn due(&self) -> Option<Timestamp> {
        None
    }
}

/// A state whose type is not known here.
pub trait State: Any + Send + Sync {
    /// Canonical JSON of the state.
    ///
    /// # Errors
    /// When it has no canonical form.
    fn body(&self) -> Result<String, json::JsonFault>;
    /// See [`Aggregate::status`].
    fn status(&self) -> &str;
    /// See [`Aggregate::refs`].
    fn refs(&self) -> Refs;
    /// See [`Aggregate::due`].
    fn due(&self) -> Option<Timestamp>;
}

impl<A: Aggregate> State for A {
    fn body(&self) -> Result<String, json::JsonFault> {
        json::canonical(self)
    }
    fn status(&self) -> &str {
        Aggregate::status(self)
    }
    fn refs(&self) -> Refs {
        Aggregate::refs(self)
    }
    fn due(&self) -> Option<Timestamp> {
        Aggregate::due(self)
    }
}

type FoldFn =
    fn(Option<Arc<dyn State>>, &str, &Value, &Stamp) -> Result<Arc<dyn State>, Impossible>;
type ParseFn = fn(&str) -> Result<Arc<dyn State>, Impossible>;

/// The fold of one kind of aggregate, with the type erased: what replay needs.
#[derive(Clone, Copy)]
pub struct Fold {
    /// The first part of the stream's name.
    pub kind: &'static str,
    /// Every kind of event.
    pub event_kinds: &'static [&'static str],
    /// One step.
    pub step: FoldFn,
    /// A state from its body.
    pub parse: ParseFn,
}

impl Fold {
    /// The fold of this aggregate.
    #[must_use]
    pub fn of<A: Aggregate>() -> Self {
        Self {
            kind: A::KIND,
            event_kinds: A::Event::KINDS,
            step: step::<A>,
            parse: |body| {
                let state: A = serde_json::from_str(body)
                    .map_err(|e| Impossible::new(format!("state of `{}`: {e}", A::KIND)))?;
                Ok(Arc::new(state))
            },
        }
    }
}

fn step<A: Aggregate>(
    state: Option<Arc<dyn State>>,
    kind: &str,
    payload: &Value,
    stamp: &Stamp,
) -> Result<Arc<dyn State>, Impossible> {
    let before = match state {
        None => None,
        Some(state) => {
            let any: Arc<dyn Any + Send + Sync> = state;
            let typed = any
                .downcast::<A>()
                .map_err(|_| Impossible::new(format!("the state is not a `{}`", A::KIND)))?;
            Some(Arc::unwrap_or_clone(typed))
        }
    };
    let event = A::Event::decode(kind, payload)?;
    Ok(Arc::new(A::evolve(before, &event, stamp)?))
}
