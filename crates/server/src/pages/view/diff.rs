//! The difference of two texts, line by line.

use super::text;
use maud::{Markup, html};

/// Longest texts that are compared, in lines each; beyond it the texts are
/// shown one after the other.
const LINES_MAX: usize = 800;
/// Unchanged lines shown around a change.
const AROUND: usize = 3;

/// A line of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both.
    Same(&'a str),
    /// Only in the old text.
    Removed(&'a str),
    /// Only in the new text.
    Added(&'a str),
}

/// The shortest way from `old` to `new`, by the longest common subsequence.
#[must_use]
pub fn lines<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let a: Vec<&str> = old.lines().collect();
    let b: Vec<&str> = new.lines().collect();
    if a.len() > LINES_MAX || b.len() > LINES_MAX {
        let removed = a.into_iter().map(Line::Removed);
        return removed.chain(b.into_iter().map(Line::Added)).collect();
    }
    let width = b.len() + 1;
    let at = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    let mut table = vec![0_u32; (a.len() + 1) * width];
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let best = if x == y {
                at(&table, i + 1, j + 1) + 1
            } else {
                at(&table, i + 1, j).max(at(&table, i, j + 1))
            };
            if let Some(cell) = table.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => {
                out.push(Line::Same(x));
                (i, j) = (i + 1, j + 1);
            }
            (Some(x), y) if y.is_none() || at(&table, i + 1, j) >= at(&table, i, j + 1) => {
                out.push(Line::Removed(x));
                i += 1;
            }
            (_, Some(y)) => {
                out.push(Line::Added(y));
                j += 1;
            }
            (_, None) => return out,
        }
    }
}

/// The difference as a table-like list: changes with a little around them.
#[must_use]
pub fn render(old: &str, new: &str) -> Markup {
    let lines = lines(old, new);
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        lines
            .iter()
            .skip(from)
            .take(at - from + AROUND + 1)
            .any(|l| !matches!(l, Line::Same(_)))
    };
    html! {
        pre.diff tabindex="0" aria-label="Difference" {
            @for (at, line) in lines.iter().enumerate() {
                @match line {
                    Line::Same(text) if near(at) => span.same { "  " (text::pieces(text)) "\n" },
                    Line::Same(_) => { @if at > 0 && near(at - 1) { span.gap { "  ⋯\n" } } }
                    Line::Removed(text) => del { "− " (text::pieces(text)) "\n" },
                    Line::Added(text) => ins { "+ " (text::pieces(text)) "\n" },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &str) {
        let out: Vec<String> = lines(old, new)
            .iter()
            .map(|l| match l {
                Line::Same(t) => format!(" {t}"),
                Line::Removed(t) => format!("-{t}"),
                Line::Added(t) => format!("+{t}"),
            })
            .collect();
        assert_eq!(out.join("|"), expected, "{old:?} {new:?}");
    }

    #[test]
    fn differences() {
        check("", "", "");
        check("a", "a", " a");
        check("a", "b", "-a|+b");
        check("a\nb\nc", "a\nc", " a|-b| c");
        check("a\nc", "a\nb\nc", " a|+b| c");
        check("", "x", "+x");
        check("x", "", "-x");
        check("a\nb\nc\nd", "b\nx\nd\ne", "-a| b|-c|+x| d|+e");
    }

    #[test]
    fn far_lines_are_left_out_and_text_stays_text() {
        let old: String = (0..40).map(|n| format!("{n}\n")).collect();
        let new = old.replace("20\n", "<b>\n");
        let markup = render(&old, &new).into_string();
        assert!(markup.contains("+ &lt;b&gt;") && markup.contains("− 20"));
        assert!(!markup.contains("  3\n") && markup.contains("  ⋯"));
    }
}
