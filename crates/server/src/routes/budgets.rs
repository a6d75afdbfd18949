//! Budgets: what they allow, how their counters stand, and reservations, among
//! them those of callers outside of writ.

use super::documents::{FILTERS, PAGING, readable};
use super::table::{Gives, Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::query::Query;
use crate::http::{Command, Place};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flow::budgets;
use gate::access::Permission;
use gate::budget::{self, Call, Model, Outcome, Reservation};
use gate::contract::CostClass;
use kernel::{DirectiveId, Money, Refusal, ReservationId, Span, Subject, Unit, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) fn rows() -> Vec<Route> {
    let budget = Guard::Own(Permission::BudgetRead);
    let spend = Guard::Own(Permission::BudgetSpend);
    let listed = |row: Route| {
        row.parameters(&PAGING)
            .parameters(&FILTERS)
            .gives(Gives::Page)
    };
    vec![
        Route::get(
            "/v1/budgets",
            budget,
            "the budgets of the pack in force",
            book,
        ),
        Route::get(
            "/v1/budgets/forecast",
            budget,
            "when each budget will be used up if it is spent from as it was lately",
            forecast,
        ),
        Route::get(
            "/v1/budgets/variance",
            budget,
            "what each day cost beside what was meant to be spent",
            variance,
        )
        .parameters(&[DAYS]),
        listed(Route::get(
            "/v1/budget-counters",
            budget,
            "what is consumed and reserved",
            counters::list,
        )),
        Route::get(
            "/v1/budget-counters/{*id}",
            budget,
            "one counter",
            counters::get,
        )
        .gives(Gives::Resource),
        listed(Route::get(
            "/v1/reservations",
            budget,
            "reservations",
            reservations::list,
        )),
        Route::get(
            "/v1/reservations/{id}",
            budget,
            "one reservation",
            reservations::get,
        )
        .gives(Gives::Resource),
        Route::post(
            "/v1/reservations",
            spend,
            "set aside what a call outside of writ may cost",
            reserve,
        )
        .unversioned()
        .seeks()
        .body::<NewReservation>()
        .creates(),
        Route::post(
            "/v1/reservations/{id}/settle",
            spend,
            "say what the call cost; without a cost it counts as set aside",
            settle,
        )
        .body::<Settle>(),
        Route::post(
            "/v1/reservations/{id}/release",
            spend,
            "give back what was set aside: the call was not made",
            release,
        )
        .body::<Release>(),
        Route::post(
            "/v1/reservations/{id}/extend",
            spend,
            "hold it for longer",
            extend,
        )
        .body::<Extend>(),
    ]
}

/// How far a report of variance goes back when nobody says.
const DAYS_DEFAULT: u64 = 30;
const DAYS: Parameter = Parameter {
    name: "days",
    about: "how many days, today the last of them, 1 to 92; 30 when it is not given",
};

mod counters {
    super::readable!("budget");
}
mod reservations {
    super::readable!("reservation");
}

async fn book(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    Ok(Json(json!({"items": in_force.pack.rules.budgets})))
}

async fn forecast(State(app): State<App>, caller: Caller) -> Answer<Json<Value>> {
    let in_force = app.control().in_force(caller.tenant())?;
    let (store, now) = (app.ledger().store(), app.control().now());
    let book = &in_force.pack.rules.budgets;
    let items = budgets::outlook(store, caller.tenant(), book, now).await?;
    Ok(Json(json!({"at": now, "items": items})))
}

async fn variance(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Value>> {
    let days = query.number("days")?.unwrap_or(DAYS_DEFAULT);
    let days = u32::try_from(days).ok();
    let days = days.filter(|days| (1..=budgets::DAYS_MAX).contains(days));
    let days = days.ok_or_else(|| {
        let said = format!("`days` is a number from 1 to {}", budgets::DAYS_MAX);
        Problem::new(Kind::Invalid, said)
    })?;
    let in_force = app.control().in_force(caller.tenant())?;
    let (store, now) = (app.ledger().store(), app.control().now());
    let book = &in_force.pack.rules.budgets;
    let items = budgets::variance(store, caller.tenant(), book, now, days).await?;
    Ok(Json(json!({"at": now, "items": items})))
}

/// A call that is to be paid for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReservation {
    /// The most that it can cost, `1.50 EUR`.
    #[schema(value_type = String)]
    amount: Money,
    /// The most tokens that it can take.
    #[serde(default)]
    tokens: u64,
    /// `CHEAP`, `MEDIUM` or `EXPENSIVE`.
    #[schema(value_type = String)]
    cost_class: CostClass,
    /// The tool that is called.
    tool: String,
    /// The model that is called, where one is.
    #[serde(default)]
    model: Option<ModelName>,
    /// The directive, where it is for one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    directive: Option<DirectiveId>,
    /// The subject, `type/id`, where there is one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    subject: Option<Subject>,
    /// For how long it is held, `2m`, an hour at most; afterwards it counts as
    /// spent.
    #[schema(value_type = String)]
    lease: Span,
    /// Why it is worth it; EXPENSIVE calls need it.
    #[serde(default)]
    justification: Option<String>,
}

/// A model of a provider.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ModelName {
    /// Who provides it.
    provider: String,
    /// Its name there.
    name: String,
}

