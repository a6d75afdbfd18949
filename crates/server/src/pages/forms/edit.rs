//! Editing a contract: the text, what it changes, and then the command.

use super::{awaited, back, flash, written};
use crate::app::App;
use crate::auth::SafeForm;
use crate::gated::Gated;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Place, Trace};
use crate::pages::view::edit::{ConfirmView, EditView, confirm_page, edit_page};
use crate::pages::view::{Flash, Section};
use crate::pages::visit::{Visit, html, shown};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gate::access::Permission;
use gate::operations::{self, EditAndApprove, Proposed};
use gate::{Contract, Directive};
use kernel::{Digest, DirectiveId, Refusal};
use serde::Deserialize;

/// A contract as a person wrote it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    seen: Digest,
    contract: String,
}

kernel::names! {
    /// What is to be done with the new contract.
    pub(crate) enum Then {
        /// Put it to the gate.
        Propose = "propose",
        /// Put it to the gate and agree to it.
        Approve = "approve",
    }
}

/// A contract that was compared with the one in force.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    seen: Digest,
    contract: String,
    then: Then,
    #[serde(default)]
    reason: String,
}

fn indented(contract: &Contract) -> Answer<String> {
    serde_json::to_string_pretty(contract)
        .map_err(|e| Problem::new(Kind::Internal, format!("the contract: {e}")))
}

fn parsed(text: &str) -> Result<Contract, Refusal> {
    let value = kernel::json::parse(text.as_bytes())?;
    let contract: Contract = serde_json::from_value(value)
        .map_err(|e| Refusal::invalid(format!("the contract: {e}")))?;
    contract.check()?;
    Ok(contract)
}

/// The contract and the fields in which it differs from the one in force.
fn compared(directive: &Directive, written: &Written) -> Result<(Contract, Vec<String>), Refusal> {
    if directive.digest != written.seen {
        return Err(Refusal::conflict("the directive changed while you wrote")
            .hint("keep your text, load its page again and edit what stands there now"));
    }
    let contract = parsed(&written.contract)?;
    let changed = contract.changed_from(&directive.contract)?;
    if changed.is_empty() {
        return Err(Refusal::invalid("nothing is changed"));
    }
    Ok((contract, changed))
}

pub(crate) async fn form(visit: Visit, Place(id): Place<String>) -> Answer<Response> {
    let directive = visit.get::<Directive>(&id).await?;
    if !directive.is_editable() {
        let status = directive.status;
        let detail = format!("a directive in status `{status}` cannot be edited");
        return Err(Problem::new(Kind::IllegalMove, detail)
            .hint("what was agreed to is what is done; propose another one"));
    }
    let view = EditView {
        directive: id,
        seen: directive.digest.to_string(),
        contract: indented(&directive.contract)?,
        fault: None,
    };
    let frame = visit.frame(Section::Directives).await?;
    shown(edit_page(&frame, &view))
}

pub(crate) async fn compare(
    visit: Visit,
    Place(id): Place<String>,
    form: SafeForm<Written>,
) -> Answer<Response> {
    let directive = visit.get::<Directive>(&id).await?;
    let frame = visit.frame(Section::Directives).await?;
    match compared(&directive, &form.fields) {
        Ok((contract, changed)) => {
            let view = ConfirmView {
                directive: id,
                seen: directive.digest.to_string(),
                before: indented(&directive.contract)?,
                after: indented(&contract)?,
                changed,
                may_approve: directive.approval.is_some() && visit.may(Permission::ApprovalDecide),
            };
            shown(confirm_page(&frame, &view))
        }
        Err(refusal) => {
            // The text is kept, so that nothing a person wrote is lost.
            let view = EditView {
                directive: id,
                seen: form.fields.seen.to_string(),
                contract: form.fields.contract,
                fault: Some(refusal.to_string()),
            };
            let status = Problem::from(refusal).status();
            let status = match status.is_client_error() {
                true => status,
                false => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Ok(html(status, edit_page(&frame, &view)))
        }
    }
}

pub(crate) async fn confirm(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Confirmed>,
) -> Answer<Response> {
    let directive: DirectiveId = id.parse()?;
    let Confirmed {
        seen,
        contract,
        then,
        reason,
    } = form.fields;
    let contract = parsed(&contract)?;
    let gate = Gated::of(&app, &form.caller).await?;
    if then == Then::Approve && !form.caller.may(&app, Permission::ApprovalDecide) {
        return Err(form.caller.refusal(Permission::ApprovalDecide));
    }
    let done = app
        .ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            gate.still(unit)?;
            let env = gate.env();
            let contract = contract.clone();
            match then {
                Then::Propose => {
                    let found = unit.get::<Directive>(directive)?;
                    if found.digest != seen {
                        return Err(Refusal::conflict("the directive changed while you wrote")
                            .hint("load its page again and edit what stands there now"));
                    }
                    operations::edit(unit, &env, directive, contract).map(|_| Flash::Edited)
                }
                Then::Approve => {
                    let approval = awaited(unit, directive)?;
                    let reason = written(&reason);
                    let asked = EditAndApprove {
                        approval,
                        seen,
                        contract,
                        reason,
                    };
                    let edited = operations::edit_and_approve(unit, &env, asked)?;
                    Ok(match (&edited.decided, &edited.proposed) {
                        (Some(decided), _) => match flash(decided) {
                            Flash::Approved => Flash::EditedApproved,
                            other => other,
                        },
                        (None, Proposed::Blocked { .. }) => Flash::Stopped,
                        (None, Proposed::Approved { .. }) => Flash::EditedApproved,
                        (None, Proposed::Waiting { .. }) => Flash::Edited,
                    })
                }
            }
        })
        .await?;
    back("directives", &id, done.answer)
}
