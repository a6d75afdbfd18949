//! Listing and showing.

use super::{Json, escaped, items, print, query};
use crate::cli::{List, Noun};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Value, json};

/// Where a noun is listed, and what of it is shown.
fn listing(noun: Noun) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match noun {
        Noun::Incidents => (
            "incidents",
            &[
                ("id", "id"),
                ("status", "status"),
                ("severity", "state.severity"),
                ("subject", "subject"),
                ("title", "state.title"),
            ],
        ),
        Noun::Candidates => (
            "candidates",
            &[
                ("id", "id"),
                ("status", "status"),
                ("subject", "subject"),
                ("confidence", "state.provisional.confidence"),
            ],
        ),
        Noun::Detections => (
            "detections",
            &[
                ("id", "id"),
                ("rule", "state.rule"),
                ("subject", "subject"),
                ("severity", "state.severity"),
            ],
        ),
        Noun::Signals => (
            "signals",
            &[
                ("id", "id"),
                ("type", "state.type"),
                ("subject", "subject"),
                ("severity", "state.severity"),
                ("observed", "state.observed_at"),
            ],
        ),
        Noun::DeadLetters => (
            "dead-letters",
            &[
                ("id", "id"),
                ("status", "status"),
                ("reason", "state.reason"),
            ],
        ),
        Noun::Directives => (
            "directives",
            &[
                ("id", "id"),
                ("status", "status"),
                ("type", "state.contract.type"),
                ("subject", "subject"),
                ("objective", "state.contract.objective"),
            ],
        ),
        Noun::Approvals => (
            "approvals",
            &[
                ("id", "id"),
                ("status", "status"),
                ("directive", "directive"),
                ("expires", "state.request.expires_at"),
            ],
        ),
        Noun::SigningKeys => (
            "signing-keys",
            &[
                ("id", "id"),
                ("status", "status"),
                ("whose", "state.owner"),
                ("name", "state.registered.name"),
            ],
        ),
        Noun::Delegations => (
            "delegations",
            &[
                ("whose", "id"),
                ("status", "status"),
                ("given", "state.given"),
            ],
        ),
        Noun::Runs => (
            "runs",
            &[
                ("id", "id"),
                ("status", "status"),
                ("directive", "directive"),
            ],
        ),
        Noun::Budgets => (
            "budget-counters",
            &[
                ("budget", "id"),
                ("consumed", "state.consumed"),
                ("reserved", "state.reserved"),
                ("hard cap", "state.terms.hard"),
            ],
        ),
        Noun::Principals => (
            "principals",
            &[
                ("id", "id"),
                ("status", "status"),
                ("kind", "state.kind"),
                ("name", "state.name"),
                ("roles", "state.roles"),
            ],
        ),
        Noun::Keys => (
            "keys",
            &[
                ("id", "id"),
                ("status", "status"),
                ("principal", "state.principal"),
                ("name", "state.name"),
                ("expires", "state.expires_at"),
            ],
        ),
        Noun::Tenants => (
            "tenants",
            &[
                ("id", "id"),
                ("name", "state.name"),
                ("standing", "state.standing"),
            ],
        ),
    }
}

pub(crate) async fn list(client: &Client, output: Json, list: List) -> Result<(), Failure> {
    let (path, columns) = listing(list.noun);
    let parts = [
        ("status", list.status),
        ("subject", list.subject),
        ("limit", Some(list.limit.to_string())),
    ];
    let parts = [&parts[..], &list.approvals.parts()].concat();
    let answer = client.get(&format!("/v1/{path}{}", query(&parts))).await?;
    print(output, &answer, |a| {
        let mut shown = render::table(&items(a), columns);
        if a.get("next_cursor").is_some_and(|c| !c.is_null()) {
            shown.push_str("… more; use --limit\n");
        }
        shown
    });
    Ok(())
}

