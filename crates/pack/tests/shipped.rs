//! The packs that ship with writ: each loads, and each passes its own tests.
//! What they are about is not known here.

use pack::policies::Policies;
use pack::{Files, load, testing};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn packs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_pack_loads_and_passes_its_own_tests() {
    for root in packs() {
        let pack = load(&files(&root)).unwrap_or_else(|faults| {
            let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
            panic!("{}:\n{}", root.display(), lines.join("\n"));
        });
        assert!(!pack.tests.is_empty(), "{}", pack.summary());
        let mut failed = Vec::new();
        for tested in testing::run(&pack) {
            for fault in tested.faults {
                failed.push(format!("{}: {fault}", tested.name));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        let policies = Policies::read(&files(&root), None).unwrap();
        assert_eq!(policies.lint(), []);
        let tested = policies.test();
        let named: BTreeSet<_> = policies
            .tests
            .iter()
            .flat_map(|c| &c.expect.determining)
            .collect();
        let ids = policies.set.ids();
        assert_eq!(
            named,
            ids.iter().collect(),
            "every policy has decided a test"
        );
        let failed: Vec<_> = tested.iter().filter(|t| !t.passed()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}
