//! The pages for people: rendered here, useful without scripts, kept current
//! by a little script of our own. What they look like stands in `view`, what
//! they show is read in `load`, what they change goes through `forms`.

pub mod view;

mod assets;
mod fault;
mod forms;
mod load;
mod visit;

use crate::app::App;
use crate::lanes::Lane;
use crate::routes::{self, Gives, Guard, Parameter, Route};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use gate::access::Permission;

/// What has just been done; see [`view::Flash`].
const DONE: Parameter = Parameter {
    name: "done",
    about: "what has just been done, for a line above the page",
};

/// The parameters of listings.
const LISTING: [Parameter; 2] = [
    Parameter {
        name: "status",
        about: "only in this status",
    },
    Parameter {
        name: "cursor",
        about: "from the link to the next page",
    },
];

/// The subject that a listing is filtered by.
const SUBJECT: [Parameter; 1] = [Parameter {
    name: "subject",
    about: "only about this subject",
}];

/// The parameters of the ledger's page; empty ones do not filter.
const ENTRIES: [Parameter; 8] = [
    Parameter {
        name: "category",
        about: "only of this category",
    },
    Parameter {
        name: "kind",
        about: "only of this kind",
    },
    Parameter {
        name: "subject",
        about: "only about this subject",
    },
    Parameter {
        name: "directive",
        about: "only of this directive",
    },
    Parameter {
        name: "actor",
        about: "only by this actor",
    },
    Parameter {
        name: "trace",
        about: "only of this trace",
    },
    Parameter {
        name: "stream",
        about: "only of this stream",
    },
    Parameter {
        name: "cursor",
        about: "from the link to the next page",
    },
];

/// The parameters of the page about two versions.
const VERSIONS: [Parameter; 2] = [
    Parameter {
        name: "from",
        about: "the version that is compared",
    },
    Parameter {
        name: "to",
        about: "the version that it is compared with",
    },
];

/// The parameters of the login page.
const LOGIN: [Parameter; 2] = [
    Parameter {
        name: "refused",
        about: "whether a token was refused",
    },
    Parameter {
        name: "next",
        about: "where to go afterwards",
    },
];

fn page<H, T>(path: &'static str, guard: Guard, summary: &'static str, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    let parameters: &[Parameter] = &[DONE];
    Route::get(path, guard, summary, handler)
        .gives(Gives::Html)
        .parameters(parameters)
}

fn form<H, T>(path: &'static str, guard: Guard, summary: &'static str, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route::post(path, guard, summary, handler)
        .gives(Gives::Html)
        .form()
}

/// Every row of the pages; see [`crate::routes::table`].
#[must_use]
pub fn rows() -> Vec<Route> {
    let mut rows = assets::rows();
    rows.extend(reading());
    rows.extend(deciding());
    rows
}

fn reading() -> Vec<Route> {
    let own = Guard::Own;
    let ledger = own(Permission::LedgerRead);
    let prove = own(Permission::LedgerVerify);
    vec![
        Route::get("/login", Guard::Open, "the login page", load::login)
            .gives(Gives::Html)
            .parameters(&LOGIN),
        page(
            "/",
            Guard::SignedIn,
            "what waits and what goes on",
            load::overview,
        ),
        page(
            "/incidents",
            own(Permission::IncidentRead),
            "incidents",
            load::incidents,
        )
        .parameters(&LISTING),
        page(
            "/incidents/{id}",
            own(Permission::IncidentRead),
            "one incident",
            load::incident,
        ),
        page(
            "/candidates",
            own(Permission::SignalRead),
            "candidates",
            load::candidates,
        )
        .parameters(&LISTING),
        page(
            "/signals",
            own(Permission::SignalRead),
            "signals",
            load::signals,
        )
        .parameters(&LISTING),
        page(
            "/directives",
            own(Permission::DirectiveRead),
            "directives",
            load::directives,
        )
        .parameters(&LISTING),
        page(
            "/directives/{id}",
            own(Permission::DirectiveRead),
            "one directive",
            load::directive,
        )
        .lane(Lane::Urgent),
        page(
            "/directives/{id}/diff",
            own(Permission::DirectiveRead),
            "what two versions of a contract differ in",
            load::difference,
        )
        .parameters(&VERSIONS),
        page(
            "/directives/{id}/edit",
            own(Permission::DirectivePropose),
            "edit a contract",
            forms::edit::form,
        ),
        page(
            "/approvals",
            own(Permission::ApprovalRead),
            "what waits for a person",
            load::approvals,
        )
        .parameters(&LISTING)
        .parameters(&SUBJECT)
        .parameters(&crate::inbox::FILTERS)
        .lane(Lane::Urgent),
        page(
            "/approvals/bulk",
            own(Permission::ApprovalDecide),
            "what may be decided on together",
            load::bulk,
        )
        .lane(Lane::Urgent),
        page(
            "/delegations",
            own(Permission::ApprovalRead),
            "who decides in whose place",
            load::delegations,
        ),
        page(
            "/signing-keys",
            own(Permission::ApprovalRead),
            "what people sign their decisions with",
            load::signing_keys,
        ),
        page("/runs", own(Permission::RunRead), "runs", load::runs).parameters(&LISTING),
        page("/runs/{id}", own(Permission::RunRead), "one run", load::run),
        page(
            "/budgets",
            own(Permission::BudgetRead),
            "budgets",
            load::budgets,
        ),
        page(
            "/kill",
            own(Permission::KillRead),
            "the kill switch",
            load::kill,
        )
        .lane(Lane::Urgent),
        page(
            "/verdicts/{id}",
            own(Permission::DirectiveRead),
            "a verdict explained",
            load::verdict,
        )
        .lane(Lane::Urgent),
        page(
            "/runbooks/{name}",
            Guard::SignedIn,
            "a runbook",
            load::runbook,
        )
        .lane(Lane::Urgent),
        page(
            "/policies",
            own(Permission::PackRead),
            "what is enforced, and what the shadow would have said",
            load::policies_in_force,
        ),
        page(
            "/history",
            own(Permission::DirectiveRead),
            "what policies may ask of the past, and what it tells",
            load::history,
        )
        .parameters(&routes::facts::FOR_WHOM),
        page(
            "/autonomy",
            own(Permission::DirectiveRead),
            "how far each type of directive has come",
            load::autonomy,
        ),
        page("/ledger", ledger, "entries", load::ledger).parameters(&ENTRIES),
        page("/ledger/verify", prove, "verify the ledger", load::verify).lane(Lane::Slow),
        page("/ledger/replay", prove, "replay the ledger", load::replay).lane(Lane::Slow),
        page("/ledger/{id}", ledger, "one entry", load::entry),
        page("/why/{id}", ledger, "what led to a thing", load::why),
        page(
            "/evidence/{id}",
            own(Permission::EvidenceRead),
            "a record of evidence",
            load::evidence,
        ),
        page(
            "/snapshots/{id}",
            own(Permission::SnapshotRead),
            "a snapshot",
            load::snapshot,
        ),
        page(
            "/packs",
            own(Permission::PackRead),
            "the pack in force",
            load::packs,
        ),
        page(
            "/principals",
            own(Permission::PrincipalRead),
            "principals",
            load::principals,
        ),
    ]
}

