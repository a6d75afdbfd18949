//! What people signed, verified without a server: with the public key that the
//! person gave, and never with one that a server names.

use super::{Json, bundle, print};
use crate::failure::Failure;
use gate::Contract;
use gate::approval::{ApprovalEvent, Requested, Signed, Statement, shown};
use gate::directive::DirectiveEvent;
use gate::signing_key::PublicKey;
use gate::verdict::{Given, VerdictEvent};
use kernel::aggregate::Event;
use kernel::{ApprovalId, Digest, VerdictId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// A file that is read whole may be this long.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

pub(crate) fn run(output: Json, file: &Path, keys: &[String]) -> Result<(), Failure> {
    let keys: Result<Vec<PublicKey>, _> = keys.iter().map(|k| k.parse()).collect();
    verify(output, &text(file)?, &keys?, file)
}

fn text(file: &Path) -> Result<String, Failure> {
    let unreadable = |e| Failure::failed(format!("cannot read `{}`: {e}", file.display()));
    let mut text = String::new();
    let source: Box<dyn std::io::Read> = match file == Path::new(bundle::STANDARD) {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(file).map_err(unreadable)?),
    };
    let mut source = source.take(FILE_BYTES_MAX + 1);
    source.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::failed(format!("`{}` is too long", file.display())));
    }
    Ok(text)
}

/// A signed decision and the faults of what it stands in.
struct Found {
    signed: Signed,
    faults: Vec<String>,
}

fn verify(output: Json, text: &str, keys: &[PublicKey], file: &Path) -> Result<(), Failure> {
    let found = match text.starts_with('{') && text.trim_end().contains('\n') {
        true => match serde_json::from_str::<Value>(text) {
            Ok(one) => in_document(&one),
            Err(_) => in_bundle(text)?,
        },
        false => in_document(
            &serde_json::from_str(text)
                .map_err(|e| Failure::failed(format!("`{}`: {e}", file.display())))?,
        ),
    };
    if found.is_empty() {
        return Err(
            Failure::failed(format!("nothing is signed in `{}`", file.display()))
                .hint("give a signed statement, `writ --json show apr_…`, or a bundle"),
        );
    }
    let mut rows = Vec::new();
    let mut wrong = 0;
    for Found { signed, mut faults } in found {
        faults.extend(fault(&signed, keys));
        wrong += usize::from(!faults.is_empty());
        rows.push(json!({
            "verdict": if faults.is_empty() { "verified" } else { "false" },
            "faults": faults,
            "statement": signed.statement,
        }));
    }
    let answer = json!({"decisions": rows});
    print(output, &answer, |_| lines(&rows));
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::integrity(format!(
            "{wrong} of {} signed decisions do not verify",
            rows.len()
        ))
        .hint("keep the file as it is; docs/approvals.md says what is signed")),
    }
}

fn lines(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        let said = &row["statement"];
        let word = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!(
            "{}: {} {} {} of {}, contract {}, at {}\n",
            row["verdict"].as_str().unwrap_or_default(),
            word("principal"),
            word("decision"),
            word("approval"),
            word("directive"),
            word("digest"),
            word("made_at"),
        ));
        for fault in row["faults"].as_array().into_iter().flatten() {
            text.push_str(&format!("  {}\n", fault.as_str().unwrap_or_default()));
        }
    }
    text
}

/// Why none of these keys stands behind a signed statement; `None` when one
/// does.
fn fault(signed: &Signed, keys: &[PublicKey]) -> Option<String> {
    let named = signed.statement.key;
    let mut ids = keys.iter().map(|key| (key.id().ok(), key));
    match ids.find(|(id, _)| *id == Some(named)) {
        None => Some(format!(
            "it names the key `{named}`, which is none of yours"
        )),
        Some((_, key)) => signed.verified(key).err().map(|refusal| refusal.message),
    }
}

