//! The past: how the facts of a pack stand, and counting back. What had happened before a fact was declared is read from
//! the ledger, over the fact's window, and put into its tallies. Until that is
//! done the fact is not told, and policies that name it block.

use crate::control::Control;
use act::run::RunEvent;
use gate::approval::ApprovalEvent;
use gate::contract::Step;
use gate::directive::DirectiveEvent;
use gate::history::{self, FactStanding, Happened, Happening, Keeping, Kept, Tally};
use gate::verdict::{Given, VerdictEvent};
use gate::{ChokePoint, Contract, Directive};
use kernel::{
    Actor, Aggregate, Digest, DirectiveId, Event, Refusal, StreamId, Subject, TenantId, Timestamp,
    Unit, Verdict,
};
use ledger::entry::Entry;
use ledger::query::{EntryQuery, Order};
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries that are read at a time.
const PAGE: usize = 500;
/// Directives whose contracts are held at a time.
const CONTRACTS_MAX: usize = 1_000;
/// Tallies that are recorded in one unit.
const TALLIES_MAX: usize = 200;

/// The kinds of entries that tell of each happening.
fn kinds(happening: Happening) -> &'static [&'static str] {
    match happening {
        Happening::StepPermitted | Happening::VerdictBlocked => &["gate.verdict_given"],
        Happening::StepCompleted => &["run.step_succeeded", "run.step_resolved"],
        Happening::StepFailed => &["run.step_failed", "run.step_resolved"],
        Happening::ApprovalGiven => &["approval.approved"],
        Happening::DirectiveCompleted => &["directive.completed"],
        Happening::DirectiveAborted => &["directive.aborted"],
    }
}

impl Control {
    /// How the facts of the tenant's pack stand now, for this subject and this
    /// agent where they are given.
    ///
    /// # Errors
    /// `unavailable` when the tenant has no pack, and what storage says.
    pub async fn facts(
        &self,
        tenant: TenantId,
        subject: Option<&Subject>,
        agent: Option<&Actor>,
    ) -> Result<Vec<FactStanding>, Refusal> {
        let in_force = self.in_force(tenant)?;
        let kept: Option<Kept> = self.state(tenant, history::ID).await?;
        let now = self.now();
        let mut standings = Vec::new();
        let facts = &in_force.pack.rules.history;
        for sought in facts.sought(kept.as_ref(), subject, agent) {
            let tally: Option<Tally> = match &sought.tally {
                Some(id) => self.state(tenant, id).await?,
                None => None,
            };
            standings.push(sought.standing(tally.as_ref(), now));
        }
        Ok(standings)
    }

    /// The current state of an aggregate.
    async fn state<A: Aggregate>(&self, tenant: TenantId, id: &str) -> Result<Option<A>, Refusal> {
        let stream = StreamId::of::<A>(id);
        let found = self.ledger().store().document(tenant, &stream).await?;
        let parsed = found.map(|document| serde_json::from_str(&document.body));
        parsed
            .transpose()
            .map_err(|e| Refusal::integrity(format!("state of `{stream}`: {e}")))
    }

    /// Counts back what the tenant's facts need, where anything does.
    ///
    /// # Errors
    /// When storage does not answer; what was counted stays, and the rest is
    /// counted when the facts are due again.
    pub(crate) async fn count_back(&self, tenant: TenantId) -> Result<(), Refusal> {
        let Some(kept) = self.state::<Kept>(tenant, history::ID).await? else {
            return Ok(());
        };
        let mut readied = BTreeMap::new();
        for (digest, keeping) in kept.pending() {
            let mut past = Past::new(self, tenant, *digest, keeping);
            past.read().await?;
            let number = keeping.number;
            let tallies: Vec<Tally> = past.tallies.into_values().collect();
            for part in tallies.chunks(TALLIES_MAX) {
                let part = part.to_vec();
                self.ledger()
                    .run(self.system_ctx(tenant, "history"), move |unit| {
                        history::count_back(unit, number, &part)
                    })
                    .await?;
            }
            readied.insert(*digest, number);
        }
        if readied.is_empty() {
            return Ok(());
        }
        let ready = move |unit: &mut Unit<'_>| history::ready(unit, &readied);
        let ctx = self.system_ctx(tenant, "history");
        self.ledger().run(ctx, ready).await.map(drop)
    }
}

