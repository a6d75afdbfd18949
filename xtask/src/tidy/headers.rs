//! Every Rust file opens with `//!`: what lives here and what does not.

use super::tree::Tree;

/// Checks the first line.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|file| {
            let header = file
                .text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("//!"));
            header.is_none_or(|text| text.trim().is_empty())
        })
        .map(|file| format!("{}:1: does not open with `//!` and a sentence", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[test]
    fn a_file_without_a_header_is_named() {
        let expect = |path, text, faults| {
            assert_eq!(
                check(&sample::files(&[(path, text)])).len(),
                faults,
                "{text}"
            );
        };
        expect("crates/a/src/lib.rs", "//! What lives here.\n", 0);
        expect("crates/a/src/lib.rs", "use x;\n//! Late.\n", 1);
        expect("crates/a/src/lib.rs", "//!\n", 1);
        expect("xtask/src/main.rs", "", 1);
        expect("crates/a/README.md", "text", 0);
        expect("other/x.rs", "fn main() {}", 0);
    }
}
