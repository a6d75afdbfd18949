//! Reading a data directory without a server, beside a running writ or on a
//! copy.

use crate::failure::Failure;
use kernel::TenantId;
use ledger::Store as _;
use std::path::Path;
use store::Sqlite;

/// A data directory with the tenants in it.
pub(crate) struct Directory {
    pub(crate) store: Sqlite,
    pub(crate) tenants: Vec<TenantId>,
}

impl Directory {
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        let store = Sqlite::open_read_only(path)?;
        let tenants = store.tenants().await?;
        if tenants.is_empty() {
            return Err(Failure::failed(format!(
                "the ledger in `{}` has no tenant yet",
                path.display()
            )));
        }
        Ok(Self { store, tenants })
    }
}
