//! Data residency (GATE-19): every provider, store and destination has a
//! region and attestations of retention, training and logging; what is reached
//! outside of the allowed regions, or without an attestation that holds, is
//! blocked. Pure: the register and one evaluation time in, an answer out.

mod coverage;
mod judge;
mod settings;

#[cfg(test)]
mod tests;

pub use coverage::{Line, coverage, uncovered};
pub use judge::{Answer, Question, StoreFault, check, endpoint_of, faults_of_stores};
pub(crate) use judge::{provider, reached, standing};
pub use settings::{
    Attestation, Demands, Endpoint, LOCAL, Logging, Regions, Retention, Settings, StoreRole,
};

use serde::{Deserialize, Serialize};
use std::fmt;

/// The file that a pack declares it in.
pub const FILE: &str = "residency.yaml";

/// A store of this node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// What is kept there.
    pub role: StoreRole,
    /// Its host; [`LOCAL`] for this machine.
    pub at: String,
}

/// What is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A host, with its port where it is not the scheme's own.
    Destination(String),
    /// What a module writes to that names no host.
    Tool(String),
    /// A provider of models.
    Provider(String),
    /// A store of this node.
    Store(Store),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(host) => write!(f, "destination `{host}`"),
            Self::Tool(module) => write!(f, "what `{module}` writes to"),
            Self::Provider(name) => write!(f, "provider `{name}`"),
            Self::Store(store) => write!(f, "{} store at `{}`", store.role, store.at),
        }
    }
}

impl Target {
    /// Where the register names it.
    fn section(&self) -> String {
        match self {
            Self::Destination(_) => "destinations".to_owned(),
            Self::Tool(_) => "tools".to_owned(),
            Self::Provider(_) => "providers".to_owned(),
            Self::Store(store) => format!("stores.{}", store.role),
        }
    }

    /// Its name in that section.
    fn name(&self) -> &str {
        match self {
            Self::Destination(name) | Self::Tool(name) | Self::Provider(name) => name,
            Self::Store(store) => &store.at,
        }
    }
}

/// An endpoint that was reached, as it is recorded with what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Its section and name in the register, for example
    /// `destinations/*.example.com`.
    pub endpoint: String,
    /// The region that it was in.
    pub region: String,
}
