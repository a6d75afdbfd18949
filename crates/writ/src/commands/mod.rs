//! One file per group of commands; each speaks to the API, or, where it says
//! so, to a data directory.

pub(crate) mod approval;
pub(crate) mod archive;
pub(crate) mod autonomy;
pub(crate) mod backup;
pub(crate) mod budget;
pub(crate) mod bulk;
pub(crate) mod bundle;
pub(crate) mod decide;
pub(crate) mod directive;
pub(crate) mod edit;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod input;
pub(crate) mod kill;
pub(crate) mod ledger;
pub(crate) mod offline;
pub(crate) mod pack;
pub(crate) mod personal;
pub(crate) mod policy;
pub(crate) mod prove;
pub(crate) mod read;
pub(crate) mod residency;
pub(crate) mod session;
pub(crate) mod signed;

use crate::failure::Failure;
use crate::render;
use serde_json::Value;

/// Prints an answer: as JSON, or as `shown` makes it.
#[allow(
    clippy::print_stdout,
    reason = "standard output is what a command line is for"
)]
pub(crate) fn print(json: Json, value: &Value, shown: impl FnOnce(&Value) -> String) {
    match json {
        Json::Yes => println!("{value:#}"),
        Json::No => print!("{}", shown(value)),
    }
}

/// Whether answers are printed as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Yes,
    No,
}

/// The rows of a listing.
pub(crate) fn items(value: &Value) -> Vec<Value> {
    let items = value.get("items").and_then(Value::as_array);
    items.cloned().unwrap_or_default()
}

/// The member of an answer that the command cannot do without.
pub(crate) fn needed<'a>(value: &'a Value, path: &str) -> Result<&'a str, Failure> {
    render::at(value, path)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::failed(format!("the server's answer has no `{path}`")))
}

/// `text` as one segment or value of a URL.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A query string of what is given.
pub(crate) fn query(parts: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_deref()?))))
        .collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("?{}", given.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let parts = [
            ("a", Some("x y/&".to_owned())),
            ("b", None),
            ("c", Some("é".to_owned())),
        ];
        assert_eq!(query(&parts), "?a=x%20y%2F%26&c=%C3%A9");
        assert_eq!(query(&[("b", None)]), "");
    }
}
