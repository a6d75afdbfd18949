//! Policies: what is enforced, what a set in shadow would have said instead,
//! and which policy determined what lately.

use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use kernel::{Timestamp, Verdict};
use maud::{Markup, html};

/// A set of policies beside the pack's.
#[derive(Clone, Debug)]
pub struct SetView {
    /// Its name: the digest over its files.
    pub set: String,
    /// Where it stands.
    pub status: String,
    /// The names of its files.
    pub files: Vec<String>,
    /// Who moved it last.
    pub by: Who,
    /// When.
    pub at: Timestamp,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// A verdict that the set in shadow would have given otherwise.
#[derive(Clone, Debug)]
pub struct DifferView {
    /// The verdict.
    pub verdict: String,
    /// When.
    pub at: Timestamp,
    /// The choke point.
    pub choke_point: String,
    /// What policy said, and why.
    pub was: (Verdict, String),
    /// What it would have said, and why.
    pub would_be: (Verdict, String),
}

/// How the set in shadow compares over the latest verdicts.
#[derive(Clone, Debug, Default)]
pub struct ShadowView {
    /// How many verdicts it was asked about.
    pub asked: usize,
    /// How many it would have given otherwise.
    pub differ: usize,
    /// The newest of them.
    pub items: Vec<DifferView>,
}

/// A policy that is enforced.
#[derive(Clone, Debug)]
pub struct PolicyRow {
    /// Its id.
    pub id: String,
    /// File and line.
    pub place: String,
    /// As it is written.
    pub text: String,
    /// How many of the latest verdicts it determined.
    pub determined: usize,
}

/// What the viewer may do with sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Promote and withdraw them.
    Move,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct PoliciesView {
    /// The hash of what is enforced; nothing without a pack.
    pub enforced: Option<String>,
    /// The hash of what runs in shadow.
    pub shadow: Option<String>,
    /// The sets beside the pack's policies, those in use first.
    pub sets: Vec<SetView>,
    /// How the set in shadow compares.
    pub compared: ShadowView,
    /// How many verdicts were looked at.
    pub looked_at: usize,
    /// The policies that are enforced, the busiest first.
    pub policies: Vec<PolicyRow>,
    /// What the viewer may do.
    pub rights: Vec<Right>,
}

/// Renders it.
#[must_use]
pub fn policies_page(frame: &Frame, view: &PoliciesView) -> Markup {
    let body = html! {
        header.title { h1 { "Policies" } p.hint { "What no policy permits is denied, and a forbid wins over every permit. A set runs in shadow before it is enforced. " a href="/history" { "What happened before" } " counts too." } }
        @match &view.enforced {
            None => (part::empty("No pack is loaded: nothing is allowed.")),
            Some(enforced) => {
                (part::section("force", "In force", part::facts(&[
                    ("Enforced", part::full_id(enforced)),
                    ("In shadow", html! { @match &view.shadow { Some(shadow) => (part::full_id(shadow)), None => span.hint { "nothing" } } }),
                ])))
                @if view.shadow.is_some() { (part::section("shadow", "What the shadow would have said", shadow(frame, view))) }
                (part::section("sets", "Sets beside the pack", html! {
                    @if view.sets.is_empty() { (part::empty("None: the pack's policies stand alone. `writ policy shadow DIR` brings one.")) }
                    @for set in &view.sets { (set_item(frame, view, set)) }
                }))
                (part::section("policies", "Enforced policies", policies(view)))
            }
        }
    };
    frame.page("Policies", body)
}

fn shadow(frame: &Frame, view: &PoliciesView) -> Markup {
    let of = &view.compared;
    html! {
        p.shadow-count data-differ=(of.differ) {
            @if of.asked == 0 { (chip::chip(chip::Tone::Calm, "not asked yet")) " No verdict was given since it runs." }
            @else if of.differ == 0 { (chip::chip(chip::Tone::Good, "the same")) " It agreed with what is enforced on all of the latest " (of.asked) " verdicts." }
            @else { (chip::chip(chip::Tone::Warn, "differs")) " It would have decided " (of.differ) " of the latest " (of.asked) " verdicts otherwise." }
        }
        @if !of.items.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Verdicts that the shadow would have given otherwise" {
                table.stack {
                    thead { tr { th scope="col" { "Verdict" } th scope="col" { "When" } th scope="col" { "Enforced" } th scope="col" { "Shadow" } } }
                    tbody {
                        @for item in &of.items {
                            tr {
                                th scope="row" { (part::id_link(&item.verdict)) " " span.hint { (text::pieces(&item.choke_point.replace('_', " "))) } }
                                td data-label="When" { (part::brief_time(frame.now, item.at)) }
                                td data-label="Enforced" { (chip::verdict(item.was.0)) " " (text::prose(&item.was.1)) }
                                td data-label="Shadow" { (chip::verdict(item.would_be.0)) " " (text::prose(&item.would_be.1)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn set_item(frame: &Frame, view: &PoliciesView, set: &SetView) -> Markup {
    let may = view.rights.contains(&Right::Move);
    html! {
        div.engagement data-set=(set.set) {
            p { (chip::status(&set.status)) " " (part::id_text(&set.set)) " "
                @for file in &set.files { code.tag { (text::shown(file)) } " " } }
            p.hint { (part::actor(&set.by)) ", " (part::brief_time(frame.now, set.at)) @if let Some(reason) = &set.reason { ": " (text::shown(reason)) } }
            @if may && set.status == "shadow" { (move_form(frame, set, "promote", "Why enforce it", "Enforce it")) }
            @if may && (set.status == "shadow" || set.status == "enforced") { (move_form(frame, set, "withdraw", "Why withdraw it", "Withdraw it")) }
        }
    }
}

fn move_form(frame: &Frame, set: &SetView, action: &str, need: &str, word: &str) -> Markup {
    let field = format!("{action}-{}", set.set);
    part::form(
        frame,
        &format!("/policies/{action}"),
        action,
        html! {
            input type="hidden" name="set" value=(set.set);
            (part::reason_field(&field, need, Need::Required))
            button type="submit" { (word) }
        },
    )
}

fn policies(view: &PoliciesView) -> Markup {
    html! {
        p.hint { "How often each determined one of the latest " (view.looked_at) " verdicts." }
        @for (at, policy) in view.policies.iter().enumerate() {
            details.policy id={ "policy-" (at) } {
                summary { code.tag { (text::shown(&policy.id)) } " " span.hint { (text::shown(&policy.place)) " · " (policy.determined) } }
                pre tabindex="0" { code { (text::shown(&policy.text)) } }
            }
        }
    }
}
