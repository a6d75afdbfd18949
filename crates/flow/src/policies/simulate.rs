//! What another set of policies would have decided: the questions that the
//! record holds are asked again.

use super::{Texts, beside, well_named};
use crate::control::Control;
use gate::policy::{self, Decision};
use gate::verdict::VerdictEvent;
use kernel::{Event, Refusal, TenantId, Timestamp, Verdict, VerdictId};
use ledger::query::{EntryQuery, Order};
use serde::Serialize;

/// Verdicts that are read at a time.
const PAGE: usize = 500;
/// Most verdicts that are asked again.
const VERDICTS_MAX: usize = 100_000;
/// Most that are named.
const CHANGED_MAX: usize = 1_000;

/// A verdict that policy would have decided otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Simulated {
    /// The verdict.
    pub verdict: VerdictId,
    /// When it was given.
    pub at: Timestamp,
    /// The choke point.
    pub choke_point: gate::ChokePoint,
    /// What policy said of it.
    pub was: Verdict,
    /// What it would have said.
    pub would_be: Decision,
}

/// What another set would have decided.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Simulation {
    /// Verdicts that were asked again.
    pub asked: usize,
    /// Verdicts that cannot be asked again: they record no question, or not the
    /// facts that the set may ask for.
    pub without_question: usize,
    /// How many would have been decided otherwise.
    pub changed: usize,
    /// The first of them.
    pub items: Vec<Simulated>,
    /// Whether there are more verdicts than one simulation asks.
    pub cut_off: bool,
}

impl Control {
    /// Asks the questions recorded since `since` of the pack's policies with
    /// this set beside them. Nothing is recorded.
    ///
    /// # Errors
    /// When the set does not load, or storage does not answer.
    pub async fn simulate_policies(
        &self,
        tenant: TenantId,
        texts: &Texts,
        since: Timestamp,
    ) -> Result<Simulation, Refusal> {
        let in_force = self.in_force(tenant)?;
        well_named(texts)?;
        let set = beside(&in_force.pack, texts)?;
        let mut simulation = Simulation::default();
        let mut query = EntryQuery {
            kind: Some("gate.verdict_given".to_owned()),
            from: Some(since),
            order: Order::Ascending,
            limit: PAGE,
            ..EntryQuery::default()
        };
        loop {
            let entries = self.ledger().store().entries(tenant, &query).await?;
            for entry in &entries {
                simulation.ask(&set, &entry.kind, &entry.payload)?;
            }
            query.beyond_seq = entries.last().map(|entry| entry.seq);
            if entries.len() < PAGE {
                return Ok(simulation);
            }
            if simulation.asked + simulation.without_question >= VERDICTS_MAX {
                simulation.cut_off = true;
                return Ok(simulation);
            }
        }
    }
}

impl Simulation {
    fn ask(&mut self, set: &policy::PolicySet, kind: &str, payload: &str) -> Result<(), Refusal> {
        let payload: serde_json::Value = serde_json::from_str(payload)
            .map_err(|e| Refusal::integrity(format!("payload of a verdict: {e}")))?;
        let event = VerdictEvent::decode(kind, &payload)?;
        let VerdictEvent::Given(given) = event else {
            return Ok(());
        };
        let was = given.results.iter().find(|r| r.check == "policy");
        let (Some(was), false) = (was, given.asked.is_empty()) else {
            self.without_question += 1;
            return Ok(());
        };
        // What the set asks of before was not counted then.
        if !given.asked.iter().all(|asked| set.is_told(asked)) {
            self.without_question += 1;
            return Ok(());
        }
        self.asked += 1;
        let fitted = given.asked.iter().map(|asked| {
            let mut fitted = set.fitted(asked).into_owned();
            policy::complete(&mut fitted.context);
            fitted
        });
        let would_be = set.decide_all(&fitted.collect::<Vec<_>>());
        if would_be.verdict == was.verdict {
            return Ok(());
        }
        self.changed += 1;
        if self.items.len() < CHANGED_MAX {
            self.items.push(Simulated {
                verdict: given.question.id()?,
                at: given.evaluated_at,
                choke_point: given.question.choke_point,
                was: was.verdict,
                would_be,
            });
        }
        Ok(())
    }
}
