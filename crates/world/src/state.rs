//! The state of a subject: a pure fold of claims. The same claims in any order
//! and any grouping give the same state, byte for byte.
//!
//! Of each source, the newest claim on a field is live: newest by
//! `(observed_at, evidence, canonical value)`. Of the live claims of a field
//! the winner is the one with the highest trust, then the newest by the same
//! order, then the greater source name. Live claims with another value are its
//! contradictions.
//!
//! The confidence of a belief is `trust × age × agreement` in exact parts per
//! million, where trust is 1, 0.9, 0.7 or 0.5 by class; age is 1 up to an
//! hour, 0.9 up to a day and 0.7 beyond, measured from the newest observation
//! in the state, so that no clock is needed; and agreement is the share of
//! live claims with the winner's value.

use crate::evidence::Evidence;
use crate::schema::{self, Schema};
use kernel::{
    Aggregate, Belief, Claim, EvidenceId, Ground, Impossible, Ratio, Refs, Refusal, Span, Stamp,
    Subject, Timestamp, Trust, Unit, sealed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Grounds that are kept beside those of the live claims: the newest.
pub const GROUNDS_RECENT_MAX: usize = 200;
/// Most facts that one claim may assert.
pub const FACTS_MAX: usize = 1_024;

/// What a record of evidence asserts of a field; source and trust are the
/// record's.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The field.
    pub field: String,
    /// Its value.
    pub value: Value,
    /// When it was so.
    pub observed_at: Timestamp,
    /// The record that says so; it must have been filed.
    pub evidence: EvidenceId,
}

/// A claim on one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldClaim {
    /// The field.
    pub field: String,
    /// The claim.
    pub claim: Claim,
}

/// Claims were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    /// Of what.
    pub subject: Subject,
    /// What is claimed.
    pub claims: Vec<FieldClaim>,
    /// The records behind the claims.
    pub grounds: Vec<Ground>,
}

kernel::events! {
    /// What happens to a state: claims are made.
    pub enum StateEvent {
        /// Claims were made.
        Claimed(Claimed) = "state.claimed" in Evidence,
    }
}

/// What is believed of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of what.
    pub subject: Subject,
    /// What is believed, field by field.
    pub fields: BTreeMap<String, Belief>,
    /// The live claims: by field, then by source.
    pub live: BTreeMap<String, BTreeMap<String, Claim>>,
    /// The records behind the live claims and the newest others.
    pub grounds: BTreeMap<EvidenceId, Ground>,
}

impl State {
    /// A state without claims.
    #[must_use]
    pub fn empty(subject: Subject) -> Self {
        Self {
            subject,
            fields: BTreeMap::new(),
            live: BTreeMap::new(),
            grounds: BTreeMap::new(),
        }
    }

    /// The value that is believed of a field.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).map(|belief| &belief.claim.value)
    }

    /// The newest observation among the live claims.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let claims = self.live.values().flat_map(BTreeMap::values);
        claims.map(|claim| claim.observed_at).max()
    }

    /// The state after more claims. A pure function of the set of all claims
    /// so far.
    ///
    /// # Errors
    /// When a value has no canonical form.
    pub fn with(mut self, claimed: &Claimed) -> Result<Self, Impossible> {
        for ground in &claimed.grounds {
            self.grounds.insert(ground.evidence, ground.clone());
        }
        for FieldClaim { field, claim } in &claimed.claims {
            let live = self.live.entry(field.clone()).or_default();
            let newer = match live.get(&claim.source) {
                None => true,
                Some(held) => newest_first(claim, held)? == Ordering::Less,
            };
            if newer {
                live.insert(claim.source.clone(), claim.clone());
            }
        }
        self.believe()?;
        self.trim();
        Ok(self)
    }

    fn believe(&mut self) -> Result<(), Impossible> {
        let newest = self.newest().unwrap_or(Timestamp::EPOCH);
        let mut fields = BTreeMap::new();
        for (field, live) in &self.live {
            if let Some(belief) = belief(live, newest)? {
                fields.insert(field.clone(), belief);
            }
        }
        self.fields = fields;
        Ok(())
    }

    /// Drops grounds that are neither of a live claim nor among the newest.
    /// Order does not matter: a record that falls out of the newest once is
    /// never among them again, and a claim always brings its record along.
    fn trim(&mut self) {
        let claims = self.live.values().flat_map(BTreeMap::values);
        let mut kept: BTreeSet<EvidenceId> = claims.map(|claim| claim.evidence).collect();
        let mut by_age: Vec<(Timestamp, EvidenceId)> = self
            .grounds
            .values()
            .map(|ground| (ground.observed_at, ground.evidence))
            .collect();
        by_age.sort_by(|a, b| b.cmp(a));
        kept.extend(by_age.iter().take(GROUNDS_RECENT_MAX).map(|(_, id)| *id));
        self.grounds.retain(|id, _| kept.contains(id));
    }
}

