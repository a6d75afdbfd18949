//! What is personal: erasing it, being shown it, and the keyring.

use super::{Json, escaped, items, print};
use crate::cli::Keyring;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};

pub(crate) async fn erase(
    client: &Client,
    output: Json,
    subject: &str,
    reason: &str,
    confirm: Option<String>,
) -> Result<(), Failure> {
    let path = format!("/v1/personal/preview?subject={}", escaped(subject));
    let preview = client.get(&path).await?;
    let confirm = match confirm {
        Some(confirm) => confirm,
        None => asked(&preview, subject)?,
    };
    if confirm != subject {
        return Err(
            Failure::failed(format!("not erased: `{confirm}` is not `{subject}`"))
                .hint("repeat the subject exactly"),
        );
    }
    let body = json!({"subject": subject, "reason": reason, "confirm": confirm});
    let answer = client.post("/v1/personal/erase", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Shows what would be erased and asks for the subject.
#[allow(
    clippy::print_stderr,
    reason = "a question to the person at the terminal"
)]
fn asked(preview: &Value, subject: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("erasing needs the subject once more")
            .hint(format!("give --confirm {subject}")));
    }
    eprintln!("{}", render::thing(preview));
    eprint!("nothing brings this back. To erase it, type {subject}: ");
    let mut answer = String::new();
    std::io::stderr()
        .flush()
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|e| Failure::failed(format!("no answer: {e}")))?;
    Ok(answer.trim().to_owned())
}

pub(crate) async fn readmit(
    client: &Client,
    output: Json,
    subject: &str,
    reason: &str,
) -> Result<(), Failure> {
    let body = json!({"subject": subject, "reason": reason});
    let answer = client.post("/v1/personal/readmit", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn open(
    client: &Client,
    output: Json,
    kind: &str,
    id: &str,
    reason: &str,
) -> Result<(), Failure> {
    let body = json!({"kind": kind, "id": id, "reason": reason});
    let answer = client.post("/v1/personal/open", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn keyring(
    client: &Client,
    output: Json,
    command: Keyring,
) -> Result<(), Failure> {
    match command {
        Keyring::List => {
            let answer = client.get("/v1/keyring?limit=200").await?;
            print(output, &answer, |answer| {
                render::table(
                    &items(answer),
                    &[
                        ("SUBJECT", "id"),
                        ("STATUS", "status"),
                        ("KEYS", "state.keys"),
                        ("OPENED", "state.opened"),
                    ],
                )
            });
        }
        Keyring::Rotate { subject } => {
            let body = subject.map_or_else(|| json!({}), |s| json!({"subject": s}));
            let answer = client.post("/v1/keyring/rotate", &body).await?;
            print(output, &answer, render::thing);
        }
    }
    Ok(())
}
