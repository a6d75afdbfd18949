//! The keys that people sign their decisions with: registering a passkey,
//! confirming whose a key is, and taking one back.

use super::part::{self, Need, Who};
use super::{Frame, chip, text};
use kernel::Timestamp;
use maud::{Markup, html};

/// A signing key.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// Its id.
    pub id: String,
    /// What its person calls it.
    pub name: String,
    /// Whose it is.
    pub owner: Who,
    /// Where it stands.
    pub status: String,
    /// Its public half, as a verifier takes it.
    pub public: String,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Who confirmed it, and when.
    pub confirmed: Option<(Who, Timestamp)>,
    /// Who took it back, and when.
    pub revoked: Option<(Who, Timestamp)>,
    /// Why.
    pub reason: Option<String>,
    /// Whether the viewer may confirm it.
    pub may_confirm: bool,
    /// Whether the viewer may take it back.
    pub may_revoke: bool,
}

/// The page.
#[derive(Clone, Debug, Default)]
pub struct SigningKeysView {
    /// The viewer as they stand in entries, when they may register a key.
    pub registers: Option<String>,
    /// The viewer's tenant.
    pub tenant: String,
    /// The keys, newest first.
    pub keys: Vec<SigningKeyRow>,
}

/// Renders the page.
#[must_use]
pub fn signing_keys_page(frame: &Frame, view: &SigningKeysView) -> Markup {
    let body = html! {
        header.title {
            h1 { "Signing keys" }
            p.hint { "What people sign their decisions with. Only public halves are kept here; nobody can sign for anybody else, writ included." }
        }
        @if let Some(principal) = &view.registers {
            (part::section("register", "Register yours", register(frame, view, principal)))
        }
        (part::section("keys", "Keys", html! {
            @if view.keys.is_empty() { (part::empty("Nobody has registered a key yet.")) }
            ul.rows { @for key in &view.keys { (row(frame, key)) } }
        }))
        script src="/static/passkey.js" defer {}
    };
    frame.page("Signing keys", body)
}

fn register(frame: &Frame, view: &SigningKeysView, principal: &str) -> Markup {
    html! {
        form.register method="post" action="/signing-keys" data-passkey="register"
            data-principal=(principal) data-tenant=(view.tenant) {
            input type="hidden" name="csrf" value=(frame.csrf());
            div.field {
                label for="key-name" { "Name of the passkey" }
                input #key-name type="text" name="name" required maxlength="200" placeholder="phone, laptop, security key";
            }
            button.primary type="submit" { "Register a passkey" }
            p.fault role="alert" hidden {}
        }
        noscript { p.hint { "A passkey needs scripts; the command line does not." } }
        p.hint { "At the command line, " code { "writ key register FILE" } " makes a key in a file and registers it." }
        p.hint { "A key counts once another person with the role admin has confirmed it. Tell them its id; do not send it through writ." }
    }
}

fn row(frame: &Frame, key: &SigningKeyRow) -> Markup {
    let now = frame.now;
    let base = format!("/signing-keys/{}", text::segment(&key.id));
    html! {
        li.row id=(key.id) {
            p.row-name { strong { (text::shown(&key.name)) } " of " (part::actor(&key.owner)) }
            p.row-marks { (chip::status(&key.status)) }
            p.row-facts {
                span { "registered " (part::brief_time(now, key.registered_at)) }
                @if let Some((by, at)) = &key.confirmed { span { "confirmed by " (part::actor(by)) " " (part::brief_time(now, *at)) } }
                @if let Some((by, at)) = &key.revoked { span { "revoked by " (part::actor(by)) " " (part::brief_time(now, *at)) } }
            }
            @if let Some(reason) = &key.reason { p { (text::prose(reason)) } }
            p { (part::full_id(&key.id)) }
            details { summary { "Public half, for verifying without a server" } p { code.id.full { (text::pieces(&key.public)) } } }
            @if key.may_confirm {
                (part::form(frame, &format!("{base}/confirm"), "confirm-key", html! {
                    button.primary type="submit" { "Confirm: the person told me this id" }
                }))
            }
            @if key.may_revoke {
                details {
                    summary { "Revoke" }
                    (part::form(frame, &format!("{base}/revoke"), "revoke-key", html! {
                        (part::reason_field(&format!("why-{}", key.id), "Why", Need::Required))
                        button.bad type="submit" { "Revoke this key" }
                    }))
                }
            }
        }
    }
}
