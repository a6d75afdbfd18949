//! What people read: tables, single things, and the answer to "why?".

use serde_json::Value;
use std::fmt::Write as _;

/// Columns are cut to this width, so that a row fits a terminal.
const CELL_CHARS_MAX: usize = 60;

/// A value as one cell of a table.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let clean = visible(&text).replace('\n', " ");
    if clean.chars().count() <= CELL_CHARS_MAX {
        return clean;
    }
    let cut: String = clean.chars().take(CELL_CHARS_MAX - 1).collect();
    format!("{cut}…")
}

/// Whether a character changes how the text around it looks without being
/// seen itself.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}

/// Text from outside as a terminal may get it: what would steer the terminal
/// is gone, what would hide or reorder what is read is shown by its number.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if c.is_control() => out.push(' '),
            c if is_hidden(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "[U+{:04X}]", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The value at a dotted path.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |v, part| v.get(part))
}

/// The text at a dotted path, as a cell.
pub(crate) fn text(value: &Value, path: &str) -> String {
    cell(at(value, path))
}

/// Rows as a table: (heading, dotted path) per column.
pub(crate) fn table(rows: &[Value], columns: &[(&str, &str)]) -> String {
    if rows.is_empty() {
        return "none\n".to_owned();
    }
    let body: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|(_, path)| text(row, path)).collect())
        .collect();
    let width = |column: usize, heading: &str| {
        let cells = body.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|c| c.chars().count()).max().unwrap_or(0);
        widest.max(heading.len())
    };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, (heading, _))| width(at, heading))
        .collect();
    let mut out = String::new();
    let line = |cells: &[String], out: &mut String| {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            row.push_str(cell);
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            row.push_str(&" ".repeat(gap));
        }
        out.push_str(row.trim_end());
        out.push('\n');
    };
    let headings: Vec<String> = columns.iter().map(|(h, _)| h.to_uppercase()).collect();
    line(&headings, &mut out);
    for row in &body {
        line(row, &mut out);
    }
    out
}

/// One thing: its members, nested ones indented.
pub(crate) fn thing(value: &Value) -> String {
    let mut out = String::new();
    members(value, 0, &mut out);
    out
}

fn members(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(object) => {
            for (name, member) in object {
                let name = visible(name).replace('\n', " ");
                nested(&format!("{indent}{name}:"), member, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                nested(&format!("{indent}-"), item, depth, out);
            }
        }
        other => {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{indent}{}", scalar(other));
        }
    }
}

fn nested(label: &str, value: &Value, depth: usize, out: &mut String) {
    let empty = match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let _ = match value {
        Value::Object(_) | Value::Array(_) if !empty => {
            out.push_str(label);
            out.push('\n');
            members(value, depth + 1, out);
            Ok(())
        }
        Value::Object(_) | Value::Array(_) => writeln!(out, "{label} none"),
        other => writeln!(out, "{label} {}", scalar(other)),
    };
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // A line that goes on is marked, so that no text passes for a member.
        Value::String(text) => visible(text).replace('\n', "\n  | "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_align_and_hide_control_characters() {
        let rows = [
            json!({"id": "a", "deep": {"n": 1}}),
            json!({"id": "long\u{1b}[31m", "deep": {}}),
        ];
        assert_eq!(
            table(&rows, &[("id", "id"), ("n", "deep.n")]),
            "ID         N\na          1\nlong [31m  -\n"
        );
        assert_eq!(table(&[], &[("id", "id")]), "none\n");
    }

    #[test]
    fn what_others_wrote_steers_no_terminal_and_passes_for_nothing_else() {
        let hostile = "a\u{1b}]0;x\u{7}\u{202e}b\nstatus: approved";
        let shown = thing(&json!({hostile: hostile, "n": [hostile]}));
        assert_eq!(
            shown,
            "a ]0;x [U+202E]b status: approved: a ]0;x [U+202E]b\n  | status: approved\n\
             n:\n  - a ]0;x [U+202E]b\n  | status: approved\n"
        );
    }

    #[test]
    fn things_nest() {
        let shown = thing(&json!({"a": 1, "b": {"c": ["x", {"d": null}]}, "e": []}));
        assert_eq!(
            shown,
            "a: 1\nb:\n  c:\n    - x\n    -\n      d: -\ne: none\n"
        );
    }
}
