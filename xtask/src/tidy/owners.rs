//! Libraries that one crate owns, so that what they do has one place: SQL in
//! `store`, policy in `gate`, the web server in `server`, HTTP out in
//! `connect` (and in the binary, whose command line speaks to a server). Random
//! bits come from `connect` as well, behind the `Entropy` port, and what is
//! personal is sealed and opened there, behind the `Keyring` port; signatures of
//! logs are made and verified in `ledger`, those of people verified in `gate` and
//! made at their own command line.

use super::tree::Tree;

const OWNERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("tokio-postgres", &["store"]),
    ("cedar-policy", &["gate"]),
    ("axum", &["server"]),
    ("reqwest", &["connect", "writ"]),
    ("getrandom", &["connect"]),
    ("ed25519-dalek", &["ledger", "gate", "server", "writ"]),
    ("p256", &["gate"]),
    ("chacha20poly1305", &["connect"]),
];

/// Checks every kind of dependency, tests included.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for from in &tree.crates {
        for (library, owners) in OWNERS {
            let uses = from.dependencies.iter().any(|(name, _)| name == library);
            if uses && !owners.contains(&from.name.as_str()) {
                faults.push(format!(
                    "crate `{}` may not depend on `{library}`; it belongs to `{}`",
                    from.name,
                    owners.join("` and `")
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[test]
    fn a_library_stays_with_its_owner() {
        let check = |name, dependency: &str| check(&sample::of_crate(name, &[dependency]));
        assert!(check("store", "rusqlite").is_empty());
        assert!(check("gate", "cedar-policy").is_empty());
        assert!(check("writ", "reqwest").is_empty());
        assert_eq!(
            check("flow", "rusqlite"),
            ["crate `flow` may not depend on `rusqlite`; it belongs to `store`"]
        );
        assert_eq!(check("server", "dev:reqwest").len(), 1);
        assert_eq!(check("testkit", "axum").len(), 1);
        assert_eq!(check("store", "cedar-policy").len(), 1);
        assert_eq!(check("writ", "tokio-postgres").len(), 1);
    }
}
