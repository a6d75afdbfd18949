//! The files of a pack, each read into its type. What cannot be read is a
//! fault, and what refers to it is not judged, so that one mistake is told
//! once.

use crate::fault::Fault;
use crate::files::{self, Files, Folder};
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::policies::History;
use crate::runbook::Definition as Runbook;
use crate::templates::Definition as Template;
use crate::testing::Case;
use crate::yaml::{self, Document};
use gate::{approval, budget, conflict, kill, residency, validate};
use sense::definition::{ConfidenceTables, Correlation, Promotion, Rule, SignalType, Source};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use world::SchemaDefinition;

/// `signals.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signals {
    pub(super) signal_types: Vec<SignalType>,
}

/// The documents of one folder.
pub(super) struct Group<T> {
    /// Those that could be read, by file name.
    pub(super) found: Vec<Document<T>>,
    /// Whether all of them could.
    pub(super) whole: Whole,
}

/// Whether everything is there that others may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

/// Everything that could be read.
pub(super) struct Parts {
    pub(super) manifest: Option<Document<Manifest>>,
    pub(super) signals: Option<Document<Signals>>,
    pub(super) correlation: Option<Document<Correlation>>,
    pub(super) confidence: Option<Document<ConfidenceTables>>,
    pub(super) promotion: Option<Document<Promotion>>,
    pub(super) validators: Option<Document<validate::Settings>>,
    pub(super) budgets: Option<Document<budget::Book>>,
    pub(super) books: Group<budget::Book>,
    pub(super) approvals: Option<Document<approval::Settings>>,
    pub(super) kill_switch: Option<Document<kill::Settings>>,
    pub(super) conflicts: Option<Document<conflict::Settings>>,
    pub(super) residency: Option<Document<residency::Settings>>,
    pub(super) history: Option<Document<History>>,
    pub(super) labels: Option<Document<Labels>>,
    pub(super) schemas: Group<SchemaDefinition>,
    pub(super) sources: Group<Source>,
    pub(super) rules: Group<Rule>,
    pub(super) runbooks: Vec<Document<Runbook>>,
    pub(super) runbooks_whole: Whole,
    pub(super) templates: Vec<Document<Template>>,
    pub(super) tests: Vec<Document<Case>>,
}

impl Parts {
    pub(super) fn read(files: &Files, faults: &mut Vec<Fault>) -> Self {
        let runbooks = group(files, Folder::Runbooks, faults);
        Self {
            manifest: single(files, files::MANIFEST, faults),
            signals: single(files, files::SIGNALS, faults),
            correlation: single(files, files::CORRELATION, faults),
            confidence: single(files, files::CONFIDENCE, faults),
            promotion: single(files, files::PROMOTION, faults),
            validators: single(files, files::VALIDATORS, faults),
            budgets: single(files, files::BUDGETS, faults),
            books: group(files, Folder::Budgets, faults),
            approvals: single(files, files::APPROVALS, faults),
            kill_switch: single(files, files::KILL_SWITCH, faults),
            conflicts: single(files, files::CONFLICTS, faults),
            residency: single(files, files::RESIDENCY, faults),
            history: single(files, files::HISTORY, faults),
            labels: single(files, files::LABELS, faults),
            schemas: group(files, Folder::Schemas, faults),
            sources: group(files, Folder::Sources, faults),
            rules: group(files, Folder::Rules, faults),
            runbooks: runbooks.found,
            runbooks_whole: runbooks.whole,
            templates: group(files, Folder::Templates, faults).found,
            tests: group(files, Folder::Tests, faults).found,
        }
    }
}

fn single<T: DeserializeOwned>(
    files: &Files,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Document<T>> {
    let bytes = files.get(path)?;
    one(path, bytes, faults)
}

fn one<T: DeserializeOwned>(
    path: &str,
    bytes: &[u8],
    faults: &mut Vec<Fault>,
) -> Option<Document<T>> {
    if bytes.len() > files::DEFINITION_BYTES_MAX {
        return None;
    }
    match yaml::read(path, bytes) {
        Ok(document) => Some(document),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn group<T: DeserializeOwned>(files: &Files, folder: Folder, faults: &mut Vec<Fault>) -> Group<T> {
    let mut group = Group {
        found: Vec::new(),
        whole: Whole::Yes,
    };
    for (path, bytes) in files::within(files, folder) {
        match one(path, bytes, faults) {
            Some(document) => group.found.push(document),
            None => group.whole = Whole::No,
        }
    }
    group
}
