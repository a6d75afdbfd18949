//! What a pack declares for sensing: sources, signal types, detection rules,
//! correlation, confidence tables and the promotion gate. Plain serde types;
//! checking and compiling them is `catalog`'s.

mod assessment;
mod rule;
mod source;

pub use assessment::{Bands, ConfidenceTables, Correlation, Promotion, Strengths, Weights};
pub use rule::{Aggregation, Quantity, Rule, Window};
pub use source::{
    AlertmanagerMapping, AttributeMapping, Authentication, Extract, FactRule, FactValue,
    JsonMapping, LabelMapping, Mapping, SeverityMapping, SignalType, Source, SubjectExtract,
    SubjectMapping, TimeForm, TypeMapping, ValueForm,
};

use serde::{Deserialize, Serialize};

/// Everything that a pack declares for sensing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definitions {
    /// Where observations come from.
    pub sources: Vec<Source>,
    /// What can be observed.
    pub signal_types: Vec<SignalType>,
    /// What is made of it.
    pub rules: Vec<Rule>,
    /// How detections become one candidate.
    pub correlation: Correlation,
    /// How sure a candidate is.
    #[serde(default)]
    pub confidence: ConfidenceTables,
    /// When a candidate becomes an incident.
    #[serde(default)]
    pub promotion: Promotion,
}
