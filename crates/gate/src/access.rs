//! Permissions of the API, decided by Cedar: which role may do which kind of
//! operation in which tenant. Built in and the same for all tenants; deny by
//! default. What an approved directive may do is not decided here but by
//! policy at the gate.

use crate::policy::{Attribute, Engine, Node, Question, principal};
use kernel::names::Name;
use kernel::{Actor, Refusal, Role, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Entities and actions of the permissions.
const SCHEMA: &str = include_str!("access/schema.cedarschema");
/// Which role has which permission.
const POLICIES: &str = include_str!("access/roles.cedar");

kernel::names! {
    /// What a principal may be allowed to do through the API.
    pub enum Permission {
        /// See the tenant.
        TenantRead = "tenant.read",
        /// Make a tenant; asked of the installation.
        TenantCreate = "tenant.create",
        /// See principals, their roles and the public half of their keys.
        PrincipalRead = "principal.read",
        /// Make and change principals.
        PrincipalManage = "principal.manage",
        /// Make and revoke API keys.
        KeyManage = "key.manage",
        /// See signals and detections.
        SignalRead = "signal.read",
        /// Send signals in.
        SignalIngest = "signal.ingest",
        /// See incidents.
        IncidentRead = "incident.read",
        /// Work on incidents.
        IncidentManage = "incident.manage",
        /// See directives and their verdicts.
        DirectiveRead = "directive.read",
        /// Propose directives.
        DirectivePropose = "directive.propose",
        /// Pause, resume, abort and retry directives.
        DirectiveControl = "directive.control",
        /// See approvals.
        ApprovalRead = "approval.read",
        /// Approve, edit and reject.
        ApprovalDecide = "approval.decide",
        /// See runs.
        RunRead = "run.read",
        /// See budgets.
        BudgetRead = "budget.read",
        /// See whether a kill switch is engaged.
        KillRead = "kill.read",
        /// Engage a kill switch.
        KillEngage = "kill.engage",
        /// Release a kill switch.
        KillRelease = "kill.release",
        /// See the ledger.
        LedgerRead = "ledger.read",
        /// Have the ledger verified and replayed.
        LedgerVerify = "ledger.verify",
        /// See the pack in force.
        PackRead = "pack.read",
        /// Load a pack.
        PackLoad = "pack.load",
        /// See evidence.
        EvidenceRead = "evidence.read",
        /// See world states and snapshots.
        SnapshotRead = "snapshot.read",
        /// See metrics.
        MetricsRead = "metrics.read",
    }
}

kernel::names! {
    /// Of whom an operation is asked, seen from the principal's own tenant.
    pub enum TenantScope {
        /// Of the principal's own tenant.
        Own = "own",
        /// Of another tenant.
        Other = "other",
        /// Of the installation itself, by a principal of its first tenant.
        Installation = "installation",
    }
}

/// Whether an operation is allowed, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether.
    pub allowed: bool,
    /// The ids of the built-in policies that decided, sorted; empty when none
    /// permits.
    pub determining: Vec<String>,
}

/// The built-in permissions, ready to be asked.
#[derive(Debug)]
pub struct Access {
    engine: Engine,
}

impl Access {
    /// The permissions that writ ships with.
    ///
    /// # Errors
    /// `unavailable` when they do not load, which a test of this crate rules
    /// out; nothing may be served then.
    pub fn builtin() -> Result<Self, Refusal> {
        let files = [("roles.cedar".to_owned(), POLICIES.to_owned())];
        let (engine, _) = Engine::load(SCHEMA, &files).map_err(|faults| {
            let named: Vec<_> = faults.iter().map(ToString::to_string).collect();
            Refusal::unavailable(format!(
                "the built-in permissions do not load: {}",
                named.join("; ")
            ))
        })?;
        Ok(Self { engine })
    }

    /// Whether this principal with these roles may do this.
    #[must_use]
    pub fn decide(
        &self,
        actor: &Actor,
        roles: &[Role],
        scope: TenantScope,
        permission: Permission,
    ) -> Answer {
        let decision = self.engine.answer(&Question {
            principal: principal(actor, roles),
            action: permission.name(),
            resource: Node {
                kind: "Scope",
                id: scope.name(),
                parents: Vec::new(),
                attributes: Vec::<(&str, Attribute<'_>)>::new(),
            },
            others: Vec::new(),
            context: &Map::new(),
        });
        Answer {
            allowed: decision.verdict == Verdict::Allow,
            determining: decision.determining,
        }
    }
}
