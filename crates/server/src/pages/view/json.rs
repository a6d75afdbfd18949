//! JSON for reading: indented, with the ids in it as links.

use super::{part, text};
use maud::{Markup, html};
use serde_json::Value;

/// Deepest level that is laid out; the kernel parses no deeper.
const DEPTH_MAX: usize = 64;

/// A value, indented.
#[must_use]
pub fn pretty(value: &Value) -> Markup {
    html! { pre.json tabindex="0" { code { (level(value, 0)) } } }
}

/// The text of a payload, indented where it is JSON, as it is where not.
#[must_use]
pub fn pretty_text(payload: &str) -> Markup {
    match serde_json::from_str::<Value>(payload) {
        Ok(value) => pretty(&value),
        Err(_) => html! { pre.json tabindex="0" { code { (text::shown(payload)) } } },
    }
}

/// A small value in one line, for tables.
#[must_use]
pub fn inline(value: &Value) -> Markup {
    match value {
        sealed if kernel::Sealed::of(sealed).is_some() => html! { span.sealed { "sealed" } },
        Value::String(string) => text::shown(string),
        other => html! { code.value { (text::shown(&other.to_string())) } },
    }
}

fn level(value: &Value, depth: usize) -> Markup {
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    html! {
        @match value {
            _ if depth > DEPTH_MAX => "…",
            Value::Object(members) if members.is_empty() => "{}",
            Value::Array(items) if items.is_empty() => "[]",
            Value::Object(members) => {
                "{\n"
                @for (at, (name, member)) in members.iter().enumerate() {
                    (pad) span.key { (quoted(name)) } ": " (level(member, depth + 1))
                    @if at + 1 < members.len() { "," } "\n"
                }
                (end) "}"
            }
            Value::Array(items) => {
                "[\n"
                @for (at, item) in items.iter().enumerate() {
                    (pad) (level(item, depth + 1)) @if at + 1 < items.len() { "," } "\n"
                }
                (end) "]"
            }
            Value::String(string) => (linked(string)),
            other => span.scalar { (other.to_string()) }
        }
    }
}

fn linked(string: &str) -> Markup {
    html! {
        @match part::page_of(string) {
            Some(href) => { "\"" a href=(href) { (string) } "\"" }
            None => span.string { (quoted(string)) }
        }
    }
}

/// A string as JSON writes it, hidden characters shown.
fn quoted(string: &str) -> Markup {
    text::shown(&Value::String(string.to_owned()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_become_links_and_text_stays_text() {
        let id = "dir_00000000000070008000000012345678";
        let markup = pretty(&json!({"a": id, "b": ["<script>", 1, null], "c": {}})).into_string();
        assert!(markup.contains(&format!("<a href=\"/directives/{id}\">")));
        assert!(markup.contains("&lt;script&gt;"));
        assert!(!markup.contains("<script>"));
        let raw = pretty_text("not json <b>").into_string();
        assert!(raw.contains("not json &lt;b&gt;"));
    }
}
