//! The tree that the rules look at: files, packages, packs. Read once; the
//! rules' tests make theirs by hand.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Directories that are no part of the repository.
const SKIPPED: &[&str] = &[".git", ".writ", "target", "bench-report"];

/// A text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
}

/// When a dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// In what is shipped, or to build it.
    Always,
    /// In tests, benches and examples only.
    Dev,
}

/// A crate of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crate {
    /// The name of its directory, by which the house calls it.
    pub(crate) name: String,
    /// Its directory from the root.
    pub(crate) dir: String,
    /// What its manifest names: crates of the workspace by directory name,
    /// others by package name.
    pub(crate) dependencies: Vec<(String, Need)>,
    /// Every package that what is shipped of it reaches, itself excluded; named
    /// as in `dependencies`.
    pub(crate) reach: BTreeSet<String>,
}

/// The repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// Text files in order of path.
    pub(crate) files: Vec<File>,
    /// The paths of all files and directories.
    pub(crate) paths: BTreeSet<String>,
    /// The crates of the workspace in order of name.
    pub(crate) crates: Vec<Crate>,
}

impl Tree {
    /// Reads the checkout at `root`.
    ///
    /// # Errors
    /// When a file or cargo's metadata cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .exec()?;
        tree.crates = crates(&metadata)?;
        Ok(tree)
    }

    /// Rust files of the workspace.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| {
            let ours = ["crates/", "fuzz/", "xtask/"];
            ours.iter().any(|dir| file.path.starts_with(dir)) && file.path.ends_with(".rs")
        })
    }

    /// The names of the directories under `packs/`.
    pub(crate) fn packs(&self) -> Vec<&str> {
        let mut packs: Vec<_> = self
            .paths
            .iter()
            .filter_map(|path| Some(path.strip_prefix("packs/")?.split_once('/')?.0))
            .collect();
        packs.dedup();
        packs
    }

    fn walk(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        let listing =
            std::fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()));
        for item in listing? {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = item.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.walk(&item.path(), &format!("{path}/"))?;
                self.paths.insert(path);
            } else if kind.is_file() {
                let bytes =
                    std::fs::read(item.path()).with_context(|| format!("cannot read `{path}`"))?;
                self.paths.insert(path.clone());
                // What is not UTF-8 is an image or a recording: no rule reads it.
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.push(File { path, text });
                }
            }
        }
        Ok(())
    }
}

fn crates(metadata: &Metadata) -> Result<Vec<Crate>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo resolved nothing")?;
    let mut names = BTreeMap::new();
    for package in &metadata.packages {
        names.insert(&package.id, package.name.to_string());
    }
    let mut of_package = BTreeMap::new();
    let mut crates = Vec::new();
    for package in metadata.workspace_packages() {
        let dir = package
            .manifest_path
            .parent()
            .with_context(|| format!("`{}` has no directory", package.name))?;
        let name = dir.file_name().unwrap_or_default().to_owned();
        names.insert(&package.id, name.clone());
        of_package.insert(package.name.to_string(), name.clone());
        let dir = dir.strip_prefix(&metadata.workspace_root)?.to_string();
        crates.push((package, name, dir));
    }
    let mut shipped: BTreeMap<&PackageId, Vec<&PackageId>> = BTreeMap::new();
    for node in &resolve.nodes {
        let needs = |dep: &&cargo_metadata::NodeDep| {
            let dev = |info: &cargo_metadata::DepKindInfo| info.kind == DependencyKind::Development;
            !dep.dep_kinds.iter().all(dev)
        };
        let deps = node.deps.iter().filter(needs).map(|dep| &dep.pkg);
        shipped.insert(&node.id, deps.collect());
    }
    let mut done = Vec::new();
    for (package, name, dir) in crates {
        let dependencies = package.dependencies.iter().map(|dependency| {
            let need = match dependency.kind {
                DependencyKind::Development => Need::Dev,
                _ => Need::Always,
            };
            let name = of_package.get(&dependency.name).unwrap_or(&dependency.name);
            (name.clone(), need)
        });
        let reached = reach(&package.id, &shipped);
        done.push(Crate {
            name,
            dir,
            dependencies: dependencies.collect(),
            reach: reached
                .iter()
                .filter_map(|id| names.get(*id).cloned())
                .collect(),
        });
    }
    done.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(done)
}

fn reach<'m>(
    from: &'m PackageId,
    edges: &BTreeMap<&'m PackageId, Vec<&'m PackageId>>,
) -> BTreeSet<&'m PackageId> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        for next in edges.get(id).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

/// Trees made by hand for the rules' tests.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A tree of these files.
    pub(crate) fn files(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let mut end = path.len();
            while let Some(slash) = path[..end].rfind('/') {
                tree.paths.insert(path[..slash].to_owned());
                end = slash;
            }
            tree.paths.insert((*path).to_owned());
            tree.files.push(File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        tree
    }

    /// A crate that needs these and reaches them; `dev:` before a name says
    /// that only its tests need it.
    pub(crate) fn with_crate(mut tree: Tree, name: &str, dependencies: &[&str]) -> Tree {
        let mut made = Crate {
            name: name.to_owned(),
            dir: format!("crates/{name}"),
            ..Crate::default()
        };
        for dependency in dependencies {
            match dependency.strip_prefix("dev:") {
                Some(dev) => made.dependencies.push((dev.to_owned(), Need::Dev)),
                None => {
                    let name = (*dependency).to_owned();
                    made.reach.insert(name.clone());
                    made.dependencies.push((name, Need::Always));
                }
            }
        }
        tree.crates.push(made);
        tree
    }

    /// A tree of one crate.
    pub(crate) fn of_crate(name: &str, dependencies: &[&str]) -> Tree {
        with_crate(Tree::default(), name, dependencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_reads_as_a_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let tree = Tree::read(root).unwrap();
        let find = |name: &str| tree.crates.iter().find(|c| c.name == name).unwrap();
        assert_eq!(find("kernel").dir, "crates/kernel");
        assert!(find("kernel").reach.contains("serde_json"));
        assert!(
            !find("kernel").reach.contains("proptest"),
            "dev dependencies are not shipped"
        );
        assert!(
            find("kernel")
                .dependencies
                .contains(&("proptest".into(), Need::Dev))
        );
        assert!(
            find("ledger")
                .dependencies
                .contains(&("kernel".into(), Need::Always))
        );
        assert!(tree.paths.contains("xtask/src/tidy/tree.rs"));
        assert!(
            tree.rust()
                .any(|file| file.path == "crates/kernel/src/lib.rs")
        );
    }

    #[test]
    fn reach_goes_through_others() {
        let id = |repr: &str| PackageId { repr: repr.into() };
        let (a, b, c, d) = (id("a"), id("b"), id("c"), id("d"));
        let edges = BTreeMap::from([(&a, vec![&b]), (&b, vec![&c, &a]), (&d, vec![&a])]);
        assert_eq!(reach(&a, &edges), BTreeSet::from([&a, &b, &c]));
        assert_eq!(reach(&c, &edges), BTreeSet::new());
    }

    #[test]
    fn packs_are_the_directories_under_packs() {
        let tree = sample::files(&[
            ("packs/a/x.yaml", ""),
            ("packs/a/y/z.yaml", ""),
            ("packs/b/x", ""),
        ]);
        assert_eq!(tree.packs(), ["a", "b"]);
        assert!(sample::files(&[("packs/README.md", "")]).packs().is_empty());
    }
}
