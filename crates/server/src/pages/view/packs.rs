//! The pack in force: what it declares and by which hash.

use super::{Frame, chip, part, text};
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
    /// Where data may be and went; why that is not known, where it is not.
    pub residency: Result<ResidencyView, String>,
    /// What it declares.
    pub groups: Vec<GroupView>,
}

/// Where data may be and where it went.
#[derive(Clone, Debug, Default)]
pub struct ResidencyView {
    /// The allowed regions; `None` when the pack declares none.
    pub allowed: Option<String>,
    /// How many of how many endpoints are attested, in words.
    pub standing: String,
    /// Everything that is wrong.
    pub faults: Vec<String>,
    /// Each region.
    pub regions: Vec<RegionRow>,
    /// Each endpoint.
    pub endpoints: Vec<EndpointRow>,
}

/// A region and its share.
#[derive(Clone, Debug)]
pub struct RegionRow {
    /// The region.
    pub region: String,
    /// Its endpoints, with their share.
    pub endpoints: String,
    /// Calls that reached it, with their share.
    pub calls: String,
    /// What they cost, with its share.
    pub money: String,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    /// Its name in the register.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Who attests it, and until when.
    pub attested: String,
    /// How often it was called.
    pub calls: u64,
    /// Whether something is wrong with it.
    pub standing: &'static str,
}

fn residency(view: &Result<ResidencyView, String>) -> Markup {
    let view = match view {
        Ok(view) => view,
        Err(why) => return html! { (part::empty(why)) },
    };
    html! {
        @match &view.allowed {
            Some(allowed) => p { "Allowed: " (text::prose(allowed)) ". " (text::shown(&view.standing)) },
            None => p { "The pack has no residency.yaml: no step reaches anything outside." },
        }
        @if !view.faults.is_empty() { ul { @for fault in &view.faults { li { (text::prose(fault)) } } } }
        @if !view.regions.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Regions, calls of thirty days" {
                table.stack {
                    thead { tr { th scope="col" { "Region" } th.num scope="col" { "Endpoints" } th.num scope="col" { "Calls in 30 days" } th.num scope="col" { "Money" } } }
                    tbody {
                        @for row in &view.regions {
                            tr { th scope="row" { (text::shown(&row.region)) } td.num data-label="Endpoints" { (row.endpoints) } td.num data-label="Calls" { (row.calls) } td.num data-label="Money" { (row.money) } }
                        }
                    }
                }
            }
        }
        @if !view.endpoints.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Endpoints" {
                table.stack {
                    thead { tr { th scope="col" { "Endpoint" } th scope="col" { "Region" } th scope="col" { "Attested" } th.num scope="col" { "Calls" } th scope="col" { "Standing" } } }
                    tbody {
                        @for row in &view.endpoints {
                            tr { th scope="row" { (text::shown(&row.endpoint)) } td data-label="Region" { (text::shown(&row.region)) } td data-label="Attested" { (text::shown(&row.attested)) } td.num data-label="Calls" { (row.calls) } td data-label="Standing" { (chip::status(row.standing)) } }
                        }
                    }
                }
            }
        }
    }
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
                (part::section("residency", "Where data may be", residency(&pack.residency)))
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
