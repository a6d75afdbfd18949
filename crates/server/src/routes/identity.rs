//! Tenants, principals and keys.

use super::documents::{self, FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::Answer;
use crate::http::{Command, Place};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flow::identity::{
    Issued, Key, NewKey, NewPrincipal, Principal, Standing, Tenant, Token, create_principal,
    disable_principal, found_tenant, issue_key, revoke_key, set_roles,
};
use gate::access::Permission;
use kernel::{
    Ctx, Digest, KeyId, PrincipalId, PrincipalKind, Refusal, Role, StreamId, TenantId, Timestamp,
    Unit,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let see = Guard::Own(Permission::PrincipalRead);
    let manage = Guard::Own(Permission::PrincipalManage);
    let keys = Guard::Own(Permission::KeyManage);
    let tenant = Guard::Own(Permission::TenantRead);
    let found = Guard::Installation(Permission::TenantCreate);
    vec![
        Route::get(
            "/v1/tenants",
            tenant,
            "the tenants that the caller may see",
            tenants,
        ),
        Route::post(
            "/v1/tenants",
            found,
            "found a tenant with its first admin",
            create_tenant,
        )
        .unversioned()
        .body::<FoundTenant>()
        .creates(),
        Route::get("/v1/tenants/{id}", tenant, "one tenant", get_tenant).gives(Gives::Resource),
        Route::get("/v1/principals", see, "principals", principals::list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        Route::post("/v1/principals", manage, "create a principal", create)
            .unversioned()
            .body::<CreatePrincipal>()
            .creates(),
        Route::get("/v1/principals/{id}", see, "one principal", principals::get)
            .gives(Gives::Resource),
        Route::post(
            "/v1/principals/{id}/roles",
            manage,
            "replace a principal's roles",
            roles,
        )
        .body::<SetRoles>(),
        Route::post(
            "/v1/principals/{id}/disable",
            manage,
            "disable a principal and its keys",
            disable,
        )
        .body::<Because>(),
        Route::get("/v1/keys", see, "keys, without their secrets", keys::list)
            .parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page),
        Route::post(
            "/v1/keys",
            keys,
            "issue a key; its token is shown once",
            issue,
        )
        .unversioned()
        .seeks()
        .body::<IssueKey>()
        .creates(),
        Route::get(
            "/v1/keys/{id}",
            see,
            "one key, without its secret",
            keys::get,
        )
        .gives(Gives::Resource),
        Route::post("/v1/keys/{id}/revoke", keys, "revoke a key", revoke).body::<Because>(),
    ]
}

mod principals {
    super::readable!("principal");
}

/// Keys are shown without the hash of their secret.
mod keys {
    use super::{Answer, App, Caller, HeaderMap, Json, Place, Response, State, documents};
    use crate::http::Query;
    use crate::http::cursor::Page;
    use crate::view::Resource;
    use ledger::Document;

    fn without_hash(body: &str) -> Option<String> {
        let mut state: serde_json::Map<_, _> = serde_json::from_str(body).ok()?;
        state.shift_remove("secret_hash");
        serde_json::to_string(&state).ok()
    }

    pub(super) async fn list(
        State(app): State<App>,
        caller: Caller,
        query: Query,
    ) -> Answer<Json<Page<Resource>>> {
        let mut page = documents::list(&app, &caller, &query, "key").await?;
        for item in &mut page.items {
            let shown = without_hash(item.state.get()).unwrap_or_else(|| "null".to_owned());
            item.state = crate::view::raw(shown)?;
        }
        Ok(Json(page))
    }

    pub(super) async fn get(
        State(app): State<App>,
        caller: Caller,
        headers: HeaderMap,
        Place(id): Place<String>,
    ) -> Answer<Response> {
        let document = documents::find(&app, &caller, "key", &id).await?;
        let body = without_hash(&document.body).unwrap_or_else(|| "null".to_owned());
        documents::show(&headers, Document { body, ..document })
    }
}

/// A tenant to be founded.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FoundTenant {
    /// What people call it.
    name: String,
    /// The name of its first admin, a person.
    admin: String,
}

/// A principal to be created.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreatePrincipal {
    /// `human`, `agent` or `service`.
    #[schema(value_type = String)]
    kind: PrincipalKind,
    /// What people call it.
    name: String,
    /// Its roles; at least one.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
}

/// The roles that a principal has from now on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetRoles {
    /// At least one.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
}

/// A key to be issued.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IssueKey {
    /// Whose it is.
    #[schema(value_type = String)]
    principal: PrincipalId,
    /// What it is for.
    name: String,
    /// When it stops working; without it, when it is revoked.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
}

/// Why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    /// Why, in a sentence.
    pub(super) reason: String,
}

impl Because {
    /// The reason, when it is one.
    pub(super) fn reason(&self) -> Result<&str, Refusal> {
        let max = kernel::limits::TEXT_BYTES_MAX;
        if self.reason.trim().is_empty() {
            return Err(Refusal::invalid("is empty").at("reason"));
        }
        if self.reason.len() > max {
            let length = self.reason.len();
            return Err(
                Refusal::invalid(format!("has {length} bytes, allowed are {max}")).at("reason"),
            );
        }
        Ok(&self.reason)
    }
}

async fn tenants(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let all = caller.may_install(&app, Permission::TenantCreate);
    let ids = match all {
        true => app.ledger().store().tenants().await?,
        false => vec![caller.tenant()],
    };
    let mut items = Vec::new();
    for id in ids {
        if let Some(document) = tenant_document(&app, id).await? {
            items.push(crate::view::Resource::of(document)?);
        }
    }
    Ok(Json(json!({"items": items})))
}

async fn tenant_document(app: &App, id: TenantId) -> Answer<Option<ledger::Document>> {
    let stream = StreamId::of::<Tenant>(id);
    Ok(app.ledger().store().document(id, &stream).await?)
}

