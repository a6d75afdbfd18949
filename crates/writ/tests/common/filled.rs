//! Paths of the table of routes with the things of a tenant in them.

use serde_json::Value;

/// Where the things are listed that this path may be about; `None` when it
/// varies by something else.
pub(crate) fn listing(path: &str) -> Option<String> {
    let noun = path.trim_start_matches("/v1").split('/').nth(1)?;
    match noun {
        "kill" | "problems" | "runbooks" => None,
        "ledger" if path.contains("/streams/") => None,
        "ledger" => Some("/v1/ledger/entries?limit=50".to_owned()),
        "why" => Some("/v1/directives?limit=50".to_owned()),
        noun => Some(format!("/v1/{noun}?limit=50")),
    }
}

/// The path about this item of the listing.
pub(crate) fn about(path: &str, item: &Value) -> Option<String> {
    let id = item["id"].as_str().or(item["name"].as_str())?;
    let begin = path.find('{')?;
    let end = begin + path.get(begin..)?.find('}')? + 1;
    Some(format!("{}{id}{}", path.get(..begin)?, path.get(end..)?))
}
