//! Several decisions at once: each request is shown, then there is one
//! question, and the answer says of each what came of it.

use super::decide::ask;
use super::signed::Bound;
use super::{Json, escaped, print};
use crate::cli::Bulk;
use crate::client::Client;
use crate::failure::Failure;
use crate::person_key::PersonKey;
use crate::render;
use gate::approval::Choice;
use serde_json::{Map, Value, json};

pub(crate) async fn decide(client: &Client, output: Json, asked: Bulk) -> Result<(), Failure> {
    let key = asked.key.as_deref().map(PersonKey::read).transpose()?;
    let choice = match asked.reject {
        true => Choice::Reject,
        false => Choice::Approve,
    };
    let mut decisions = Vec::new();
    let mut seen_before = true;
    for text in &asked.approvals {
        let (id, given) = match text.split_once('=') {
            Some((id, digest)) => (id, Some(digest)),
            None => (text.as_str(), None),
        };
        let waiting = client
            .get(&format!("/v1/approvals/{}", escaped(id)))
            .await?;
        let bound = Bound::read(client, &waiting).await?;
        let digest = shown(id, &bound, given)?;
        seen_before &= given.is_some();
        let mut one = Map::new();
        one.insert("approval".into(), id.into());
        one.insert("digest".into(), digest.into());
        one.insert("decision".into(), choice.to_string().into());
        if let Some(reason) = &asked.reason {
            one.insert("reason".into(), reason.as_str().into());
        }
        decisions.push((one, bound));
    }
    if !seen_before {
        ask(
            &format!("{choice} exactly these {}", decisions.len()),
            "give each as `APPROVAL=DIGEST`",
        )?;
    }
    let mut body = Vec::new();
    for (mut one, bound) in decisions {
        if let Some(key) = &key {
            let word = (choice, asked.reason.clone());
            one.insert("signed".into(), bound.sign(client, key, word, None).await?);
        }
        body.push(Value::Object(one));
    }
    let answer = client
        .post("/v1/approvals/decide", &json!({"decisions": body}))
        .await?;
    print(output, &answer, |answer| {
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let columns = [
            ("approval", "approval"),
            ("result", "result"),
            ("why", "detail"),
        ];
        render::table(&results, &columns)
    });
    let results = answer["results"].as_array().into_iter().flatten();
    match results.filter(|r| r["result"] == "refused").count() {
        0 => Ok(()),
        refused => Err(Failure::failed(format!(
            "{refused} of {} were refused; the others are recorded",
            body.len()
        ))),
    }
}

/// Shows one request in full; returns the digest of its contract.
#[allow(
    clippy::print_stderr,
    reason = "what the person at the terminal decides on"
)]
fn shown(id: &str, bound: &Bound, given: Option<&str>) -> Result<String, Failure> {
    let digest = bound.digest()?;
    eprintln!("--- {id}");
    eprint!("{}", bound.text()?);
    match given {
        Some(given) if given != digest => Err(Failure::failed(format!(
            "you saw version `{given}` of `{id}`, in force is `{digest}`"
        ))
        .hint("nothing was decided; look at the version in force")),
        _ => Ok(digest),
    }
}
