//! Reading a data directory or a database without a server, beside a running
//! writ or on a copy.

use crate::cli::Offline;
use crate::failure::Failure;
use kernel::TenantId;
use ledger::Store;
use store::{Postgres, Sqlite};

/// A ledger that is read without a server, with the tenants in it.
pub(crate) struct Directory {
    pub(crate) store: Box<dyn Store>,
    pub(crate) tenants: Vec<TenantId>,
}

impl Directory {
    /// Opens what is named; `None` when nothing is, and a server is to be asked.
    pub(crate) async fn named(offline: &Offline) -> Result<Option<Self>, Failure> {
        let (store, name): (Box<dyn Store>, String) = match (&offline.database, &offline.data) {
            (Some(url), _) => {
                let store = Postgres::open_read_only(url).await?;
                (Box::new(store), "the database".to_owned())
            }
            (None, Some(path)) => {
                let store = Sqlite::open_read_only(path)?;
                (Box::new(store), format!("`{}`", path.display()))
            }
            (None, None) => return Ok(None),
        };
        let tenants = store.tenants().await?;
        if tenants.is_empty() {
            return Err(Failure::failed(format!(
                "the ledger in {name} has no tenant yet"
            )));
        }
        Ok(Some(Self { store, tenants }))
    }
}