/// The signed decisions in a statement or an approval.
fn in_document(document: &Value) -> Vec<Found> {
    if let Ok(signed) = serde_json::from_value::<Signed>(document.clone()) {
        let faults = Vec::new();
        return vec![Found { signed, faults }];
    }
    let state = document.get("state").unwrap_or(document);
    let Ok(approval) = serde_json::from_value::<gate::Approval>(state.clone()) else {
        return Vec::new();
    };
    let votes = approval.votes.iter().filter_map(|v| v.signed.clone());
    votes
        .chain(approval.refusal.clone())
        .map(|signed| Found {
            faults: misfits(&signed.statement, &approval.request),
            signed,
        })
        .collect()
}

/// Where a statement does not fit the request that it stands at.
fn misfits(said: &Statement, request: &Requested) -> Vec<String> {
    let expected = Statement::of(request, said.word());
    let differ = said.differences(&expected);
    match differ.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "the request it stands at differs in: {}",
            differ.join(", ")
        )],
    }
}

/// What of a log a decision rests on.
#[derive(Default)]
struct Rests {
    requests: BTreeMap<ApprovalId, Requested>,
    contracts: BTreeMap<Digest, Contract>,
    verdicts: BTreeMap<VerdictId, Given>,
}

impl Rests {
    /// Where what was signed does not fit what the log says it was about. A
    /// part of a log may hold no contract or verdict; the request is needed.
    fn faults(&self, said: &Statement) -> Vec<String> {
        let Some(request) = self.requests.get(&said.approval) else {
            return vec![format!(
                "the request `{}` is not in the bundle",
                said.approval
            )];
        };
        let mut faults = misfits(said, request);
        let verdict = said.verdicts.first().and_then(|v| self.verdicts.get(v));
        let (Some(contract), Some(given)) = (self.contracts.get(&said.digest), verdict) else {
            faults.push("the contract or the verdict that was signed is not in the bundle".into());
            return faults;
        };
        let seen = shown(contract, given, said.rules, &request.because);
        if seen.ok() != Some(said.shown) {
            faults.push("contract, verdict and reasons in the log are not what was signed".into());
        }
        faults
    }
}

/// The signed decisions in a bundle, each compared with the contract, the
/// verdict and the request in it.
fn in_bundle(text: &str) -> Result<Vec<Found>, Failure> {
    let mut rests = Rests::default();
    let mut signed = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .map_err(|e| Failure::failed(format!("line {}: {e}", at + 1)))?;
        let (Some(kind), Some(payload)) = (line["header"]["kind"].as_str(), line.get("payload"))
        else {
            continue;
        };
        let unknown = |e: kernel::Impossible| Failure::failed(format!("line {}: {e}", at + 1));
        if ApprovalEvent::KINDS.contains(&kind) {
            match ApprovalEvent::decode(kind, payload).map_err(unknown)? {
                ApprovalEvent::Requested(request) => {
                    rests.requests.insert(request.approval, request);
                }
                ApprovalEvent::Endorsed(yes) => signed.extend(yes.signed),
                ApprovalEvent::Given(yes) => signed.extend(yes.signed),
                ApprovalEvent::Rejected(no) => signed.extend(no.signed),
                _ => {}
            }
        } else if DirectiveEvent::KINDS.contains(&kind) {
            let contract = match DirectiveEvent::decode(kind, payload).map_err(unknown)? {
                DirectiveEvent::Drafted(drafted) => drafted.contract,
                DirectiveEvent::Edited(edited) => edited.contract,
                _ => continue,
            };
            // By what it is, not by what the log calls it.
            rests.contracts.insert(contract.digest()?, contract);
        } else if VerdictEvent::KINDS.contains(&kind)
            && let VerdictEvent::Given(given) =
                VerdictEvent::decode(kind, payload).map_err(unknown)?
        {
            rests.verdicts.insert(given.question.id()?, given);
        }
    }
    let found = signed.into_iter().map(|signed| Found {
        faults: rests.faults(&signed.statement),
        signed,
    });
    Ok(found.collect())
}
