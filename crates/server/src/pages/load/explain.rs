//! A verdict explained, and the runbooks.

use super::common::Names;
use super::directive::verdict_view;
use crate::explain::explanation;
use crate::http::Place;
use crate::http::problem::{Answer, Kind, Problem};
use crate::pages::view::Section;
use crate::pages::view::explain::{ExplainView, explain_page, runbook_page};
use crate::pages::visit::{Visit, shown};
use crate::runbooks;
use axum::response::Response;

pub(crate) async fn verdict(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let (record, explanation) = explanation(&visit.app, &visit.caller, &id).await?;
    let names = Names::of(&visit).await?;
    let view = ExplainView {
        issued_by: names.who(&explanation.who.issued_by),
        editors: explanation
            .who
            .editors
            .iter()
            .map(|e| names.who(e))
            .collect(),
        verdict: verdict_view(&record),
        explanation,
    };
    let frame = visit.frame(Section::Directives).await?;
    shown(explain_page(&frame, &view))
}

pub(crate) async fn runbook(visit: Visit, Place(name): Place<String>) -> Answer<Response> {
    let text = runbooks::text(&name).ok_or_else(|| {
        let known: Vec<_> = runbooks::names().collect();
        Problem::new(Kind::NotFound, "no such runbook")
            .hint(format!("there are: {}", known.join(", ")))
    })?;
    let frame = visit.frame(Section::None).await?;
    shown(runbook_page(&frame, text))
}