/// What the ledger tells of one thing that is counted.
struct Past<'a> {
    control: &'a Control,
    tenant: TenantId,
    digest: Digest,
    keeping: &'a Keeping,
    /// By value.
    tallies: BTreeMap<String, Tally>,
    /// The versions of contracts, each with the position from which it is in
    /// force.
    contracts: BTreeMap<DirectiveId, Vec<(u64, Contract)>>,
}

/// Verdicts that were given together: those of one target in one unit.
#[derive(Default)]
struct Together {
    about: Option<(DirectiveId, String, Timestamp)>,
    seq: u64,
    asked_to_execute: bool,
    blocked: bool,
}

impl<'a> Past<'a> {
    fn new(control: &'a Control, tenant: TenantId, digest: Digest, keeping: &'a Keeping) -> Self {
        Self {
            control,
            tenant,
            digest,
            keeping,
            tallies: BTreeMap::new(),
            contracts: BTreeMap::new(),
        }
    }

    /// Reads everything before the declaration that the window holds.
    async fn read(&mut self) -> Result<(), Refusal> {
        let store = self.control.ledger().store();
        let declared = store.entry(self.tenant, self.keeping.entry).await?;
        let declared = declared.ok_or_else(|| {
            Refusal::integrity("the entry that declared a fact is not on the ledger")
        })?;
        let definition = &self.keeping.definition;
        for kind in kinds(definition.happening) {
            let mut query = EntryQuery {
                kind: Some((*kind).to_owned()),
                from: Some(definition.since(self.keeping.since)),
                until_seq: Some(declared.seq),
                order: Order::Ascending,
                limit: PAGE,
                ..EntryQuery::default()
            };
            let mut together = Together::default();
            loop {
                let entries = store.entries(self.tenant, &query).await?;
                for entry in &entries {
                    self.entry(entry, &mut together).await?;
                }
                query.beyond_seq = entries.last().map(|entry| entry.seq);
                if entries.len() < PAGE {
                    break;
                }
            }
            self.given(&together).await?;
        }
        Ok(())
    }

    async fn entry(&mut self, entry: &Entry, together: &mut Together) -> Result<(), Refusal> {
        let payload: Value = serde_json::from_str(&entry.payload)
            .map_err(|e| Refusal::integrity(format!("payload of `{}`: {e}", entry.kind)))?;
        if entry.kind == "gate.verdict_given" {
            return match VerdictEvent::decode(&entry.kind, &payload)? {
                VerdictEvent::Given(given) => self.verdict(entry, &given, together).await,
                VerdictEvent::Withheld(_) => Ok(()),
            };
        }
        if self.happened_at(&entry.kind, &payload)? {
            let step = payload.get("step").and_then(Value::as_str);
            let directive = entry.directive;
            self.count(directive, step, entry.seq, entry.at).await?;
        }
        Ok(())
    }

    /// Whether an entry that is no verdict tells of what is counted.
    fn happened_at(&self, kind: &str, payload: &Value) -> Result<bool, Refusal> {
        let of_step = |phase: act::Phase| phase == act::Phase::Step;
        let failed = self.keeping.definition.happening == Happening::StepFailed;
        Ok(match kind {
            "approval.approved" => match ApprovalEvent::decode(kind, payload)? {
                ApprovalEvent::Given(given) => given.human_override,
                _ => false,
            },
            "directive.completed" | "directive.aborted" => true,
            _ => match RunEvent::decode(kind, payload)? {
                RunEvent::Succeeded(ended) | RunEvent::Failed(ended) => of_step(ended.phase),
                RunEvent::Resolved(resolved) => {
                    let succeeded = resolved.resolution == act::run::Resolution::Succeeded;
                    of_step(resolved.phase) && succeeded != failed
                }
                _ => false,
            },
        })
    }

