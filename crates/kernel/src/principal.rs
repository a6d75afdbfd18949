//! Who acts: kinds of principals, their roles, and the actor that stands in
//! each entry of the ledger.

use crate::Refusal;
use crate::names::Name as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

crate::names! {
    /// What kind of principal acts.
    pub enum PrincipalKind {
        /// A person.
        Human = "human",
        /// An autonomous agent.
        Agent = "agent",
        /// A program of the tenant's, for example a webhook source.
        Service = "service",
        /// writ itself.
        System = "system",
    }
}

crate::names! {
    /// A role within a tenant.
    pub enum Role {
        /// Reads.
        Viewer = "viewer",
        /// Works incidents and proposes directives.
        Operator = "operator",
        /// Decides on approvals.
        Approver = "approver",
        /// Everything in the tenant.
        Admin = "admin",
        /// Reads everything, proves the ledger, changes nothing.
        Auditor = "auditor",
        /// Proposes only.
        Agent = "agent",
        /// Sends signals in, and nothing else.
        Source = "source",
    }
}

/// The principal that acts, as it stands in entries: `human:prn_…`,
/// `system:scheduler`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The kind of principal.
    pub kind: PrincipalKind,
    /// Its id within the kind: a principal id, or the name of a part of writ.
    pub id: String,
}

impl Actor {
    /// A principal of this kind.
    #[must_use]
    pub fn new(kind: PrincipalKind, id: impl fmt::Display) -> Self {
        Self {
            kind,
            id: id.to_string(),
        }
    }
    /// Whether this text is an actor; nothing is made.
    #[must_use]
    pub fn is_text(text: &str) -> bool {
        text.split_once(':')
            .is_some_and(|(kind, id)| !id.is_empty() && PrincipalKind::parse(kind).is_some())
    }
    /// A part of writ itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self::new(PrincipalKind::System, part)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}
impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::str::FromStr for Actor {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (kind, id) = text
            .split_once(':')
            .filter(|(_, id)| !id.is_empty())
            .ok_or_else(|| {
                Refusal::invalid(format!("`{text}` is not an actor")).hint("write `kind:id`")
            })?;
        Ok(Self {
            kind: kind.parse()?,
            id: id.to_owned(),
        })
    }
}
impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse()
            .map_err(|e: Refusal| serde::de::Error::custom(e.message))
    }
}