impl NewReservation {
    fn call(&self) -> Call {
        let model = self.model.clone();
        Call {
            amount: self.amount,
            tokens: self.tokens,
            cost_class: self.cost_class,
            directive: self.directive,
            subject: self.subject.clone(),
            tool: self.tool.clone(),
            model: model.map(|ModelName { provider, name }| Model { provider, name }),
            lease: self.lease,
            justification: self.justification.clone(),
        }
    }
}

/// What a call cost.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Settle {
    /// How much, `0.75 EUR`; unknown when it is absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    cost: Option<Money>,
    /// How many tokens; unknown when it is absent.
    #[serde(default)]
    tokens: Option<u64>,
}

/// Nothing.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Release {}

/// For how much longer.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Extend {
    /// From now on, `2m`, an hour at most.
    #[schema(value_type = String)]
    lease: Span,
}

/// A BLOCK is on the ledger, and an error all the same: nobody may overlook it.
async fn reserve(State(app): State<App>, command: Command<NewReservation>) -> Answer<Response> {
    let tenant = command.caller.tenant();
    let in_force = app.control().in_force(tenant)?;
    if let Some(stopped) = app.control().everywhere(tenant).await? {
        return Err(Refusal::blocked(stopped.to_string()).into());
    }
    let done = command
        .run(&app, move |unit, body| {
            flow::force::still(unit, &in_force)?;
            let (id, rules) = (unit.ctx().next_id(), &in_force.pack.rules);
            let register = rules.residency.as_ref();
            let outcome = budget::reserve_call(unit, &rules.budgets, register, id, body.call())?;
            Ok((id, outcome))
        })
        .await?;
    let (id, outcome): (ReservationId, Outcome) = done.answer;
    if outcome.verdict == Verdict::Block {
        let hint = format!("`writ show {id}` says how each budget stands");
        return Err(Problem::new(Kind::Blocked, outcome.reason).hint(hint));
    }
    let answer = json!({
        "reservation": id,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "budgets": outcome.findings,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Changes one reservation and answers where it stands then.
async fn on<T: Send + Sync + 'static>(
    app: &App,
    id: &str,
    command: Command<T>,
    work: fn(&mut Unit<'_>, ReservationId, &T) -> Result<Arc<Reservation>, Refusal>,
) -> Answer<Response> {
    let id: ReservationId = id.parse()?;
    let command = command.on::<Reservation>(id);
    let done = command.run(app, move |unit, body| {
        let found = work(unit, id, body)?;
        Ok(json!({
            "reservation": id,
            "status": found.status,
            "until": found.until,
            "charge": found.charge,
        }))
    });
    Ok(done.await?.into_response())
}

async fn settle(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Settle>,
) -> Answer<Response> {
    on(&app, &id, command, |unit, id, body| {
        budget::settle_call(unit, id, body.cost, body.tokens)
    })
    .await
}

async fn release(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Release>,
) -> Answer<Response> {
    on(&app, &id, command, |unit, id, _| {
        budget::release_call(unit, id)
    })
    .await
}

async fn extend(
    State(app): State<App>,
    Place(id): Place<String>,
    command: Command<Extend>,
) -> Answer<Response> {
    on(&app, &id, command, |unit, id, body| {
        budget::extend(unit, id, body.lease)
    })
    .await
}
