//! The context of a question to policy: what the gate knows at the moment of
//! asking, in the types of the schema.

use kernel::{Money, Ratio, Span};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The member of the context that holds the facts of the past.
pub const HISTORY: &str = "history";

/// Digits after the point of Cedar's decimals.
const DIGITS: u32 = 4;

/// What the gate knows; the schema's `Facts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What this operation sets aside; at plan approval the directive's whole
    /// budget.
    pub cost: Money,
    /// The directive's whole budget.
    pub budget: Money,
    /// How many steps the directive has.
    pub steps: usize,
    /// Age of the oldest field of the bound snapshot.
    pub snapshot_age: Span,
    /// Least confidence among the snapshot's fields.
    pub confidence: Ratio,
    /// The written justification, where one is given.
    #[serde(default)]
    pub justification: Option<String>,
    /// The person who approved the directive, where one did.
    #[serde(default)]
    pub approved_by: Option<kernel::Actor>,
    /// Whether it changes state without a person, because its type has earned
    /// it.
    #[serde(default)]
    pub autonomous: bool,
    /// The host that would be reached, where there is one.
    #[serde(default)]
    pub destination: Option<String>,
    /// What the ledger tells of before, by the name of the fact; `None` where
    /// the pack has no facts.
    #[serde(default)]
    pub history: Option<Map<String, Value>>,
}

impl Facts {
    /// As the context of a [`super::Request`]. Money is rounded up to four
    /// digits after the point, so that no ceiling is passed by rounding.
    #[must_use]
    pub fn context(&self) -> Map<String, Value> {
        let written = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.trim().is_empty());
        let human = |actor: &kernel::Actor| actor.kind == kernel::PrincipalKind::Human;
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        put("cost", money(&self.cost));
        put("currency", self.cost.currency().code().into());
        put("budget", money(&self.budget));
        put("steps", self.steps.into());
        put(
            "snapshot_age_seconds",
            (self.snapshot_age.as_micros() / 1_000_000).into(),
        );
        let confidence = Decimal::new(self.confidence.ppm().into(), 6);
        put("confidence", decimal(confidence.trunc_with_scale(DIGITS)));
        put("justified", written(&self.justification).into());
        put(
            "human_approved",
            self.approved_by.as_ref().is_some_and(human).into(),
        );
        put("autonomous", self.autonomous.into());
        if let Some(host) = &self.destination {
            put("destination", host.as_str().into());
        }
        if let Some(history) = &self.history {
            put(HISTORY, history.clone().into());
        }
        map
    }
}

/// Adds what a context of an older record lacks: what nobody could have then.
pub fn complete(context: &mut Map<String, Value>) {
    context.entry("autonomous").or_insert_with(|| false.into());
}

/// An amount as a Cedar decimal, rounded up.
fn money(money: &Money) -> Value {
    let exact = money.amount();
    let down = exact.trunc_with_scale(DIGITS);
    decimal(if down == exact {
        down
    } else {
        down.saturating_add(Decimal::new(1, DIGITS))
    })
}

/// The JSON form of a Cedar decimal, which has one to four digits after the
/// point.
fn decimal(mut number: Decimal) -> Value {
    number.rescale(DIGITS);
    json!({ "__extn": { "fn": "decimal", "arg": number.to_string() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_up() {
        for (text, expected) in [
            ("0 EUR", "0.0000"),
            ("12.5 EUR", "12.5000"),
            ("0.000001 EUR", "0.0001"),
            ("450.00001 EUR", "450.0001"),
            ("450.0001 EUR", "450.0001"),
        ] {
            let value = money(&Money::parse(text, None).unwrap());
            assert_eq!(value["__extn"]["arg"], expected, "{text}");
        }
    }
}
