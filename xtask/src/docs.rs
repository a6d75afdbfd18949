//! Documents that are made from the code. The binary writes each to its
//! standard output, so that document and program cannot disagree.

use crate::scenarios::first_difference;
use crate::shell::{self, Shell};
use anyhow::{Context, Result, bail};

/// A document and the words of the command that writes it.
struct Document {
    path: &'static str,
    command: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    Document {
        path: "docs/authorisation.md",
        command: &["docs", "authorisation"],
    },
    Document {
        path: "docs/lifecycles.md",
        command: &["docs", "lifecycles"],
    },
    Document {
        path: "docs/openapi.json",
        command: &["docs", "openapi"],
    },
];

/// Writes every document.
///
/// # Errors
/// When the binary does not build or a file cannot be written.
pub(crate) fn write(shell: &Shell) -> Result<()> {
    for (document, text) in made(shell)? {
        let path = shell.root.join(document.path);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", document.path))?;
        println!("wrote {}", document.path);
    }
    Ok(())
}

/// Compares every document with what stands in the tree.
///
/// # Errors
/// Names each that is not fresh.
pub(crate) fn compare(shell: &Shell) -> Result<()> {
    let mut stale = Vec::new();
    for (document, text) in made(shell)? {
        let standing = match std::fs::read_to_string(shell.root.join(document.path)) {
            Ok(standing) => standing,
            Err(fault) => {
                stale.push(format!("`{}`: {fault}", document.path));
                continue;
            }
        };
        if let Some(difference) = first_difference(&text, &standing) {
            stale.push(format!("`{}`: {difference}", document.path));
        }
    }
    if !stale.is_empty() {
        bail!("not fresh: {}; run `cargo xtask docs`", stale.join("; "));
    }
    Ok(())
}

fn made(shell: &Shell) -> Result<Vec<(&'static Document, String)>> {
    let binary = shell.binary()?;
    DOCUMENTS
        .iter()
        .map(|document| {
            let text = shell::output(shell.command(&binary).args(document.command))?;
            Ok((document, text))
        })
        .collect()
}