fn trust_share(trust: Trust) -> Ratio {
    Ratio::from_ppm(match trust {
        Trust::SystemOfRecord => 1_000_000,
        Trust::Verified => 900_000,
        Trust::Reported => 700_000,
        Trust::Inferred => 500_000,
    })
}

fn age_share(age: Span) -> Ratio {
    const HOUR: Span = Span::from_secs(3_600);
    const DAY: Span = Span::from_secs(86_400);
    Ratio::from_ppm(if age <= HOUR {
        1_000_000
    } else if age <= DAY {
        900_000
    } else {
        700_000
    })
}

fn newest_first(a: &Claim, b: &Claim) -> Result<Ordering, Impossible> {
    let by_time = (b.observed_at, b.evidence).cmp(&(a.observed_at, a.evidence));
    if by_time.is_ne() {
        return Ok(by_time);
    }
    // The same record may say two things of one moment; any fixed order will do.
    Ok(text(&b.value)?.cmp(&text(&a.value)?))
}

fn text(value: &Value) -> Result<String, Impossible> {
    // Sealed values are told apart by what they hold, not by the key in use.
    sealed::sameness(value).map_err(|e| Impossible::new(e.to_string()))
}

fn belief(live: &BTreeMap<String, Claim>, newest: Timestamp) -> Result<Option<Belief>, Impossible> {
    let mut winner: Option<&Claim> = None;
    for claim in live.values() {
        let better = match winner {
            None => true,
            Some(held) => {
                let by_trust = claim.trust.cmp(&held.trust);
                // On a full tie the later source name wins: the map is sorted.
                by_trust.then(newest_first(claim, held)?).is_le()
            }
        };
        if better {
            winner = Some(claim);
        }
    }
    let Some(winner) = winner else {
        return Ok(None);
    };
    let value = text(&winner.value)?;
    let mut contradictions = Vec::new();
    for claim in live.values() {
        if text(&claim.value)? != value {
            contradictions.push(claim.clone());
        }
    }
    let total = u64::try_from(live.len()).unwrap_or(u64::MAX);
    let against = u64::try_from(contradictions.len()).unwrap_or(u64::MAX);
    let confidence = trust_share(winner.trust)
        .times(age_share(newest.since(winner.observed_at)))
        .times(Ratio::of(total.saturating_sub(against), total));
    Ok(Some(Belief {
        claim: winner.clone(),
        confidence,
        contradictions,
    }))
}

impl Aggregate for State {
    const KIND: &'static str = "state";
    type Event = StateEvent;

    fn evolve(state: Option<Self>, event: &StateEvent, _: &Stamp) -> Result<Self, Impossible> {
        let StateEvent::Claimed(claimed) = event;
        let before = state.unwrap_or_else(|| Self::empty(claimed.subject.clone()));
        if before.subject != claimed.subject {
            return Err(Impossible::new("a state is of one subject"));
        }
        before.with(claimed)
    }
    fn status(&self) -> &'static str {
        "believed"
    }
    fn refs(&self) -> Refs {
        Refs {
            subject: Some(self.subject.clone()),
            ..Refs::default()
        }
    }
}

/// Claims facts of a subject. What changes nothing records nothing.
///
/// # Errors
/// When the schema does not know the subject's type or a field, a value does
/// not fit, the evidence was not filed, or there are too many facts.
pub fn claim(
    unit: &mut Unit<'_>,
    schema: &Schema,
    subject: &Subject,
    facts: &[Fact],
) -> Result<Arc<State>, Refusal> {
    schema.check_subject(subject)?;
    if facts.len() > FACTS_MAX {
        return Err(Refusal::limit(format!(
            "{} facts at once, allowed are {FACTS_MAX}",
            facts.len()
        )));
    }
    let mut claims = Vec::new();
    let mut grounds = BTreeSet::new();
    for fact in facts {
        schema.check_field(&fact.field, &fact.value)?;
        schema::check_owner(subject, &fact.field, &fact.value)?;
        let evidence = unit.get::<Evidence>(fact.evidence)?;
        grounds.insert(evidence.ground()?);
        claims.push(FieldClaim {
            field: fact.field.clone(),
            claim: Claim {
                value: fact.value.clone(),
                source: evidence.source.clone(),
                trust: evidence.trust,
                observed_at: fact.observed_at,
                evidence: fact.evidence,
            },
        });
    }
    let before = unit.find::<State>(subject)?;
    let known = before
        .as_deref()
        .cloned()
        .unwrap_or_else(|| State::empty(subject.clone()));
    let claimed = Claimed {
        subject: subject.clone(),
        claims,
        grounds: grounds.into_iter().collect(),
    };
    if known.clone().with(&claimed)? == known {
        return Ok(before.unwrap_or_else(|| Arc::new(known)));
    }
    Ok(unit
        .record::<State>(subject, StateEvent::Claimed(claimed))?
        .1)
}
