//! How a candidate is assessed: correlation thresholds, confidence tables and
//! the promotion gate. All of it is versioned data.

use crate::severity::Severity;
use kernel::{Ratio, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How signals of one subject become one candidate, and when that is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// Signals of one subject that are no further apart than this on event
    /// time belong together.
    pub gap: Span,
    /// A candidate is assessed when no signal has come for this long; `0s`
    /// assesses at once.
    pub settle: Span,
    /// Different rules that must have matched.
    pub min_rules: u32,
    /// Signals that must stand behind the detections.
    pub min_signals: u32,
    /// Signals that a candidate keeps; more are only counted.
    #[serde(default = "max_signals")]
    pub max_signals: u32,
}

fn max_signals() -> u32 {
    crate::limits::CANDIDATE_SIGNALS_MAX
}

/// The tables of the confidence model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfidenceTables {
    /// The version of the tables, `1.0.0`.
    pub version: String,
    /// What each factor weighs; together exactly 1.
    pub weights: Weights,
    /// The strength of each severity.
    pub strengths: Strengths,
    /// This many different rules are full agreement.
    pub rules_saturation: u32,
    /// This many different sources are full diversity.
    pub sources_saturation: u32,
    /// This many signals within `density_window` are full density.
    pub density_saturation: u32,
    /// The length of time over which density is counted.
    pub density_window: Span,
    /// How often each rule was right, by rule id; calibrated offline.
    #[serde(default)]
    pub precisions: BTreeMap<String, Ratio>,
    /// How often a rule that is not in the table is taken to be right.
    pub precision_default: Ratio,
    /// Where the bands begin.
    #[serde(default)]
    pub bands: Bands,
}

/// What each of the five factors weighs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The worst severity among the detections.
    pub detection_strength: Ratio,
    /// How many different rules matched.
    pub rule_agreement: Ratio,
    /// How many different sources the signals come from.
    pub source_diversity: Ratio,
    /// How close together the signals are.
    pub temporal_density: Ratio,
    /// How often the rules were right.
    pub historical_precision: Ratio,
}

/// The strength of each severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strengths {
    /// Of `info`.
    pub info: Ratio,
    /// Of `low`.
    pub low: Ratio,
    /// Of `medium`.
    pub medium: Ratio,
    /// Of `high`.
    pub high: Ratio,
    /// Of `critical`.
    pub critical: Ratio,
}

impl Strengths {
    /// The strength of this severity.
    #[must_use]
    pub fn of(&self, severity: Severity) -> Ratio {
        match severity {
            Severity::Info => self.info,
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
}

/// Where the bands above LOW begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// MEDIUM from here.
    pub medium: Ratio,
    /// HIGH from here.
    pub high: Ratio,
    /// VERY_HIGH from here.
    pub very_high: Ratio,
}

impl Default for Bands {
    fn default() -> Self {
        Self {
            medium: Ratio::from_ppm(300_000),
            high: Ratio::from_ppm(600_000),
            very_high: Ratio::from_ppm(800_000),
        }
    }
}

impl Default for ConfidenceTables {
    /// Version 1.0.0.
    fn default() -> Self {
        Self {
            version: "1.0.0".to_owned(),
            weights: Weights {
                detection_strength: Ratio::from_ppm(350_000),
                rule_agreement: Ratio::from_ppm(250_000),
                source_diversity: Ratio::from_ppm(100_000),
                temporal_density: Ratio::from_ppm(150_000),
                historical_precision: Ratio::from_ppm(150_000),
            },
            strengths: Strengths {
                info: Ratio::from_ppm(100_000),
                low: Ratio::from_ppm(300_000),
                medium: Ratio::from_ppm(500_000),
                high: Ratio::from_ppm(800_000),
                critical: Ratio::ONE,
            },
            rules_saturation: 2,
            sources_saturation: 2,
            density_saturation: 4,
            density_window: Span::from_secs(600),
            precisions: BTreeMap::new(),
            precision_default: Ratio::from_ppm(500_000),
            bands: Bands::default(),
        }
    }
}

/// When a candidate becomes an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The version of the gate, `1.0.0`.
    pub version: String,
    /// Only with at least this confidence.
    pub min_confidence: Ratio,
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            version: "1.0.0".to_owned(),
            min_confidence: Ratio::from_ppm(600_000),
        }
    }
}
