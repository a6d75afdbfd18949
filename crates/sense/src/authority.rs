//! Who may move incidents and investigations.

use kernel::{PrincipalKind, Refusal, Role, Unit};

/// Checks that the actor may: an operator or admin who is no agent, or writ
/// itself. Agents advise, they never decide.
///
/// # Errors
/// `forbidden`, naming what is needed.
pub(crate) fn check(unit: &Unit<'_>, what: &str) -> Result<(), Refusal> {
    let ctx = unit.ctx();
    let by_role = ctx
        .roles
        .iter()
        .any(|role| matches!(role, Role::Operator | Role::Admin));
    match ctx.actor.kind {
        PrincipalKind::System => Ok(()),
        PrincipalKind::Human | PrincipalKind::Service if by_role => Ok(()),
        _ => Err(
            Refusal::forbidden(format!("`{}` may not {what}", ctx.actor))
                .hint("it needs the role operator or admin, and agents only advise"),
        ),
    }
}
