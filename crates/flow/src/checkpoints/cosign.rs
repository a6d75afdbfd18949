//! Asking a witness (C2SP tlog-witness): from the size that it cosigned last,
//! with the proof that the log has only grown since.

use super::Witness;
use crate::control::Control;
use kernel::port::HttpRequest;
use kernel::{Refusal, Span, TenantId, Unit};
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

/// Why there is no cosignature.
#[derive(Debug)]
pub(super) enum NotCosigned {
    /// The witness does not answer, whatever it is asked.
    Silent(Refusal),
    /// It answers, and not with a cosignature of this log; or it was not asked.
    Refused(Refusal),
}

impl NotCosigned {
    fn refusal(self) -> Refusal {
        match self {
            Self::Silent(refusal) | Self::Refused(refusal) => refusal,
        }
    }
}

impl<T: Into<Refusal>> From<T> for NotCosigned {
    fn from(fault: T) -> Self {
        Self::Refused(fault.into())
    }
}

/// Whether this witness has not cosigned the checkpoint.
pub(super) fn is_missing(witness: &Witness, signed: &Signed) -> bool {
    let key = witness.key.to_string();
    signed.cosignatures.iter().all(|c| c.witness != key)
}

/// Asks every witness that has not cosigned this checkpoint, all at once, and
/// waits for none longer than [`TIMEOUT`]; records what verifies. Returns the
/// witnesses that did not cosign, each with why.
pub(super) async fn ask_all(
    control: &Control,
    tenant: TenantId,
    signed: &Signed,
) -> Result<Vec<(String, Refusal)>, Refusal> {
    let recent = checkpoints(control.ledger().store(), tenant).await?;
    let signed = recent.of_size(signed.size).unwrap_or(signed);
    let witnesses = control.signing()?.witnesses.iter();
    let missing = witnesses.filter(|witness| is_missing(witness, signed));
    let asked = missing.map(async |witness| {
        let ask = ask(control, tenant, witness, &recent, signed);
        let answer = tokio::time::timeout(TIMEOUT.to_std(), ask).await;
        let refusal = match answer {
            Ok(answer) => answer.err()?.refusal(),
            Err(_) => Refusal::unavailable("the witness does not answer in time"),
        };
        Some((witness.key.name().to_string(), refusal))
    });
    let failed = futures_util::future::join_all(asked).await;
    Ok(failed.into_iter().flatten().collect())
}

/// Asks one witness for its cosignature and records it.
///
/// # Errors
/// Why there is none.
pub(super) async fn ask(
    control: &Control,
    tenant: TenantId,
    witness: &Witness,
    recent: &Checkpoints,
    signed: &Signed,
) -> Result<(), NotCosigned> {
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
                let work = move |unit: &mut Unit<'_>| {
                    record::cosign(unit, size, &witness, &signature).map(drop)
                };
                control.ledger().run(ctx, work).await?;
                return Ok(());
            }
            Answer::From(known) if known > signed.size => {
                return Err(Refusal::integrity(format!(
                    "the witness has cosigned this log at size {known}, beyond {}",
                    signed.size
                ))
                .hint("the log may have been set back; compare it with older checkpoints")
                .into());
            }
            Answer::From(known) => old = known,
        }
    }
    Err(Refusal::unavailable("the witness goes on with another size each time").into())
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
) -> Result<Answer, NotCosigned> {
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
        .map_err(|e| NotCosigned::Silent(Refusal::unavailable(e.to_string())))?;
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
                    .into()
            })
        }
        409 => parse_size(text.trim_end())
            .map(Answer::From)
            .ok_or_else(|| Refusal::unavailable("the witness's answer names no size").into()),
        status => Err(Refusal::unavailable(format!(
            "the witness answered {status}: {}",
            text.trim_end().chars().take(200).collect::<String>()
        ))
        .into()),
    }
}
