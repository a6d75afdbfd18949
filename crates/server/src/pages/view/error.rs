//! What is shown instead of a page: the same problem that the API answers.

use super::{Frame, text};
use maud::{Markup, html};

/// A problem (RFC 9457) for people.
#[derive(Clone, Debug, Default)]
pub struct ErrorView {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The trace, to be quoted when asking for help.
    pub trace: Option<String>,
    /// Where the form was that led here; one of our own paths.
    pub back: Option<String>,
}

fn title(status: u16) -> &'static str {
    match status {
        400 | 422 => "That cannot be read",
        401 => "Please log in",
        403 => "Not allowed",
        404 => "Not found",
        405 => "That is not how this page is used",
        409 => "It has changed, or cannot be done from here",
        413 => "Too large",
        429 => "Too much at once",
        503 => "Not available right now",
        _ => "Something went wrong",
    }
}

/// Renders it.
#[must_use]
pub fn error_page(frame: &Frame, view: &ErrorView) -> Markup {
    let title = title(view.status);
    let body = html! {
        div.problem role="alert" {
            p.code { (view.status) }
            h1 { (title) }
            p.message { (text::prose(&sentence(&view.message))) }
            @if let Some(hint) = &view.hint { p { (text::prose(&sentence(hint))) } }
            p.actions {
                @match &view.back {
                    Some(back) => a.button.primary href=(back) { "Back to where you were" },
                    None => a.button.primary href="/" { "Overview" },
                }
            }
            @if let Some(trace) = &view.trace {
                p.hint { "Trace " code { (text::pieces(trace)) } " · quote it when you ask for help." }
            }
        }
    };
    frame.page(title, body)
}

/// A message as a sentence: our error texts are in lower case without a full
/// stop.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    match letters.next() {
        Some(first) if !message.ends_with(['.', '!', '?']) => {
            format!("{}{}.", first.to_uppercase(), letters.as_str())
        }
        _ => message.to_owned(),
    }
}
