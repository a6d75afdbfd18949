//! The pure crates reach no runtime, no network, no storage, and draw no
//! random bits of their own.

use super::tree::{Need, Tree};

const PURE: &[&str] = &[
    "kernel", "world", "sense", "gate", "act", "decide", "learn", "pack",
];
/// Has a pure core and a shell around it that needs the runtime.
const LEDGER: &str = "ledger";

const RUNTIME: &str = "tokio";
/// May not be reached at all.
const EFFECTS: &[&str] = &["reqwest", "hyper", "axum", "rusqlite", "tokio-postgres"];
/// May not be named in the manifest. A library that can draw random bits when
/// asked to (`uuid`) may reach them; asking is banned in `clippy.toml`.
const CHANCE: &[&str] = &["getrandom", "rand"];

/// Checks what the pure crates ship; their tests may use what they like.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for from in &tree.crates {
        let name = from.name.as_str();
        let pure = PURE.contains(&name);
        if !pure && name != LEDGER {
            continue;
        }
        let runtime = pure.then_some(&RUNTIME);
        for library in EFFECTS.iter().chain(runtime) {
            if from.reach.contains(*library) {
                faults.push(format!("crate `{name}` is pure and reaches `{library}`"));
            }
        }
        for library in CHANCE {
            let named = (String::from(*library), Need::Always);
            if from.dependencies.contains(&named) {
                faults.push(format!("crate `{name}` is pure and depends on `{library}`"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(name: &str, dependencies: &[&str], faults: &[&str]) {
        assert_eq!(check(&sample::of_crate(name, dependencies)), faults);
    }

    #[test]
    fn pure_crates_reach_no_effect() {
        expect("gate", &["serde", "dev:tokio", "dev:rand"], &[]);
        expect(
            "gate",
            &["tokio"],
            &["crate `gate` is pure and reaches `tokio`"],
        );
        expect(
            "pack",
            &["rusqlite"],
            &["crate `pack` is pure and reaches `rusqlite`"],
        );
        expect(
            "kernel",
            &["rand"],
            &["crate `kernel` is pure and depends on `rand`"],
        );
    }

    #[test]
    fn the_ledger_may_use_the_runtime_and_nothing_more() {
        expect("ledger", &["tokio"], &[]);
        expect(
            "ledger",
            &["hyper"],
            &["crate `ledger` is pure and reaches `hyper`"],
        );
        expect(
            "ledger",
            &["getrandom"],
            &["crate `ledger` is pure and depends on `getrandom`"],
        );
    }

    #[test]
    fn shells_are_free() {
        expect("connect", &["reqwest", "tokio", "getrandom"], &[]);
    }

    #[test]
    fn a_detour_is_found() {
        let mut tree = sample::of_crate("world", &["helper"]);
        tree.crates[0].reach.insert("tokio".to_owned());
        assert_eq!(check(&tree), ["crate `world` is pure and reaches `tokio`"]);
    }
}
