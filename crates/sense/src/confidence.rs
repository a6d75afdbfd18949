//! The confidence model, version 1.0.0 (SEN-11): a weighted sum of five factors
//! in [0, 1], in exact parts per million.
//!
//! | factor | value |
//! |---|---|
//! | detection strength | the strength of the worst severity among the detections |
//! | rule agreement | different rules that matched ÷ `rules_saturation`, at most 1 |
//! | source diversity | different sources of the signals ÷ `sources_saturation`, at most 1 |
//! | temporal density | most signals within any `density_window` ÷ `density_saturation`, at most 1 |
//! | historical precision | mean precision of the different rules that matched |
//!
//! A factor's contribution is its value times its weight, rounded down to a
//! part per million; the confidence is the sum of the contributions, so that
//! anyone can add up what is shown. Without a detection it is 0.

use crate::definition::{Bands, ConfidenceTables};
use crate::detection::Detection;
use crate::signal::Signal;
use kernel::{Ratio, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

kernel::names! {
    /// How sure that is, in words.
    pub enum Band {
        /// Below MEDIUM.
        Low = "LOW",
        /// From 0.3.
        Medium = "MEDIUM",
        /// From 0.6.
        High = "HIGH",
        /// From 0.8.
        VeryHigh = "VERY_HIGH",
    }
}

impl Band {
    /// The band of a confidence.
    #[must_use]
    pub fn of(value: Ratio, bands: &Bands) -> Self {
        if value >= bands.very_high {
            Self::VeryHigh
        } else if value >= bands.high {
            Self::High
        } else if value >= bands.medium {
            Self::Medium
        } else {
            Self::Low
        }
    }
}

kernel::names! {
    /// What confidence is made of.
    pub enum FactorName {
        /// The worst severity.
        DetectionStrength = "detection_strength",
        /// How many rules agree.
        RuleAgreement = "rule_agreement",
        /// How many sources agree.
        SourceDiversity = "source_diversity",
        /// How close together it comes.
        TemporalDensity = "temporal_density",
        /// How often the rules were right.
        HistoricalPrecision = "historical_precision",
    }
}

/// One factor with its share of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Which one.
    pub name: FactorName,
    /// Its value.
    pub value: Ratio,
    /// What it weighs.
    pub weight: Ratio,
    /// What it adds to the confidence.
    pub contribution: Ratio,
}

/// How sure a candidate is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// The version of the tables.
    pub version: String,
    /// The sum of the contributions.
    pub value: Ratio,
    /// In words.
    pub band: Band,
    /// The five factors, in the order of the table above.
    pub factors: Vec<Factor>,
}

/// The confidence in these detections; `signals` holds at least the signals
/// that they name.
#[must_use]
pub fn confidence(
    tables: &ConfidenceTables,
    detections: &[Detection],
    signals: &[Arc<Signal>],
) -> Confidence {
    let behind: BTreeSet<_> = detections.iter().flat_map(|d| &d.signals).collect();
    let used: BTreeMap<_, &Signal> = signals
        .iter()
        .filter(|s| behind.contains(&s.id))
        .map(|s| (s.id, s.as_ref()))
        .collect();
    let rules: BTreeSet<&str> = detections.iter().map(|d| d.rule.as_str()).collect();
    let sources: BTreeSet<&str> = used.values().map(|s| s.source.as_str()).collect();
    let mut times: Vec<Timestamp> = used.values().map(|s| s.observed_at).collect();
    times.sort_unstable();
    let worst = detections.iter().map(|d| d.severity).max();
    let strength = worst.map_or(Ratio::ZERO, |severity| tables.strengths.of(severity));
    let weights = &tables.weights;
    let factors: Vec<Factor> = [
        (
            FactorName::DetectionStrength,
            strength,
            weights.detection_strength,
        ),
        (
            FactorName::RuleAgreement,
            share(rules.len(), tables.rules_saturation),
            weights.rule_agreement,
        ),
        (
            FactorName::SourceDiversity,
            share(sources.len(), tables.sources_saturation),
            weights.source_diversity,
        ),
        (
            FactorName::TemporalDensity,
            share(
                densest(&times, tables.density_window),
                tables.density_saturation,
            ),
            weights.temporal_density,
        ),
        (
            FactorName::HistoricalPrecision,
            precision(tables, &rules),
            weights.historical_precision,
        ),
    ]
    .into_iter()
    .map(|(name, value, weight)| Factor {
        name,
        value,
        weight,
        contribution: value.times(weight),
    })
    .collect();
    let value = factors
        .iter()
        .fold(Ratio::ZERO, |sum, factor| sum.plus(factor.contribution));
    Confidence {
        version: tables.version.clone(),
        value,
        band: Band::of(value, &tables.bands),
        factors,
    }
}

fn share(number: usize, saturation: u32) -> Ratio {
    Ratio::of(
        u64::try_from(number).unwrap_or(u64::MAX),
        u64::from(saturation),
    )
}

/// The most instants within any stretch of this length, both ends included.
fn densest(sorted: &[Timestamp], window: Span) -> usize {
    let mut most = 0;
    let mut first = sorted.iter();
    let mut held = 0;
    for last in sorted {
        held += 1;
        let mut earliest = first.clone();
        while earliest.next().is_some_and(|at| last.since(*at) > window) {
            first = earliest.clone();
            held -= 1;
        }
        most = most.max(held);
    }
    most
}

fn precision(tables: &ConfidenceTables, rules: &BTreeSet<&str>) -> Ratio {
    let sum: u64 = rules
        .iter()
        .map(|rule| tables.precisions.get(*rule).copied())
        .map(|known| u64::from(known.unwrap_or(tables.precision_default).ppm()))
        .sum();
    let count = u64::try_from(rules.len()).unwrap_or(u64::MAX);
    match sum.checked_div(count) {
        Some(mean) => Ratio::from_ppm(u32::try_from(mean).unwrap_or(u32::MAX)),
        None => Ratio::ZERO,
    }
}
