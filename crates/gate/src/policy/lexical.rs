//! Bounds on the text of policies, checked before it is parsed: a parser that
//! recurses must never meet input that is deeper than its stack. Also finds
//! where each policy begins, for messages.

use super::Fault;

/// Longest policy file or schema, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of brackets.
const DEPTH_MAX: usize = 24;
/// Most signs of operators (`&&` has two) and words `if` in one policy; each
/// may nest the expression one deeper.
const OPERATORS_MAX: usize = 400;

/// Where each policy of a text begins, as byte offsets.
///
/// # Errors
/// When the text is too long, too deep, or one policy has too many operators.
pub(crate) fn scan(file: &str, text: &str) -> Result<Vec<usize>, Fault> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Fault {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: format!("has {} bytes, allowed are {FILE_BYTES_MAX}", text.len()),
        });
    }
    let mut scan = Scan::default();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' if chars.peek().is_some_and(|(_, next)| *next == '/') => {
                while chars.next_if(|(_, next)| *next != '\n').is_some() {}
            }
            '"' => {
                scan.begin(at);
                while let Some((_, inner)) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            c if c.is_whitespace() => {}
            c if c.is_alphabetic() || c == '_' => {
                scan.begin(at);
                let mut word = String::from(c);
                while let Some((_, more)) =
                    chars.next_if(|(_, next)| next.is_alphanumeric() || *next == '_')
                {
                    word.push(more);
                }
                scan.operators += usize::from(word == "if");
            }
            c => {
                scan.begin(at);
                scan.symbol(c);
            }
        }
        if scan.depth > DEPTH_MAX || scan.operators > OPERATORS_MAX {
            let what = if scan.depth > DEPTH_MAX {
                format!("nested deeper than {DEPTH_MAX} levels")
            } else {
                format!("more than {OPERATORS_MAX} operators in one policy")
            };
            return Err(fault_at(file, text, at, what));
        }
    }
    Ok(scan.starts)
}

/// A fault at a byte offset of a text.
pub(crate) fn fault_at(file: &str, text: &str, offset: usize, message: String) -> Fault {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Fault {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).map_or(0, |l| l.chars().count()) + 1,
        message,
    }
}

#[derive(Default)]
struct Scan {
    starts: Vec<usize>,
    inside: Inside,
    depth: usize,
    operators: usize,
}

#[derive(Default, PartialEq)]
enum Inside {
    #[default]
    Nothing,
    Policy,
}

impl Scan {
    /// A token stands here; it may be the first of a policy.
    fn begin(&mut self, at: usize) {
        if self.inside == Inside::Nothing {
            self.inside = Inside::Policy;
            self.starts.push(at);
        }
    }

    fn symbol(&mut self, c: char) {
        match c {
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            '&' | '|' | '+' | '-' | '*' | '!' | '.' => self.operators += 1,
            ';' => {
                self.inside = Inside::Nothing;
                self.operators = 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_exactly_and_strings_and_comments_do_not_count() {
        let nested = |n: usize| format!("permit{}{};", "(".repeat(n), ")".repeat(n));
        let chained = |n: usize| format!("permit(a){};", "+a".repeat(n));
        for (text, fine) in [
            (nested(DEPTH_MAX), true),
            (nested(DEPTH_MAX + 1), false),
            (chained(OPERATORS_MAX), true),
            (chained(OPERATORS_MAX + 1), false),
            (chained(OPERATORS_MAX).repeat(3), true),
            (format!("@id(\"{}\") permit();", "(".repeat(99)), true),
            (format!("// {}\npermit();", "(".repeat(99)), true),
            (
                format!("permit() when {{ {} a }};", "if ".repeat(OPERATORS_MAX + 1)),
                false,
            ),
            (" ".repeat(FILE_BYTES_MAX), true),
            (" ".repeat(FILE_BYTES_MAX + 1), false),
        ] {
            assert_eq!(scan("f", &text).is_ok(), fine, "{:.60}", text);
        }
    }

    #[test]
    fn policies_begin_at_their_first_token() {
        let text = "// hello\n@id(\"a;b\")\npermit(a);\n\n  forbid(b);\n// end\n";
        let starts = scan("f", text).unwrap();
        let places: Vec<_> = starts
            .iter()
            .map(|at| fault_at("f", text, *at, String::new()))
            .map(|f| (f.line, f.column))
            .collect();
        assert_eq!(places, [(2, 1), (5, 3)]);
    }
}
