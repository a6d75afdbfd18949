//! Erasing: what would be erased, the order, and carrying it out. The order is
//! on the ledger before a key is destroyed, so that who and why is known
//! whatever happens in between; whoever ticks afterwards carries it out.

use super::key::{
    Erased, ErasureOrdered, Readmitted, Rotated, Status, SubjectKey, SubjectKeyEvent,
};
use super::ring::{self, Ring, RingEvent, TenantKeyRotated};
use super::{document, reasoned};
use crate::control::Control;

use kernel::{
    Aggregate, Ctx, DataKeyId, EvidenceId, Refusal, Snapshot, StreamId, Subject, TenantId, Unit,
};
use ledger::Document;
use ledger::query::DocumentQuery;
use ledger::request::{self, Key};
use sense::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{Evidence, State};

/// Rows that are read at a time.
const PAGE: usize = 200;
/// Things of one kind that a preview counts at most.
const COUNTED_MAX: usize = 20_000;

/// What an erasure would make unreadable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preview {
    /// Of whom.
    pub subject: Subject,
    /// Where the keys stand.
    pub status: Status,
    /// The keys that would be destroyed.
    pub keys: Vec<DataKeyId>,
    /// Raw bodies that name nobody else.
    pub bodies: usize,
    /// Raw bodies that are sealed under keys of other subjects as well: they
    /// become unreadable for those, too.
    pub bodies_shared: usize,
    /// Signals with sealed attributes.
    pub signals: usize,
    /// Fields of the state that stand sealed.
    pub fields: Vec<String>,
    /// Snapshots with sealed fields.
    pub snapshots: usize,
    /// Whether there was more than a preview counts.
    pub more: bool,
}

impl Control {
    /// What erasing a subject would make unreadable.
    ///
    /// # Errors
    /// `not_found` when nothing of it was ever sealed.
    pub async fn erasure_preview(
        &self,
        tenant: TenantId,
        subject: &Subject,
    ) -> Result<Preview, Refusal> {
        let known = document::<SubjectKey>(self, tenant, subject).await?;
        let known = known.ok_or_else(|| nothing(subject))?;
        let mut more = false;
        let signals = self.about::<Signal>(tenant, subject, &mut more).await?;
        let snapshots = self.about::<Snapshot>(tenant, subject, &mut more).await?;
        let states = self.about::<State>(tenant, subject, &mut more).await?;
        let mut evidence = BTreeSet::new();
        for (_, signal) in &signals {
            evidence.extend(signal.evidence.iter().map(|e| e.id));
        }
        for (_, found) in self.about::<Evidence>(tenant, subject, &mut more).await? {
            evidence.insert(found.id);
        }
        let (bodies, bodies_shared) = self.bodies(tenant, subject, evidence).await?;
        let fields = states.iter().flat_map(|(_, state)| &state.fields);
        let fields = fields.filter(|(_, belief)| kernel::Sealed::of(&belief.claim.value).is_some());
        Ok(Preview {
            subject: subject.clone(),
            status: known.status,
            keys: known.keys,
            bodies,
            bodies_shared,
            signals: signals.iter().filter(|(d, _)| is_sealed(d)).count(),
            fields: fields.map(|(name, _)| name.clone()).collect(),
            snapshots: snapshots.iter().filter(|(d, _)| is_sealed(d)).count(),
            more,
        })
    }

    async fn about<A: Aggregate>(
        &self,
        tenant: TenantId,
        subject: &Subject,
        more: &mut bool,
    ) -> Result<Vec<(Document, A)>, Refusal> {
        let mut found = Vec::new();
        let mut beyond_seq = None;
        loop {
            let query = DocumentQuery {
                kind: A::KIND.into(),
                subject: Some(subject.clone()),
                beyond_seq,
                limit: PAGE,
                ..DocumentQuery::default()
            };
            let page = self.ledger().store().documents(tenant, &query).await?;
            let last = page.len() < PAGE;
            beyond_seq = page.last().map(|d| d.created_seq);
            for document in page {
                let state = serde_json::from_str(&document.body).map_err(|e| {
                    Refusal::integrity(format!("state of `{}`: {e}", document.stream))
                })?;
                found.push((document, state));
            }
            *more |= !last && found.len() >= COUNTED_MAX;
            if last || found.len() >= COUNTED_MAX {
                return Ok(found);
            }
        }
    }

    async fn bodies(
        &self,
        tenant: TenantId,
        subject: &Subject,
        evidence: BTreeSet<EvidenceId>,
    ) -> Result<(usize, usize), Refusal> {
        let (mut own, mut shared) = (0, 0);
        for id in evidence {
            let Some(found) = document::<Evidence>(self, tenant, id).await? else {
                continue;
            };
            if found.sealed_under.contains(subject) {
                match found.sealed_under.len() {
                    1 => own += 1,
                    _ => shared += 1,
                }
            }
        }
        Ok((own, shared))
    }

