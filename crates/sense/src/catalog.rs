//! The catalogue: definitions checked as a whole and compiled once. Everything
//! that runs uses the catalogue, never raw definitions.

mod check;
mod personal;

use crate::definition::{
    ConfidenceTables, Correlation, Definitions, Promotion, SignalType, Source,
};
use crate::expression::Expression;
use crate::rules::Rules;
use crate::severity::Severity;
use kernel::{Digest, Refusal};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A fault of the definitions and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which list: `sources`, `signal_types`, `rules`, `correlation`,
    /// `confidence` or `promotion`.
    pub part: &'static str,
    /// The element's name in the list; empty for a part that is no list.
    pub name: String,
    /// The field within the element.
    pub field: String,
    /// What is wrong.
    pub refusal: Refusal,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part)?;
        if !self.name.is_empty() {
            write!(f, " `{}`", self.name)?;
        }
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}", self.refusal)
    }
}

/// A signal type with its compiled schema.
pub struct CompiledType {
    /// What the pack declared.
    pub definition: SignalType,
    attributes: jsonschema::Validator,
}

impl CompiledType {
    /// Checks attributes against the schema.
    ///
    /// # Errors
    /// The pointer of the failing attribute and what is wrong, without values.
    pub fn check(&self, attributes: &Map<String, Value>) -> Result<(), (String, String)> {
        let value = Value::Object(attributes.clone());
        self.attributes
            .validate(&value)
            .map_err(|e| (e.instance_path().to_string(), e.masked().to_string()))
    }

    /// The severity for a source's text, by this type's table.
    #[must_use]
    pub fn severity(&self, text: Option<&str>) -> Option<Severity> {
        text.and_then(|text| self.definition.severities.get(text).copied())
    }
}

/// A source with its compiled expressions.
pub struct CompiledSource {
    /// What the pack declared.
    pub definition: Source,
    expressions: BTreeMap<String, Expression>,
}

impl CompiledSource {
    /// The compiled form of an expression of this source.
    pub(crate) fn expression(&self, text: &str) -> Option<&Expression> {
        self.expressions.get(text)
    }
}

/// Definitions, checked and compiled.
pub struct Catalog {
    sources: BTreeMap<String, CompiledSource>,
    types: BTreeMap<String, CompiledType>,
    rules: Rules,
    correlation: Correlation,
    confidence: ConfidenceTables,
    promotion: Promotion,
    hash: Digest,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog({})", self.hash)
    }
}

impl Catalog {
    /// Checks and compiles definitions.
    ///
    /// # Errors
    /// Every fault that was found, in the order of the definitions.
    pub fn compile(definitions: &Definitions) -> Result<Self, Vec<Fault>> {
        check::compile(definitions)
    }

    /// The source of this name.
    ///
    /// # Errors
    /// `not_found` when no source has it.
    pub fn source(&self, name: &str) -> Result<&CompiledSource, Refusal> {
        self.sources.get(name).ok_or_else(|| {
            Refusal::not_found(format!("no source `{name}`"))
                .hint("the sources are declared in the pack")
        })
    }
    /// Every source, by name.
    pub fn sources(&self) -> impl Iterator<Item = &CompiledSource> {
        self.sources.values()
    }
    /// The signal type of this name.
    #[must_use]
    pub fn signal_type(&self, name: &str) -> Option<&CompiledType> {
        self.types.get(name)
    }
    /// Every signal type, by name.
    pub fn signal_types(&self) -> impl Iterator<Item = &CompiledType> {
        self.types.values()
    }
    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
    /// The correlation thresholds.
    #[must_use]
    pub fn correlation(&self) -> &Correlation {
        &self.correlation
    }
    /// The confidence tables.
    #[must_use]
    pub fn confidence(&self) -> &ConfidenceTables {
        &self.confidence
    }
    /// The promotion gate.
    #[must_use]
    pub fn promotion(&self) -> &Promotion {
        &self.promotion
    }
    /// SHA-256 over `writ.sense.v1`, a line feed and the canonical JSON of the
    /// definitions.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }
}
