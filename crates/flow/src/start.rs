//! The first start, which founds the home tenant, and every start, which
//! notices what a crash interrupted.

use crate::control::Control;
use crate::identity::{
    self, NewKey, NewPrincipal, Principal, PrincipalStatus, Standing, Token, create_principal,
    found_tenant, issue_key,
};
use act::Run;
use kernel::names::Name;
use kernel::{
    Actor, Aggregate, Ctx, KeyId, PrincipalId, PrincipalKind, Refusal, Role, StreamId, TenantId,
};
use ledger::query::DocumentQuery;

/// A tenant with its first admin, whose token is shown once.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its admin.
    pub admin: PrincipalId,
    /// The admin's token.
    pub token: Token,
}

impl Control {
    /// Founds the home tenant when the ledger is empty.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn first_start(&self) -> Result<Option<NewTenant>, Refusal> {
        if !self.ledger().store().tenants().await?.is_empty() {
            return Ok(None);
        }
        let actor = Actor::system("setup");
        self.found("home", Standing::Home, actor).await.map(Some)
    }

    /// Founds a tenant with an admin of the same name as the tenant.
    ///
    /// # Errors
    /// When the name is not one, or the ledger refuses.
    pub async fn found(
        &self,
        name: &str,
        standing: Standing,
        actor: Actor,
    ) -> Result<NewTenant, Refusal> {
        let entropy = &self.ports().entropy;
        let draw = Ctx::new(
            TenantId(uuid::Uuid::nil()),
            self.now(),
            actor.clone(),
            entropy.trace(),
            entropy.bits(),
        );
        let (tenant, key): (TenantId, KeyId) = (draw.next_id(), draw.next_id());
        let token = Token::new(tenant, key, [entropy.bits(), entropy.bits()]);
        let secret_hash = token.secret_hash();
        let name = name.to_owned();
        let ctx = Ctx::new(tenant, self.now(), actor, entropy.trace(), entropy.bits());
        let done = self
            .ledger()
            .run(ctx, move |unit| {
                found_tenant(unit, &name, standing)?;
                let admin = NewPrincipal {
                    kind: PrincipalKind::Human,
                    name: format!("{name} admin"),
                    roles: vec![Role::Admin],
                };
                let admin = create_principal(unit, &admin)?;
                let key = NewKey {
                    id: key,
                    principal: admin,
                    name: "first key".to_owned(),
                    secret_hash,
                    expires_at: None,
                };
                issue_key(unit, &key)?;
                Ok(admin)
            })
            .await?;
        Ok(NewTenant {
            tenant,
            admin: done.answer,
            token,
        })
    }

    /// Issues a key and makes its token.
    ///
    /// # Errors
    /// When there is no such active principal, or the ledger refuses.
    pub async fn issue(
        &self,
        ctx: Ctx,
        principal: PrincipalId,
        name: String,
        expires_at: Option<kernel::Timestamp>,
    ) -> Result<(identity::Issued, Token), Refusal> {
        let entropy = &self.ports().entropy;
        let id: KeyId = ctx.next_id();
        let token = Token::new(ctx.tenant, id, [entropy.bits(), entropy.bits()]);
        let new = NewKey {
            id,
            principal,
            name,
            secret_hash: token.secret_hash(),
            expires_at,
        };
        let done = self
            .ledger()
            .run(ctx, move |unit| issue_key(unit, &new))
            .await?;
        Ok((done.answer, token))
    }

    /// An active principal of this tenant with the role admin: the one that was
    /// created first.
    ///
    /// # Errors
    /// When there is none, or storage does not answer.
    pub async fn first_admin(&self, tenant: TenantId) -> Result<PrincipalId, Refusal> {
        let query = DocumentQuery {
            kind: Principal::KIND.into(),
            statuses: vec![PrincipalStatus::Active.name().into()],
            limit: 200,
            ..DocumentQuery::default()
        };
        for document in self.ledger().store().documents(tenant, &query).await? {
            let principal: Principal = serde_json::from_str(&document.body)
                .map_err(|e| Refusal::integrity(format!("state of `{}`: {e}", document.stream)))?;
            if principal.roles.contains(&Role::Admin) {
                return Ok(principal.id);
            }
        }
        Err(Refusal::not_found("the tenant has no active admin"))
    }

    /// Notes, for every run that was under way when writ stopped, that the
    /// attempt of its step was interrupted. Only one writ uses an embedded
    /// store, so no other can be making it. Where several nodes share a store,
    /// another may be: then the lease that was recorded with the attempt says
    /// when it is over, and the tick of the run notes it.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn recover(&self) -> Result<u64, Refusal> {
        if self.ledger().store().others().is_some() {
            return Ok(0);
        }
        let mut noted = 0;
        for tenant in self.ledger().store().tenants().await? {
            for stream in self.unfinished(tenant).await? {
                let run = stream.id().parse()?;
                let ctx = self.system_ctx(tenant, "recovery");
                let done = self
                    .ledger()
                    .run(ctx, move |unit| act::engine::recover(unit, run))
                    .await?;
                noted += u64::from(done.seqs.is_some());
            }
        }
        Ok(noted)
    }

    async fn unfinished(&self, tenant: TenantId) -> Result<Vec<StreamId>, Refusal> {
        const PAGE: usize = 200;
        let mut found = Vec::new();
        let mut beyond_seq = None;
        loop {
            let query = DocumentQuery {
                kind: Run::KIND.into(),
                statuses: vec!["pending".into(), "running".into(), "completed".into()],
                beyond_seq,
                limit: PAGE,
                ..DocumentQuery::default()
            };
            let page = self.ledger().store().documents(tenant, &query).await?;
            beyond_seq = page.last().map(|d| d.created_seq);
            // A completed run is under way again while it is rolled back.
            let open = page.iter().filter(|d| d.due_at.is_some());
            found.extend(open.map(|d| d.stream.clone()));
            if page.len() < PAGE {
                return Ok(found);
            }
        }
    }
}
