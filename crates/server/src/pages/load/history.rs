//! The facts of history.

use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::history::{HistoryView, history_page};
use crate::pages::visit::{Visit, shown};
use crate::routes::facts::for_whom;
use axum::response::Response;

pub(crate) async fn history(visit: Visit) -> Answer<Response> {
    let (subject, agent) = for_whom(&visit.query)?;
    let control = visit.app.control();
    let tenant = visit.caller.tenant();
    let facts = match control.in_force(tenant) {
        Ok(_) => {
            let facts = control.facts(tenant, subject.as_ref(), agent.as_ref());
            Some(facts.await?)
        }
        Err(_) => None,
    };
    let view = HistoryView {
        facts,
        subject: subject.map(|s| s.to_string()).unwrap_or_default(),
        agent: agent.map(|a| a.to_string()).unwrap_or_default(),
    };
    let frame = visit.frame(Section::Policies).await?;
    shown(history_page(&frame, &view))
}
