//! History: what policy may ask about before now. A pack declares facts (how
//! often something happened, or how long ago, for whom, within what); each
//! happening is folded into a tally in the unit that records it, and policy
//! sees the facts as `context.history`. What is asked of the past is on the
//! ledger and nowhere else.

mod happening;
mod kept;
mod standing;
mod tally;

#[cfg(test)]
mod tests;

pub use happening::{Happened, happened, step_ended, step_named};
pub use kept::{ID, Keeping, Kept, count_back, declare, ready};
pub use standing::{FactStanding, FactStatus, Sought};
pub use tally::{EXACT_MAX, SLICES, Slice, Tally, Told};

use crate::contract::{Contract, CostClass};
use kernel::{Digest, Refusal, Span, Timestamp, Unit, Zone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most facts of a pack.
pub const FACTS_MAX: usize = 64;
/// Longest name of a fact, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest span that a fact looks back.
const WITHIN_MAX: Span = Span::from_secs(366 * 86_400);
/// Shortest span that a fact looks back.
const WITHIN_MIN: Span = Span::from_secs(1);

kernel::names! {
    /// Something that happens and can be counted.
    pub enum Happening {
        /// The gate let a step through; once for each step and round.
        StepPermitted = "step_permitted",
        /// A step succeeded.
        StepCompleted = "step_completed",
        /// A step failed.
        StepFailed = "step_failed",
        /// People agreed to a directive.
        ApprovalGiven = "approval_given",
        /// Every step of a directive was done.
        DirectiveCompleted = "directive_completed",
        /// A directive that had begun was given up.
        DirectiveAborted = "directive_aborted",
        /// The gate blocked a plan or a step.
        VerdictBlocked = "verdict_blocked",
    }
}

kernel::names! {
    /// For whom a fact is told.
    pub enum Per {
        /// For everyone in the tenant together.
        Tenant = "tenant",
        /// For the subject of the directive, whoever acts.
        Subject = "subject",
        /// For who issued the directive, whatever it is about.
        Agent = "agent",
        /// For one issuer and one subject.
        SubjectAndAgent = "subject_and_agent",
    }
}

kernel::names! {
    /// What a fact tells.
    pub enum Measure {
        /// How often; 0 when never.
        Count = "count",
        /// How many whole seconds ago the latest was; absent when never.
        SecondsSince = "seconds_since",
    }
}

/// How far back a fact looks: a span that slides, `1h`, or the calendar's
/// `day` or `month` so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// This long before now.
    Sliding(Span),
    /// Since midnight.
    Day,
    /// Since the first of the month.
    Month,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sliding(span) => write!(f, "{span}"),
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
        }
    }
}
impl Serialize for Within {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        match text.as_ref() {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            span => Span::parse(span).map(Self::Sliding).map_err(|e| {
                serde::de::Error::custom(format!("{}, nor `day`, nor `month`", e.message))
            }),
        }
    }
}

/// A fact, as a pack declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Its name: `context.history.NAME`.
    pub name: String,
    /// What it tells, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happens.
    pub happening: Happening,
    /// For whom it is told.
    pub per: Per,
    /// How far back it looks.
    pub within: Within,
    /// Where days and months begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What it tells.
    pub measure: Measure,
    /// Only where it is so.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub only: Filter,
}

/// Which happenings count: every list that is not empty must name what the
/// step, or one step of the directive, is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Modules.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub modules: BTreeSet<String>,
    /// Types of directives.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub directive_types: BTreeSet<String>,
    /// Types of subjects.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subject_types: BTreeSet<String>,
    /// Cost classes; of `step_permitted` only.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cost_classes: BTreeSet<CostClass>,
    /// Classes of data in a step's input, as compliance tells them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data_classes: BTreeSet<String>,
    /// Hosts that a step reaches, exact or `*.example.com`; `*` is any host.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub destinations: BTreeSet<String>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is counted, whatever it is called and whatever is told of it. Its
