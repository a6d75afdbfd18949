//! Setting aside before spending: over every counter or over none.

use super::assess::{Assessment, assess, value};
use super::counter::{Amended, Met, Moved, Opened};
use super::reservation::{Held, Refused};
use super::{Book, Budget, Counter, CounterEvent, Line, Reservation, ReservationEvent};
use crate::contract::CostClass;
use crate::residency::Reached;
use kernel::{
    Actor, DirectiveId, Money, Refusal, ReservationId, Span, Subject, Unit, Verdict, limits,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to be set aside, for what and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Under which id; asked again with the same, the answer is the same.
    pub reservation: ReservationId,
    /// The most that it can cost.
    pub amount: Money,
    /// How costly the operation is.
    pub cost_class: CostClass,
    /// The directive, where it is for one.
    pub directive: Option<DirectiveId>,
    /// The subject, where there is one.
    pub subject: Option<Subject>,
    /// The tool (module).
    pub tool: String,
    /// Who acts.
    pub agent: Actor,
    /// For how long it is held; afterwards it counts as spent.
    pub lease: Span,
    /// Why it is worth it; EXPENSIVE operations need it.
    pub justification: Option<String>,
    /// The model that is called, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The most tokens that it can take; 0 when it takes none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Whether a caller outside of writ holds it, and settles it itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// The endpoints that it reaches, its own first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands it by reference"
)]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

/// A model of a provider, written `PROVIDER/MODEL`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who provides it.
    pub provider: String,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.name)
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// ALLOW, WARN (a soft cap is passed) or BLOCK.
    pub verdict: Verdict,
    /// Why, as a sentence that a person understands.
    pub reason: String,
    /// What each counter says, in the order of the book.
    pub findings: Vec<Line>,
    /// The reservation that is held; none when blocked or only previewed.
    pub reservation: Option<ReservationId>,
}

/// Sets aside over every counter that the ask falls under, or over none. A
/// BLOCK is recorded and is no error.
///
/// # Errors
/// `invalid` for an ask that makes no sense, `conflict` when the id was used
/// for something else, and what storage says.
pub fn reserve(unit: &mut Unit<'_>, book: &Book, ask: Ask) -> Result<Outcome, Refusal> {
    check(&ask)?;
    if let Some(known) = unit.find::<Reservation>(ask.reservation)? {
        return known.outcome(&ask);
    }
    let assessment = assess(unit, book, &ask)?;
    match assessment.verdict {
        Verdict::Block => block(unit, ask, &assessment),
        Verdict::Allow | Verdict::Warn => hold(unit, ask, &assessment),
    }
}

/// Records that nothing may be set aside for this, whatever the budgets say.
///
/// # Errors
/// As [`reserve`].
pub(super) fn refuse(unit: &mut Unit<'_>, ask: Ask, reason: String) -> Result<Outcome, Refusal> {
    check(&ask)?;
    if let Some(known) = unit.find::<Reservation>(ask.reservation)? {
        return known.outcome(&ask);
    }
    let refused = Refused {
        ask: ask.clone(),
        reason: reason.clone(),
        findings: Vec::new(),
    };
    unit.record::<Reservation>(ask.reservation, ReservationEvent::Refused(refused))?;
    Ok(Outcome {
        verdict: Verdict::Block,
        reason,
        findings: Vec::new(),
        reservation: None,
    })
}

/// What [`reserve`] would answer; records nothing and holds nothing.
///
/// # Errors
/// As [`reserve`].
pub fn preview(unit: &mut Unit<'_>, book: &Book, ask: &Ask) -> Result<Outcome, Refusal> {
    check(ask)?;
    if let Some(known) = unit.find::<Reservation>(ask.reservation)? {
        return known.outcome(ask);
    }
    let assessment = assess(unit, book, ask)?;
    Ok(Outcome {
        verdict: assessment.verdict,
        findings: assessment.findings(),
        reason: assessment.reason,
        reservation: None,
    })
}

