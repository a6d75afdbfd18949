//! Data residency: whether everything that can be reached is attested, and how
//! calls and money were spread over regions.

use super::table::{Guard, Parameter, Route};
use crate::app::App;
use crate::auth::Caller;
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::query::Query;
use axum::Json;
use axum::extract::State;
use flow::residency::{DAYS_MAX, Report};
use gate::access::Permission;
use kernel::{Span, Timestamp};

/// How far the counting of calls goes back when nobody says.
const DAYS_DEFAULT: u32 = 30;
const DAYS: Parameter = Parameter {
    name: "days",
    about: "calls of how many days are counted, 1 to 92; 30 when it is not given",
};

pub(super) fn rows() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/residency",
            Guard::Own(Permission::PackRead),
            "where data may be and where it went",
            report,
        )
        .parameters(&[DAYS]),
    ]
}

/// The instant since when calls are counted.
pub(crate) fn since(now: Timestamp, days: u32) -> Timestamp {
    now.minus(Span::from_secs(days.saturating_mul(86_400)))
}

/// The same when nobody says.
pub(crate) fn since_default(now: Timestamp) -> Timestamp {
    since(now, DAYS_DEFAULT)
}

async fn report(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Report>> {
    let days = query.number("days")?.unwrap_or(u64::from(DAYS_DEFAULT));
    let days = u32::try_from(days).ok();
    let days = days.filter(|days| (1..=DAYS_MAX).contains(days));
    let days = days.ok_or_else(|| {
        let said = format!("`days` is a number from 1 to {DAYS_MAX}");
        Problem::new(Kind::Invalid, said)
    })?;
    let since = since(app.control().now(), days);
    Ok(Json(app.control().residency(caller.tenant(), since).await?))
}
