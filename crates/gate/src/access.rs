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
        /// Approve, edit and reject, as far as a request lets them, and delegate.
        ApprovalDecide = "approval.decide",
        /// Register one's own signing key, and take it back.
        SigningKeyRegister = "signing_key.register",
        /// Confirm whose a signing key is, and take back that of another.
        SigningKeyManage = "signing_key.manage",
        /// See runs.
        RunRead = "run.read",
        /// See budgets.
        BudgetRead = "budget.read",
        /// Set aside and settle what a call outside of writ costs.
        BudgetSpend = "budget.spend",
        /// See whether a kill switch is engaged.
        KillRead = "kill.read",
        /// Engage a kill switch.
        KillEngage = "kill.engage",
        /// Release a kill switch.
        KillRelease = "kill.release",
        /// Sign off a type of directive that may run without a person.
        AutonomyGrant = "autonomy.grant",
        /// Take such a sign-off back.
        AutonomyWithdraw = "autonomy.withdraw",
        /// See the ledger.
        LedgerRead = "ledger.read",
        /// Have the ledger verified and replayed.
        LedgerVerify = "ledger.verify",
        /// Have a checkpoint signed now, and change the key that signs.
        LedgerSign = "ledger.sign",
        /// Have the ledger archived.
        ArchiveRun = "archive.run",
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
        /// See the states of sessions.
        SessionRead = "session.read",
        /// Save, delete and verify sessions.
        SessionWrite = "session.write",
        /// Be shown what is personal; each time is recorded.
        PersonalOpen = "personal.open",
        /// Erase what is personal, and let it in again.
        PersonalErase = "personal.erase",
        /// See which subjects have keys.
        KeyringRead = "keyring.read",
        /// Renew keys.
        KeyringRotate = "keyring.rotate",
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
        let (engine, _) = Engine::load(SCHEMA, SCHEMA, &files).map_err(|faults| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use Permission as P;
    use kernel::PrincipalKind;

    const READ: [Permission; 15] = [
        P::TenantRead,
        P::SignalRead,
        P::IncidentRead,
        P::DirectiveRead,
        P::ApprovalRead,
        P::RunRead,
        P::BudgetRead,
        P::KillRead,
        P::LedgerRead,
        P::LedgerVerify,
        P::PackRead,
        P::EvidenceRead,
        P::SnapshotRead,
        P::MetricsRead,
        P::SessionRead,
    ];

    /// What a person of each role may do in the own tenant, beside reading.
    fn more(role: Role) -> Vec<Permission> {
        match role {
            Role::Viewer => vec![],
            Role::Operator => vec![
                P::IncidentManage,
                P::DirectivePropose,
                P::DirectiveControl,
                P::KillEngage,
                P::SessionWrite,
                P::BudgetSpend,
                P::ApprovalDecide,
                P::SigningKeyRegister,
                P::AutonomyWithdraw,
            ],
            Role::Approver => vec![
                P::ApprovalDecide,
                P::SigningKeyRegister,
                P::AutonomyWithdraw,
            ],
            Role::Auditor => vec![P::PrincipalRead, P::PersonalOpen, P::KeyringRead],
            Role::Agent => vec![P::DirectivePropose, P::SessionWrite, P::BudgetSpend],
            Role::Source => vec![P::SignalIngest],
            Role::Admin => vec![
                P::PrincipalRead,
                P::PrincipalManage,
                P::KeyManage,
                P::SignalIngest,
                P::IncidentManage,
                P::DirectivePropose,
                P::DirectiveControl,
                P::ApprovalDecide,
                P::SigningKeyRegister,
                P::SigningKeyManage,
                P::KillEngage,
                P::KillRelease,
                P::AutonomyGrant,
                P::AutonomyWithdraw,
                P::PackLoad,
                P::SessionWrite,
                P::BudgetSpend,
                P::LedgerSign,
                P::PersonalOpen,
                P::PersonalErase,
                P::KeyringRead,
                P::KeyringRotate,
                P::ArchiveRun,
            ],
        }
    }

    fn expected(kind: PrincipalKind, role: Role, scope: TenantScope, asked: Permission) -> bool {
        let by_role = match scope {
            TenantScope::Other => false,
            TenantScope::Installation => match role {
                Role::Admin => [P::TenantCreate, P::MetricsRead].contains(&asked),
                Role::Auditor => asked == P::MetricsRead,
                _ => false,
            },
            TenantScope::Own => {
                (role != Role::Source && READ.contains(&asked)) || more(role).contains(&asked)
            }
        };
        by_role
            && match kind {
                PrincipalKind::Human => true,
                PrincipalKind::Service => {
                    let people = [
                        P::ApprovalDecide,
                        P::SigningKeyRegister,
                        P::SigningKeyManage,
                        P::KillRelease,
                        P::AutonomyGrant,
                        P::AutonomyWithdraw,
                        P::PersonalOpen,
                        P::PersonalErase,
                        P::PrincipalManage,
                        P::KeyManage,
                    ];
                    !people.contains(&asked)
                }
                PrincipalKind::Agent => {
                    let own = [P::DirectivePropose, P::SessionWrite, P::BudgetSpend];
                    READ.contains(&asked) || own.contains(&asked)
                }
                PrincipalKind::System => false,
            }
    }

    #[test]
    fn every_kind_role_scope_and_permission() {
        let access = Access::builtin().unwrap();
        for kind in PrincipalKind::ALL {
            let actor = Actor::new(*kind, "prn_1");
            for scope in TenantScope::ALL {
                for asked in Permission::ALL {
                    let none = access.decide(&actor, &[], *scope, *asked);
                    assert!(!none.allowed, "{actor} without roles: {asked}");
                    for role in Role::ALL {
                        let answer = access.decide(&actor, &[*role], *scope, *asked);
                        let wanted = expected(*kind, *role, *scope, *asked);
                        let case = format!("{kind} {role} {scope} {asked}: {answer:?}");
                        assert_eq!(answer.allowed, wanted, "{case}");
                        assert!(!wanted || !answer.determining.is_empty(), "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn roles_add_up_and_an_agent_stays_an_agent() {
        let access = Access::builtin().unwrap();
        let ask = |kind, roles: &[Role], permission| {
            let actor = Actor::new(kind, "prn_1");
            access.decide(&actor, roles, TenantScope::Own, permission)
        };
        let both = [Role::Operator, Role::Approver];
        assert!(ask(PrincipalKind::Human, &both, P::ApprovalDecide).allowed);
        assert!(ask(PrincipalKind::Human, &both, P::DirectivePropose).allowed);
        let agent = ask(PrincipalKind::Agent, Role::ALL, P::ApprovalDecide);
        let expected = ["agents-only-read-and-propose", "only-people-decide"];
        assert_eq!(
            (agent.allowed, agent.determining),
            (false, expected.map(str::to_owned).to_vec())
        );
    }
}
