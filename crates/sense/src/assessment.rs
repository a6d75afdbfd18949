//! What is made of a candidate's signals: detections, bundle, confidence and
//! the promotion gate's decision, all pure functions of the set of signals and
//! the catalogue.

use crate::bundle::Bundle;
use crate::catalog::Catalog;
use crate::confidence::{Confidence, confidence};
use crate::definition::{Correlation, Promotion};
use crate::detection::Detection;
use crate::limits;
use crate::severity::Severity;
use crate::signal::Signal;
use kernel::{BundleId, DetectionId, IncidentId, Refusal, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the rules make of a set of signals of one subject.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The detections, by rule and id.
    pub detections: Vec<Detection>,
    /// The grounds.
    pub bundle: Bundle,
    /// How sure that is.
    pub confidence: Confidence,
    /// The worst severity among detections and the signals behind them.
    pub severity: Option<Severity>,
}

/// Assesses a set of signals.
///
/// # Errors
/// Never in practice: identities always have a canonical form.
pub fn assess(
    catalog: &Catalog,
    subject: &Subject,
    signals: &[Arc<Signal>],
) -> Result<Assessment, Refusal> {
    let mut detections = catalog.rules().evaluate(signals)?;
    // A candidate is of one subject; a bound keeps what is worst.
    detections.retain(|d| d.subject == *subject);
    if detections.len() > limits::DETECTIONS_MAX {
        detections.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.id.cmp(&b.id)));
        detections.truncate(limits::DETECTIONS_MAX);
    }
    detections
        .sort_by(|a, b| (&a.rule, a.window_start, a.id).cmp(&(&b.rule, b.window_start, b.id)));
    let bundle = Bundle::of(subject.clone(), &detections, signals);
    let behind: BTreeSet<_> = bundle.signals.iter().collect();
    let of_signals = signals
        .iter()
        .filter(|s| behind.contains(&s.id))
        .map(|s| s.severity);
    let severity = detections
        .iter()
        .map(|d| d.severity)
        .chain(of_signals)
        .max();
    Ok(Assessment {
        confidence: confidence(catalog.confidence(), &detections, signals),
        bundle,
        severity,
        detections,
    })
}

kernel::names! {
    /// What the promotion gate says.
    pub enum Outcome {
        /// It is an incident.
        Promote = "PROMOTE",
        /// It stays a candidate.
        Reject = "REJECT",
    }
}

/// The promotion gate's decision with everything that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What it says.
    pub outcome: Outcome,
    /// Why; for a rejection every threshold that was missed.
    pub reasons: Vec<String>,
    /// The gate that decided.
    pub promotion: Promotion,
    /// The correlation thresholds.
    pub correlation: Correlation,
    /// The different rules that matched.
    pub rules: Vec<String>,
    /// The detections.
    pub detections: Vec<DetectionId>,
    /// Signals behind the detections.
    pub signals: u32,
    /// Signals that were looked at.
    pub signals_kept: u32,
    /// Signals that came, those beyond the bound included.
    pub signals_total: u64,
    /// The grounds; absent when no rule matched.
    pub bundle: Option<BundleId>,
    /// How sure that is.
    pub confidence: Confidence,
    /// The worst severity.
    pub severity: Option<Severity>,
    /// The incident; absent for a rejection.
    pub incident: Option<IncidentId>,
}

/// Decides. PROMOTE needs every correlation threshold, a complete bundle and
/// the least confidence; equal is enough.
///
/// # Errors
/// Never in practice: identities always have a canonical form.
pub fn decide(
    catalog: &Catalog,
    assessment: &Assessment,
    signals_kept: usize,
    signals_total: u64,
) -> Result<Decision, Refusal> {
    let correlation = catalog.correlation();
    let promotion = catalog.promotion();
    let rules: BTreeSet<&String> = assessment.detections.iter().map(|d| &d.rule).collect();
    let signals = assessment.bundle.signals.len();
    let confidence = &assessment.confidence;
    let mut missed = Vec::new();
    let lacks = assessment.bundle.lacks();
    if assessment.detections.is_empty() {
        missed.push("no rule matched".to_owned());
    } else {
        if count(rules.len()) < correlation.min_rules {
            missed.push(format!(
                "{} different rules matched, needed are {}",
                rules.len(),
                correlation.min_rules
            ));
        }
        if count(signals) < correlation.min_signals {
            missed.push(format!(
                "{signals} signals stand behind the detections, needed are {}",
                correlation.min_signals
            ));
        }
        if !lacks.is_empty() {
            missed.push(format!("the bundle lacks {}", lacks.join(" and ")));
        }
        if confidence.value < promotion.min_confidence {
            missed.push(format!(
                "confidence {} ({}) is below {}",
                confidence.value, confidence.band, promotion.min_confidence
            ));
        }
    }
    let bundle = if assessment.detections.is_empty() {
        None
    } else {
        Some(assessment.bundle.id()?)
    };
    let (outcome, incident, reasons) = match (bundle, missed.is_empty()) {
        (Some(bundle), true) => (
            Outcome::Promote,
            Some(crate::incident::incident_id(
                &assessment.bundle.subject,
                bundle,
            )),
            vec![format!(
                "confidence {} ({}) reaches {} on a complete bundle of {} detections, {signals} signals and {} records of evidence",
                confidence.value,
                confidence.band,
                promotion.min_confidence,
                assessment.bundle.detections.len(),
                assessment.bundle.evidence.len()
            )],
        ),
        _ => (Outcome::Reject, None, missed),
    };
    Ok(Decision {
        outcome,
        reasons,
        promotion: promotion.clone(),
        correlation: correlation.clone(),
        rules: rules.into_iter().cloned().collect(),
        detections: assessment.bundle.detections.clone(),
        signals: count(signals),
        signals_kept: count(signals_kept),
        signals_total,
        bundle,
        confidence: confidence.clone(),
        severity: assessment.severity,
        incident,
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
