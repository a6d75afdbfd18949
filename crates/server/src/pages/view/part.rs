//! Parts that many pages share: times, ids, lists of facts, forms.

use super::{Frame, text};
use kernel::{Span, Timestamp};
use maud::{Markup, Render, html};

/// How long ago, or how far ahead, in one or two words.
#[must_use]
pub fn distance(now: Timestamp, at: Timestamp) -> String {
    let (span, past) = if at > now {
        (at.since(now), false)
    } else {
        (now.since(at), true)
    };
    let secs = span.as_micros() / 1_000_000;
    let text = match secs {
        0..5 => return "now".to_owned(),
        5..60 => format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        3_600..86_400 if secs % 3_600 < 60 => format!("{} h", secs / 3_600),
        3_600..86_400 => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d", secs / 86_400),
    };
    if past {
        format!("{text} ago")
    } else {
        format!("in {text}")
    }
}

/// An instant as `2026-03-01 04:05:06 UTC`.
#[must_use]
pub fn absolute(at: Timestamp) -> String {
    let text = at.to_string();
    let day = text.get(..10).unwrap_or("");
    let time = text.get(11..19).unwrap_or("");
    format!("{day} {time} UTC")
}

/// An instant: how long ago, and when exactly.
#[must_use]
pub fn time(now: Timestamp, at: Timestamp) -> Markup {
    html! {
        time datetime=(at.to_string()) title=(absolute(at)) {
            span.rel data-rel { (distance(now, at)) }
            " "
            span.abs { (absolute(at)) }
        }
    }
}

/// An instant where space is scarce: how long ago, exactly on demand.
#[must_use]
pub fn brief_time(now: Timestamp, at: Timestamp) -> Markup {
    html! {
        time.brief datetime=(at.to_string()) title=(absolute(at)) {
            span.rel data-rel { (distance(now, at)) }
            span.sr { " (" (absolute(at)) ")" }
        }
    }
}

/// A length of time for people: its two greatest units.
#[must_use]
pub fn span(span: Span) -> String {
    let text = span.to_string();
    let mut units = 0;
    let mut in_digits = false;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() && !in_digits {
            units += 1;
            if units > 2 {
                return text.get(..at).unwrap_or("").to_owned();
            }
        }
        in_digits = c.is_ascii_digit();
    }
    text
}

/// An id, cut for the eye: `dir_…9c1b2f3a`.
#[must_use]
pub fn short(id: &str) -> String {
    match id.split_once('_') {
        Some((prefix, rest)) if rest.len() > 12 && rest.is_ascii() => {
            format!("{prefix}_…{}", rest.get(rest.len() - 8..).unwrap_or(rest))
        }
        None if id.len() > 20 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{}…", id.get(..12).unwrap_or(id))
        }
        _ => id.to_owned(),
    }
}

/// The page of what this id names, by its prefix.
#[must_use]
pub fn page_of(id: &str) -> Option<String> {
    let (prefix, rest) = id.split_once('_')?;
    let plain =
        (rest.len() == 32 || rest.len() == 64) && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let base = match prefix {
        "dir" => "/directives/",
        "inc" => "/incidents/",
        "run" => "/runs/",
        "evd" => "/evidence/",
        "snp" => "/snapshots/",
        "ent" => "/ledger/",
        "vrd" => "/verdicts/",
        "sig" | "det" | "cnd" | "apr" | "prm" | "rsv" | "bun" => "/why/",
        _ => return None,
    };
    plain.then(|| format!("{base}{id}"))
}

/// An id as a link to its page, cut for the eye.
#[must_use]
pub fn id_link(id: &str) -> Markup {
    html! {
        @match page_of(id) {
            Some(href) => a.id href=(href) title=(id) { (text::pieces(&short(id))) },
            None => (id_text(id)),
        }
    }
}

/// An id or hash without a link, cut for the eye.
#[must_use]
pub fn id_text(id: &str) -> Markup {
    html! { span.id title=(text::plain(id)) { (text::pieces(&short(id))) } }
}

