//! Two versions of a directive's contract.

use super::common::Names;
use crate::http::Place;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::difference::{ChangeRow, DifferenceView, VersionRow, difference_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use kernel::DirectiveId;

pub(crate) async fn difference(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let directive: DirectiveId = id.parse()?;
    let (control, tenant) = (visit.app.control(), visit.caller.tenant());
    let asked = (visit.query.version("from")?, visit.query.version("to")?);
    let versions = control.versions(tenant, directive).await?;
    let found = control.difference(tenant, directive, asked).await?;
    let names = Names::of(&visit).await?;
    let written = |value: Option<serde_json::Value>| value.map(|v| v.to_string());
    let view = DifferenceView {
        directive: id,
        from: found.from.revision,
        to: found.to.revision,
        versions: versions
            .iter()
            .map(|version| VersionRow {
                revision: version.revision,
                digest: version.digest.to_string(),
                by: names.who(&version.by),
                at: version.at,
            })
            .collect(),
        changes: found
            .changes
            .into_iter()
            .map(|change| ChangeRow {
                path: change.path,
                before: written(change.before),
                after: written(change.after),
            })
            .collect(),
    };
    let frame = visit.frame(Section::Directives).await?;
    shown(difference_page(&frame, &view))
}
