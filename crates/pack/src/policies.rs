//! The policies of a pack with their tests, or those of a folder that holds
//! nothing else: read, checked, linted, tried and compared.

use crate::fault::Fault;
use crate::files::{self, Files, Folder};
use crate::testing::Tested;
use crate::yaml::{self, Document};
use gate::Capabilities;
use gate::history::{Fact, FactFault, FactSet};
use gate::policy::{self, Case, Known, PolicySet, Request};
use kernel::Refusal;
use serde::Deserialize;
use std::collections::BTreeSet;

/// `history.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    pub(crate) facts: Vec<Fact>,
}

/// One file of tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

/// Policies that load, with their tests.
#[derive(Debug)]
pub struct Policies {
    /// As written, by file.
    pub texts: Vec<(String, String)>,
    /// Ready to be asked.
    pub set: PolicySet,
    /// Their tests.
    pub tests: Vec<Case>,
    known: Known,
}

impl Policies {
    /// From the files of a pack, or of a folder of `.cedar` files with tests
    /// in `tests/*.yaml`. With `capabilities` the names of modules are known.
    ///
    /// # Errors
    /// Every fault that keeps them from loading, sorted by place.
    pub fn read(files: &Files, capabilities: Option<&Capabilities>) -> Result<Self, Vec<Fault>> {
        if files.contains_key(files::MANIFEST) {
            let pack = crate::load(files)?;
            let known = pack.known(capabilities);
            return Ok(Self {
                set: load(&pack.policies, &pack.rules.history)?,
                texts: pack.policies,
                tests: pack.policy_tests,
                known,
            });
        }
        let mut faults = Vec::new();
        let paths = files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let cedar = |path: &str| path.ends_with(".cedar") && !path.contains('/');
        let texts = utf8(paths.filter(|(path, _)| cedar(path)), &mut faults);
        let tests = tests(files, Folder::Tests, &mut faults);
        let history = history(files, &mut faults);
        match load(&texts, &history) {
            Ok(set) if faults.is_empty() => Ok(Self {
                texts,
                set,
                tests,
                known: Known {
                    tools: capabilities.map(|c| c.keys().cloned().collect()),
                    history,
                    ..Known::default()
                },
            }),
            loaded => {
                faults.extend(loaded.err().into_iter().flatten());
                faults.sort();
                Err(faults)
            }
        }
    }

    /// What would load and yet not do what its author means.
    #[must_use]
    pub fn lint(&self) -> Vec<Fault> {
        let found = policy::lint(&self.texts, &self.known);
        found.into_iter().map(Fault::of_policy).collect()
    }

    /// Runs the tests.
    #[must_use]
    pub fn test(&self) -> Vec<Tested> {
        let run = |case: &Case| Tested {
            name: case.name.clone(),
            faults: case.faults(&self.set),
        };
        self.tests.iter().map(run).collect()
    }

    /// The questions of the tests, by name.
    #[must_use]
    pub fn questions(&self) -> Vec<(String, Request)> {
        let one = |case: &Case| (case.name.clone(), case.request());
        self.tests.iter().map(one).collect()
    }
}

/// Loads policies; a policy is checked once for each action that it speaks of,
/// and told once.
pub(crate) fn load(texts: &[(String, String)], history: &FactSet) -> Result<PolicySet, Vec<Fault>> {
    PolicySet::with_history(history, texts).map_err(|mut found| {
        found.dedup_by(|a, b| {
            a.line > 0 && (&a.file, a.line, a.column) == (&b.file, b.line, b.column)
        });
        found.into_iter().map(Fault::of_policy).collect()
    })
}

/// The facts of a folder. What holds which class of data is said by a pack, so
/// that every class is taken.
fn history(files: &Files, faults: &mut Vec<Fault>) -> FactSet {
    let Some(bytes) = files.get(files::HISTORY) else {
        return FactSet::default();
    };
    let document = match yaml::read::<History>(files::HISTORY, bytes) {
        Ok(document) => document,
        Err(fault) => {
            faults.push(fault);
            return FactSet::default();
        }
    };
    let classes = document
        .value
        .facts
        .iter()
        .flat_map(|f| &f.only.data_classes);
    let classes = classes
        .map(|class| (class.clone(), class.clone()))
        .collect();
    FactSet::compile(&document.value.facts, &classes).unwrap_or_else(|found| {
        faults.extend(placed(&document, found));
        FactSet::default()
    })
}

/// Faults of facts at their places.
pub(crate) fn placed(document: &Document<History>, found: Vec<FactFault>) -> Vec<Fault> {
    let place = |(at, path, refusal): FactFault| {
        let at = at.to_string();
        let path: Vec<&str> = ["facts", &at].into_iter().chain(path).collect();
        document.places.fault(&path, refusal)
    };
    found.into_iter().map(place).collect()
}

/// The policies of a pack as text.
pub(crate) fn texts(files: &Files, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    utf8(files::within(files, Folder::Policies), faults)
}

fn utf8<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
    faults: &mut Vec<Fault>,
) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (path, bytes) in files {
        match std::str::from_utf8(bytes) {
            Ok(text) => texts.push((path.to_owned(), text.to_owned())),
            Err(_) => faults.push(Fault::of_file(
                path,
                Refusal::invalid("the file is not UTF-8"),
            )),
        }
    }
    texts
}

/// The tests of policies in a folder.
pub(crate) fn tests(files: &Files, folder: Folder, faults: &mut Vec<Fault>) -> Vec<Case> {
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for (path, bytes) in files::within(files, folder) {
        let document = match yaml::read::<Cases>(path, bytes) {
            Ok(document) => document,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        for (at, case) in document.value.cases.into_iter().enumerate() {
            if !names.insert(case.name.clone()) {
                let refusal = Refusal::conflict(format!("the test `{}` stands twice", case.name));
                let path = ["cases", &at.to_string(), "name"];
                faults.push(document.places.fault(&path, refusal));
            }
            cases.push(case);
        }
    }
    cases
}
