//! What people decide: approvals, directives, incidents.

use super::input::json_file;
use super::signed::Bound;
use super::{Json, escaped, items, needed, print};
use crate::cli::{Approve, Delegation, Move, Reject};
use crate::client::Client;
use crate::failure::Failure;
use crate::person_key::PersonKey;
use crate::render;
use connect::SystemClock;
use gate::approval::Choice;
use kernel::port::Clock as _;
use kernel::{Actor, PrincipalId, PrincipalKind, Span};
use serde_json::{Map, Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

/// The approval with this id, or the pending one of this directive.
pub(super) async fn approval(client: &Client, id: &str) -> Result<Value, Failure> {
    if id.starts_with("apr_") {
        return client.get(&format!("/v1/approvals/{}", escaped(id))).await;
    }
    let path = format!("/v1/approvals?status=pending&directive={}", escaped(id));
    let waiting = client.get(&path).await?;
    items(&waiting).into_iter().next().ok_or_else(|| {
        Failure::failed(format!("nothing about `{id}` waits for approval"))
            .hint("see `writ list approvals --status pending`")
    })
}

pub(crate) async fn approve(
    client: &Client,
    output: Json,
    approve: Approve,
) -> Result<(), Failure> {
    let waiting = approval(client, &approve.id).await?;
    let id = needed(&waiting, "id")?.to_owned();
    let directive = needed(&waiting, "state.request.binding.directive")?;
    let (digest, signed) = match (&approve.key, approve.digest) {
        (Some(file), digest) => {
            let key = PersonKey::read(file)?;
            let bound = Bound::read(client, &waiting).await?;
            let digest = agreed(&bound, directive, digest)?;
            let word = (Choice::Approve, approve.reason.clone());
            let behalf = behalf(approve.on_behalf_of.as_deref())?;
            (digest, Some(bound.sign(client, &key, word, behalf).await?))
        }
        (None, Some(digest)) => (digest, None),
        (None, None) => (seen(client, &waiting, directive).await?, None),
    };
    let mut body = Map::from_iter([("digest".to_owned(), digest.into())]);
    if let Some(reason) = approve.reason {
        body.insert("reason".into(), reason.into());
    }
    if let Some(signed) = signed {
        body.insert("signed".into(), signed);
    }
    if let Some(person) = behalf(approve.on_behalf_of.as_deref())? {
        body.insert("on_behalf_of".into(), person.to_string().into());
    }
    let path = format!("/v1/approvals/{}/approve", escaped(&id));
    let answer = client.post(&path, &Value::Object(body)).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Shows all that is to be signed, and asks, unless the digest of the contract
/// was given; returns the digest of what was shown.
#[allow(clippy::print_stderr, reason = "what the person at the terminal signs")]
fn agreed(bound: &Bound, directive: &str, given: Option<String>) -> Result<String, Failure> {
    let digest = bound.digest()?;
    eprint!("{}", bound.text()?);
    match given {
        Some(given) if given == digest => return Ok(digest),
        Some(given) => {
            return Err(Failure::failed(format!(
                "you saw version `{given}`, what would be signed is `{digest}`"
            ))
            .hint("nothing was signed; look at the version in force"));
        }
        None => ask("approve exactly this", &otherwise(directive))?,
    }
    Ok(digest)
}

/// Shows the directive and what the gate said of it, and asks; returns the
/// digest of what was shown.
#[allow(
    clippy::print_stderr,
    reason = "a question to the person at the terminal"
)]
async fn seen(client: &Client, waiting: &Value, directive: &str) -> Result<String, Failure> {
    at_terminal(&otherwise(directive))?;
    let shown = client
        .get(&format!("/v1/directives/{}", escaped(directive)))
        .await?;
    let digest = needed(&shown, "state.digest")?.to_owned();
    let contract = render::at(&shown, "state.contract").unwrap_or(&Value::Null);
    eprintln!("{}", render::thing(contract));
    eprint!("{}", verdicts(client, waiting).await?);
    ask("approve exactly this", &otherwise(directive))?;
    Ok(digest)
}

/// What to do where nobody can be asked.
fn otherwise(directive: &str) -> String {
    format!("`writ show {directive}`, then give --digest")
}

/// Refuses where nobody can be asked; `otherwise` is what to do there.
fn at_terminal(otherwise: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("approving needs the digest of what you saw").hint(otherwise))
}

/// Asks the person at the terminal; `otherwise` is the hint where there is none.
#[allow(
    clippy::print_stderr,
    reason = "a question to the person at the terminal"
)]
pub(super) fn ask(what: &str, otherwise: &str) -> Result<(), Failure> {
    at_terminal(otherwise)?;
    eprint!("{what}? type yes: ");
    let mut answer = String::new();
    std::io::stderr()
        .flush()
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|e| Failure::failed(format!("no answer: {e}")))?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(Failure::failed("not approved"))
    }
}

