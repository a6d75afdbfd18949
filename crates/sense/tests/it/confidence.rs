//! Confidence v1.0.0 and the promotion gate at every boundary.

use crate::support::*;
use kernel::Ratio;
use proptest::prelude::*;
use sense::confidence::{Band, FactorName, confidence};
use sense::definition::{Bands, ConfidenceTables};
use serde_json::json;

#[test]
fn the_bands_begin_where_the_specification_says() {
    let check = |ppm: u32, band: Band| {
        assert_eq!(
            Band::of(Ratio::from_ppm(ppm), &Bands::default()),
            band,
            "{ppm}"
        );
    };
    check(0, Band::Low);
    check(299_999, Band::Low);
    check(300_000, Band::Medium);
    check(599_999, Band::Medium);
    check(600_000, Band::High);
    check(799_999, Band::High);
    check(800_000, Band::VeryHigh);
    check(1_000_000, Band::VeryHigh);
}

#[test]
fn nothing_detected_is_no_confidence() {
    let result = confidence(&ConfidenceTables::default(), &[], &[]);
    assert_eq!((result.value, result.band), (Ratio::ZERO, Band::Low));
    assert_eq!(result.factors.len(), 5);
}

/// Two critical alerts of two instances, two rules.
fn promoted() -> Ledger {
    let mut ledger = Ledger::new();
    let catalog = catalog();
    let alerts = [
        alert(
            "HighErrorRate",
            "checkout",
            "a",
            "2026-03-01T10:00:00Z",
            "critical",
        ),
        alert(
            "HighErrorRate",
            "checkout",
            "b",
            "2026-03-01T10:01:00Z",
            "critical",
        ),
    ];
    ledger
        .webhook(&catalog, "alertmanager", &payload(&alerts))
        .unwrap();
    ledger.later(kernel::Span::from_secs(30));
    ledger.tick(&catalog);
    ledger
}

#[test]
fn every_factor_shows_its_contribution() {
    let ledger = promoted();
    let (_, candidate) = ledger.one("candidate");
    let result: sense::confidence::Confidence =
        serde_json::from_value(candidate["decision"]["confidence"].clone()).unwrap();
    let found: Vec<_> = result
        .factors
        .iter()
        .map(|f| (f.name, f.value.ppm(), f.weight.ppm(), f.contribution.ppm()))
        .collect();
    assert_eq!(
        found,
        [
            (FactorName::DetectionStrength, 1_000_000, 350_000, 350_000),
            (FactorName::RuleAgreement, 1_000_000, 250_000, 250_000),
            (FactorName::SourceDiversity, 500_000, 100_000, 50_000),
            (FactorName::TemporalDensity, 500_000, 150_000, 75_000),
            (FactorName::HistoricalPrecision, 500_000, 150_000, 75_000),
        ]
    );
    assert_eq!((result.value.ppm(), result.band), (800_000, Band::VeryHigh));
    assert_eq!(result.version, "1.0.0");
}

#[test]
fn the_threshold_itself_is_enough_and_one_part_per_million_less_is_not() {
    let check = |least: f64, outcome: &str| {
        let catalog = catalog_with(|d| {
            d["promotion"] = json!({ "version": "1.0.0", "min_confidence": least });
        });
        let mut ledger = Ledger::new();
        let alerts = [
            alert(
                "HighErrorRate",
                "checkout",
                "a",
                "2026-03-01T10:00:00Z",
                "critical",
            ),
            alert(
                "HighErrorRate",
                "checkout",
                "b",
                "2026-03-01T10:01:00Z",
                "critical",
            ),
        ];
        ledger
            .webhook(&catalog, "alertmanager", &payload(&alerts))
            .unwrap();
        ledger.later(kernel::Span::from_secs(30));
        ledger.tick(&catalog);
        let (_, candidate) = ledger.one("candidate");
        assert_eq!(candidate["decision"]["outcome"], outcome, "{candidate:#}");
    };
    check(0.8, "PROMOTE");
    check(0.800_001, "REJECT");
}

#[test]
fn six_tenths_promote_and_a_millionth_less_does_not() {
    // detection_strength alone decides: the other weights are zero.
    let check = |strength: f64, outcome: &str, band: &str| {
        let catalog = catalog_with(|d| {
            let mut tables = serde_json::to_value(ConfidenceTables::default()).unwrap();
            tables["weights"] = json!({
                "detection_strength": 1, "rule_agreement": 0, "source_diversity": 0,
                "temporal_density": 0, "historical_precision": 0
            });
            tables["strengths"] = json!({
                "info": 0, "low": 0, "medium": 0, "high": 0, "critical": strength
            });
            d["confidence"] = tables;
        });
        let mut ledger = Ledger::new();
        let alerts = [
            alert(
                "HighErrorRate",
                "checkout",
                "a",
                "2026-03-01T10:00:00Z",
                "critical",
            ),
            alert(
                "HighErrorRate",
                "checkout",
                "b",
                "2026-03-01T10:01:00Z",
                "critical",
            ),
        ];
        ledger
            .webhook(&catalog, "alertmanager", &payload(&alerts))
            .unwrap();
        ledger.later(kernel::Span::from_secs(30));
        ledger.tick(&catalog);
        let (_, candidate) = ledger.one("candidate");
        assert_eq!(candidate["decision"]["outcome"], outcome);
        assert_eq!(candidate["decision"]["confidence"]["band"], band);
    };
    check(0.599_999, "REJECT", "MEDIUM");
    check(0.6, "PROMOTE", "HIGH");
    check(0.799_999, "PROMOTE", "HIGH");
    check(0.8, "PROMOTE", "VERY_HIGH");
    check(0.299_999, "REJECT", "LOW");
    check(0.3, "REJECT", "MEDIUM");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    /// Density, plainly: for each signal, count those within the window after it.
    #[test]
    fn density_is_the_fullest_stretch(seconds in proptest::collection::vec(0_i64..3_000, 1..12)) {
        let catalog = catalog_with(|d| {
            d["correlation"]["gap"] = json!("2h");
            d["correlation"]["min_signals"] = json!(1);
            d["correlation"]["min_rules"] = json!(1);
            let mut tables = serde_json::to_value(ConfidenceTables::default()).unwrap();
            tables["density_saturation"] = json!(20);
            d["confidence"] = tables;
        });
        let base = at("2026-03-01T10:00:00Z").as_micros();
        let alerts: Vec<_> = seconds.iter().enumerate().map(|(n, s)| {
            let starts = kernel::Timestamp::from_micros(base + s * 1_000_000).to_string();
            alert("HighErrorRate", "checkout", &format!("i{n}"), &starts, "critical")
        }).collect();
        let mut ledger = Ledger::new();
        ledger.webhook(&catalog, "alertmanager", &payload(&alerts)).unwrap();
        ledger.later(kernel::Span::from_secs(30));
        ledger.tick(&catalog);
        let (_, candidate) = ledger.one("candidate");
        let most = seconds.iter().map(|a| {
            seconds.iter().filter(|b| **b >= *a && **b - *a <= 600).count()
        }).max().unwrap();
        let factor = &candidate["decision"]["confidence"]["factors"][3];
        prop_assert_eq!(factor["name"].as_str().unwrap(), "temporal_density");
        let expected = Ratio::of(u64::try_from(most).unwrap(), 20);
        prop_assert_eq!(factor["value"].as_f64().unwrap(), expected.to_f64());
    }
}
