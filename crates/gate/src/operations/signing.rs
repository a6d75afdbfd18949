//! Signatures on decisions: checked when they are given, and again whenever
//! something is to happen because of them.

use crate::Approval;
use crate::approval::{Choice, OnBehalf, Signed, Vote, Word};
use crate::signing_key::{self, SigningKey};
use kernel::{Refusal, Unit};

const HINT: &str = "sign what you see, with a key that was registered and confirmed: \
                    `writ approve ID --key FILE`";

/// Refuses a decision whose signature does not count, and a yes without one
/// where one is demanded. A no is taken without: stopping is safe.
pub(super) fn signed(
    unit: &mut Unit<'_>,
    approval: &Approval,
    (decision, reason, behalf): (Choice, Option<&str>, Option<&OnBehalf>),
    signed: Option<&Signed>,
) -> Result<(), Refusal> {
    let Some(signed) = signed else {
        if !approval.request.signed || decision == Choice::Reject {
            return Ok(());
        }
        return Err(
            Refusal::forbidden("a yes to this must be signed with your own key").hint(HINT),
        );
    };
    let refused = |fault: String| {
        Refusal::forbidden(format!("the signature does not count: {fault}")).hint(HINT)
    };
    let said = &signed.statement;
    let key = unit
        .find::<SigningKey>(said.key)?
        .ok_or_else(|| refused(format!("the key `{}` is not registered here", said.key)))?;
    let ctx = unit.ctx();
    let word = Word {
        tenant: ctx.tenant,
        decision,
        reason: reason.map(str::to_owned),
        principal: ctx.actor.clone(),
        on_behalf_of: behalf.map(|b| b.principal.clone()),
        key: said.key,
        made_at: said.made_at,
    };
    let fault = signed
        .fault(&approval.request, &word, &key)
        .or_else(|| signed.untimely(&approval.request, ctx.now));
    match fault {
        Some(fault) => Err(refused(fault)),
        None => signing_key::count(unit, said.key, signed.passkey.as_ref()),
    }
}

/// Why votes of an approval do not count any more; empty when all do. Each
/// signature is verified anew, so that a vote which got into the state without
/// one lets nothing happen.
pub(crate) fn uncounted(unit: &mut Unit<'_>, approval: &Approval) -> Result<Vec<String>, Refusal> {
    let mut faults = Vec::new();
    if !approval.request.signed {
        return Ok(faults);
    }
    for vote in &approval.votes {
        if let Some(fault) = vote_fault(unit, approval, vote)? {
            faults.push(format!("the yes of `{}` does not count: {fault}", vote.by));
        }
    }
    let votes = u32::try_from(approval.votes.len()).unwrap_or(u32::MAX);
    let decided = approval.status != crate::approval::Status::Pending;
    if decided && votes < approval.request.needed.max(1) {
        faults.push("fewer people signed than must".to_owned());
    }
    Ok(faults)
}

fn vote_fault(
    unit: &mut Unit<'_>,
    approval: &Approval,
    vote: &Vote,
) -> Result<Option<String>, Refusal> {
    let Some(signed) = &vote.signed else {
        return Ok(Some("it is not signed".to_owned()));
    };
    let said = &signed.statement;
    let Some(key) = unit.find::<SigningKey>(said.key)? else {
        return Ok(Some(format!("the key `{}` is not registered", said.key)));
    };
    let word = Word {
        tenant: unit.ctx().tenant,
        decision: Choice::Approve,
        reason: vote.reason.clone(),
        principal: vote.by.clone(),
        on_behalf_of: vote.on_behalf_of.as_ref().map(|b| b.principal.clone()),
        key: said.key,
        made_at: said.made_at,
    };
    Ok(signed.fault(&approval.request, &word, &key))
}
