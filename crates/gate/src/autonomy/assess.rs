//! The ladder as it is read: what is proved of a type of directive, line by
//! line, and what one directive of it adds. Pure functions of recorded state,
//! terms and one evaluation time.

use super::{Autonomy, Terms};
use crate::contract::Contract;
use crate::{Capabilities, KillSwitch, kill};
use kernel::{Money, Ratio, Refusal, Snapshot, Span, Timestamp};
use serde::Serialize;

kernel::names! {
    /// How far a type of directive has come.
    pub enum Rung {
        /// A person approves every run.
        Supervised = "supervised",
        /// Everything is proved; nobody has signed it off.
        Eligible = "eligible",
        /// It may run without a person.
        Autonomous = "autonomous",
    }
}

/// One thing that has to be proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// What.
    pub name: &'static str,
    /// Whether it is.
    pub holds: bool,
    /// How it stands, as a sentence.
    pub text: String,
}

/// Where a type of directive stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The type.
    pub kind: String,
    /// How far it has come.
    pub rung: Rung,
    /// What has to be proved, in a fixed order; the sign-off last.
    pub proofs: Vec<Proof>,
    /// What it has to prove.
    pub terms: Terms,
    /// What is recorded of it; nothing before its first run.
    pub record: Option<Autonomy>,
}

impl Standing {
    /// What is not proved, as sentences.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let open = self.proofs.iter().filter(|proof| !proof.holds);
        open.map(|proof| proof.text.clone()).collect()
    }
}

/// Where a type of directive stands at this instant.
///
/// # Errors
/// When the terms have no canonical form.
pub fn assess(
    kind: &str,
    terms: &Terms,
    record: Option<&Autonomy>,
    switch: &KillSwitch,
    now: Timestamp,
) -> Result<Standing, Refusal> {
    let mut proofs = vec![
        runs(terms, record, now),
        confidence(terms, record),
        drill(terms, switch, now),
    ];
    let proved = proofs.iter().all(|proof| proof.holds);
    let signed = sign_off(terms, record)?;
    let rung = match (proved, signed.holds) {
        (true, true) => Rung::Autonomous,
        (true, false) => Rung::Eligible,
        (false, _) => Rung::Supervised,
    };
    proofs.push(signed);
    Ok(Standing {
        kind: kind.to_owned(),
        rung,
        proofs,
        terms: terms.clone(),
        record: record.cloned(),
    })
}

fn runs(terms: &Terms, record: Option<&Autonomy>, now: Timestamp) -> Proof {
    let count = record.map_or(0, |r| r.runs);
    let last = record.and_then(|r| r.setbacks.last());
    let since = match last {
        None => "no violation on record".to_owned(),
        Some(setback) => {
            let what = match setback.what.verdict {
                Some(_) => "violation",
                None => "failed run",
            };
            format!(
                "last {what} {} ago: {}",
                coarse(now.since(setback.at)),
                setback.what.reason
            )
        }
    };
    Proof {
        name: "approved_runs",
        holds: count >= terms.approved_runs,
        text: format!(
            "{count} of {} approved runs succeeded; {since}",
            terms.approved_runs
        ),
    }
}

fn confidence(terms: &Terms, record: Option<&Autonomy>) -> Proof {
    let counted = record.map_or(&[][..], |r| &r.counted);
    let least = counted.iter().map(|run| run.confidence).min();
    let most = counted.iter().map(|run| run.confidence).max();
    let (holds, text) = match (least, most) {
        (Some(least), Some(most)) => {
            let spread = Ratio::from_ppm(most.ppm() - least.ppm());
            (
                least >= terms.confidence_min && spread <= terms.confidence_spread,
                format!(
                    "the confidence of the last {} counted runs was {least} to {most}; \
                     it must be at least {} and lie no more than {} apart",
                    counted.len(),
                    terms.confidence_min,
                    terms.confidence_spread
                ),
            )
        }
        _ => (
            false,
            "no run has been counted, so no confidence".to_owned(),
        ),
    };
    Proof {
        name: "confidence",
        holds,
        text,
    }
}

