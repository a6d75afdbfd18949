//! Freshness: is what is known recent enough? The age of a field is the
//! evaluation time less the time at which its winning claim was so; a claim
//! from the future has age 0. A limit is reached at exactly its length: with a
//! `hard_ttl` of 60s, 59.999999s passes and 60s is blocked.

use super::{Finding, Input, Ttl, Validator, report};
use kernel::{Span, Timestamp, Verdict};
use serde_json::{Value, json};

/// One thing whose age was looked at.
struct Aged {
    verdict: Verdict,
    age: Span,
    noun: &'static str,
    name: String,
    ttl: Ttl,
    source: String,
}

impl Aged {
    fn of(
        now: Timestamp,
        observed_at: Timestamp,
        ttl: Ttl,
        noun: &'static str,
        (name, source): (String, String),
    ) -> Self {
        let age = now.since(observed_at);
        let verdict = if age >= ttl.hard_ttl {
            Verdict::Block
        } else if age >= ttl.soft_ttl {
            Verdict::Warn
        } else {
            Verdict::Allow
        };
        Self {
            verdict,
            age,
            noun,
            name,
            ttl,
            source,
        }
    }

    fn sentence(&self) -> String {
        let (word, limit) = match self.verdict {
            Verdict::Block => ("must be younger than", self.ttl.hard_ttl),
            _ => ("should be younger than", self.ttl.soft_ttl),
        };
        format!(
            "{} `{}` is {} old, it {word} {limit}",
            self.noun, self.name, self.age
        )
    }

    fn inputs(&self) -> Value {
        json!({
            (self.noun): self.name, "source": self.source, "age": self.age,
            "soft_ttl": self.ttl.soft_ttl, "hard_ttl": self.ttl.hard_ttl,
            "verdict": self.verdict,
        })
    }
}

pub(super) fn run(input: &Input<'_>) -> Finding {
    let settings = &input.settings.freshness;
    let mut aged = Vec::new();
    for (field, belief) in &input.snapshot.fields {
        let ttl = settings.fields.get(field).copied();
        aged.push(Aged::of(
            input.now,
            belief.claim.observed_at,
            ttl.unwrap_or(settings.default),
            "field",
            (field.clone(), belief.claim.source.clone()),
        ));
    }
    for ground in super::grounding::cited(input) {
        if let Some(ttl) = settings.evidence.get(&ground.source_type) {
            let name = (ground.evidence.to_string(), ground.source_type.clone());
            aged.push(Aged::of(
                input.now,
                ground.observed_at,
                *ttl,
                "evidence",
                name,
            ));
        }
    }
    if input.snapshot.fields.is_empty() {
        return report(
            Validator::Freshness,
            Verdict::Block,
            format!(
                "the snapshot of `{}` holds no field: nothing is known",
                input.snapshot.subject
            ),
            json!({ "at": input.now, "checked": 0 }),
        );
    }
    let oldest = aged.iter().max_by_key(|a| a.age).map(Aged::inputs);
    let checked = aged.len();
    aged.retain(|a| a.verdict != Verdict::Allow);
    // The worst first, then the oldest; names decide between equals.
    aged.sort_by(|a, b| (b.verdict, b.age, &a.name).cmp(&(a.verdict, a.age, &b.name)));
    let verdict = aged.first().map_or(Verdict::Allow, |a| a.verdict);
    let fine = format!("all {checked} ages are within their limits");
    let reason = super::sentence(fine, aged.iter().map(Aged::sentence));
    report(
        Validator::Freshness,
        verdict,
        reason,
        json!({
            "at": input.now, "checked": checked, "oldest": oldest,
            "stale": super::listed(aged.iter().map(Aged::inputs)),
        }),
    )
}
