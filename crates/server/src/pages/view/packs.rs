//! The pack in force: what it declares and by which hash.

use super::{Frame, part, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// One named thing that a pack declares.
#[derive(Clone, Debug)]
pub struct DeclaredView {
    /// Its name.
    pub name: String,
    /// What it says, in a sentence or its source text.
    pub text: String,
}

/// Things of one sort.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// What they are, for example `Detection rules`.
    pub title: String,
    /// The things.
    pub items: Vec<DeclaredView>,
}

/// A pack.
#[derive(Clone, Debug)]
pub struct PackView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Its content's hash.
    pub hash: String,
    /// Further hashes, for example of the policy set.
    pub hashes: Vec<(String, String)>,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// What it declares.
    pub groups: Vec<GroupView>,
}

/// Renders the page.
#[must_use]
pub fn packs_page(frame: &Frame, pack: Option<&PackView>) -> Markup {
    let body = html! {
        @match pack {
            None => {
                header.title { h1 { "Pack" } }
                (part::empty("No pack is loaded: nothing is understood, nothing is allowed."))
            }
            Some(pack) => {
                header.title {
                    h1 { (text::shown(&pack.name)) " " span.hint { (text::shown(&pack.version)) } }
                    p { (text::shown(&pack.description)) }
                }
                (part::section("hashes", "In force", html! {
                    dl.facts {
                        div { dt { "Content" } dd { (part::full_id(&pack.hash)) } }
                        @for (name, hash) in &pack.hashes { div { dt { (name) } dd { (part::full_id(hash)) } } }
                        div { dt { "Loaded" } dd { (part::time(frame.now, pack.loaded_at)) } }
                    }
                }))
                @for (at, group) in pack.groups.iter().enumerate() {
                    (part::section(&format!("group-{at}"), &group.title, html! {
                        @if group.items.is_empty() { (part::empty("None.")) }
                        @for (nth, item) in group.items.iter().enumerate() {
                            details id={ "item-" (at) "-" (nth) } { summary { (text::shown(&item.name)) } pre.json tabindex="0" { code { (text::shown(&item.text)) } } }
                        }
                    }))
                }
            }
        }
    };
    frame.page("Pack", body)
}
