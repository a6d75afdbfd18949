//! Source files stay short enough to be read in one sitting.

use super::tree::{File, Tree};

/// Lines of a source file at most, its unit tests not counted.
const LINES_MAX: usize = 600;

/// Checks every Rust file that is not a test or a bench.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|file| !is_test(&file.path))
        .filter_map(|file| {
            let lines = source_lines(file);
            (lines > LINES_MAX).then(|| {
                format!(
                    "{}: {lines} lines, at most {LINES_MAX}; is it two rooms?",
                    file.path
                )
            })
        })
        .collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// Lines before the unit tests, which by custom close a file.
fn source_lines(file: &File) -> usize {
    let lines: Vec<_> = file.text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].trim_end_matches(" {").ends_with("mod tests")
    });
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(path: &str, text: &str, faults: usize) {
        assert_eq!(check(&sample::files(&[(path, text)])).len(), faults);
    }

    #[test]
    fn the_boundary_is_exact_and_tests_do_not_count() {
        let lines = |n: usize| "x\n".repeat(n);
        let tests = "#[cfg(test)]\nmod tests {\n";
        expect("crates/a/src/x.rs", &lines(LINES_MAX), 0);
        expect("crates/a/src/x.rs", &lines(LINES_MAX + 1), 1);
        let both = format!("{}{tests}{}", lines(LINES_MAX), lines(900));
        expect("crates/a/src/x.rs", &both, 0);
        let both = format!("{}{tests}", lines(LINES_MAX + 1));
        expect("crates/a/src/x.rs", &both, 1);
        let helper = format!("#[cfg(test)]\nfn helper() {{}}\n{}", lines(LINES_MAX));
        expect("crates/a/src/x.rs", &helper, 1);
        expect("crates/a/tests/x.rs", &lines(900), 0);
        expect("crates/a/src/x/tests.rs", &lines(900), 0);
    }
}
