//! What pages change: plain forms that work without scripts. Each carries the
//! session's token, runs one command, and leads back to a page that can be
//! loaded again.

mod autonomy;
pub(super) mod delegations;
pub(super) mod edit;
mod kill;
mod policies;
pub(super) mod signing_keys;

pub(super) use autonomy::{grant, withdraw};
pub(super) use kill::{confirm_release, drill, engage, request_release};
pub(super) use policies::{promote, withdraw_set};

use super::view::{Flash, Theme, text};
use super::visit::{THEME_COOKIE, away};
use crate::app::{App, Cookies};
use crate::auth::{Caller, SafeForm};
use crate::gated::Gated;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::{Place, Trace};
use act::run::{Phase, Resolution};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use gate::approval::Signed;
use gate::operations::{self, Approve, Decided, Reject};
use gate::{Approval, Directive};
use kernel::{Actor, ApprovalId, Digest, DirectiveId, Refusal, RunId, Unit};
use serde::Deserialize;

/// A decision on what was seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// The request that was on the page, which is bound to one verdict.
    pub(crate) approval: ApprovalId,
    /// The digest that was on the page.
    pub(crate) seen: Digest,
    /// Why.
    #[serde(default)]
    pub(crate) reason: String,
    /// The statement with its signature in JSON, where a passkey signed it.
    #[serde(default)]
    pub(crate) signed: String,
    /// In whose place; empty for one's own.
    #[serde(default)]
    pub(crate) on_behalf_of: String,
}

impl Decision {
    /// In whose place, where it is another's.
    fn on_behalf_of(&self) -> Result<Option<Actor>, Refusal> {
        let given = (!self.on_behalf_of.is_empty()).then_some(&self.on_behalf_of);
        given.map(|text| text.parse()).transpose()
    }

    /// What was signed, where something was.
    fn signed(&self) -> Result<Option<Signed>, Refusal> {
        if self.signed.is_empty() {
            return Ok(None);
        }
        let found = kernel::json::parse_as(self.signed.as_bytes());
        let wrong = |e| Refusal::invalid(format!("what was signed: {e}"));
        found.map(Some).map_err(wrong)
    }
}

/// A reason alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    #[serde(default)]
    reason: String,
}

/// No field at all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The page of this thing, saying what was done.
pub(super) fn back(kind: &str, id: &str, done: Flash) -> Answer<Response> {
    away(&format!("/{kind}/{}?done={done}", text::segment(id)))
}

/// A reason, where one was written.
pub(super) fn written(reason: &str) -> Option<String> {
    let reason = reason.trim();
    (!reason.is_empty()).then(|| reason.to_owned())
}

/// The approval that a directive waits for.
pub(super) fn awaited(unit: &mut Unit<'_>, id: DirectiveId) -> Result<ApprovalId, Refusal> {
    let directive = unit.get::<Directive>(id)?;
    directive.approval.ok_or_else(|| {
        Refusal::conflict(format!("`{id}` waits for no approval"))
            .hint("load its page again and see where it stands")
    })
}

/// Refuses a request that is about another directive than the page.
fn about(unit: &mut Unit<'_>, id: ApprovalId, directive: DirectiveId) -> Result<(), Refusal> {
    let approval = unit.get::<Approval>(id)?;
    match approval.request.binding.directive == directive {
        true => Ok(()),
        false => Err(Refusal::invalid(format!(
            "`{id}` is not about `{directive}`"
        ))),
    }
}

pub(crate) async fn approve(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Decision>,
) -> Answer<Response> {
    let directive: DirectiveId = id.parse()?;
    let gate = Gated::of(&app, &form.caller).await?;
    let signed = form.fields.signed()?;
    let on_behalf_of = form.fields.on_behalf_of()?;
    let Decision {
        approval,
        seen,
        reason,
        ..
    } = form.fields;
    let reason = written(&reason);
    let done = app
        .ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            gate.still(unit)?;
            let env = gate.env();
            about(unit, approval, directive)?;
            let asked = Approve {
                reason: reason.clone(),
                signed: signed.clone(),
                on_behalf_of: on_behalf_of.clone(),
                ..Approve::to(approval, seen)
            };
            operations::approve(unit, &env, &asked)
        })
        .await?;
    back("directives", &id, flash(&done.answer))
}

/// What a yes led to.
pub(super) fn flash(decided: &Decided) -> Flash {
    match decided {
        Decided::Approved => Flash::Approved,
        Decided::More { .. } => Flash::Endorsed,
        Decided::Voided { .. } => Flash::Stopped,
    }
}

