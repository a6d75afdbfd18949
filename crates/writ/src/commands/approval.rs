//! What people signed, verified without a server: with the public key that the
//! person gave, and never with one that a server names.

use super::{Json, bundle, print};
use crate::failure::Failure;
use gate::approval::offline::{self, Decision};
use gate::signing_key::PublicKey;
use serde_json::{Value, json};
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

fn verify(output: Json, text: &str, keys: &[PublicKey], file: &Path) -> Result<(), Failure> {
    let found = offline::decisions(text, keys).map_err(|refusal| {
        let what = refusal.message;
        Failure::failed(format!("`{}`: {what}", file.display()))
    })?;
    if found.is_empty() {
        return Err(
            Failure::failed(format!("nothing is signed in `{}`", file.display()))
                .hint("give a signed statement, `writ --json show apr_…`, or a bundle"),
        );
    }
    let wrong = found.iter().filter(|d| !d.faults.is_empty()).count();
    let rows: Vec<Value> = found.iter().map(row).collect();
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

fn row(decision: &Decision) -> Value {
    let is_sound = decision.faults.is_empty();
    json!({
        "verdict": if is_sound { "verified" } else { "false" },
        "faults": decision.faults,
        "statement": decision.signed.statement,
    })
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