    /// Carries out an erasure that was ordered: destroys the keys, then records
    /// that they are gone. Doing it again is no fault.
    ///
    /// # Errors
    /// `unavailable` when the keyring is not there or a file cannot be
    /// destroyed: the erasure then stays due.
    pub async fn carry_out_erasure(
        self: &Arc<Self>,
        tenant: TenantId,
        subject: Subject,
    ) -> Result<(), Refusal> {
        let known = document::<SubjectKey>(self, tenant, &subject).await?;
        if known.is_none_or(|known| known.status != Status::Erasing) {
            return Ok(());
        }
        let keyring = self.ports().keyring.clone();
        let keys = keyring.destroy(tenant, subject.clone()).await?;
        let ctx = self.system_ctx(tenant, "erasure");
        let work = move |unit: &mut Unit<'_>| confirm(unit, &subject, &keys);
        self.ledger().run(ctx, work).await.map(drop)
    }

    /// Makes a new key of a subject for new facts, once per `once`, and records
    /// it.
    ///
    /// # Errors
    /// When the subject has no keys in use, or the keyring refuses.
    pub async fn rotate_subject_key(
        &self,
        (ctx, once): (Ctx, Option<Key>),
        subject: Subject,
    ) -> Result<DataKeyId, Refusal> {
        let store = self.ledger().store();
        if let Some(once) = &once
            && let Some(first) = request::answered(store, ctx.tenant, once).await?
        {
            return Ok(first);
        }
        let known = document::<SubjectKey>(self, ctx.tenant, &subject).await?;
        if known.is_none_or(|known| known.status != Status::Active) {
            return Err(nothing(&subject));
        }
        let keyring = self.ports().keyring.clone();
        let key = keyring.rotate(ctx.tenant, subject.clone()).await?;
        let work = move |unit: &mut Unit<'_>| {
            unit.get::<SubjectKey>(&subject)?;
            unit.record::<SubjectKey>(&subject, SubjectKeyEvent::Rotated(Rotated { key }))
                .map(|_| key)
        };
        Ok(self.ledger().run_once(ctx, once, work).await?.answer)
    }

    /// Makes a new tenant key, once per `once`, wraps every data key by it, and
    /// records it.
    ///
    /// # Errors
    /// `not_found` when nothing personal was ever sealed; `unavailable` when
    /// the keyring is not whole.
    pub async fn rotate_tenant_key(
        &self,
        (ctx, once): (Ctx, Option<Key>),
    ) -> Result<TenantKeyRotated, Refusal> {
        let store = self.ledger().store();
        if let Some(once) = &once
            && let Some(first) = request::answered(store, ctx.tenant, once).await?
        {
            return Ok(first);
        }
        if document::<Ring>(self, ctx.tenant, ring::ID)
            .await?
            .is_none()
        {
            return Err(Refusal::not_found("the tenant has no keyring yet")
                .hint("it is made with the first personal fact"));
        }
        let keyring = self.ports().keyring.clone();
        let rewrapped = keyring.rotate_tenant(ctx.tenant).await?;
        let rotated = TenantKeyRotated {
            generation: rewrapped.generation,
            subjects: rewrapped.subjects,
        };
        let work = move |unit: &mut Unit<'_>| {
            let event = RingEvent::Rotated(rotated.clone());
            unit.record::<Ring>(ring::ID, event)?;
            Ok(rotated.clone())
        };
        Ok(self.ledger().run_once(ctx, once, work).await?.answer)
    }
}

fn is_sealed(document: &Document) -> bool {
    document.body.contains(kernel::sealed::MEMBER)
}

fn nothing(subject: &Subject) -> Refusal {
    Refusal::not_found(format!("nothing personal of `{subject}` is kept"))
        .hint("see `writ keyring list` for the subjects with keys")
}

/// Orders the erasure of everything that is sealed under a subject's keys.
///
/// # Errors
/// `not_found` when nothing of it was ever sealed; `illegal_move` when it was
/// erased before.
pub fn order(unit: &mut Unit<'_>, subject: &Subject, reason: &str) -> Result<StreamId, Refusal> {
    reasoned(reason)?;
    let known = unit.find::<SubjectKey>(subject)?;
    let known = known.ok_or_else(|| nothing(subject))?;
    super::key::LIFECYCLE.next(known.status, super::key::Trigger::Erase)?;
    let reason = reason.to_owned();
    let event = SubjectKeyEvent::ErasureOrdered(ErasureOrdered { reason });
    unit.record::<SubjectKey>(subject, event)?;
    Ok(StreamId::of::<SubjectKey>(subject))
}

fn confirm(unit: &mut Unit<'_>, subject: &Subject, keys: &[DataKeyId]) -> Result<(), Refusal> {
    let known = unit.get::<SubjectKey>(subject)?;
    if known.status != Status::Erasing {
        return Ok(());
    }
    let keys = keys.to_vec();
    unit.record::<SubjectKey>(subject, SubjectKeyEvent::Erased(Erased { keys }))
        .map(drop)
}

/// Lets what is personal of an erased subject in again, under a new key.
///
/// # Errors
/// `not_found` and `illegal_move` when the subject was not erased.
pub fn readmit(unit: &mut Unit<'_>, subject: &Subject, reason: &str) -> Result<Status, Refusal> {
    reasoned(reason)?;
    let known = unit.find::<SubjectKey>(subject)?;
    let known = known.ok_or_else(|| nothing(subject))?;
    super::key::LIFECYCLE.next(known.status, super::key::Trigger::Readmit)?;
    let reason = reason.to_owned();
    let event = SubjectKeyEvent::Readmitted(Readmitted { reason });
    let (_, after) = unit.record::<SubjectKey>(subject, event)?;
    Ok(after.status)
}