    async fn verdict(
        &mut self,
        entry: &Entry,
        given: &Given,
        together: &mut Together,
    ) -> Result<(), Refusal> {
        let question = &given.question;
        let about = Some((question.directive, question.target.clone(), entry.at));
        if together.about != about {
            let before = std::mem::take(together);
            self.given(&before).await?;
            together.about = about;
        }
        together.seq = entry.seq;
        together.blocked |= given.verdict == Verdict::Block;
        together.asked_to_execute |= question.choke_point == ChokePoint::StepExecution;
        Ok(())
    }

    /// What verdicts that were given together say.
    async fn given(&mut self, together: &Together) -> Result<(), Refusal> {
        let Some((directive, target, at)) = &together.about else {
            return Ok(());
        };
        let step = target.split_once('/').map(|(_, step)| step);
        let permitted =
            together.asked_to_execute && !together.blocked && target.starts_with("step/");
        let counts = match self.keeping.definition.happening {
            Happening::StepPermitted => permitted,
            _ => together.blocked,
        };
        match counts {
            true => self.count(Some(*directive), step, together.seq, *at).await,
            false => Ok(()),
        }
    }

    async fn count(
        &mut self,
        directive: Option<DirectiveId>,
        step: Option<&str>,
        seq: u64,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(id) = directive else {
            return Ok(());
        };
        self.learn(id).await?;
        let versions = self.contracts.get(&id);
        let version = versions.and_then(|v| v.iter().rev().find(|(from, _)| *from <= seq));
        let Some((_, contract)) = version else {
            return Err(Refusal::integrity(format!(
                "`{id}` has no contract on the ledger"
            )));
        };
        let step: Option<&Step> = step.and_then(|name| history::step_named(contract, name));
        let modules = self.control.capabilities();
        let definition = &self.keeping.definition;
        let happened = Happened {
            what: definition.happening,
            contract,
            step,
            cost_class: step.and_then(|s| Some(modules.get(&s.module)?.cost_class)),
        };
        if happened.counts_for(definition) {
            let value = definition.value(contract);
            let period = definition.period(at);
            match self.tallies.get_mut(&value) {
                Some(tally) => tally.add(at, period.as_deref()),
                None => {
                    let tally = Tally::of_one(self.digest, definition, value.clone(), at);
                    self.tallies.insert(value, tally);
                }
            }
        }
        Ok(())
    }

    /// Reads the versions of a contract.
    async fn learn(&mut self, id: DirectiveId) -> Result<(), Refusal> {
        if self.contracts.contains_key(&id) {
            return Ok(());
        }
        if self.contracts.len() >= CONTRACTS_MAX {
            self.contracts.clear();
        }
        let mut versions = Vec::new();
        for kind in ["directive.drafted", "directive.edited"] {
            let query = EntryQuery {
                stream: Some(StreamId::of::<Directive>(id)),
                kind: Some(kind.to_owned()),
                limit: PAGE,
                ..EntryQuery::default()
            };
            for entry in self
                .control
                .ledger()
                .store()
                .entries(self.tenant, &query)
                .await?
            {
                let payload: Value = serde_json::from_str(&entry.payload)
                    .map_err(|e| Refusal::integrity(format!("payload of `{kind}`: {e}")))?;
                match DirectiveEvent::decode(kind, &payload)? {
                    DirectiveEvent::Drafted(drafted) => {
                        versions.push((entry.seq, drafted.contract))
                    }
                    DirectiveEvent::Edited(edited) => versions.push((entry.seq, edited.contract)),
                    _ => {}
                }
            }
        }
        versions.sort_by_key(|(seq, _)| *seq);
        self.contracts.insert(id, versions);
        Ok(())
    }
}
