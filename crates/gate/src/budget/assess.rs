//! What a reservation would do to each counter that it falls under. Reads,
//! records nothing.

use super::{Amount, Ask, Book, Budget, Counter, Measure, Scope};
use crate::contract::CostClass;
use kernel::{Refusal, Unit, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What one counter says to a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The counter's id.
    pub counter: String,
    /// The budget's name.
    pub budget: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why, as a sentence that a person understands.
    pub reason: String,
    /// Consumed and reserved before.
    pub before: Amount,
    /// What is asked for.
    pub amount: Amount,
    /// Consumed and reserved afterwards; as before when the two cannot be
    /// added.
    pub after: Amount,
    /// More than this is warned of.
    pub soft: Option<Amount>,
    /// More than this is blocked.
    pub hard: Amount,
}

/// What all counters say to a reservation.
pub(super) struct Assessment<'b> {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) lines: Vec<(&'b Budget, Line)>,
}

impl Assessment<'_> {
    pub(super) fn findings(&self) -> Vec<Line> {
        self.lines.iter().map(|(_, line)| line.clone()).collect()
    }
}

/// Asks every counter.
pub(super) fn assess<'b>(
    unit: &mut Unit<'_>,
    book: &'b Book,
    ask: &Ask,
) -> Result<Assessment<'b>, Refusal> {
    let mut lines: Vec<(&Budget, Line)> = Vec::new();
    let mut seen = BTreeSet::new();
    for budget in &book.budgets {
        let (Some(value), Some(amount)) = (value(budget.scope, ask), amount(budget, ask)) else {
            continue;
        };
        let mut line = line(unit, budget, &value, amount)?;
        if !seen.insert(line.counter.clone()) {
            line.verdict = Verdict::Block;
            line.reason = format!("budget `{}` stands twice in the book", budget.name);
        }
        lines.push((budget, line));
    }
    let general = general_fault(&lines, ask);
    let verdict = match &general {
        Some(_) => Verdict::Block,
        None => Verdict::aggregate(lines.iter().map(|(_, line)| line.verdict)),
    };
    let worst = lines.iter().find(|(_, line)| line.verdict == verdict);
    let reason = match (general, verdict, worst) {
        (Some(fault), _, _) => fault,
        (None, Verdict::Allow, _) | (None, _, None) => {
            format!("within all {} budgets", lines.len())
        }
        (None, _, Some((_, line))) => line.reason.clone(),
    };
    Ok(Assessment {
        verdict,
        reason,
        lines,
    })
}

/// What blocks whatever the counters say.
fn general_fault(lines: &[(&Budget, Line)], ask: &Ask) -> Option<String> {
    let justified = ask
        .justification
        .as_ref()
        .is_some_and(|j| !j.trim().is_empty());
    if ask.cost_class == CostClass::Expensive && !justified {
        return Some("an EXPENSIVE operation needs a written justification".to_owned());
    }
    if lines.is_empty() {
        return Some("no budget covers this, and without a budget nothing is spent".to_owned());
    }
    let covers = |unit| lines.iter().any(|(b, _)| b.unit == unit);
    if !covers(Measure::Money) && !ask.amount.is_zero() {
        return Some(format!(
            "no budget of money covers this, so `{}` cannot be spent",
            ask.amount
        ));
    }
    None
}

/// What a budget counts of an ask; `None` when nothing.
fn amount(budget: &Budget, ask: &Ask) -> Option<Amount> {
    match budget.unit {
        Measure::Money => Some(Amount::Money(ask.amount)),
        Measure::Tokens => (ask.tokens > 0).then_some(Amount::Tokens(ask.tokens)),
        calls => calls.counts(ask.cost_class).then_some(Amount::Calls(1)),
    }
}

fn line(
    unit: &mut Unit<'_>,
    budget: &Budget,
    value: &str,
    amount: Amount,
) -> Result<Line, Refusal> {
    let id = Counter::id_of(budget, value, unit.ctx().now);
    let before = match unit.find::<Counter>(&id)? {
        Some(counter) => counter.used()?,
        None => budget.hard.zero(),
    };
    let mut line = Line {
        counter: id,
        budget: budget.name.clone(),
        verdict: Verdict::Block,
        reason: String::new(),
        before,
        amount,
        after: before,
        soft: budget.soft,
        hard: budget.hard,
    };
    let name = &budget.name;
    if !budget.hard.same_unit(&amount) {
        line.reason = format!(
            "budget `{name}` is in another currency than `{amount}`, and writ converts none"
        );
        return Ok(line);
    }
    if !before.same_unit(&amount) {
        line.reason = format!(
            "budget `{name}` already counts `{before}`, which cannot be added to `{amount}`; \
             a budget in a new unit needs a new name"
        );
        return Ok(line);
    }
    line.after = before.plus(&amount)?;
    let over_soft = match budget.soft {
        None => false,
        Some(soft) => line.after.exceeds(&soft)?,
    };
    (line.verdict, line.reason) = if line.after.exceeds(&budget.hard)? {
        let said = format!(
            "budget `{name}` would stand at {} of {} (hard cap)",
            line.after, budget.hard
        );
        (Verdict::Block, said)
    } else if let (true, Some(soft)) = (over_soft, budget.soft) {
        let said = format!(
            "budget `{name}` would stand at {}, over {soft} (soft cap)",
            line.after
        );
        (Verdict::Warn, said)
    } else {
        let said = format!(
            "budget `{name}` would stand at {} of {}",
            line.after, budget.hard
        );
        (Verdict::Allow, said)
    };
    Ok(line)
}

/// Under which value of a scope an ask is counted; `None` when under none.
pub(super) fn value(scope: Scope, ask: &Ask) -> Option<String> {
    match scope {
        Scope::Tenant => Some("tenant".to_owned()),
        Scope::Subject => ask.subject.as_ref().map(ToString::to_string),
        Scope::Tool => Some(ask.tool.clone()),
        Scope::Agent => Some(ask.agent.to_string()),
        Scope::Directive => ask.directive.map(|id| id.to_string()),
        Scope::Provider => ask.model.as_ref().map(|m| m.provider.clone()),
        Scope::Model => ask.model.as_ref().map(ToString::to_string),
    }
}