fn drill(terms: &Terms, switch: &KillSwitch, now: Timestamp) -> Proof {
    let whole = |scope: &kill::Scope| matches!(scope, kill::Scope::Tenant | kill::Scope::Global);
    let last = switch.drills.iter().rev().find(|d| whole(&d.scope));
    let within = terms.drill_within;
    let (holds, text) = match last {
        None => (
            false,
            "the kill switch has not been drilled as a whole".to_owned(),
        ),
        Some(drill) if !drill.passed => (
            false,
            format!("the last drill of the kill switch, {}, failed", drill.at),
        ),
        Some(drill) => {
            let age = now.since(drill.at);
            let text = format!(
                "the kill switch passed a drill {} ago, allowed are {within}",
                coarse(age)
            );
            (age <= within, text)
        }
    };
    Proof {
        name: "kill_switch_drill",
        holds,
        text,
    }
}

fn sign_off(terms: &Terms, record: Option<&Autonomy>) -> Result<Proof, Refusal> {
    let (holds, text) = match record.and_then(|r| r.grant.as_ref()) {
        None => (false, "nobody has signed it off".to_owned()),
        Some(grant) if grant.terms != terms.digest()? => (
            false,
            format!(
                "`{}` signed it off under other terms on {}",
                grant.by, grant.at
            ),
        ),
        Some(grant) => (
            true,
            format!("signed off by `{}` on {}", grant.by, grant.at),
        ),
    };
    Ok(Proof {
        name: "sign_off",
        holds,
        text,
    })
}

/// Why this directive is not one that may go alone, whatever its type has
/// earned; empty when it is one.
pub(super) fn unfit(
    terms: &Terms,
    contract: &Contract,
    capabilities: &Capabilities,
    snapshot: Option<&Snapshot>,
) -> Vec<String> {
    let mut why = Vec::new();
    let sure = snapshot.map_or(Ratio::ZERO, least_confidence);
    if sure < terms.confidence_min {
        why.push(format!(
            "the least confidence of its snapshot is `{sure}`, to go alone it needs `{}`",
            terms.confidence_min
        ));
    }
    match contract.steps.as_slice() {
        [step] => {
            let traits = capabilities
                .get(&step.module)
                .map(|module| module.traits.of(&step.input))
                .unwrap_or_default();
            if !traits.idempotent {
                why.push(format!(
                    "its step `{}` cannot be sent again safely",
                    step.id
                ));
            }
            if !traits.reversible {
                why.push(format!("its step `{}` says not how it is undone", step.id));
            }
        }
        steps => why.push(format!(
            "it has {} steps, alone may go what has one",
            steps.len()
        )),
    }
    let subjects = contract.scope.subjects.len();
    if u32::try_from(subjects).unwrap_or(u32::MAX) > terms.subjects_max {
        why.push(format!(
            "it touches {subjects} subjects, alone it may touch {}",
            terms.subjects_max
        ));
    }
    if let Some(most) = &terms.cost_max
        && over(&contract.budget, most)
    {
        why.push(format!(
            "its budget is `{}`, alone it may cost `{most}`",
            contract.budget
        ));
    }
    why
}

/// Amounts of two currencies cannot be compared, and so count as over.
fn over(amount: &Money, most: &Money) -> bool {
    amount.exceeds(most).unwrap_or(true)
}

/// The least confidence among the fields of a snapshot.
pub(crate) fn least_confidence(snapshot: &Snapshot) -> Ratio {
    let least = snapshot.fields.values().map(|b| b.confidence).min();
    least.unwrap_or(Ratio::ZERO)
}

/// A span in its largest unit, for people.
fn coarse(span: Span) -> Span {
    const UNITS: [i64; 4] = [86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000];
    let micros = span.as_micros();
    let unit = UNITS.into_iter().find(|unit| micros >= *unit);
    Span::from_micros(unit.map_or(0, |unit| micros / unit * unit))
}