pub(crate) async fn reject(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Decision>,
) -> Answer<Response> {
    let directive: DirectiveId = id.parse()?;
    let on_behalf_of = form.fields.on_behalf_of()?;
    let Decision {
        approval,
        seen,
        reason,
        ..
    } = form.fields;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            about(unit, approval, directive)?;
            let no = Reject {
                on_behalf_of: on_behalf_of.clone(),
                ..Reject::of(approval, seen, reason.trim())
            };
            operations::reject(unit, &no)
        })
        .await?;
    back("directives", &id, Flash::Rejected)
}

pub(crate) async fn retry(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Nothing>,
) -> Answer<Response> {
    let directive: DirectiveId = id.parse()?;
    let gate = Gated::of(&app, &form.caller).await?;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            gate.still(unit)?;
            let env = gate.env();
            operations::retry(unit, &env, directive)
        })
        .await?;
    back("directives", &id, Flash::Retried)
}

/// Runs a command on a run and leads back to its page.
async fn on_run<R: Send + 'static>(
    app: &App,
    (caller, trace): (&Caller, Trace),
    id: &str,
    done: Flash,
    decide: impl Fn(&mut Unit<'_>, RunId) -> Result<R, Refusal> + Send + 'static,
) -> Answer<Response> {
    let run: RunId = id.parse()?;
    app.ledger()
        .run(app.ctx(caller, trace), move |unit| decide(unit, run))
        .await?;
    back("runs", id, done)
}

pub(crate) async fn pause(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Because>,
) -> Answer<Response> {
    let reason = form.fields.reason;
    on_run(
        &app,
        (&form.caller, trace),
        &id,
        Flash::Paused,
        move |unit, run| act::engine::pause(unit, run, reason.trim()),
    )
    .await
}

pub(crate) async fn resume(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Because>,
) -> Answer<Response> {
    let reason = form.fields.reason;
    on_run(
        &app,
        (&form.caller, trace),
        &id,
        Flash::Resumed,
        move |unit, run| act::engine::resume(unit, run, reason.trim()),
    )
    .await
}

pub(crate) async fn abort(
    State(app): State<App>,
    trace: Trace,
    Place(id): Place<String>,
    form: SafeForm<Because>,
) -> Answer<Response> {
    let reason = form.fields.reason;
    on_run(
        &app,
        (&form.caller, trace),
        &id,
        Flash::Aborted,
        move |unit, run| act::engine::abort(unit, run, reason.trim()),
    )
    .await
}

/// What a person found out about a step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Found {
    phase: Phase,
    outcome: Resolution,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn resolve(
    State(app): State<App>,
    trace: Trace,
    Place((id, step)): Place<(String, String)>,
    form: SafeForm<Found>,
) -> Answer<Response> {
    let modules = app.control().modules().clone();
    let found = form.fields;
    on_run(
        &app,
        (&form.caller, trace),
        &id,
        Flash::Decided,
        move |unit, run| {
            let reason = found.reason.trim();
            act::engine::resolve_unknown(
                unit,
                &modules,
                run,
                found.phase,
                &step,
                found.outcome,
                reason,
            )
        },
    )
    .await
}

pub(crate) async fn incident(
    State(app): State<App>,
    trace: Trace,
    Place((id, word)): Place<(String, String)>,
    form: SafeForm<Because>,
) -> Answer<Response> {
    use sense::incident::{acknowledge, close, resolve};
    let operation = match word.as_str() {
        "acknowledge" => acknowledge,
        "resolve" => resolve,
        "close" => close,
        other => {
            let detail = format!("`{}` is no move of an incident", other.escape_debug());
            return Err(Problem::new(Kind::NotFound, detail)
                .hint("the moves are: acknowledge, resolve, close"));
        }
    };
    let incident = id.parse()?;
    let note = form.fields.reason;
    app.ledger()
        .run(app.ctx(&form.caller, trace), move |unit| {
            operation(unit, incident, note.trim()).map(|_| ())
        })
        .await?;
    back("incidents", &id, Flash::Moved)
}

/// Dark or light, and the page to come back to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Appearance {
    theme: Theme,
    back: String,
}

pub(crate) async fn theme(State(app): State<App>, form: SafeForm<Appearance>) -> Answer<Response> {
    let Appearance { theme, back } = form.fields;
    let plain = back.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = plain && back.starts_with('/') && !back.starts_with("//");
    let mut response = away(if local { &back } else { "/" })?;
    let secure = match app.settings().cookies {
        Cookies::Secure => "; Secure",
        Cookies::Plain => "",
    };
    let cookie = format!(
        "{THEME_COOKIE}={theme}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000{secure}"
    );
    let cookie = HeaderValue::from_str(&cookie)
        .map_err(|_| Problem::new(Kind::Internal, "the cookie cannot be written"))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}