/// digest names its tallies: another definition has other tallies, and the
/// same one keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What happens.
    pub happening: Happening,
    /// For whom.
    pub per: Per,
    /// How far back.
    pub within: Within,
    /// Where days and months begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Which of them.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub only: Filter,
    /// The patterns of the fields that hold the classes of data.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<String>,
}

impl Definition {
    /// SHA-256 over `writ.history.v1`, a line feed and the canonical JSON.
    ///
    /// # Errors
    /// When it has no canonical form.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::of_value("writ.history.v1", self)?)
    }

    /// Where days and months begin.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone.clone().unwrap_or(Zone::UTC)
    }

    /// The calendar's name of this instant; `None` where the window slides.
    #[must_use]
    pub fn period(&self, at: Timestamp) -> Option<String> {
        match self.within {
            Within::Sliding(_) => None,
            Within::Day => Some(self.zone().date(at)),
            Within::Month => Some(self.zone().month(at)),
        }
    }

    /// The instant before which nothing counts at `now`.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        match self.within {
            Within::Sliding(span) => now.minus(span),
            Within::Day => self.zone().day(now).0,
            Within::Month => self.zone().month_of(now).0,
        }
    }

    /// Whose tally a directive's happenings belong to.
    #[must_use]
    pub fn value(&self, contract: &Contract) -> String {
        let subject = contract.subject().map(ToString::to_string);
        let subject = subject.unwrap_or_default();
        let agent = contract.issued_by.to_string();
        self.per.value(&subject, &agent)
    }
}

impl Per {
    /// Whose tally it is.
    fn value(self, subject: &str, agent: &str) -> String {
        match self {
            Self::Tenant => "tenant".to_owned(),
            Self::Subject => subject.to_owned(),
            Self::Agent => agent.to_owned(),
            Self::SubjectAndAgent => format!("{subject}@{agent}"),
        }
    }
}

/// A fault of a fact: its position, the path of its field, and what is wrong.
pub type FactFault = (usize, Vec<&'static str>, Refusal);

/// The facts of a pack, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactSet {
    facts: Vec<(Fact, Definition, Digest)>,
}

