//! Opening: only at the border, only for someone who may, and never without a
//! record, which is durable before anything is shown. A sealed value is opened
//! where it stands only: as the body of this evidence, as this attribute of
//! this subject's signal, as this field of this subject's state.

use super::gone::Gone;
use super::key::{self, SubjectKey, SubjectKeyEvent};
use super::{document, reasoned};
use crate::control::Control;
use kernel::sealed::place_of_value;
use kernel::{Aggregate, Ctx, Refusal, Sealed, Snapshot, StreamId, Subject, TenantId, Unit};
use sense::Signal;
use sense::dead_letter::DeadLetter;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use world::evidence::{Body, SEALED_PLACE};
use world::{Evidence, State};

/// What became of a sealed value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// What it holds.
    Value(Value),
    /// What it holds, as text; of a body that is no JSON.
    Text(String),
    /// It was erased.
    Erased(Gone),
    /// It could not be opened, and why.
    Refused(String),
}

/// What stood sealed in a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The stream of the thing.
    pub what: String,
    /// What stands sealed in it, by name.
    pub values: BTreeMap<String, Shown>,
}

/// A sealed value and where it stands.
struct Standing {
    name: String,
    place: String,
    subjects: BTreeSet<Subject>,
    sealed: Sealed,
}

impl Control {
    /// Opens what stands sealed in a thing, after it was recorded that this
    /// person did and why.
    ///
    /// # Errors
    /// `not_found` when there is no such thing; `invalid` when nothing in it is
    /// sealed or no reason is given; what the ledger refuses.
    pub async fn open_sealed(
        &self,
        ctx: Ctx,
        (kind, id): (&str, &str),
        reason: &str,
    ) -> Result<Opened, Refusal> {
        reasoned(reason)?;
        let tenant = ctx.tenant;
        let stream = StreamId::new(kind, id);
        let standing = self.standing(tenant, &stream).await?;
        if standing.is_empty() {
            return Err(Refusal::invalid(format!("nothing in `{stream}` is sealed"))
                .hint("read it as it is"));
        }
        let subjects: BTreeSet<Subject> =
            standing.iter().flat_map(|s| s.subjects.clone()).collect();
        let opened = key::Opened {
            what: stream.to_string(),
            reason: reason.to_owned(),
        };
        let work = move |unit: &mut Unit<'_>| {
            for subject in &subjects {
                let event = SubjectKeyEvent::Opened(opened.clone());
                // A value without a record of its keys came from elsewhere.
                if unit.find::<SubjectKey>(subject)?.is_some() {
                    unit.record::<SubjectKey>(subject, event)?;
                }
            }
            Ok(())
        };
        self.ledger().run(ctx, work).await?;
        let mut values = BTreeMap::new();
        for one in standing {
            let shown = self.show(tenant, &one).await;
            values.insert(one.name, shown);
        }
        Ok(Opened {
            what: stream.to_string(),
            values,
        })
    }

    async fn show(&self, tenant: TenantId, one: &Standing) -> Shown {
        match self.try_show(tenant, one).await {
            Ok(shown) => shown,
            Err(refusal) => Shown::Refused(refusal.to_string()),
        }
    }

    async fn try_show(&self, tenant: TenantId, one: &Standing) -> Result<Shown, Refusal> {
        if one.sealed.place != one.place || !one.sealed.is_of(&one.subjects) {
            return Err(Refusal::integrity(format!(
                "what stands at `{}` was sealed as something else",
                one.name
            )));
        }
        if let Some(gone) = self.erasure(tenant, &one.sealed).await? {
            return Ok(Shown::Erased(gone));
        }
        let bytes = self
            .ports()
            .keyring
            .open(tenant, one.sealed.clone())
            .await?;
        Ok(match kernel::json::parse(&bytes) {
            Ok(value) => Shown::Value(value),
            Err(_) => Shown::Text(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    async fn standing(
        &self,
        tenant: TenantId,
        stream: &StreamId,
    ) -> Result<Vec<Standing>, Refusal> {
        let id = stream.id();
        match stream.kind() {
            Evidence::KIND => {
                let found = self.thing::<Evidence>(tenant, id).await?;
                self.body(tenant, &found).await
            }
            Signal::KIND => {
                let found = self.thing::<Signal>(tenant, id).await?;
                Ok(members(&found.subject, found.attributes.iter()))
            }
            State::KIND => {
                let found = self.thing::<State>(tenant, id).await?;
                let fields = found.fields.iter();
                Ok(members(
                    &found.subject,
                    fields.map(|(name, belief)| (name, &belief.claim.value)),
                ))
            }
            Snapshot::KIND => {
                let found = self.thing::<Snapshot>(tenant, id).await?;
                let fields = found.fields.iter();
                Ok(members(
                    &found.subject,
                    fields.map(|(name, belief)| (name, &belief.claim.value)),
                ))
            }
            DeadLetter::KIND => {
                let found = self.thing::<DeadLetter>(tenant, id).await?;
                let subject = Subject::new("source", &found.source)?;
                let sealed = Sealed::of(&found.item);
                Ok(sealed
                    .map(|sealed| Standing {
                        name: "item".into(),
                        place: sense::personal::REJECTED.into(),
                        subjects: BTreeSet::from([subject]),
                        sealed,
                    })
                    .into_iter()
                    .collect())
            }
            other => Err(Refusal::invalid(format!(
                "nothing is sealed in a `{}`",
                other.escape_debug()
            ))
            .hint("one of evidence, signal, state, snapshot and dead_letter")),
        }
    }

    async fn thing<A: Aggregate>(&self, tenant: TenantId, id: &str) -> Result<A, Refusal> {
        document::<A>(self, tenant, id).await?.ok_or_else(|| {
            let id = id.escape_debug();
            Refusal::not_found(format!("no {} `{id}`", A::KIND.replace('_', " ")))
        })
    }

    async fn body(&self, tenant: TenantId, evidence: &Evidence) -> Result<Vec<Standing>, Refusal> {
        if evidence.sealed_under.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = match &evidence.body {
            Body::Inline(text) => text.clone().into_bytes(),
            Body::Object(digest) => {
                let found = self.ledger().store().object(tenant, *digest).await?;
                found.ok_or_else(|| Refusal::integrity("the raw body is missing"))?
            }
        };
        Ok(vec![Standing {
            name: "body".into(),
            place: SEALED_PLACE.into(),
            subjects: evidence.sealed_under.iter().cloned().collect(),
            sealed: Sealed::parse(&bytes)?,
        }])
    }
}

fn members<'a>(
    subject: &Subject,
    values: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Vec<Standing> {
    values
        .filter_map(|(name, value)| {
            Some(Standing {
                name: name.clone(),
                place: place_of_value(name),
                subjects: BTreeSet::from([subject.clone()]),
                sealed: Sealed::of(value)?,
            })
        })
        .collect()
}
