//! A verdict explained, from the records that it takes: for the API and the
//! page.

use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::Answer;
use crate::routes::documents::state;
use gate::explain::{Explanation, Material, explain};
use gate::{Approval, Directive, VerdictRecord};

/// Explains the verdict with this id under the rules in force.
///
/// # Errors
/// `not_found`, also when it is another tenant's; `unavailable` when the
/// tenant has no pack.
pub(crate) async fn explanation(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Answer<(VerdictRecord, Explanation)> {
    let (_, record) = state::<VerdictRecord>(app, caller, id).await?;
    let directive = record.given.question.directive.to_string();
    let (_, directive) = state::<Directive>(app, caller, &directive).await?;
    let approval = match directive.approval {
        Some(id) => Some(state::<Approval>(app, caller, &id.to_string()).await?.1),
        None => None,
    };
    let in_force = app.control().in_force(caller.tenant())?;
    let explanation = explain(&Material {
        record: &record,
        directive: &directive,
        approval: approval.as_ref(),
        rules: &in_force.pack.rules,
    });
    Ok((record, explanation))
}
