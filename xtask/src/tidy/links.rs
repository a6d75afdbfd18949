//! Links in Markdown files lead to files that exist. Addresses with a scheme
//! are not followed: a check must not depend on the network.

use super::tree::Tree;

/// Checks inline links, images and link definitions.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let mut in_fence = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_fence = !in_fence;
            }
            if in_fence {
                continue;
            }
            let line = without_code(line);
            for target in targets(&line) {
                if !leads_somewhere(tree, dir, target) {
                    faults.push(format!(
                        "{}:{}: `{target}` leads nowhere",
                        file.path,
                        index + 1
                    ));
                }
            }
        }
    }
    faults
}

/// The line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

fn targets(line: &str) -> Vec<&str> {
    let inline = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let definition = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, target)| target);
    inline
        .chain(definition)
        // A title may follow the target.
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_matches(['<', '>']))
        .collect()
}

fn leads_somewhere(tree: &Tree, dir: &str, target: &str) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    elsewhere
        || path.is_empty()
        || joined(dir, path).is_some_and(|p| p.is_empty() || tree.paths.contains(&p))
}

/// The path from the root; `None` when it leaves the repository.
fn joined(dir: &str, path: &str) -> Option<String> {
    let (base, path) = match path.strip_prefix('/') {
        Some(path) => ("", path),
        None => (dir, path),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(text: &str, faults: &[&str]) {
        let tree = sample::files(&[("docs/a/x.md", text), ("docs/y.md", ""), ("README.md", "")]);
        assert_eq!(check(&tree), faults, "{text}");
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        expect("[y](../y.md) and [z](../../README.md#part)", &[]);
        expect("[docs](../../docs) [root](/README.md) [top](../..)", &[]);
        expect(
            "[web](https://example.com/x) [mail](mailto:a@b.c) [here](#part)",
            &[],
        );
        expect("[id]: ../y.md \"title\"", &[]);
    }

    #[test]
    fn links_that_lead_nowhere_are_named_with_their_line() {
        expect("\n[y](y.md)", &["docs/a/x.md:2: `y.md` leads nowhere"]);
        expect(
            "![image](../i.png \"title\")",
            &["docs/a/x.md:1: `../i.png` leads nowhere"],
        );
        expect("[id]: <y.md>", &["docs/a/x.md:1: `y.md` leads nowhere"]);
        expect(
            "[out](../../../README.md)",
            &["docs/a/x.md:1: `../../../README.md` leads nowhere"],
        );
    }

    #[test]
    fn code_is_no_link() {
        expect("`[y](y.md)` is how one writes it", &[]);
        expect("```text\n[y](y.md)\n```\n", &[]);
        expect(
            "```\n```\n[y](y.md)",
            &["docs/a/x.md:3: `y.md` leads nowhere"],
        );
    }
}