async fn get_tenant(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Place(text): Place<String>,
) -> Answer<Response> {
    let id: TenantId = text.parse()?;
    let seen = id == caller.tenant() || caller.may_install(&app, Permission::TenantCreate);
    let found = match seen {
        true => tenant_document(&app, id).await?,
        false => None,
    };
    let document = found.ok_or_else(|| documents::missing("tenant", &text))?;
    documents::show(&headers, document)
}

/// What a token is made of besides the key's id: bits that are in no log.
struct Secret {
    bits: [u128; 2],
    hash: Digest,
}

impl Secret {
    fn new(app: &App, tenant: TenantId) -> Self {
        let bits = [app.entropy().bits(), app.entropy().bits()];
        // The hash is of the secret alone; the key's id is drawn in the unit.
        let any = KeyId(tenant.0);
        let hash = Token::new(tenant, any, bits).secret_hash();
        Self { bits, hash }
    }

    /// The token of the key, when the key is the one that was made with this
    /// secret: a repeated request finds the first one's key and shows nothing.
    fn token(&self, tenant: TenantId, recorded: &Recorded) -> Option<String> {
        let same = recorded.secret_hash.0.ct_eq(&self.hash.0);
        bool::from(same).then(|| Token::new(tenant, recorded.issued.key, self.bits).to_string())
    }
}

/// What the ledger remembers of an issued key, should the request come again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    issued: Issued,
    secret_hash: Digest,
}

fn shown(recorded: &Recorded, token: Option<&str>) -> Value {
    json!({
        "key": recorded.issued.key,
        "principal": recorded.issued.principal,
        "expires_at": recorded.issued.expires_at,
        "token": token,
    })
}

async fn create_tenant(State(app): State<App>, command: Command<FoundTenant>) -> Answer<Response> {
    let (caller, trace) = (command.caller.clone(), command.trace);
    let wanted = command.body.clone();
    // The id is drawn, and remembered for a repeated request, in the home
    // tenant's log; what follows is in the new tenant's.
    let drawn = command
        .run(&app, |unit, _| Ok(unit.ctx().next_id::<TenantId>()))
        .await?;
    let tenant = drawn.answer;
    let secret = Secret::new(&app, tenant);
    let hash = secret.hash;
    let ctx = app.ctx(&caller, trace);
    let ctx = Ctx::new(tenant, ctx.now, ctx.actor, ctx.trace, app.entropy().bits());
    let made = app.ledger().run(ctx, move |unit| {
        if unit.find::<Tenant>(tenant)?.is_some() {
            return Ok(None);
        }
        found_tenant(unit, &wanted.name, Standing::Member)?;
        let admin = NewPrincipal {
            kind: PrincipalKind::Human,
            name: wanted.admin.clone(),
            roles: vec![Role::Admin],
        };
        let principal = create_principal(unit, &admin).map_err(|e| e.at("admin"))?;
        record_key(unit, principal, ("first key", None), hash).map(Some)
    });
    let made = made.await?.answer;
    let token = made.as_ref().and_then(|r| secret.token(tenant, r));
    let admin = made.as_ref().map(|r| shown(r, token.as_deref()));
    let body = json!({"tenant": tenant, "admin": admin});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn record_key(
    unit: &mut Unit<'_>,
    principal: PrincipalId,
    (name, expires_at): (&str, Option<Timestamp>),
    secret_hash: Digest,
) -> Result<Recorded, Refusal> {
    let key = NewKey {
        id: unit.ctx().next_id(),
        principal,
        name: name.to_owned(),
        secret_hash,
        expires_at,
    };
    let issued = issue_key(unit, &key)?;
    Ok(Recorded {
        issued,
        secret_hash,
    })
}

async fn create(State(app): State<App>, command: Command<CreatePrincipal>) -> Answer<Response> {
    let done = command.run(&app, |unit, body| {
        let new = NewPrincipal {
            kind: body.kind,
            name: body.name.clone(),
            roles: body.roles.clone(),
        };
        let id = create_principal(unit, &new)?;
        Ok(json!({"id": id}))
    });
    Ok(done.await?.with(StatusCode::CREATED))
}

async fn roles(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<SetRoles>,
) -> Answer<Response> {
    let id: PrincipalId = id.parse()?;
    let command = command.on::<Principal>(id);
    let done = command.run(&app, move |unit, body| {
        set_roles(unit, id, &body.roles)?;
        Ok(json!({"id": id, "roles": body.roles}))
    });
    Ok(done.await?.into_response())
}

async fn disable(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    let id: PrincipalId = id.parse()?;
    let command = command.on::<Principal>(id);
    let done = command.run(&app, move |unit, body| {
        disable_principal(unit, id, body.reason()?)?;
        Ok(json!({"id": id, "status": "disabled"}))
    });
    Ok(done.await?.into_response())
}

async fn issue(State(app): State<App>, command: Command<IssueKey>) -> Answer<Response> {
    let tenant = command.caller.tenant();
    let secret = Secret::new(&app, tenant);
    let hash = secret.hash;
    let done = command.run(&app, move |unit, body| {
        record_key(unit, body.principal, (&body.name, body.expires_at), hash)
    });
    let recorded = done.await?.answer;
    let token = secret.token(tenant, &recorded);
    let body = shown(&recorded, token.as_deref());
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn revoke(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Because>,
) -> Answer<Response> {
    let id: KeyId = id.parse()?;
    let command = command.on::<Key>(id);
    let done = command.run(&app, move |unit, body| {
        revoke_key(unit, id, body.reason()?)?;
        Ok(json!({"id": id, "status": "revoked"}))
    });
    Ok(done.await?.into_response())
}
