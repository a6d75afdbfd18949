//! Webhooks of sources. A request proves that it comes from the source before
//! anything of it is parsed: a bearer secret, a header with HMAC-SHA-256 of
//! the raw body, the signature of Standard Webhooks, or an API key of the tenant with the permission to ingest.
//! What does not prove it learns nothing about tenants and sources. A body
//! that was taken in before is known and changes nothing, so repeating a
//! recorded request achieves nothing.

use super::signed::Signed;
use super::table::{Guard, Route};
use crate::app::App;
use crate::auth::{Via, bearer, token_caller};
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Place, Trace, json};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flow::{Delivery, InForce};
use gate::access::Permission;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::{Actor, Code, Ctx, Digest, PrincipalKind, Refusal, Role, TenantId};
use sense::definition::Authentication;
use sha2::Sha256;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/ingest/{tenant}/{source}",
            Guard::Source,
            "take in what a source observed",
            ingest,
        )
        .accepts(),
    ]
}

/// The prefix of writ's own tokens.
const OWN_TOKEN: &str = "writ_";

async fn ingest(
    State(app): State<App>,
    trace: Trace,
    Place((tenant, source)): Place<(String, String)>,
    request: Request,
) -> Answer<Response> {
    let tenant = TenantId::parse(&tenant).ok_or_else(unproved)?;
    let headers = request.headers().clone();
    let own = bearer(&headers).filter(|t| t.starts_with(OWN_TOKEN));
    let (actor, roles, body) = match own {
        Some(token) => {
            let caller = token_caller(&app, token, Via::Bearer, None).await?;
            if caller.tenant() != tenant || !caller.may(&app, Permission::SignalIngest) {
                return Err(caller.refusal(Permission::SignalIngest));
            }
            let body = json::bytes(request).await?;
            (caller.actor().clone(), caller.roles().to_vec(), body)
        }
        None => {
            let body = proved(&app, tenant, &source, &headers, request).await?;
            let actor = Actor::new(PrincipalKind::Service, &source);
            (actor, vec![Role::Source], body)
        }
    };
    json::is_json(&headers)?;
    let content_type = "application/json".to_owned();
    let bits = app.entropy().bits();
    let ctx = Ctx::new(tenant, app.now(), actor, trace.id, bits).with_roles(roles);
    let delivery = Delivery {
        source,
        content_type,
        body: body.to_vec(),
    };
    let received = taken_in(&app, ctx, delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(received)).into_response())
}

/// Takes a delivery in. When another node has loaded a pack meanwhile, it is
/// taken in by that one. Who sends does not come again after a conflict, as
/// many do after `unavailable`, so it is never told of one.
async fn taken_in(app: &App, ctx: Ctx, delivery: Delivery) -> Answer<flow::Received> {
    let tenant = ctx.tenant;
    let first = app.control().receive(ctx.clone(), delivery.clone()).await;
    let again = match first {
        Err(refusal) if refusal.code == Code::Conflict => {
            app.control().follow_pack(tenant).await?;
            app.control().receive(ctx, delivery).await
        }
        done => done,
    };
    Ok(again.map_err(|refusal| match refusal.code {
        Code::Conflict => Refusal::unavailable(refusal.message).hint("send it again"),
        _ => refusal,
    })?)
}

/// The pack in force, if it has this source. The ledger is asked when it has
/// not: another node may have loaded one that has.
async fn with_source(app: &App, tenant: TenantId, source: &str) -> Answer<Arc<InForce>> {
    let known = || {
        let in_force = app.control().in_force(tenant).ok()?;
        in_force
            .pack
            .catalog
            .source(source)
            .is_ok()
            .then_some(in_force)
    };
    if let Some(in_force) = known() {
        return Ok(in_force);
    }
    app.control().follow_pack(tenant).await?;
    known().ok_or_else(unproved)
}

/// The raw body, once the request has proved where it comes from.
async fn proved(
    app: &App,
    tenant: TenantId,
    source: &str,
    headers: &HeaderMap,
    request: Request,
) -> Answer<axum::body::Bytes> {
    let in_force = with_source(app, tenant, source).await?;
    let source = in_force
        .pack
        .catalog
        .source(source)
        .map_err(|_| unproved())?;
    let authentication = &source.definition.authentication;
    let secret = app.secrets().resolve(authentication.secret()).map_err(|refusal| {
        // Only the operator learns which reference does not resolve.
        tracing::error!(tenant = %tenant, source = %source.definition.name, error = %refusal, "a source's secret is missing");
        Problem::new(Kind::Unavailable, "deliveries of this source cannot be checked now")
    })?;
    match authentication {
        Authentication::Bearer { .. } => {
            let given = bearer(headers).ok_or_else(unproved)?;
            // Digests have one length, so the comparison tells nothing of it.
            let (given, wanted) = (Digest::of(given.as_bytes()), Digest::of(&secret));
            match bool::from(given.0.ct_eq(&wanted.0)) {
                true => json::bytes(request).await,
                false => Err(unproved()),
            }
        }
        Authentication::Hmac { header, prefix, .. } => {
            let mut all = headers.get_all(header.as_str()).iter();
            let one = all.next().filter(|_| all.next().is_none());
            let given = one
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.strip_prefix(prefix.as_str()))
                .and_then(|v| hex::decode(v).ok())
                .ok_or_else(unproved)?;
            let body = json::bytes(request).await?;
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret)
                .map_err(|_| Problem::new(Kind::Unavailable, "the source has no usable secret"))?;
            mac.update(&body);
            mac.verify_slice(&given).map_err(|_| unproved())?;
            Ok(body)
        }
        Authentication::StandardWebhooks { tolerance, .. } => {
            let signed = Signed::read(headers, app.now(), *tolerance).ok_or_else(unproved)?;
            let body = json::bytes(request).await?;
            let of = signed.is_of(&secret, &body).map_err(|refusal| {
                tracing::error!(tenant = %tenant, source = %source.definition.name, error = %refusal, "a source's secret is unusable");
                Problem::new(Kind::Unavailable, "the source has no usable secret")
            })?;
            match of {
                true => Ok(body),
                false => Err(unproved()),
            }
        }
    }
}

fn unproved() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "no source of this name and proof is known",
    )
    .hint("check the address, and the secret that the pack names for the source")
}
