//! What is in force for each tenant: its pack, loaded from the ledger and
//! compiled. Loading a pack is a recorded command; its files are kept beside
//! the ledger, so that a restart, and a replay, need nothing else.

use crate::control::Control;
use crate::policies::{self, Policies};
use gate::history::{self, FactSet};
use gate::residency;
use kernel::names::Name;
use kernel::{
    Aggregate, Ctx, Digest, Impossible, Refusal, Stamp, StreamId, TenantId, Timestamp, Unit,
};
use ledger::Store;
use ledger::request::Key;
use pack::{Files, Pack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The id of the stream that holds a tenant's pack: it has one at a time.
pub const ID: &str = "active";

/// A pack in force, together with the set of policies that was promoted, and
/// their versions in the ledger. It is never changed, only replaced: whoever
/// holds it sees one whole set.
#[derive(Debug)]
pub struct InForce {
    /// The pack, compiled.
    pub pack: Pack,
    /// Version of the record that it was loaded from.
    pub version: u64,
    /// Version of the record of the sets of policies that stand beside it.
    pub policies: u64,
}

impl InForce {
    fn versions(&self) -> (u64, u64) {
        (self.version, self.policies)
    }
}

kernel::names! {
    /// Whether a pack is in force.
    pub enum PackStatus {
        /// It is.
        Active = "active",
    }
}

/// A pack was loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 over its files.
    pub hash: Digest,
    /// Digest of each file by path.
    pub files: BTreeMap<String, Digest>,
}

kernel::events! {
    /// What happens to a tenant's pack.
    pub enum PackEvent {
        /// It was loaded.
        Loaded(Loaded) = "pack.loaded" in System,
    }
}

/// The pack of a tenant, as recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PackRecord {
    /// What was loaded last.
    pub loaded: Loaded,
    /// When.
    pub at: Timestamp,
    /// Whether it is in force.
    pub status: PackStatus,
}

impl Aggregate for PackRecord {
    const KIND: &'static str = "pack";
    type Event = PackEvent;

    fn evolve(_: Option<Self>, event: &PackEvent, stamp: &Stamp) -> Result<Self, Impossible> {
        let PackEvent::Loaded(loaded) = event;
        Ok(Self {
            loaded: loaded.clone(),
            at: stamp.at,
            status: PackStatus::Active,
        })
    }
    fn status(&self) -> &'static str {
        self.status.name()
    }
}

/// What is in force, by tenant.
pub(crate) struct Force {
    packs: RwLock<BTreeMap<TenantId, Arc<InForce>>>,
    /// Where this node keeps data.
    stores: Vec<residency::Store>,
}

impl Force {
    /// Loads what each tenant has recorded.
    pub(crate) async fn restore(
        store: &dyn Store,
        stores: Vec<residency::Store>,
    ) -> Result<Self, Refusal> {
        let force = Self {
            packs: RwLock::default(),
            stores,
        };
        for tenant in store.tenants().await? {
            if let Some(pack) = recorded(store, tenant, &force.stores).await? {
                force.set(tenant, pack);
            }
        }
        Ok(force)
    }

    /// What is in force for the tenant that was founded first: ids rise with
    /// time.
    pub(crate) fn first(&self) -> Option<(TenantId, Arc<InForce>)> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        let first = packs.first_key_value();
        first.map(|(tenant, in_force)| (*tenant, in_force.clone()))
    }

    /// Where this node keeps data.
    pub(crate) fn stores(&self) -> &[residency::Store] {
        &self.stores
    }

    pub(crate) fn of(&self, tenant: TenantId) -> Result<Arc<InForce>, Refusal> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        packs.get(&tenant).cloned().ok_or_else(|| {
            Refusal::unavailable("this tenant has no pack, so nothing is allowed")
                .hint("load one with `writ pack load DIR`")
        })
    }

    fn set(&self, tenant: TenantId, pack: InForce) {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let newer = packs
            .get(&tenant)
            .is_none_or(|held| held.versions() < pack.versions());
        if newer {
            packs.insert(tenant, Arc::new(pack));
        }
    }
}

async fn recorded(
    store: &dyn Store,
    tenant: TenantId,
    stores: &[residency::Store],
) -> Result<Option<InForce>, Refusal> {
    let stream = StreamId::of::<PackRecord>(ID);
    let Some(document) = store.document(tenant, &stream).await? else {
        return Ok(None);
    };
    let record: PackRecord = serde_json::from_str(&document.body)
        .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))?;
    let mut files = Files::new();
    for (path, digest) in &record.loaded.files {
        let bytes = store.object(tenant, *digest).await?.ok_or_else(|| {
            Refusal::integrity(format!("file `{path}` of the loaded pack is missing"))
                .hint("restore from a backup, or load the pack again")
        })?;
        files.insert(path.clone(), bytes);
    }
    let mut pack = pack::load(&files).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        Refusal::unavailable(format!(
            "the recorded pack `{}` does not load with this version of writ: {first}",
            record.loaded.name
        ))
        .hint("load a pack that this version accepts")
    })?;
    let (sets, policies) = policies::recorded(store, tenant).await?;
    policies::compose(store, tenant, &sets, &mut pack).await?;
    pack.kept_in(stores)?;
    Ok(Some(InForce {
        pack,
        version: document.version,
        policies,
    }))
}