fn deciding() -> Vec<Route> {
    let own = Guard::Own;
    let decide = own(Permission::ApprovalDecide);
    let propose = own(Permission::DirectivePropose);
    let control = own(Permission::DirectiveControl);
    vec![
        form("/login", Guard::Open, "sign in", crate::auth::login),
        form("/logout", Guard::SignedIn, "sign out", crate::auth::logout),
        form("/theme", Guard::SignedIn, "dark or light", forms::theme),
        form(
            "/directives/{id}/approve",
            decide,
            "approve a directive",
            forms::approve,
        )
        .lane(Lane::Urgent),
        form(
            "/directives/{id}/reject",
            decide,
            "reject a directive",
            forms::reject,
        )
        .lane(Lane::Urgent),
        form(
            "/approvals/bulk",
            decide,
            "decide on several requests, each on its own",
            load::decide_in_bulk,
        )
        .lane(Lane::Urgent),
        form(
            "/delegations",
            decide,
            "let another person decide",
            forms::delegations::grant,
        ),
        form(
            "/delegations/{id}/revoke",
            decide,
            "take a delegation back",
            forms::delegations::revoke,
        ),
        form(
            "/signing-keys/{id}/confirm",
            own(Permission::SigningKeyManage),
            "confirm whose a signing key is",
            forms::signing_keys::confirm,
        ),
        form(
            "/signing-keys/{id}/revoke",
            own(Permission::SigningKeyRegister),
            "take a signing key back",
            forms::signing_keys::revoke,
        ),
        form(
            "/directives/{id}/retry",
            control,
            "ask the gate again",
            forms::retry,
        ),
        form(
            "/directives/{id}/edit",
            propose,
            "show what an edit changes",
            forms::edit::compare,
        ),
        form(
            "/directives/{id}/edit/confirm",
            propose,
            "replace a contract",
            forms::edit::confirm,
        ),
        form("/runs/{id}/pause", control, "pause a run", forms::pause).lane(Lane::Urgent),
        form("/runs/{id}/resume", control, "resume a run", forms::resume),
        form("/runs/{id}/abort", control, "abort a run", forms::abort).lane(Lane::Urgent),
        form(
            "/runs/{id}/steps/{step}/resolve",
            control,
            "say what came of a step whose result is unknown",
            forms::resolve,
        ),
        form(
            "/incidents/{id}/{move}",
            own(Permission::IncidentManage),
            "move an incident",
            forms::incident,
        ),
        form(
            "/kill/engage",
            own(Permission::KillEngage),
            "engage the kill switch",
            forms::engage,
        )
        .lane(Lane::Urgent),
        form(
            "/kill/drill",
            own(Permission::KillEngage),
            "try the kill switch",
            forms::drill,
        ),
        form(
            "/kill/request-release",
            own(Permission::KillRelease),
            "ask for the release of the kill switch",
            forms::request_release,
        ),
        form(
            "/kill/confirm-release",
            own(Permission::KillRelease),
            "release the kill switch",
            forms::confirm_release,
        ),
        form(
            "/policies/promote",
            own(Permission::PackLoad),
            "enforce the set of policies that is in shadow",
            forms::promote,
        ),
        form(
            "/policies/withdraw",
            own(Permission::PackLoad),
            "ask a set of policies no more",
            forms::withdraw_set,
        ),
        form(
            "/autonomy/grant",
            own(Permission::AutonomyGrant),
            "sign a type of directive off",
            forms::grant,
        ),
        form(
            "/autonomy/withdraw",
            own(Permission::AutonomyWithdraw),
            "take a sign-off back",
            forms::withdraw,
        ),
    ]
}

/// The pages, mounted at `/`.
pub fn router(app: &App) -> Router<App> {
    routes::mount(app, rows())
        .fallback(fault::nowhere)
        .layer(from_fn_with_state(app.clone(), fault::layer))
}
