//! Asking a witness (C2SP tlog-witness): from the size that it cosigned last,
//! with the proof that the log has only grown since.

use super::Witness;
use crate::control::Control;
use kernel::port::HttpRequest;
use kernel::{Refusal, Span, TenantId};
use ledger::checkpoint::record::{self, Checkpoints, Signed};
use ledger::checkpoint::{checkpoints, parse_size};
use ledger::merkle::{Stored, Tiles};
use ledger::note::{Note, Signature};
use ledger::witness::AddCheckpoint;
use std::collections::BTreeMap;

/// A witness must have answered within this time.
const TIMEOUT: Span = Span::from_secs(10);
/// Longest answer of a witness, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Asks every witness that has not cosigned this checkpoint; records what
/// verifies. Returns the witnesses that did not cosign, each with why.
pub(super) async fn ask_all(
    control: &Control,
    tenant: TenantId,
    signed: &Signed,
) -> Result<Vec<(String, Refusal)>, Refusal> {
    let recent = checkpoints(control.ledger().store(), tenant).await?;
    let signed = recent.of_size(signed.size).unwrap_or(signed);
    let mut failed = Vec::new();
    for witness in &control.signing()?.witnesses {
        let key = witness.key.to_string();
        if signed.cosignatures.iter().any(|c| c.witness == key) {
            continue;
        }
        if let Err(refusal) = ask(control, tenant, witness, &recent, signed).await {
            failed.push((witness.key.name().to_string(), refusal));
        }
    }
    Ok(failed)
}

async fn ask(
    control: &Control,
    tenant: TenantId,
    witness: &Witness,
    recent: &Checkpoints,
    signed: &Signed,
) -> Result<(), Refusal> {
    let key = witness.key.to_string();
    let has = |signed: &&Signed| signed.cosignatures.iter().any(|c| c.witness == key);
    let last = recent.recent.iter().rev().find(has);
    let mut old = last.map_or(0, |last| last.size);
    // The witness may know more than is recorded: it then says what.
    for _ in 0..2 {
        match post(control, tenant, witness, signed, old).await? {
            Answer::Cosigned(signature) => {
                let (size, witness) = (signed.size, witness.key.clone());
                let ctx = control.system_ctx(tenant, "checkpoints");
                return control
                    .ledger()
                    .run(ctx, move |unit| {
                        record::cosign(unit, size, &witness, &signature).map(drop)
                    })
                    .await
                    .map(drop);
            }
            Answer::From(known) if known > signed.size => {
                return Err(Refusal::integrity(format!(
                    "the witness has cosigned this log at size {known}, beyond {}",
                    signed.size
                ))
                .hint("the log may have been set back; compare it with older checkpoints"));
            }
            Answer::From(known) => old = known,
        }
    }
    Err(Refusal::unavailable(
        "the witness goes on with another size each time",
    ))
}

enum Answer {
    Cosigned(Signature),
    From(u64),
}

async fn post(
    control: &Control,
    tenant: TenantId,
    witness: &Witness,
    signed: &Signed,
    old: u64,
) -> Result<Answer, Refusal> {
    let store = control.ledger().store();
    let mut tiles = Tiles::new(Stored { store, tenant }, signed.size);
    let integrity = |e| Refusal::integrity(format!("the recorded checkpoint: {e}"));
    let request = AddCheckpoint {
        old,
        proof: tiles.consistency(old).await?,
        note: Note::parse(signed.note.as_bytes()).map_err(integrity)?,
    };
    let sent = control.ports().act.http.send(HttpRequest {
        method: "POST".into(),
        url: format!("{}/add-checkpoint", witness.url),
        headers: BTreeMap::from([("content-type".into(), "text/plain; charset=utf-8".into())]),
        body: request.to_string().into_bytes(),
        timeout: TIMEOUT,
        answer_bytes_max: ANSWER_BYTES_MAX,
        // The operator named the witness, not a directive.
        private_ranges_allowed: true,
    });
    let answer = sent
        .await
        .map_err(|e| Refusal::unavailable(format!("witness `{}`: {e}", witness.key.name())))?;
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status {
        200 => {
            let lines = text.lines().map(Signature::parse);
            let ours = lines
                .flatten()
                .find(|line| (&line.name, line.id) == (witness.key.name(), witness.key.id()));
            ours.map(Answer::Cosigned).ok_or_else(|| {
                Refusal::unavailable("the witness's answer has no signature by its key")
                    .hint("compare the key that was configured with the witness's")
            })
        }
        409 => parse_size(text.trim_end())
            .map(Answer::From)
            .ok_or_else(|| Refusal::unavailable("the witness's answer names no size")),
        status => Err(Refusal::unavailable(format!(
            "the witness answered {status}: {}",
            text.trim_end().chars().take(200).collect::<String>()
        ))),
    }
}
