//! The allowed arrows between crates, and the sacred boundary: cognition
//! (`decide`) and execution (`act`) cannot reach each other.

use super::tree::{Need, Tree};

/// Which crates a crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("ledger", &["kernel"]),
    ("world", &["kernel"]),
    ("sense", &["kernel"]),
    ("gate", &["kernel"]),
    ("act", &["kernel", "gate"]),
    ("decide", &["kernel", "world", "gate"]),
    ("learn", &["kernel", "sense", "world", "gate"]),
    ("pack", &["kernel", "sense", "world", "gate"]),
    ("connect", &["kernel"]),
    ("store", &["kernel", "ledger"]),
    (
        "flow",
        &["kernel", "ledger", "sense", "world", "gate", "act", "pack"],
    ),
    (
        "server",
        &[
            "kernel", "ledger", "sense", "world", "gate", "act", "decide", "learn", "pack", "flow",
        ],
    ),
    (
        "writ",
        &[
            "kernel", "ledger", "sense", "world", "gate", "act", "decide", "learn", "pack",
            "connect", "store", "flow", "server",
        ],
    ),
    (
        "testkit",
        &[
            "kernel", "ledger", "sense", "world", "gate", "act", "decide", "learn", "pack",
            "connect", "store", "flow", "server",
        ],
    ),
    (
        "fuzz",
        &[
            "kernel", "ledger", "sense", "gate", "pack", "server", "testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Which crates its tests may use besides: those that compose the loop are
/// tested over real storage and real adapters, which they must not ship with.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("act", &["connect"]),
    ("flow", &["connect", "store"]),
    ("server", &["connect", "store"]),
];

/// What any crate's tests may use, and nothing may ship with.
const TESTKIT: &str = "testkit";

/// Pairs of which neither may reach the other, however far the way.
const APART: &[(&str, &str)] = &[("decide", "act")];

/// The crates that this one may use; `None` when it has no row.
pub(super) fn allowed(name: &str) -> Option<&'static [&'static str]> {
    let row = ARROWS.iter().find(|(from, _)| *from == name);
    row.map(|(_, to)| *to)
}

fn allowed_in_tests(name: &str, to: &str) -> bool {
    let mut rows = TEST_ARROWS.iter().filter(|(from, _)| *from == name);
    to == TESTKIT || rows.any(|(_, besides)| besides.contains(&to))
}

/// Checks what each manifest names, and what is reached.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let known = |name: &str| tree.crates.iter().any(|c| c.name == name);
    for from in &tree.crates {
        let name = &from.name;
        let Some(allowed) = allowed(name) else {
            faults.push(format!(
                "crate `{name}` has no row in the table of arrows (xtask/src/tidy/arrows.rs)"
            ));
            continue;
        };
        for (to, need) in from.dependencies.iter().filter(|(to, _)| known(to)) {
            let for_tests = *need == Need::Dev && allowed_in_tests(name, to);
            if !for_tests && !allowed.contains(&to.as_str()) {
                faults.push(format!("crate `{name}` may not depend on `{to}`"));
            }
        }
        for (a, b) in APART {
            for (here, there) in [(a, b), (b, a)] {
                if name == here && from.reach.contains(*there) {
                    faults.push(format!("crate `{here}` must not reach `{there}`, and does"));
                }
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    /// All crates of the table, one of them with these dependencies.
    #[track_caller]
    fn expect(name: &str, dependencies: &[&str], faults: &[&str]) {
        let mut tree = sample::of_crate(name, dependencies);
        for (other, _) in ARROWS.iter().filter(|(other, _)| *other != name) {
            tree = sample::with_crate(tree, other, &[]);
        }
        assert_eq!(check(&tree), faults);
    }

    #[test]
    fn arrows_point_down_only() {
        expect("act", &["kernel", "gate", "serde", "dev:proptest"], &[]);
        expect("flow", &["act", "pack", "dev:testkit"], &[]);
        expect(
            "kernel",
            &["gate"],
            &["crate `kernel` may not depend on `gate`"],
        );
        expect(
            "server",
            &["store"],
            &["crate `server` may not depend on `store`"],
        );
        expect(
            "testkit",
            &["writ"],
            &["crate `testkit` may not depend on `writ`"],
        );
    }

    #[test]
    fn dev_dependencies_follow_the_arrows_but_for_what_tests_may_use() {
        expect("flow", &["dev:store", "dev:connect", "dev:testkit"], &[]);
        expect(
            "flow",
            &["store"],
            &["crate `flow` may not depend on `store`"],
        );
        expect(
            "gate",
            &["dev:store"],
            &["crate `gate` may not depend on `store`"],
        );
        expect(
            "sense",
            &["dev:flow"],
            &["crate `sense` may not depend on `flow`"],
        );
        expect(
            "sense",
            &["testkit"],
            &["crate `sense` may not depend on `testkit`"],
        );
        expect(
            "writ",
            &["testkit"],
            &["crate `writ` may not depend on `testkit`"],
        );
    }

    #[test]
    fn a_crate_without_a_row_is_a_fault() {
        let faults = check(&sample::of_crate("extra", &[]));
        assert!(
            faults[0].starts_with("crate `extra` has no row"),
            "{faults:?}"
        );
    }

    #[test]
    fn decide_and_act_cannot_reach_each_other_by_any_way() {
        for (from, to) in [("decide", "act"), ("act", "decide")] {
            let mut tree = sample::of_crate(from, &["gate"]);
            assert!(check(&tree).is_empty());
            tree.crates[0].reach.insert(to.to_owned());
            assert_eq!(
                check(&tree),
                [format!("crate `{from}` must not reach `{to}`, and does")]
            );
        }
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Rows stand in an order in which every arrow points to a row above.
        for (index, (from, to)) in ARROWS.iter().enumerate() {
            for name in *to {
                let above = ARROWS[..index].iter().any(|(row, _)| row == name);
                assert!(above, "`{from}` uses `{name}`, which stands below it");
            }
        }
    }
}
