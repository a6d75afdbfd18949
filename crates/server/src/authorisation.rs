//! The page that says who may ask for what: made from the table of routes and
//! the permissions that decide, so that it cannot say anything else.

use crate::routes::table::{Facts, Guard};
use gate::access::{Access, Permission, TenantScope};
use kernel::names::Name;
use kernel::{Actor, PrincipalKind, Refusal, Role};
use std::fmt::Write as _;

/// What stands above the table.
const ABOVE: &str = "\
# Who may ask for what

Made from the table of routes and the built-in permissions by `cargo xtask docs`; do not edit. \
`every_route_by_everyone` in `crates/server/tests/api/matrix.rs` asks each route as everybody, \
against a table that is written by hand.

Each role is asked of a principal's own tenant; what is another tenant's does not exist. \
`all` means that people and services with the role may, `people` that only people may. An agent \
has the role `agent` and no other, and gets that of it which only reads or proposes. A route of \
the installation opens to principals of the first tenant alone. No role opens anything that is \
not listed, and `source` is also what a webhook acts as once it has proved where it comes from.

";

/// The document.
///
/// # Errors
/// `unavailable` when the permissions do not load.
pub fn document() -> Result<String, Refusal> {
    let access = Access::builtin()?;
    let mut text = ABOVE.to_owned();
    let roles: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
    let heads = |text: &mut String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| route | needs | {} |", roles.join(" | "));
        let _ = writeln!(text, "|---|---|{}", "---|".repeat(roles.len()));
    };
    let areas = [
        ("API", crate::routes::rows()),
        ("Pages and their forms", crate::pages::rows()),
    ];
    for (title, rows) in areas {
        let _ = writeln!(text, "## {title}\n");
        heads(&mut text);
        let mut facts: Vec<Facts> = rows.into_iter().map(|row| row.facts).collect();
        facts.sort_by_key(|facts| (facts.path, facts.verb.name()));
        for facts in facts {
            let cells: Vec<_> = Role::ALL
                .iter()
                .map(|role| cell(&access, facts.guard, *role))
                .collect();
            let (verb, path, needs) = (facts.verb, facts.path, needs(facts.guard));
            let cells = cells.join(" | ");
            let _ = writeln!(text, "| `{verb} {path}` | {needs} | {cells} |");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

fn needs(guard: Guard) -> String {
    match guard {
        Guard::Open => "nothing".to_owned(),
        Guard::Source => "proof of the source".to_owned(),
        Guard::SignedIn => "to be signed in".to_owned(),
        Guard::Own(permission) => format!("`{permission}`"),
        Guard::Installation(permission) => format!("`{permission}` of the installation"),
    }
}

/// Who of those with this role gets through this guard.
fn cell(access: &Access, guard: Guard, role: Role) -> &'static str {
    let (scope, permission) = match guard {
        Guard::Open | Guard::SignedIn => return "all",
        Guard::Source => (TenantScope::Own, Permission::SignalIngest),
        Guard::Own(permission) => (TenantScope::Own, permission),
        Guard::Installation(permission) => (TenantScope::Installation, permission),
    };
    let may = |kind| {
        let actor = Actor::new(kind, "anybody");
        access.decide(&actor, &[role], scope, permission).allowed
    };
    match (may(PrincipalKind::Human), may(PrincipalKind::Service)) {
        (true, true) => "all",
        (true, false) => "people",
        (false, true) => "services",
        (false, false) => "",
    }
}
