//! Logging in by token.

use super::{Frame, text};
use maud::{Markup, html};

/// The login page.
#[derive(Clone, Debug, Default)]
pub struct LoginView {
    /// Where to go afterwards; one of our own paths.
    pub next: String,
    /// Why the last attempt failed.
    pub fault: Option<String>,
}

/// Renders it.
#[must_use]
pub fn login_page(frame: &Frame, view: &LoginView) -> Markup {
    let body = html! {
        div.login {
            h1 { "writ" }
            p { "Paste your access token. The first one is printed once, where writ was started." }
            @if let Some(fault) = &view.fault {
                p.fault #fault role="alert" { span.sign aria-hidden="true" { "✕ " } (text::shown(fault)) }
            }
            form method="post" action="/login" {
                input type="text" value="token" autocomplete="username" readonly hidden;
                input type="hidden" name="next" value=(view.next);
                div.field {
                    label for="token" { "Access token" }
                    input #token type="password" name="token" required autocomplete="current-password"
                        spellcheck="false" autocapitalize="off" autofocus
                        aria-describedby=[view.fault.as_ref().map(|_| "fault")]
                        aria-invalid=[view.fault.as_ref().map(|_| "true")];
                }
                button.primary type="submit" { "Log in" }
            }
            p.hint { "The token is not kept in this browser: a session cookie stands for it until you log out." }
        }
    };
    frame.page("Log in", body)
}