/// Where a thing with this id is found.
fn resource(id: &str) -> Option<&'static str> {
    const PLACES: [(&str, &str); 16] = [
        ("inc_", "incidents"),
        ("cnd_", "candidates"),
        ("det_", "detections"),
        ("sig_", "signals"),
        ("evd_", "evidence"),
        ("snp_", "snapshots"),
        ("dir_", "directives"),
        ("apr_", "approvals"),
        ("sgk_", "signing-keys"),
        ("run_", "runs"),
        ("vrd_", "verdicts"),
        ("rsv_", "reservations"),
        ("prn_", "principals"),
        ("key_", "keys"),
        ("ten_", "tenants"),
        ("ent_", "ledger/entries"),
    ];
    let found = PLACES.iter().find(|(prefix, _)| id.starts_with(prefix));
    found.map(|(_, place)| *place)
}

/// Kind and id of the stream that a person names, by an id or as `kind/id`.
fn stream(id: &str) -> Option<(String, String)> {
    if let Some((kind, id)) = id.split_once('/') {
        return Some((kind.to_owned(), id.to_owned()));
    }
    let stream = ledger::why::stream_of(id)?;
    Some((stream.kind().to_owned(), stream.id().to_owned()))
}

pub(crate) async fn show(
    client: &Client,
    output: Json,
    id: &str,
    as_of: Option<String>,
) -> Result<(), Failure> {
    let no_id = || {
        Failure::usage(format!("`{id}` is not an id"))
            .hint("ids begin with what they name, for example `inc_…`, `dir_…`, `run_…`")
    };
    if as_of.is_some() {
        let (kind, id) = stream(id).ok_or_else(no_id)?;
        let place = format!("/v1/ledger/streams/{}/{}", escaped(&kind), escaped(&id));
        let query = query(&[("as_of", as_of)]);
        let answer = client.get(&format!("{place}{query}")).await?;
        print(output, &answer, |answer| {
            let seq = render::text(answer, "as_of_seq");
            let resource = answer.get("resource").unwrap_or(&Value::Null);
            format!("as of position {seq}\n{}", render::thing(resource))
        });
        return Ok(());
    }
    let place = resource(id).ok_or_else(no_id)?;
    let answer = client.get(&format!("/v1/{place}/{}", escaped(id))).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// What a person on call wants to know first.
pub(crate) async fn status(client: &Client, output: Json) -> Result<(), Failure> {
    let waiting = client.get("/v1/approvals?status=pending").await?;
    let incidents = client.get("/v1/incidents?limit=200").await?;
    let open: Vec<Value> = items(&incidents)
        .into_iter()
        .filter(|i| !render::text(i, "status").eq_ignore_ascii_case("closed"))
        .collect();
    let runs = client.get("/v1/runs?status=running").await?;
    let kill = client.get("/v1/kill-switch").await?;
    let all = json!({
        "approvals": items(&waiting),
        "incidents": open,
        "runs": items(&runs),
        "kill_switch": kill,
    });
    print(output, &all, |all| {
        let section = |title: &str, name: &str, noun: Noun| {
            let rows = all.get(name).and_then(Value::as_array).cloned();
            let (_, columns) = listing(noun);
            format!(
                "{title}\n{}\n",
                render::table(&rows.unwrap_or_default(), columns)
            )
        };
        [
            section("waiting for a person", "approvals", Noun::Approvals),
            section("open incidents", "incidents", Noun::Incidents),
            section("running", "runs", Noun::Runs),
            format!("kill switch\n{}", render::thing(&kill)),
        ]
        .concat()
    });
    Ok(())
}

/// Subjects that several directives would change: who does, and who waits.
pub(crate) async fn conflicts(client: &Client, output: Json) -> Result<(), Failure> {
    let answer = client.get("/v1/conflicts?limit=200").await?;
    let mut rows = Vec::new();
    for item in items(&answer) {
        let queue = render::at(&item, "state.queue").and_then(Value::as_array);
        let queue = queue.cloned().unwrap_or_default();
        for pair in queue.windows(2) {
            if let [before, waiting] = pair {
                rows.push(json!({
                    "subject": render::at(&item, "state.subject"),
                    "waiting": waiting,
                    "for": before,
                }));
            }
        }
    }
    let columns = [
        ("subject", "subject"),
        ("directive", "waiting.directive"),
        ("type", "waiting.type"),
        ("since", "waiting.since"),
        ("waits for", "for.directive"),
    ];
    print(output, &answer, |_| render::table(&rows, &columns));
    Ok(())
}
