//! Secrets are compared in a time that tells nothing of them: by `subtle`, by a
//! MAC's own check, or not at all because they are looked up by their hash. No
//! `==` stands beside what is called a secret.

use super::tree::{File, Tree};

/// Parts of names that mean something secret.
const SECRET: &[&str] = &[
    "bearer", "cookie", "csrf", "hmac", "mac", "password", "secret", "token",
];

/// Checks what is shipped; tests compare as they like.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let shipped = |file: &&File| {
        let is_test = file.path.contains("/tests") || file.path.starts_with("crates/testkit/");
        file.path.contains("/src/") && !is_test
    };
    let mut faults = Vec::new();
    for file in tree.rust().filter(shipped) {
        let source = file.text.split("#[cfg(test)]\nmod tests").next();
        for (index, line) in source.unwrap_or_default().lines().enumerate() {
            if let Some(name) = compared(line) {
                faults.push(format!(
                    "{}:{}: `{name}` is compared by `==`; use `subtle`",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    faults
}

/// The secret that this line compares.
fn compared(line: &str) -> Option<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let signs = ["==", "!="];
    let places = signs.iter().flat_map(|sign| code.match_indices(sign));
    places
        .flat_map(|(at, sign)| [last(&code[..at]), first(&code[at + sign.len()..])])
        .flatten()
        .find(|name| is_secret(name))
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '(' | ')')
}

/// The operand that ends here.
fn last(text: &str) -> Option<&str> {
    text.trim_end().rsplit(|c| !is_part(c)).next()
}

/// The operand that begins here.
fn first(text: &str) -> Option<&str> {
    let text = text.trim_start().trim_start_matches(['&', '*']);
    text.split(|c| !is_part(c)).next()
}

fn is_secret(operand: &str) -> bool {
    // The last name says what it is: `cookie.name` is a name.
    let name = operand.trim_end_matches(['(', ')']).rsplit('.').next();
    let mut parts = name.unwrap_or_default().split('_');
    let lower = |part: &str| part.chars().all(|c| !c.is_ascii_uppercase());
    parts.any(|part| lower(part) && SECRET.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::super::tree::sample;
    use super::*;

    #[track_caller]
    fn expect(path: &str, line: &str, count: usize) {
        let text = format!("//! Header.\n{line}\n");
        let faults = check(&sample::files(&[(path, &text)]));
        assert_eq!(faults.len(), count, "{line}: {faults:?}");
    }

    #[test]
    fn a_secret_beside_an_equals_sign_is_named() {
        let path = "crates/a/src/x.rs";
        expect(path, "if given == secret {", 1);
        expect(path, "if self.secret_hash != other {", 1);
        expect(path, "(recorded.secret_hash == self.hash)", 1);
        expect(path, "if &token() == &given {", 1);
        expect(path, "given == *csrf", 1);
        expect(path, "given.ct_eq(&secret)", 0);
        expect(path, "if name == \"csrf\" {", 0);
        expect(path, "let secret = x == 1;", 0);
        expect(path, "if tokens == 0 {", 0);
        expect(path, "if name == COOKIE {", 0);
        expect(path, "// secret == secret", 0);
        expect("crates/a/tests/x.rs", "if given == secret {", 0);
        let unit = "#[cfg(test)]\nmod tests {\n given == secret\n}";
        expect(path, unit, 0);
    }
}
