//! Editing a contract: first the text, then what changes, then the submit.

use super::part::{self, Need};
use super::{Frame, diff, text};
use maud::{Markup, html};

/// The form with the contract as JSON.
#[derive(Clone, Debug)]
pub struct EditView {
    /// The directive.
    pub directive: String,
    /// The digest of the version that is being edited.
    pub seen: String,
    /// The contract as indented JSON, as the person left it.
    pub contract: String,
    /// Why the last try was refused.
    pub fault: Option<String>,
}

/// What would change.
#[derive(Clone, Debug)]
pub struct ConfirmView {
    /// The directive.
    pub directive: String,
    /// The digest of the version that is being replaced.
    pub seen: String,
    /// The contract in force, as indented JSON.
    pub before: String,
    /// The contract that would replace it.
    pub after: String,
    /// The fields that change.
    pub changed: Vec<String>,
    /// Whether the viewer may also approve in the same act.
    pub may_approve: bool,
}

/// Renders the form.
#[must_use]
pub fn edit_page(frame: &Frame, view: &EditView) -> Markup {
    let here = format!("/directives/{}", text::segment(&view.directive));
    let body = html! {
        header.title {
            p.crumb { a href="/directives" { "Directives" } " / " a href=(here) { (text::pieces(&part::short(&view.directive))) } }
            h1 { "Edit the contract" }
            p.hint { "You edit digest " (part::id_text(&view.seen)) ". Nothing is changed before you have seen the difference." }
        }
        @if let Some(fault) = &view.fault {
            p.fault #fault role="alert" { span.sign aria-hidden="true" { "✕ " } (text::prose(fault)) }
        }
        (part::form(frame, &format!("{here}/edit"), "edit", html! {
            input type="hidden" name="seen" value=(view.seen);
            div.field {
                label for="contract" { "Contract (JSON)" }
                textarea #contract.code name="contract" rows="28" spellcheck="false" required
                    aria-invalid=[view.fault.as_ref().map(|_| "true")]
                    aria-describedby=[view.fault.as_ref().map(|_| "fault")] { "\n" (view.contract) }
            }
            div.actions {
                button.primary type="submit" { "Show the difference" }
                a.button href=(here) { "Leave it as it is" }
            }
        }))
    };
    frame.page("Edit the contract", body)
}

/// Renders the difference and the form that submits it.
#[must_use]
pub fn confirm_page(frame: &Frame, view: &ConfirmView) -> Markup {
    let here = format!("/directives/{}", text::segment(&view.directive));
    let body = html! {
        header.title {
            p.crumb { a href="/directives" { "Directives" } " / " a href=(here) { (text::pieces(&part::short(&view.directive))) } }
            h1 { "Replace the contract?" }
            p { "Changes: " b { (text::shown(&view.changed.join(", "))) } ". A pending approval is void, and the gate is asked again." }
        }
        (diff::render(&view.before, &view.after))
        (part::form(frame, &format!("{here}/edit/confirm"), "confirm", html! {
            input type="hidden" name="seen" value=(view.seen);
            textarea.kept name="contract" hidden { "\n" (view.after) }
            (part::reason_field("reason", "Note", Need::Optional))
            div.actions {
                button.primary type="submit" name="then" value="propose" { "Replace and ask the gate" }
                @if view.may_approve {
                    button.good type="submit" name="then" value="approve" { "Replace, ask the gate and approve" }
                }
                a.button href=(here) { "Leave it as it is" }
            }
        }))
    };
    frame.page("Replace the contract?", body)
}
