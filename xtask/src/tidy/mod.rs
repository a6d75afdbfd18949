//! The rules of the repository, as a test. One rule, one file; each is a pure
//! function over the tree, so that its own tests can show it a bad one.

mod append_only;
mod arrows;
mod compared;
mod headers;
mod links;
mod map;
mod mounted;
mod owners;
mod packs;
mod proofs;
mod purity;
mod size;
mod tree;
mod unfinished;
mod unused;

use crate::shell::Shell;
use anyhow::{Result, bail};
use tree::Tree;

/// A rule: what it finds wrong, one line for each fault.
type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[(&str, Rule)] = &[
    ("arrows between crates", arrows::check),
    ("owners of libraries", owners::check),
    ("purity of the core", purity::check),
    ("an append-only store", append_only::check),
    ("unused dependencies", unused::check),
    ("module headers", headers::check),
    ("size of files", size::check),
    ("unfinished work", unfinished::check),
    ("packs stay data", packs::check),
    ("the map's truth", map::check),
    ("links", links::check),
    ("one table of routes", mounted::check),
    ("comparisons of secrets", compared::check),
    ("tests that pages name", proofs::check),
];

/// Checks every rule; none is skipped because another one failed.
///
/// # Errors
/// When the tree cannot be read or a rule found a fault.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let tree = Tree::read(&shell.root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        let faults = rule(&tree);
        if !faults.is_empty() {
            println!("{name}:");
        }
        for fault in &faults {
            println!("  {fault}");
        }
        count += faults.len();
    }
    if count > 0 {
        bail!("tidy found {count} fault(s)");
    }
    println!("{} rules hold", RULES.len());
    Ok(())
}
