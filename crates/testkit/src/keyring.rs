//! A keyring in a folder of its own, which goes with it: the real one, because
//! what it does is files.

use connect::LocalKeyring;
use kernel::port::{Founding, Holding, KeyWanted, Keyring, Plain, Rewrapped};
use kernel::{DataKeyId, Refusal, Sealed, Subject, TenantId};
use std::path::Path;

/// A keyring in a temporary folder.
pub struct TwinKeyring {
    folder: tempfile::TempDir,
    ring: LocalKeyring,
}

impl Default for TwinKeyring {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            ring: LocalKeyring::new(&folder.path().join("keyring")),
            folder,
        }
    }
}

impl TwinKeyring {
    /// The folder that holds the keyring's own.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[async_trait::async_trait]
impl Keyring for TwinKeyring {
    async fn seal(
        &self,
        tenant: TenantId,
        founding: Founding,
        under: Vec<KeyWanted>,
        plain: Vec<Plain>,
    ) -> Result<Vec<Sealed>, Refusal> {
        self.ring.seal(tenant, founding, under, plain).await
    }
    async fn open(&self, tenant: TenantId, sealed: Sealed) -> Result<Vec<u8>, Refusal> {
        self.ring.open(tenant, sealed).await
    }
    async fn list(&self, tenant: TenantId) -> Result<Vec<Holding>, Refusal> {
        self.ring.list(tenant).await
    }
    async fn rotate(&self, tenant: TenantId, subject: Subject) -> Result<DataKeyId, Refusal> {
        self.ring.rotate(tenant, subject).await
    }
    async fn rotate_tenant(&self, tenant: TenantId) -> Result<Rewrapped, Refusal> {
        self.ring.rotate_tenant(tenant).await
    }
    async fn destroy(&self, tenant: TenantId, subject: Subject) -> Result<Vec<DataKeyId>, Refusal> {
        self.ring.destroy(tenant, subject).await
    }
}