/// What the gate said where this approval was asked for, a line for each check,
/// and why a person is asked.
async fn verdicts(client: &Client, waiting: &Value) -> Result<String, Failure> {
    let listed = |path: &str| match render::at(waiting, path) {
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    let mut lines = String::new();
    for id in listed("state.request.binding.verdicts") {
        let id = id.as_str().unwrap_or_default();
        let verdict = client.get(&format!("/v1/verdicts/{}", escaped(id))).await?;
        if let Some(Value::Array(results)) = render::at(&verdict, "state.given.results") {
            for result in results {
                lines.push_str(&format!(
                    "{:<5}  {:<14} {}\n",
                    render::text(result, "verdict"),
                    render::text(result, "check"),
                    render::text(result, "reason"),
                ));
            }
        }
    }
    for why in listed("state.request.because") {
        lines.push_str(&format!(
            "asked   because {}\n",
            why.as_str().unwrap_or_default()
        ));
    }
    Ok(lines)
}

pub(crate) async fn reject(client: &Client, output: Json, reject: Reject) -> Result<(), Failure> {
    let Reject {
        id,
        reason,
        key,
        on_behalf_of,
    } = reject;
    let behalf = behalf(on_behalf_of.as_deref())?;
    let waiting = approval(client, &id).await?;
    let path = format!("/v1/approvals/{}/reject", escaped(needed(&waiting, "id")?));
    let digest = needed(&waiting, "state.request.binding.digest")?;
    let mut body = json!({"digest": digest, "reason": reason});
    if let Some(person) = &behalf {
        body["on_behalf_of"] = person.to_string().into();
    }
    if let Some(file) = key {
        let key = PersonKey::read(&file)?;
        let bound = Bound::read(client, &waiting).await?;
        let word = (Choice::Reject, Some(reason));
        body["signed"] = bound.sign(client, &key, word, behalf).await?;
    }
    let answer = client.post(&path, &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// The person of this id.
fn behalf(id: Option<&str>) -> Result<Option<Actor>, Failure> {
    let person = |id: &str| {
        let id: PrincipalId = id.parse()?;
        Ok(Actor::new(PrincipalKind::Human, id))
    };
    id.map(person).transpose()
}

pub(crate) async fn delegation(
    client: &Client,
    output: Json,
    command: Delegation,
) -> Result<(), Failure> {
    let answer = match command {
        Delegation::Grant {
            to,
            lasts,
            until,
            classes,
            types,
            reason,
        } => {
            let until = match (until, lasts) {
                (Some(until), _) => until,
                (None, lasts) => {
                    let lasts = Span::parse(&lasts.unwrap_or_default())?;
                    SystemClock.now().plus(lasts).to_string()
                }
            };
            let body = json!({
                "to": to, "until": until, "reason": reason,
                "action_classes": classes, "directive_types": types,
            });
            client.post("/v1/delegations", &body).await?
        }
        Delegation::Revoke {
            of,
            delegation,
            reason,
        } => {
            let path = format!("/v1/delegations/{}/revoke", escaped(&of));
            let body = json!({"delegation": delegation, "reason": reason});
            client.post(&path, &body).await?
        }
    };
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn propose(client: &Client, output: Json, file: &Path) -> Result<(), Failure> {
    let hint = "give the path of a contract in JSON; `writ docs contract` prints its schema";
    let contract = json_file(file, hint)?;
    let body = json!({"contract": contract});
    let answer = client.post("/v1/directives", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Moves a directive: `verb` is the last part of the path.
pub(crate) async fn directive(
    client: &Client,
    output: Json,
    verb: &str,
    to: &Move,
) -> Result<(), Failure> {
    let path = format!("/v1/directives/{}/{verb}", escaped(&to.id));
    let answer = client.post(&path, &json!({"reason": to.reason})).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Has the gate asked afresh about a blocked directive.
pub(crate) async fn retry(client: &Client, output: Json, id: &str) -> Result<(), Failure> {
    let path = format!("/v1/directives/{}/retry", escaped(id));
    let answer = client.post(&path, &json!({})).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Moves an incident: `verb` is the last part of the path.
pub(crate) async fn incident(
    client: &Client,
    output: Json,
    verb: &str,
    id: &str,
    note: &str,
) -> Result<(), Failure> {
    let path = format!("/v1/incidents/{}/{verb}", escaped(id));
    let answer = client.post(&path, &json!({"note": note})).await?;
    print(output, &answer, render::thing);
    Ok(())
}