/// Refuses a command that was prepared with a pack that is no longer in force.
///
/// # Errors
/// `conflict` when another pack was loaded meanwhile.
pub fn still(unit: &mut Unit<'_>, in_force: &InForce) -> Result<(), Refusal> {
    if unit.version::<PackRecord>(ID)? != in_force.version {
        return Err(Refusal::conflict("another pack was loaded meanwhile").hint("try again"));
    }
    if unit.version::<Policies>(policies::record::ID)? != in_force.policies {
        return Err(Refusal::conflict("policies were changed meanwhile").hint("try again"));
    }
    Ok(())
}

impl Control {
    /// Puts in force what other nodes have loaded since. Until it has, commands
    /// that rest on the pack before are refused, by [`still`].
    ///
    /// # Errors
    /// When storage does not answer, or a recorded pack does not load here; the
    /// packs of the tenants after it are looked at all the same.
    pub async fn follow_packs(&self) -> Result<(), Refusal> {
        let mut fault = None;
        for tenant in self.ledger().store().tenants().await? {
            if let Err(refusal) = self.follow_pack(tenant).await {
                fault = Some(refusal);
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Puts in force what another node has loaded for this tenant, where there
    /// may be another.
    ///
    /// # Errors
    /// As [`Control::follow_packs`].
    pub async fn follow_pack(&self, tenant: TenantId) -> Result<(), Refusal> {
        let store = self.ledger().store();
        if store.others().is_none() {
            return Ok(());
        }
        let held = self.force().of(tenant);
        let (pack, sets) = held.map_or((0, 0), |held| held.versions());
        let found = store
            .document(tenant, &StreamId::of::<PackRecord>(ID))
            .await?;
        let beside = StreamId::of::<Policies>(policies::record::ID);
        let beside = store.document(tenant, &beside).await?;
        let newer = found.is_some_and(|document| document.version > pack)
            || beside.is_some_and(|document| document.version > sets);
        match newer {
            true => self.reload(tenant).await,
            false => Ok(()),
        }
    }

    /// Puts in force what is recorded for this tenant.
    pub(crate) async fn reload(&self, tenant: TenantId) -> Result<(), Refusal> {
        if let Some(in_force) =
            recorded(self.ledger().store(), tenant, &self.force().stores).await?
        {
            self.force().set(tenant, in_force);
        }
        Ok(())
    }

    /// Loads a pack for the tenant of `ctx`. The same files again change
    /// nothing.
    ///
    /// # Errors
    /// Every fault of the pack, budgets that would forget what was used under
    /// their name, `unavailable` when this node keeps data where the pack says
    /// that it may not be, `conflict` when another pack was loaded meanwhile, or what
    /// the ledger refuses.
    pub async fn load_pack(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        files: Files,
    ) -> Result<Loaded, Refusal> {
        let tenant = ctx.tenant;
        let mut pack = checked(&files)?;
        let faults = pack.lint(self.capabilities());
        if let Some(fault) = faults.first() {
            return Err(Refusal::invalid(fault.to_string()));
        }
        let loaded = Loaded {
            name: pack.manifest.name.clone(),
            version: pack.manifest.version.to_string(),
            hash: pack.hash,
            files: files
                .iter()
                .map(|(path, bytes)| (path.clone(), Digest::of(bytes)))
                .collect(),
        };
        self.follow_pack(tenant).await?;
        let before = self.force().of(tenant).ok();
        let store = self.ledger().store();
        let (sets, version) = policies::recorded(store, tenant).await?;
        policies::compose(store, tenant, &sets, &mut pack).await?;
        pack.kept_in(&self.force().stores)?;
        let whose = format!("tenant `{tenant}`, pack `{}`", pack.manifest.name);
        crate::residency::stores_fit(&pack, &whose, ctx.now)?;
        let budgets = pack.rules.budgets.clone();
        let facts = pack.rules.history.clone();
        let work = move |unit: &mut Unit<'_>| {
            if unit.version::<Policies>(policies::record::ID)? != version {
                return Err(Refusal::conflict("policies were changed meanwhile").hint("try again"));
            }
            if let Some(before) = &before {
                still(unit, before)?;
                let former = &before.pack.rules.budgets;
                budgets
                    .may_follow(former)
                    .map_err(|e| e.at("budgets.yaml"))?;
            }
            record(unit, &loaded, &files, &facts)
        };
        let done = self.ledger().run_once(ctx, key, work).await?;
        self.reload(tenant).await?;
        // What cannot be counted back now is when the facts are due again;
        // until then policies that name them block.
        drop(self.count_back(tenant).await);
        Ok(done.answer)
    }
}

fn record(
    unit: &mut Unit<'_>,
    loaded: &Loaded,
    files: &Files,
    facts: &FactSet,
) -> Result<Loaded, Refusal> {
    let before = unit.find::<PackRecord>(ID)?;
    if let Some(before) = &before {
        if before.loaded.name != loaded.name {
            return Err(Refusal::conflict(format!(
                "this tenant runs the pack `{}`, and a tenant runs one pack",
                before.loaded.name
            ))
            .hint("make another tenant for another pack"));
        }
        if before.loaded == *loaded {
            return Ok(loaded.clone());
        }
    }
    for bytes in files.values() {
        unit.keep_object(bytes.clone());
    }
    unit.record::<PackRecord>(ID, PackEvent::Loaded(loaded.clone()))?;
    history::declare(unit, facts, before.is_none())?;
    Ok(loaded.clone())
}

/// A pack from its files.
///
/// # Errors
/// Every fault, one a line.
pub fn checked(files: &Files) -> Result<Pack, Refusal> {
    pack::load(files).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Refusal::invalid(format!(
            "the pack has {} faults: {}",
            lines.len(),
            lines.join("; ")
        ))
    })
}
