//! Sets of policies apart from the pack. A set runs in shadow first: it is
//! asked at every choke point beside what is enforced, and its answers are
//! recorded and count for nothing. Promoted, it is enforced together with the
//! pack's policies as one set with one hash.

pub mod operations;
pub mod record;
mod simulate;

pub use record::{Policies, SetRecord, SetStatus};
pub use simulate::{Simulated, Simulation};

use crate::control::Control;
use crate::force::{InForce, still};
use gate::policy::{self, PolicySet};
use kernel::{Ctx, Digest, Refusal, StreamId, TenantId, Unit, limits};
use ledger::Store;
use ledger::request::Key;
use pack::{Fault, Pack};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most files of a set.
pub const FILES_MAX: usize = 50;
/// Before the names of its files where they stand beside the pack's.
const FOLDER: &str = "promoted/";

/// The files of a set by name.
pub type Texts = BTreeMap<String, String>;

/// The recorded sets of a tenant, with the version of the record.
pub(crate) async fn recorded(
    store: &dyn Store,
    tenant: TenantId,
) -> Result<(Policies, u64), Refusal> {
    let stream = StreamId::of::<Policies>(record::ID);
    let Some(document) = store.document(tenant, &stream).await? else {
        return Ok((Policies::default(), 0));
    };
    let sets = serde_json::from_str(&document.body)
        .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))?;
    Ok((sets, document.version))
}

/// Puts the recorded sets beside the pack's policies: what is enforced becomes
/// one set with them, and so does what is in shadow, for itself.
pub(crate) async fn compose(
    store: &dyn Store,
    tenant: TenantId,
    sets: &Policies,
    pack: &mut Pack,
) -> Result<(), Refusal> {
    let mut texts = [None, None];
    let statuses = [SetStatus::Enforced, SetStatus::Shadow];
    for (text, status) in texts.iter_mut().zip(statuses) {
        if let Some((_, record)) = sets.in_status(status) {
            *text = Some(read(store, tenant, record).await?);
        }
    }
    let [enforced, shadow] = texts;
    if enforced.is_none() && shadow.is_none() {
        return Ok(());
    }
    let shadow = shadow.map(|texts| beside(pack, &texts)).transpose()?;
    let all = joined(pack, &enforced.unwrap_or_default());
    let rules = pack.rules.with_policies(&all, shadow);
    pack.rules = Arc::new(rules.map_err(|faults| broken(&placed(faults)))?);
    Ok(())
}

async fn read(store: &dyn Store, tenant: TenantId, record: &SetRecord) -> Result<Texts, Refusal> {
    let mut texts = Texts::new();
    for (name, digest) in &record.files {
        let bytes = store.object(tenant, *digest).await?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| {
            Refusal::integrity(format!("file `{name}` of a set of policies is missing"))
                .hint("restore from a backup")
        })?;
        texts.insert(name.clone(), text);
    }
    Ok(texts)
}

/// The pack's policies and those of a set.
fn joined(pack: &Pack, texts: &Texts) -> Vec<(String, String)> {
    let more = texts.iter();
    let more = more.map(|(name, text)| (format!("{FOLDER}{name}"), text.clone()));
    pack.policies.iter().cloned().chain(more).collect()
}

fn beside(pack: &Pack, texts: &Texts) -> Result<PolicySet, Refusal> {
    let set = PolicySet::with_history(&pack.rules.history, &joined(pack, texts));
    set.map_err(|faults| broken(&placed(faults)))
}

fn placed(faults: Vec<policy::Fault>) -> Vec<Fault> {
    faults.into_iter().map(Fault::of_policy).collect()
}

/// Checks how many files there are and what they are called: their names stand
/// in faults, answers and the record of who decided what.
fn well_named(texts: &Texts) -> Result<(), Refusal> {
    if texts.is_empty() || texts.len() > FILES_MAX {
        let said = format!("a set has between 1 and {FILES_MAX} files");
        return Err(Refusal::invalid(said).at("files"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = |name: &str| {
        let stem = name.strip_suffix(".cedar").unwrap_or_default();
        !stem.is_empty() && name.len() <= limits::NAME_BYTES_MAX && stem.chars().all(plain)
    };
    match texts.keys().find(|name| !is_name(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::invalid(format!(
            "`{}` is no name of a file",
            name.escape_debug()
        ))
        .hint("use letters, digits, `-`, `_` and `.`, with `.cedar` at the end")
        .at("files")),
    }
}

fn broken(faults: &[Fault]) -> Refusal {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Refusal::invalid(format!(
        "the pack's policies and the set have {} faults together: {}",
        lines.len(),
        lines.join("; ")
    ))
}

/// The name of a set.
fn name(texts: &Texts) -> Result<Digest, Refusal> {
    let files: BTreeMap<&str, Digest> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), Digest::of(text.as_bytes())))
        .collect();
    Ok(Digest::of_value("writ.policies.v1", &files)?)
}

impl Control {
    /// The tenant's sets of policies, and the version of the record.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn policies(&self, tenant: TenantId) -> Result<(Policies, u64), Refusal> {
        recorded(self.ledger().store(), tenant).await
    }

    /// Uploads a set and has it run in shadow.
    ///
    /// # Errors
    /// Every fault that it has beside the pack's policies, those that lints
    /// find among them; when another set is in shadow.
    pub async fn shadow_policies(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        texts: Texts,
    ) -> Result<(Digest, Policies), Refusal> {
        let in_force = self.in_force(ctx.tenant)?;
        self.check_policies(&in_force.pack, &texts)?;
        let set = name(&texts)?;
        let work = move |unit: &mut Unit<'_>| operations::shadow(unit, set, &texts);
        let sets = self.move_policies(ctx, key, in_force, work).await?;
        Ok((set, sets))
    }

    /// Enforces the set that is in shadow.
    ///
    /// # Errors
    /// As [`operations::promote`].
    pub async fn promote_policies(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        set: Digest,
        reason: String,
    ) -> Result<Policies, Refusal> {
        let in_force = self.in_force(ctx.tenant)?;
        let work = move |unit: &mut Unit<'_>| operations::promote(unit, set, &reason);
        self.move_policies(ctx, key, in_force, work).await
    }

    /// Asks a set no more.
    ///
    /// # Errors
    /// As [`operations::withdraw`].
    pub async fn withdraw_policies(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        set: Digest,
        reason: String,
    ) -> Result<Policies, Refusal> {
        let in_force = self.in_force(ctx.tenant)?;
        let work = move |unit: &mut Unit<'_>| operations::withdraw(unit, set, &reason);
        self.move_policies(ctx, key, in_force, work).await
    }

    /// Moves sets on what is in force, and puts in force what comes of it.
    async fn move_policies(
        &self,
        ctx: Ctx,
        key: Option<Key>,
        in_force: Arc<InForce>,
        work: impl Fn(&mut Unit<'_>) -> Result<Policies, Refusal> + Send + 'static,
    ) -> Result<Policies, Refusal> {
        let tenant = ctx.tenant;
        let work = move |unit: &mut Unit<'_>| {
            still(unit, &in_force)?;
            work(unit)
        };
        let done = self.ledger().run_once(ctx, key, work).await?;
        self.reload(tenant).await?;
        Ok(done.answer)
    }

    /// What keeps a set from standing beside the pack's policies.
    fn check_policies(&self, pack: &Pack, texts: &Texts) -> Result<(), Refusal> {
        well_named(texts)?;
        beside(pack, texts)?;
        let faults = pack.lint_policies(&joined(pack, texts), self.capabilities());
        match faults.is_empty() {
            true => Ok(()),
            false => Err(broken(&faults)),
        }
    }
}
