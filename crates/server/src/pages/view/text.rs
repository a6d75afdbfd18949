//! Text from outside on a page: escaped by the markup, its direction isolated,
//! and characters that would hide or reorder it made visible.

use maud::{Markup, html};

/// Whether a character changes how the text around it looks without being
/// seen itself.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}')
}

/// Text from outside, with a direction of its own.
#[must_use]
pub fn shown(text: &str) -> Markup {
    html! { bdi { (pieces(text)) } }
}

/// The same without its own direction, for use inside another [`shown`].
#[must_use]
pub fn pieces(text: &str) -> Markup {
    let mut parts: Vec<(&str, Option<char>)> = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c)) {
        parts.push((text.get(from..at).unwrap_or(""), Some(c)));
        from = at + c.len_utf8();
    }
    parts.push((text.get(from..).unwrap_or(""), None));
    html! {
        @for (seen, hidden) in parts {
            (seen)
            @if let Some(c) = hidden {
                span.hidden-char title="a character that cannot be seen" { (code_point(c)) }
            }
        }
    }
}

/// A sentence of ours: what stands in backticks is set apart, and an id there
/// is cut for the eye and linked to its page.
#[must_use]
pub fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let paired = parts.len() % 2 == 1;
    html! {
        bdi {
            @if !paired { (pieces(text)) } @else {
                @for (at, piece) in parts.iter().enumerate() {
                    @if at % 2 == 0 { (pieces(piece)) }
                    @else if super::part::page_of(piece).is_some() { (super::part::id_link(piece)) }
                    @else { code.tag { (pieces(piece)) } }
                }
            }
        }
    }
}

/// The same as plain text, for attributes and titles.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.push_str(&code_point(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// An address from outside that may become a link: absolute, http or https,
/// and without a name and password in it.
#[must_use]
pub fn outside_url(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.host_str().is_some();
    plain.then(|| url.to_string())
}

/// A link to an address from outside where it is safe to follow, and the plain
/// text where not.
#[must_use]
pub fn outside_link(address: &str) -> Markup {
    html! {
        @match outside_url(address) {
            Some(url) => a href=(url) rel="noopener noreferrer nofollow" { (shown(address)) span.ext aria-hidden="true" { " ↗" } },
            None => (shown(address)),
        }
    }
}

/// A segment of one of our own paths: everything but unreserved characters
/// percent-encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_seen() {
        let mark = |point: &str| {
            format!(
                "<span class=\"hidden-char\" title=\"a character that cannot be seen\">{point}</span>"
            )
        };
        for (given, expected) in [
            ("plain", "plain".to_owned()),
            ("<b>\"&", "&lt;b&gt;&quot;&amp;".to_owned()),
            ("a\u{202e}b", format!("a{}b", mark("U+202E"))),
            ("\u{0}", mark("U+0000")),
            ("é\u{200b}", format!("é{}", mark("U+200B"))),
            ("line\nline", "line\nline".to_owned()),
        ] {
            let whole = format!("<bdi>{expected}</bdi>");
            assert_eq!(shown(given).into_string(), whole, "{given:?}");
        }
        assert_eq!(plain("a\u{202e}\u{7}"), "aU+202EU+0007");
    }

    #[test]
    fn backticks_set_apart_and_escape() {
        for (given, expected) in [
            ("no ticks", "no ticks"),
            ("a `b` c", "a <code class=\"tag\">b</code> c"),
            ("a `<b>`", "a <code class=\"tag\">&lt;b&gt;</code>"),
            ("odd ` tick <b>", "odd ` tick &lt;b&gt;"),
        ] {
            let whole = format!("<bdi>{expected}</bdi>");
            assert_eq!(prose(given).into_string(), whole, "{given}");
        }
        let id = "dir_00000000000070008000000012345678";
        let linked = prose(&format!("proposes `{id}`")).into_string();
        assert!(linked.contains(&format!("href=\"/directives/{id}\"")));
    }

    #[test]
    fn only_safe_addresses_become_links() {
        for (given, links) in [
            ("https://runbooks.example/x?a=b#c", true),
            ("http://10.0.0.1:9093/", true),
            ("javascript:alert(1)", false),
            ("JaVaScRiPt:alert(1)", false),
            ("data:text/html,x", false),
            ("//evil.example", false),
            ("/incidents", false),
            ("https://user:pass@evil.example", false),
            ("http://", false),
            ("ftp://example.org/", false),
            ("", false),
        ] {
            let markup = outside_link(given).into_string();
            assert_eq!(markup.contains("href"), links, "{given}");
        }
        let quoted = outside_link("https://x.example/\"onclick=\"a").into_string();
        assert!(!quoted.contains("onclick=\"a"), "{quoted}");
    }

    #[test]
    fn segments_cannot_leave_the_path() {
        assert_eq!(segment("dir_0a"), "dir_0a");
        assert_eq!(segment("../a b?c#d/é"), "..%2Fa%20b%3Fc%23d%2F%C3%A9");
    }
}
