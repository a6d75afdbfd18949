//! How the facts of a pack stand, for people: what each tells of a subject and
//! an agent now, since when it is counted, and whether what happened before is
//! counted back. What policy is told stands in [`FactSet::tell`]; both read the
//! same tallies in the same way.

use super::{Definition, Fact, FactSet, Keeping, Kept, Measure, Per, Tally};
use kernel::{Actor, Digest, Subject, Timestamp};
use serde::Serialize;
use serde_json::Value;

kernel::names! {
    /// Whether a fact is told.
    pub enum FactStatus {
        /// What happened before it was declared is still counted: policies that
        /// name it block.
        CountingBack = "counting_back",
        /// It is.
        Ready = "ready",
    }
}

/// How a fact stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactStanding {
    /// As the pack declares it.
    #[serde(flatten)]
    pub fact: Fact,
    /// Whether it is told.
    pub status: FactStatus,
    /// Since when it is counted as it comes; what was before is counted back.
    pub counted_since: Option<Timestamp>,
    /// What happened before this instant does not count now.
    pub window_from: Timestamp,
    /// For whom it was looked up; `None` where that was not said.
    pub key: Option<String>,
    /// What it tells of them; `None` as well when it never happened, and while
    /// it is counted back.
    pub value: Option<Value>,
    /// When it happened last, also before the window.
    pub latest: Option<Timestamp>,
}

/// A fact, and the tally that tells it where it is known for whom.
#[derive(Clone, Debug)]
pub struct Sought<'a> {
    fact: &'a Fact,
    definition: &'a Definition,
    keeping: Option<&'a Keeping>,
    key: Option<String>,
    /// The id of the tally; `None` where there is none to be read.
    pub tally: Option<String>,
}

impl Per {
    /// For whom it is told, given these; `None` when one that it needs is not.
    #[must_use]
    pub fn key(self, subject: Option<&Subject>, agent: Option<&Actor>) -> Option<String> {
        let subject = subject.map(ToString::to_string);
        let agent = agent.map(ToString::to_string);
        match self {
            Self::Tenant => Some(self.value("", "")),
            Self::Subject => Some(self.value(&subject?, "")),
            Self::Agent => Some(self.value("", &agent?)),
            Self::SubjectAndAgent => Some(self.value(&subject?, &agent?)),
        }
    }
}

impl FactSet {
    /// Where each fact of this subject and this agent is to be read.
    #[must_use]
    pub fn sought<'a>(
        &'a self,
        kept: Option<&'a Kept>,
        subject: Option<&Subject>,
        agent: Option<&Actor>,
    ) -> Vec<Sought<'a>> {
        let keeping = |digest: &Digest| kept.and_then(|kept| kept.facts.get(digest));
        let each = self.facts.iter().map(|(fact, definition, digest)| {
            let keeping = keeping(digest);
            let key = fact.per.key(subject, agent);
            let ready = keeping.filter(|keeping| keeping.ready);
            let tally = ready.zip(key.as_ref());
            Sought {
                fact,
                definition,
                keeping,
                tally: tally.map(|(k, key)| Tally::id_of(digest, k.number, key)),
                key,
            }
        });
        each.collect()
    }
}

impl Sought<'_> {
    /// How it stands, given its tally where there is one.
    #[must_use]
    pub fn standing(self, tally: Option<&Tally>, now: Timestamp) -> FactStanding {
        let told = self.tally.is_some();
        FactStanding {
            fact: self.fact.clone(),
            status: match self.keeping.is_some_and(|keeping| keeping.ready) {
                true => FactStatus::Ready,
                false => FactStatus::CountingBack,
            },
            counted_since: self.keeping.map(|keeping| keeping.since),
            window_from: self.definition.since(now),
            key: self.key,
            value: match told {
                true => self.fact.measure.of(tally, self.definition, now),
                false => None,
            },
            latest: tally.map(|tally| tally.latest),
        }
    }
}

impl Measure {
    /// What a tally tells now; a count of what never happened is 0.
    pub(super) fn of(
        self,
        tally: Option<&Tally>,
        definition: &Definition,
        now: Timestamp,
    ) -> Option<Value> {
        let value = match (self, tally) {
            (Self::Count, None) => Some(0),
            (Self::Count, Some(tally)) => Some(tally.count(definition, now)),
            (Self::SecondsSince, None) => None,
            (Self::SecondsSince, Some(tally)) => tally.seconds_since(definition, now),
        };
        value.map(Value::from)
    }
}
