//! What an engagement of the kill switch stops.

use kernel::{Actor, Refusal, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What an engagement stops. In text `global`, `tenant`, `tool:NAME` or
/// `agent:ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything, everywhere. It stands in the home tenant alone, and holds for
    /// those that are founded later, too.
    Global,
    /// Everything of the tenant.
    Tenant,
    /// One module.
    Tool(String),
    /// Everything that one principal issued, by its id within its kind.
    Agent(String),
}

impl Scope {
    /// Whether it stops a step of this module in a directive of this issuer.
    #[must_use]
    pub fn covers(&self, module: &str, issued_by: &Actor) -> bool {
        match self {
            Self::Global | Self::Tenant => true,
            Self::Tool(name) => name == module,
            Self::Agent(id) => *id == issued_by.id,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Tenant => f.write_str("tenant"),
            Self::Tool(name) => write!(f, "tool:{name}"),
            Self::Agent(id) => write!(f, "agent:{id}"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let named = |name: &str| {
            let fine = !name.is_empty()
                && name.len() <= limits::NAME_BYTES_MAX
                && !name.chars().any(char::is_control);
            fine.then(|| name.to_owned())
        };
        let scope = match text.split_once(':') {
            None if text == "global" => Some(Self::Global),
            None if text == "tenant" => Some(Self::Tenant),
            Some(("tool", name)) => named(name).map(Self::Tool),
            Some(("agent", id)) => named(id).map(Self::Agent),
            _ => None,
        };
        scope.ok_or_else(|| {
            Refusal::invalid(format!("`{}` is not a scope", text.escape_debug()))
                .hint("use `global`, `tenant`, `tool:NAME` or `agent:ID`")
        })
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse()
            .map_err(|e: Refusal| serde::de::Error::custom(e.message))
    }
}
