//! Something of everything: people of each role, and incidents of which one
//! waits for a person and one went on.

use anyhow::{Context as _, Result};
use connect::SystemClock;
use kernel::port::Clock as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use testkit::served::Served;

/// What there is.
pub(crate) struct Live {
    /// Tokens by role.
    pub(crate) tokens: BTreeMap<&'static str, String>,
    /// Ids by the noun of their path, and the digest of the directive that
    /// waits.
    pub(crate) ids: Map<String, Value>,
}

/// Roles of people, services and agents.
const ROLES: &[(&str, &str)] = &[
    ("human", "admin"),
    ("human", "operator"),
    ("human", "approver"),
    ("human", "auditor"),
    ("human", "viewer"),
    ("agent", "agent"),
    ("service", "source"),
];

/// Listings that give an id for their paths.
const LISTED: &[&str] = &[
    "evidence",
    "signals",
    "detections",
    "candidates",
    "bundles",
    "incidents",
    "investigations",
    "states",
    "snapshots",
    "directives",
    "verdicts",
    "approvals",
    "runs",
    "budget-counters",
    "reservations",
];

/// Makes it.
///
/// # Errors
/// When something of it does not come about.
pub(crate) async fn make(served: &Served) -> Result<Live> {
    let mut tokens = BTreeMap::new();
    let mut ids = Map::new();
    for (kind, role) in ROLES {
        let (id, token) = served.principal(kind, role).await?;
        tokens.insert(*role, token);
        // Nobody who asks is among those who may be disabled.
        if *role == "source" {
            ids.insert("principals".into(), json!(id));
        }
    }
    let now = SystemClock.now();
    served.alert("press-1", now).await?;
    let first = served.waiting("press-1").await?;
    let yes = json!({"digest": first.digest});
    let path = format!("/v1/approvals/{}/approve", first.approval);
    let approver = tokens.get("approver").context("there is an approver")?;
    served.post(approver, &path, &yes).await?;
    served.alert("press-2", now).await?;
    let second = served.waiting("press-2").await?;
    let save = json!({"state": {"turn": 1}});
    served
        .post(&served.token, "/v1/sessions/first", &save)
        .await
        .ok();
    for noun in LISTED {
        let page = served.get(&served.token, &format!("/v1/{noun}")).await?;
        if let Some(id) = page["items"][0]["id"].as_str() {
            ids.insert((*noun).to_owned(), json!(id));
        }
    }
    ids.insert("approvals".into(), json!(second.approval));
    ids.insert("directives".into(), json!(second.directive));
    ids.insert("digest".into(), json!(second.digest));
    ids.insert("tenants".into(), json!(served.tenant));
    Ok(Live { tokens, ids })
}
