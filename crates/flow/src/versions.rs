//! The versions of a directive's contract, as the ledger keeps them, and what
//! any two of them differ in. Reads alone.

use crate::control::Control;
use gate::difference::{Change, difference};
use gate::directive::{DirectiveEvent, REVISIONS_MAX};
use gate::{Contract, Directive};
use kernel::{
    Actor, Digest, DirectiveId, EntryId, Event as _, Refusal, StreamId, TenantId, Timestamp,
};
use ledger::query::EntryQuery;
use serde::Serialize;

/// A version of a contract.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// Which one, from 1.
    pub revision: u32,
    /// Its digest.
    pub digest: Digest,
    /// Who wrote it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// The entry that recorded it.
    pub entry: EntryId,
    /// The contract.
    pub contract: Contract,
}

/// Two versions and what they differ in.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The older one, as it was asked for.
    pub from: Version,
    /// The newer one, as it was asked for.
    pub to: Version,
    /// Field by field.
    pub changes: Vec<Change>,
}

impl Control {
    /// Every version of a directive's contract, the first first.
    ///
    /// # Errors
    /// `not_found` when the tenant has no such directive, and what storage
    /// says.
    pub async fn versions(
        &self,
        tenant: TenantId,
        id: DirectiveId,
    ) -> Result<Vec<Version>, Refusal> {
        let mut found = Vec::new();
        for kind in ["directive.drafted", "directive.edited"] {
            let query = EntryQuery {
                stream: Some(StreamId::of::<Directive>(id)),
                kind: Some(kind.to_owned()),
                limit: REVISIONS_MAX,
                ..EntryQuery::default()
            };
            for entry in self.ledger().store().entries(tenant, &query).await? {
                let payload = serde_json::from_str(&entry.payload)
                    .map_err(|e| Refusal::integrity(format!("entry `{}`: {e}", entry.id)))?;
                let (contract, digest) = match DirectiveEvent::decode(&entry.kind, &payload)? {
                    DirectiveEvent::Drafted(drafted) => (drafted.contract, drafted.digest),
                    DirectiveEvent::Edited(edited) => (edited.contract, edited.digest),
                    _ => continue,
                };
                let revision = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
                found.push(Version {
                    revision,
                    digest,
                    by: entry.actor,
                    at: entry.at,
                    entry: entry.id,
                    contract,
                });
            }
        }
        match found.is_empty() {
            true => Err(Refusal::not_found(format!("no directive `{id}`"))),
            false => Ok(found),
        }
    }

    /// What two versions differ in: by default the one in force and the one
    /// before it.
    ///
    /// # Errors
    /// As [`Control::versions`], and `not_found` for a version that there never
    /// was.
    pub async fn difference(
        &self,
        tenant: TenantId,
        id: DirectiveId,
        (from, to): (Option<u32>, Option<u32>),
    ) -> Result<Difference, Refusal> {
        let versions = self.versions(tenant, id).await?;
        let last = u32::try_from(versions.len()).unwrap_or(u32::MAX);
        let to = to.unwrap_or(last);
        let from = from.unwrap_or_else(|| to.saturating_sub(1).max(1));
        let (from, to) = (find(&versions, from)?, find(&versions, to)?);
        Ok(Difference {
            changes: difference(&from.contract, &to.contract)?,
            from,
            to,
        })
    }
}

fn find(versions: &[Version], revision: u32) -> Result<Version, Refusal> {
    let found = versions.iter().find(|v| v.revision == revision);
    found.cloned().ok_or_else(|| {
        Refusal::not_found(format!("there is no version {revision}"))
            .hint(format!("there are 1 to {}", versions.len()))
    })
}