fn check(ask: &Ask) -> Result<(), Refusal> {
    if ask.lease == Span::ZERO {
        return Err(Refusal::invalid("must be longer than nothing").at("lease"));
    }
    if ask.tool.is_empty() || ask.tool.len() > limits::NAME_BYTES_MAX {
        return Err(Refusal::invalid(format!("`{}` is not a tool", ask.tool)).at("tool"));
    }
    if let Some(model) = &ask.model {
        for (place, name) in [("provider", &model.provider), ("model", &model.name)] {
            // An `@` parts a counter's name from its period.
            let fits = !name.is_empty() && name.len() <= limits::NAME_BYTES_MAX;
            if !fits || name.chars().any(|c| c.is_control() || c == '@') {
                let said = format!("`{}` is no name", name.escape_debug());
                return Err(Refusal::invalid(said).at(place));
            }
        }
    }
    let text = ask.justification.as_deref().unwrap_or_default();
    if text.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "has {} bytes, allowed are {}",
            text.len(),
            limits::TEXT_BYTES_MAX
        ))
        .at("justification"));
    }
    Ok(())
}

fn hold(unit: &mut Unit<'_>, ask: Ask, assessment: &Assessment<'_>) -> Result<Outcome, Refusal> {
    let reservation = ask.reservation;
    let until = unit.ctx().now.plus(ask.lease);
    let findings = assessment.findings();
    let (entry, _) = unit.record::<Reservation>(
        reservation,
        ReservationEvent::Held(Held {
            ask: ask.clone(),
            until,
            verdict: assessment.verdict,
            reason: assessment.reason.clone(),
            findings: findings.clone(),
        }),
    )?;
    let cause = unit.caused_by(Some(entry));
    for (budget, line) in &assessment.lines {
        declare(unit, budget, line, &ask)?;
        let moved = Moved {
            reservation,
            amount: line.amount,
        };
        unit.record::<Counter>(&line.counter, CounterEvent::Reserved(moved))?;
        if line.verdict == Verdict::Warn {
            unit.record::<Counter>(&line.counter, CounterEvent::Warned(met(&ask, line)))?;
        }
        alert(unit, &line.counter)?;
    }
    unit.caused_by(cause);
    Ok(Outcome {
        verdict: assessment.verdict,
        reason: assessment.reason.clone(),
        findings,
        reservation: Some(reservation),
    })
}

fn block(unit: &mut Unit<'_>, ask: Ask, assessment: &Assessment<'_>) -> Result<Outcome, Refusal> {
    let findings = assessment.findings();
    let (entry, _) = unit.record::<Reservation>(
        ask.reservation,
        ReservationEvent::Refused(Refused {
            ask: ask.clone(),
            reason: assessment.reason.clone(),
            findings: findings.clone(),
        }),
    )?;
    let cause = unit.caused_by(Some(entry));
    for (budget, line) in &assessment.lines {
        if line.verdict == Verdict::Block {
            declare(unit, budget, line, &ask)?;
            unit.record::<Counter>(&line.counter, CounterEvent::Blocked(met(&ask, line)))?;
        }
    }
    unit.caused_by(cause);
    Ok(Outcome {
        verdict: Verdict::Block,
        reason: assessment.reason.clone(),
        findings,
        reservation: None,
    })
}

fn met(ask: &Ask, line: &Line) -> Met {
    Met {
        reservation: ask.reservation,
        amount: line.amount,
        reason: line.reason.clone(),
    }
}

/// Opens the counter, or brings its caps up to what the book says now. What is
/// used stays as it is.
fn declare(unit: &mut Unit<'_>, budget: &Budget, line: &Line, ask: &Ask) -> Result<(), Refusal> {
    let terms = budget.terms();
    let event = match unit.find::<Counter>(&line.counter)? {
        None => CounterEvent::Opened(Opened {
            budget: budget.name.clone(),
            scope: budget.scope,
            value: value(budget.scope, ask).unwrap_or_default(),
            period: budget.period.key(unit.ctx().now, &budget.zone),
            terms,
        }),
        // A budget whose unit changed under its old name is blocked, not
        // converted.
        Some(counter) if counter.terms == terms || !counter.consumed.same_unit(&terms.hard) => {
            return Ok(());
        }
        Some(_) => CounterEvent::Amended(Amended { terms }),
    };
    unit.record::<Counter>(&line.counter, event).map(drop)
}

/// Records the alert that is due, if any.
pub(super) fn alert(unit: &mut Unit<'_>, counter: &str) -> Result<(), Refusal> {
    match unit.get::<Counter>(counter)?.alert_due()? {
        None => Ok(()),
        Some(due) => unit
            .record::<Counter>(counter, CounterEvent::Alerted(due))
            .map(drop),
    }
}
