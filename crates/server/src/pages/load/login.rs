//! The login page.

use crate::app::App;
use crate::http::Query;
use crate::http::problem::Answer;
use crate::pages::view::login::{LoginView, login_page};
use crate::pages::view::{Frame, Section};
use crate::pages::visit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

pub(crate) async fn login(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let frame = Frame {
        now: app.now(),
        section: Section::None,
        theme: visit::theme(&headers),
        viewer: None,
        flash: None,
        here: "/login".to_owned(),
    };
    let refused = query.text("refused").is_some();
    let view = LoginView {
        next: query.text("next").unwrap_or("/").to_owned(),
        fault: refused
            .then(|| "this token opens nothing: it is mistyped, revoked or expired".to_owned()),
    };
    visit::shown(login_page(&frame, &view))
}