impl FactSet {
    /// Checks facts and works out what they count, given which fields hold
    /// which class of data.
    ///
    /// # Errors
    /// Every fault, with the position of its fact and the path of its field.
    pub fn compile(
        facts: &[Fact],
        classes: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<FactFault>> {
        let mut faults = Vec::new();
        let mut compiled = Vec::new();
        let mut names = BTreeSet::new();
        for (at, fact) in facts.iter().enumerate() {
            let mut add =
                |path: &[&'static str], refusal| faults.push((at, path.to_vec(), refusal));
            if at == FACTS_MAX {
                add(
                    &[],
                    Refusal::invalid(format!("allowed are {FACTS_MAX} facts")),
                );
                break;
            }
            if !names.insert(&fact.name) {
                let refusal = Refusal::invalid(format!("the name `{}` stands twice", fact.name));
                add(&["name"], refusal);
            }
            for (path, refusal) in fact.check(classes) {
                add(&path, refusal);
            }
            match fact.definition(classes).and_then(|d| Ok((d.digest()?, d))) {
                Ok((digest, definition)) => compiled.push((fact.clone(), definition, digest)),
                Err(refusal) => add(&[], refusal),
            }
        }
        match faults.is_empty() {
            true => Ok(Self { facts: compiled }),
            false => Err(faults),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// As the pack declares them.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().map(|(fact, ..)| fact)
    }

    /// What is counted, once each, by digest.
    #[must_use]
    pub fn definitions(&self) -> BTreeMap<Digest, Definition> {
        let each = self.facts.iter();
        each.map(|(_, definition, digest)| (*digest, definition.clone()))
            .collect()
    }

    /// What the ledger tells of a directive now, by name of the fact, and the
    /// facts that are not counted back yet: those are left out, so that a
    /// policy that names them fails.
    ///
    /// # Errors
    /// When storage does not answer.
    pub fn tell(
        &self,
        unit: &mut Unit<'_>,
        contract: &Contract,
        now: Timestamp,
    ) -> Result<Told, Refusal> {
        let kept = unit.find::<Kept>(ID)?;
        let mut told = Told::default();
        for (fact, definition, digest) in &self.facts {
            let keeping = kept.as_ref().and_then(|kept| kept.facts.get(digest));
            let Some(keeping) = keeping.filter(|keeping| keeping.ready) else {
                told.pending.push(fact.name.clone());
                continue;
            };
            let value = definition.value(contract);
            let id = Tally::id_of(digest, keeping.number, &value);
            let tally = unit.find::<Tally>(id)?;
            if let Some(value) = fact.measure.of(tally.as_deref(), definition, now) {
                told.values.insert(fact.name.clone(), value);
            }
        }
        Ok(told)
    }

    /// The schema's record of the facts. In a schema that questions are held
    /// to every fact may be missing: a fact that is not counted back yet fails
    /// the policies that name it and no others.
    #[must_use]
    pub fn schema(&self, of: SchemaOf) -> String {
        let mut text = String::new();
        for fact in self.iter() {
            let optional = match (of, fact.measure) {
                (SchemaOf::Policies, Measure::Count) => "",
                _ => "?",
            };
            text.push_str(&format!("\"{}\"{optional}: Long, ", fact.name));
        }
        format!("{{ {text}}}")
    }

    /// Completes what a test states: a count that is not stated is 0.
    pub fn complete(&self, stated: &mut Map<String, Value>) {
        for fact in self.iter().filter(|f| f.measure == Measure::Count) {
            stated.entry(fact.name.clone()).or_insert(Value::from(0));
        }
    }
}

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOf {
    /// Policies are checked against it.
    Policies,
    /// Questions are held to it.
    Questions,
}

impl Fact {
    fn check(&self, classes: &BTreeMap<String, String>) -> Vec<(Vec<&'static str>, Refusal)> {
        let mut faults = Vec::new();
        let mut add = |path: &[&'static str], refusal| faults.push((path.to_vec(), refusal));
        let name = &self.name;
        let well_formed = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_formed {
            let refusal = Refusal::invalid(format!("`{name}` is no name"));
            let hint = "lower-case letters, digits and `_`, at most 64, a letter first";
            add(&["name"], refusal.hint(hint));
        }
        if let Within::Sliding(span) = self.within {
            if span < WITHIN_MIN || span > WITHIN_MAX {
                let refusal = Refusal::invalid(format!("looks back `{span}`"));
                let hint = format!("between `{WITHIN_MIN}` and `{WITHIN_MAX}`");
                add(&["within"], refusal.hint(hint));
            }
            if self.zone.is_some() {
                let refusal = Refusal::invalid("a window that slides has no zone");
                add(&["zone"], refusal.hint("zones belong to `day` and `month`"));
            }
        }
        if self.happening != Happening::StepPermitted && !self.only.cost_classes.is_empty() {
            let refusal = Refusal::invalid(format!("`{}` has no cost class", self.happening));
            let hint = format!("`{}` has", Happening::StepPermitted);
            add(&["only", "cost_classes"], refusal.hint(hint));
        }
        for class in &self.only.data_classes {
            if !classes.values().any(|known| known == class) {
                let refusal = Refusal::invalid(format!("no field holds data of class `{class}`"));
                let hint =
                    "name its fields in `validators.yaml`, under `compliance.data_classes.of`";
                add(&["only", "data_classes"], refusal.hint(hint));
            }
        }
        faults
    }

    fn definition(&self, classes: &BTreeMap<String, String>) -> Result<Definition, Refusal> {
        let of = |class: &String| self.only.data_classes.contains(class);
        let fields = classes.iter().filter(|(_, class)| of(class));
        Ok(Definition {
            happening: self.happening,
            per: self.per,
            within: self.within,
            zone: self.zone.clone(),
            only: self.only.clone(),
            fields: fields.map(|(pattern, _)| pattern.clone()).collect(),
        })
    }
}
