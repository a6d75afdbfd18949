//! Evidence and snapshots.

use crate::http::Place;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::evidence::{
    BodyView, ClaimView, EvidenceView, FieldView, GroundView, SnapshotView, evidence_page,
    snapshot_page,
};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::personal::{Gone, sealed_in};
use kernel::{Claim, Refusal, Sealed, Snapshot};
use serde_json::Value;
use world::Evidence;
use world::evidence::Body;

/// Longest body that a page shows, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Most subjects that a page names of a sealed value.
const SUBJECTS_SHOWN_MAX: usize = 8;

fn claim(claim: &Claim) -> ClaimView {
    ClaimView {
        value: claim.value.clone(),
        source: claim.source.clone(),
        trust: claim.trust.to_string(),
        observed_at: claim.observed_at,
        evidence: claim.evidence.to_string(),
    }
}

pub(super) fn snapshot_view(id: String, snapshot: &Snapshot) -> SnapshotView {
    let fields = snapshot.fields.iter().map(|(field, belief)| FieldView {
        field: field.clone(),
        claim: claim(&belief.claim),
        confidence: belief.confidence,
        contradictions: belief.contradictions.iter().map(claim).collect(),
    });
    let grounds = snapshot.grounds.iter().map(|ground| GroundView {
        evidence: ground.evidence.to_string(),
        entry: ground.entry.to_string(),
        source_type: ground.source_type.clone(),
        source_id: ground.source_id.clone(),
        locator: ground.locator.clone(),
        observed_at: ground.observed_at,
    });
    SnapshotView {
        id,
        subject: snapshot.subject.to_string(),
        schema: format!("{} v{}", snapshot.schema.entity, snapshot.schema.version),
        schema_hash: snapshot.schema.hash.to_string(),
        state_version: snapshot.state_version,
        fields: fields.collect(),
        grounds: grounds.collect(),
    }
}

pub(crate) async fn snapshot(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let snapshot = visit.get::<Snapshot>(&id).await?;
    let mut view = snapshot_view(id, &snapshot);
    tell_fates(&visit, &mut view).await?;
    let frame = visit.frame(Section::None).await?;
    shown(snapshot_page(&frame, &view))
}

pub(crate) async fn evidence(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let record = visit.get::<Evidence>(&id).await?;
    let bytes = match &record.body {
        Body::Inline(text) => Some(text.clone().into_bytes()),
        Body::Object(digest) => {
            let store = visit.app.ledger().store();
            store.object(visit.caller.tenant(), *digest).await?
        }
    };
    let view = EvidenceView {
        id,
        kind: record.evidence_type.to_string(),
        source: record.source.clone(),
        source_id: record.source_id.clone(),
        locator: record.locator.clone(),
        subjects: record.subjects.iter().map(ToString::to_string).collect(),
        trust: record.trust.to_string(),
        observed_at: record.observed_at,
        fetched_at: record.fetched_at,
        connector: record.connector.clone(),
        content_type: record.content_type.clone(),
        digest: record.digest.to_string(),
        bytes: record.bytes,
        body: match (record.sealed_under.is_empty(), bytes) {
            (false, Some(bytes)) => {
                let sealed = Sealed::parse(&bytes).map_err(Refusal::from)?;
                BodyView::Sealed(fate(&visit, &sealed).await?)
            }
            (_, bytes) => body(bytes),
        },
        entry: record.entry.map(|e| e.to_string()),
    };
    let frame = visit.frame(Section::None).await?;
    shown(evidence_page(&frame, &view))
}

/// Says in the place of each sealed value what has become of it.
pub(super) async fn tell_fates(visit: &Visit, view: &mut SnapshotView) -> Answer<()> {
    let claims = view.fields.iter_mut().flat_map(|field| {
        let said = std::iter::once(&mut field.claim);
        said.chain(&mut field.contradictions)
    });
    let values: Vec<&mut Value> = claims.map(|claim| &mut claim.value).collect();
    for value in values {
        tell_fate(visit, value).await?;
    }
    Ok(())
}

/// Says in a value, in the place of what stands sealed, what has become of it.
pub(super) async fn tell_fate(visit: &Visit, value: &mut Value) -> Answer<()> {
    for (place, sealed) in sealed_in(value) {
        let told = fate(visit, &sealed).await?;
        if let Some(there) = value.pointer_mut(&place) {
            *there = told.into();
        }
    }
    Ok(())
}

/// What has become of a sealed value, in words. A page opens nothing.
async fn fate(visit: &Visit, sealed: &Sealed) -> Answer<String> {
    let tenant = visit.caller.tenant();
    let erasure = visit.app.control().erasure(tenant, sealed).await?;
    let subjects: Vec<String> = sealed
        .keys
        .iter()
        .take(SUBJECTS_SHOWN_MAX)
        .map(|used| used.subject.to_string())
        .collect();
    Ok(match erasure {
        Some(Gone {
            subject, at, by, ..
        }) => format!("erased on {at} by {by}, with what is personal of {subject}"),
        None => format!(
            "sealed, personal of {}{}; `writ open` shows it to who may",
            subjects.join(", "),
            match sealed.keys.len() > SUBJECTS_SHOWN_MAX {
                true => " and others",
                false => "",
            }
        ),
    })
}

fn body(bytes: Option<Vec<u8>>) -> BodyView {
    let Some(bytes) = bytes else {
        return BodyView::Missing;
    };
    match String::from_utf8(bytes) {
        Err(_) => BodyView::Binary,
        Ok(text) if text.len() <= BODY_BYTES_MAX => BodyView::Text(text),
        Ok(text) => {
            let mut end = BODY_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            BodyView::Cut(text.get(..end).unwrap_or("").to_owned())
        }
    }
}
