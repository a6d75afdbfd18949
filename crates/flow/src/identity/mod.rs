//! Who may speak to writ: tenants, principals with roles, and API keys. A key
//! is stored as a hash; the token is shown once.

mod key;
mod operations;
mod principal;
mod tenant;
mod token;

pub use key::{Issued, Key, KeyEvent, KeyIssued, KeyRevoked, KeyStatus};
pub use operations::{
    NewKey, NewPrincipal, authenticate, create_principal, disable_principal, found_tenant,
    issue_key, revoke_key, set_roles,
};
pub use principal::{Principal, PrincipalEvent, PrincipalStatus};
pub use tenant::{Standing, Tenant, TenantEvent};
pub use token::Token;

use kernel::{Actor, KeyId, Role, TenantId};

/// A principal that has proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its tenant.
    pub tenant: TenantId,
    /// The actor that stands in entries.
    pub actor: Actor,
    /// Its name, for people.
    pub name: String,
    /// Its roles.
    pub roles: Vec<Role>,
    /// The key that it used.
    pub key: KeyId,
    /// Whether its tenant is the installation's first, whose admins may make
    /// tenants.
    pub home: bool,
}
