//! The local keyring: a folder of key files, 0700 and 0600, beside the data or
//! wherever the operator wants it. Nodes that share a database share it.
//!
//! ```text
//! keyring/TENANT/tenant-N.key         the tenant's key, number N
//! keyring/TENANT/subjects/DIGEST.key  the keys of one subject, wrapped by it
//! keyring/TENANT/lock                 held while keys are read or changed
//! ```
//!
//! No key is cached: a key that was destroyed is gone with the next request,
//! and a keyring that is not there is noticed at once.

mod cipher;
mod folder;
mod ring;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use cipher::Cipher;
use folder::Folder;
use kernel::port::{Founding, Holding, KeyWanted, Plain, Rewrapped};
use kernel::{DataKeyId, Refusal, Sealed, Subject, TenantId, port};
use ring::{Hold, Ring};
use std::path::Path;

/// A keyring in a folder.
#[derive(Clone, Debug)]
pub struct LocalKeyring {
    root: Folder,
}

impl LocalKeyring {
    /// The keyring in this folder, which is made when the first key is.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let name = root.file_name().and_then(|name| name.to_str());
        Self {
            root: Folder::new(root, name.unwrap_or("keyring")),
        }
    }

    async fn held<T: Send + 'static>(
        &self,
        (tenant, founding, hold): (TenantId, Founding, Hold),
        work: impl FnOnce(&Ring) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let root = self.root.clone();
        // Files are read and made durable, which may take its time.
        tokio::task::spawn_blocking(move || {
            let ring = Ring::open(&root, tenant, founding, hold)?;
            work(&ring)
        })
        .await
        .map_err(|_| Refusal::unavailable("the keyring did not answer"))?
    }
}

#[async_trait]
impl port::Keyring for LocalKeyring {
    async fn seal(
        &self,
        tenant: TenantId,
        founding: Founding,
        mut under: Vec<KeyWanted>,
        plain: Vec<Plain>,
    ) -> Result<Vec<Sealed>, Refusal> {
        under.sort_by(|a, b| a.subject.cmp(&b.subject));
        under.dedup_by(|a, b| a.subject == b.subject);
        let every_known = under.iter().all(|wanted| wanted.key.is_some());
        let hold = match every_known {
            true => Hold::Shared,
            false => Hold::Alone,
        };
        self.held((tenant, founding, hold), move |ring| {
            let keys = ring.keys_to_seal(founding, &under)?;
            let cipher = Cipher::new(tenant, &keys)?;
            plain.iter().map(|plain| cipher.seal(plain)).collect()
        })
        .await
    }

    async fn open(&self, tenant: TenantId, sealed: Sealed) -> Result<Vec<u8>, Refusal> {
        let how = (tenant, Founding::Known, Hold::Shared);
        self.held(how, move |ring| {
            let keys = ring.keys_to_open(&sealed.keys)?;
            let opened = Cipher::new(tenant, &keys)?.open(&sealed)?;
            opened.ok_or_else(|| {
                Refusal::integrity("a sealed value does not open: it was changed or moved")
                    .hint("verify the ledger; the value is not what was sealed here")
            })
        })
        .await
    }

    async fn list(&self, tenant: TenantId) -> Result<Vec<Holding>, Refusal> {
        let how = (tenant, Founding::Known, Hold::Shared);
        self.held(how, Ring::list).await
    }

    async fn rotate(&self, tenant: TenantId, subject: Subject) -> Result<DataKeyId, Refusal> {
        let how = (tenant, Founding::Known, Hold::Alone);
        self.held(how, move |ring| ring.rotate(&subject)).await
    }

    async fn rotate_tenant(&self, tenant: TenantId) -> Result<Rewrapped, Refusal> {
        let how = (tenant, Founding::Known, Hold::Alone);
        self.held(how, Ring::rotate_tenant).await
    }

    async fn destroy(&self, tenant: TenantId, subject: Subject) -> Result<Vec<DataKeyId>, Refusal> {
        let how = (tenant, Founding::Known, Hold::Alone);
        self.held(how, move |ring| ring.destroy(&subject)).await
    }
}