/// An id or hash in full, to be copied.
#[must_use]
pub fn full_id(id: &str) -> Markup {
    html! { code.id.full { (text::pieces(id)) } }
}

/// A principal on a page.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// As it stands in entries.
    pub actor: String,
    /// What people call it, where that is known.
    pub name: Option<String>,
}

/// Who acted: their name where one is known, and the actor as recorded.
#[must_use]
pub fn actor(who: &Who) -> Markup {
    let recorded = match who.actor.split_once(':') {
        Some((kind, id)) => format!("{kind}:{}", short(id)),
        None => who.actor.clone(),
    };
    html! {
        span.actor title=(text::plain(&who.actor)) {
            @match &who.name { Some(name) => (text::shown(name)), None => (text::shown(&recorded)) }
        }
    }
}

/// A subject.
#[must_use]
pub fn subject(subject: &str) -> Markup {
    html! { span.subject { (text::shown(subject)) } }
}

/// A list of facts.
#[must_use]
pub fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in rows { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A section of a page with a heading that can be linked to.
#[must_use]
pub fn section(id: &str, title: &str, body: Markup) -> Markup {
    html! {
        section.card id=(id) aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } { (text::pieces(title)) }
            (body)
        }
    }
}

/// What is said where there is nothing to list.
#[must_use]
pub fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A form that posts to one of our own paths with the viewer's CSRF token.
#[must_use]
pub fn form(frame: &Frame, action: &str, class: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) class=(class) {
            input type="hidden" name="csrf" value=(frame.csrf());
            (body)
        }
    }
}

/// Whether a field must be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may.
    Optional,
}

/// A labelled reason.
#[must_use]
pub fn reason_field(id: &str, label: &str, need: Need) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) @if need == Need::Optional { span.hint { " (optional)" } } }
            textarea id=(id) name="reason" rows="2" maxlength="4000" required[need == Need::Required] {}
        }
    }
}

/// Links to further pages of a listing.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// The address of the next page, where there is one.
    pub next: Option<String>,
    /// The address of the first page, when this is not it.
    pub first: Option<String>,
}

impl Render for Pager {
    fn render(&self) -> Markup {
        html! {
            @if self.next.is_some() || self.first.is_some() {
                nav.pager aria-label="Pages" {
                    @if let Some(first) = &self.first { a.button href=(first) { "« First page" } }
                    @if let Some(next) = &self.next { a.button rel="next" href=(next) { "Next page »" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let now = Timestamp::parse("2026-03-01T04:00:00Z").unwrap();
        for (span, expected) in [
            ("0s", "now"),
            ("4s", "now"),
            ("5s", "5 s ago"),
            ("59s", "59 s ago"),
            ("60s", "1 min ago"),
            ("59m59s", "59 min ago"),
            ("1h", "1 h ago"),
            ("1h1m", "1 h 1 min ago"),
            ("24h", "1 d ago"),
            ("9d", "9 d ago"),
        ] {
            let at = now.minus(Span::parse(span).unwrap());
            assert_eq!(distance(now, at), expected);
        }
        assert_eq!(distance(now, now.plus(Span::from_secs(90))), "in 1 min");
        assert_eq!(absolute(now), "2026-03-01 04:00:00 UTC");
        assert_eq!(span(Span::parse("1h30m5s").unwrap()), "1h30m");
        assert_eq!(span(Span::parse("1s500ms").unwrap()), "1s500ms");
        assert_eq!(span(Span::ZERO), "0s");
    }

    #[test]
    fn ids_are_cut_and_linked_by_prefix() {
        let id = "dir_00000000000070008000000012345678";
        assert_eq!(short(id), "dir_…12345678");
        assert_eq!(page_of(id).unwrap(), format!("/directives/{id}"));
        for odd in [
            "dir_x",
            "dir_../../login",
            "zzz_00000000000070008000000012345678",
            "plain",
            "dir_é",
        ] {
            assert_eq!(page_of(odd), None, "{odd}");
        }
        assert_eq!(short("é_ééééééééééééé"), "é_ééééééééééééé");
    }
}
