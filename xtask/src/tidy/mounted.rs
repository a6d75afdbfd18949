//! One table of routes: nothing of the server is mounted but through it, so
//! that a test that walks the table has walked every route. The witness and the
//! small service for trying out are servers of their own.

use super::tree::{File, Tree};

/// Where routes are mounted: the table's own file, and the other servers.
const PLACES: &[&str] = &[
    "crates/server/src/routes/table.rs",
    "crates/server/src/witness.rs",
    "crates/server/src/patient.rs",
];
/// The one file that may say what answers where no route is.
const NOWHERE: &str = "crates/server/src/pages/mod.rs";
/// How a router is given something to answer with.
const MOUNTING: &[&str] = &[
    ".route(",
    ".route_service(",
    ".nest(",
    ".nest_service(",
    ".method_not_allowed_fallback(",
    ".fallback_service(",
];
const FALLBACK: &str = ".fallback(";

/// Checks the sources of the server and of the binary that wires it.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let of_server = |file: &&File| {
        let places = ["crates/server/src/", "crates/writ/src/"];
        places.iter().any(|place| file.path.starts_with(place))
            && !PLACES.contains(&file.path.as_str())
    };
    let mut faults = Vec::new();
    for file in tree.rust().filter(of_server) {
        for (index, line) in file.text.lines().enumerate() {
            let mounts = MOUNTING.iter().find(|call| line.contains(**call));
            let falls = (line.contains(FALLBACK) && file.path != NOWHERE).then_some(&FALLBACK);
            if let Some(call) = mounts.or(falls) {
                faults.push(format!(
                    "{}:{}: `{call}` mounts a route beside the table",
                    file.path,
                    index + 1
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

    #[track_caller]
    fn expect(path: &str, line: &str, count: usize) {
        let text = format!("//! Header.\n{line}\n");
        let faults = check(&sample::files(&[(path, &text)]));
        assert_eq!(faults.len(), count, "{faults:?}");
    }

    #[test]
    fn a_route_beside_the_table_is_named() {
        let line = "router.route(\"/back\", get(door))";
        expect("crates/server/src/lib.rs", line, 1);
        expect("crates/writ/src/up.rs", line, 1);
        expect("crates/server/src/routes/table.rs", line, 0);
        expect("crates/server/src/witness.rs", line, 0);
        expect("crates/server/src/lib.rs", "router.nest(\"/x\", other)", 1);
        expect("crates/server/src/lib.rs", "router.fallback(door)", 1);
        expect("crates/server/src/pages/mod.rs", ".fallback(nowhere)", 0);
        expect("crates/server/src/lib.rs", "router.merge(pages)", 0);
    }
}
