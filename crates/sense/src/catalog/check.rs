//! The checks behind the catalogue: names are unique, references resolve,
//! expressions and schemas compile, numbers are within their bounds.

use super::{Catalog, CompiledSource, CompiledType, Fault};
use crate::definition::{
    AlertmanagerMapping, Authentication, Definitions, Extract, FactValue, JsonMapping, Mapping,
    SignalType, Source,
};
use crate::expression::Expression;
use crate::limits;
use crate::rules::Rules;
use kernel::{Digest, Ratio, Refusal, Span, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// Collects faults, so that a pack's author sees all of them at once.
struct Faults<'a> {
    part: &'static str,
    name: &'a str,
    found: &'a mut Vec<Fault>,
}

impl Faults<'_> {
    fn add(&mut self, field: impl Into<String>, refusal: Refusal) {
        self.found.push(Fault {
            part: self.part,
            name: self.name.to_owned(),
            field: field.into(),
            refusal,
        });
    }
    fn check(&mut self, fine: bool, field: &str, refusal: impl FnOnce() -> Refusal) {
        if !fine {
            self.add(field, refusal());
        }
    }
}

pub(super) fn compile(definitions: &Definitions) -> Result<Catalog, Vec<Fault>> {
    let mut found = Vec::new();
    let types = signal_types(&definitions.signal_types, &mut found);
    let known: BTreeSet<&str> = definitions
        .signal_types
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    let sources = sources(&definitions.sources, &known, &mut found);
    let rules = rules(definitions, &known, &mut found);
    if let Some(rules) = &rules {
        super::personal::check(definitions, rules, &mut found);
    }
    correlation(definitions, &mut found);
    confidence(definitions, &mut found);
    let hash = Digest::of_value("writ.sense.v1", definitions).map_err(|e| {
        vec![Fault {
            part: "definitions",
            name: String::new(),
            field: String::new(),
            refusal: e.into(),
        }]
    })?;
    match rules {
        Some(rules) if found.is_empty() => Ok(Catalog {
            sources,
            types,
            rules,
            correlation: definitions.correlation.clone(),
            confidence: definitions.confidence.clone(),
            promotion: definitions.promotion.clone(),
            hash,
        }),
        _ => Err(found),
    }
}

fn name_fault(name: &str) -> Option<Refusal> {
    let fine = !name.is_empty()
        && name.len() <= kernel::limits::NAME_BYTES_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (!fine).then(|| {
        Refusal::invalid(format!("`{}` is no name", name.escape_debug()))
            .hint("use letters, digits, `_`, `-` and `.`")
    })
}

fn signal_types(list: &[SignalType], found: &mut Vec<Fault>) -> BTreeMap<String, CompiledType> {
    let mut types = BTreeMap::new();
    for definition in list {
        let mut faults = Faults {
            part: "signal_types",
            name: &definition.name,
            found,
        };
        if let Some(fault) = name_fault(&definition.name) {
            faults.add("name", fault);
        }
        faults.check(definition.ttl > Span::ZERO, "ttl", || {
            Refusal::invalid("a signal must hold for some time").hint("for example `1h`")
        });
        let built = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(&definition.attributes);
        match built {
            Err(e) => faults.add(
                format!("attributes{}", e.instance_path()),
                Refusal::invalid(format!("no JSON Schema: {e}")).hint("write JSON Schema 2020-12"),
            ),
            Ok(attributes) => {
                let compiled = CompiledType {
                    definition: definition.clone(),
                    attributes,
                };
                if types.insert(definition.name.clone(), compiled).is_some() {
                    faults.add("name", Refusal::conflict("the name stands twice"));
                }
            }
        }
    }
    types
}

fn sources(
    list: &[Source],
    types: &BTreeSet<&str>,
    found: &mut Vec<Fault>,
) -> BTreeMap<String, CompiledSource> {
    let mut sources = BTreeMap::new();
    for definition in list {
        let mut faults = Faults {
            part: "sources",
            name: &definition.name,
            found,
        };
        if let Some(fault) = name_fault(&definition.name) {
            faults.add("name", fault);
        }
        authentication(&definition.authentication, &mut faults);
        let mut expressions = BTreeMap::new();
        match &definition.mapping {
            Mapping::AlertmanagerV4(mapping) => alertmanager(mapping, types, &mut faults),
            Mapping::Json(mapping) => json(mapping, types, &mut expressions, &mut faults),
        }
        for (index, fact) in definition.facts.iter().enumerate() {
            facts(index, fact, types, &mut faults);
        }
        let compiled = CompiledSource {
            definition: definition.clone(),
            expressions,
        };
        if sources.insert(definition.name.clone(), compiled).is_some() {
            faults.add("name", Refusal::conflict("the name stands twice"));
        }
    }
    sources
}

fn authentication(authentication: &Authentication, faults: &mut Faults<'_>) {
    let secret = authentication.secret();
    let reference = ["env:", "file:"]
        .iter()
        .any(|p| secret.strip_prefix(p).is_some_and(|rest| !rest.is_empty()));
    faults.check(reference, "authentication.secret", || {
        Refusal::invalid("the secret is not a reference").hint("write `env:NAME` or `file:PATH`")
    });
    if let Authentication::Hmac { header, .. } = authentication {
        let fine = !header.is_empty()
            && header
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        faults.check(fine, "authentication.header", || {
            Refusal::invalid(format!("`{}` is no header name", header.escape_debug()))
                .hint("write it in lower case, for example `x-signature`")
        });
    }
    if let Authentication::StandardWebhooks { tolerance, .. } = authentication {
        let fine = Span::ZERO < *tolerance && *tolerance <= limits::TOLERANCE_MAX;
        faults.check(fine, "authentication.tolerance", || {
            let max = limits::TOLERANCE_MAX;
            Refusal::invalid(format!("must be more than `0s`, at most `{max}`"))
        });
    }
}

fn unknown_type(name: &str) -> Refusal {
    Refusal::invalid(format!("unknown signal type `{name}`")).hint("declare it in `signal_types`")
}

fn alertmanager(mapping: &AlertmanagerMapping, types: &BTreeSet<&str>, faults: &mut Faults<'_>) {
    subject_kind(&mapping.subject.kind, faults);
    faults.check(
        !mapping.subject.labels.is_empty(),
        "mapping.subject.labels",
        || Refusal::invalid("no label names the subject"),
    );
    let label = &mapping.signal_type;
    for name in label.map.values().chain(&label.default) {
        faults.check(types.contains(name.as_str()), "mapping.type", || {
            unknown_type(name)
        });
    }
    for (name, attribute) in &mapping.attributes {
        let from = attribute.from.as_str();
        let fine = from == "generatorURL"
            || ["labels.", "annotations."]
                .iter()
                .any(|p| from.strip_prefix(p).is_some_and(|rest| !rest.is_empty()));
        faults.check(fine, &format!("mapping.attributes.{name}"), || {
            Refusal::invalid(format!("`{from}` is no part of an alert"))
                .hint("write `labels.NAME`, `annotations.NAME` or `generatorURL`")
        });
    }
}

fn subject_kind(kind: &str, faults: &mut Faults<'_>) {
    faults.check(
        Subject::new(kind, "x").is_ok(),
        "mapping.subject.kind",
        || Refusal::invalid(format!("`{kind}` is no subject type")).hint("for example `service`"),
    );
}

fn json(
    mapping: &JsonMapping,
    types: &BTreeSet<&str>,
    expressions: &mut BTreeMap<String, Expression>,
    faults: &mut Faults<'_>,
) {
    subject_kind(&mapping.subject.kind, faults);
    pointer(&mapping.items, "mapping.items", faults);
    let mut extracts = vec![
        ("mapping.id".to_owned(), &mapping.id),
        ("mapping.type.from".to_owned(), &mapping.signal_type.from),
        ("mapping.subject.id".to_owned(), &mapping.subject.id),
        ("mapping.observed_at".to_owned(), &mapping.observed_at),
    ];
    let optional = [
        ("mapping.severity", &mapping.severity),
        ("mapping.began_at", &mapping.began_at),
        ("mapping.status", &mapping.status),
    ];
    for (field, extract) in optional {
        extracts.extend(extract.iter().map(|e| (field.to_owned(), e)));
    }
    for (name, extract) in &mapping.attributes {
        extracts.push((format!("mapping.attributes.{name}"), extract));
    }
    for (field, extract) in extracts {
        match extract {
            Extract::Pointer(text) => pointer(text, &field, faults),
            Extract::Cel(text) => match Expression::compile(text, &["item"]) {
                Ok(expression) => {
                    expressions.insert(text.clone(), expression);
                }
                Err(fault) => faults.add(field, fault),
            },
            Extract::Constant(_) => {}
        }
    }
    for name in mapping.signal_type.map.values() {
        faults.check(types.contains(name.as_str()), "mapping.type.map", || {
            unknown_type(name)
        });
    }
}

fn pointer(text: &str, field: &str, faults: &mut Faults<'_>) {
    faults.check(text.is_empty() || text.starts_with('/'), field, || {
        Refusal::invalid(format!("`{text}` is no JSON Pointer"))
            .hint("it is empty or begins with `/`")
    });
}

fn facts(
    index: usize,
    fact: &crate::definition::FactRule,
    types: &BTreeSet<&str>,
    faults: &mut Faults<'_>,
) {
    let field = format!("facts[{index}]");
    faults.check(!fact.field.is_empty(), &field, || {
        Refusal::invalid("`field` is empty")
    });
    faults.check(
        fact.firing.is_some() || fact.resolved.is_some(),
        &field,
        || Refusal::invalid("it never says anything").hint("give `firing`, `resolved` or both"),
    );
    for name in &fact.signal_types {
        faults.check(types.contains(name.as_str()), &field, || unknown_type(name));
    }
    for value in fact.firing.iter().chain(&fact.resolved) {
        if let FactValue::Attribute(name) = value {
            faults.check(!name.is_empty(), &field, || {
                Refusal::invalid("`attribute` is empty")
            });
        }
    }
}

fn rules(
    definitions: &Definitions,
    types: &BTreeSet<&str>,
    found: &mut Vec<Fault>,
) -> Option<Rules> {
    for rule in &definitions.rules {
        let mut faults = Faults {
            part: "rules",
            name: &rule.id,
            found,
        };
        if let Some(fault) = name_fault(&rule.id) {
            faults.add("id", fault);
        }
        for name in &rule.signal_types {
            faults.check(types.contains(name.as_str()), "signal_types", || {
                unknown_type(name)
            });
        }
    }
    match Rules::compile(&definitions.rules) {
        Ok(rules) => Some(rules),
        Err(faults) => {
            found.extend(faults);
            None
        }
    }
}

fn correlation(definitions: &Definitions, found: &mut Vec<Fault>) {
    let correlation = &definitions.correlation;
    let mut faults = Faults {
        part: "correlation",
        name: "",
        found,
    };
    let at_least_one = |number: u32| number >= 1;
    faults.check(at_least_one(correlation.min_rules), "min_rules", || {
        Refusal::invalid("no incident without a rule").hint("write 1 or more")
    });
    faults.check(at_least_one(correlation.min_signals), "min_signals", || {
        Refusal::invalid("no incident without a signal").hint("write 1 or more")
    });
    let bound = limits::CANDIDATE_SIGNALS_MAX;
    let max = correlation.max_signals;
    faults.check(
        (correlation.min_signals..=bound).contains(&max),
        "max_signals",
        || Refusal::invalid(format!("`{max}` is not between `min_signals` and {bound}")),
    );
    faults.check(correlation.gap > Span::ZERO, "gap", || {
        Refusal::invalid("without a gap no two signals belong together").hint("for example `15m`")
    });
}

fn confidence(definitions: &Definitions, found: &mut Vec<Fault>) {
    let tables = &definitions.confidence;
    let rule_ids: BTreeSet<&str> = definitions.rules.iter().map(|r| r.id.as_str()).collect();
    let mut faults = Faults {
        part: "confidence",
        name: "",
        found,
    };
    let weights = &tables.weights;
    let sum: u64 = [
        weights.detection_strength,
        weights.rule_agreement,
        weights.source_diversity,
        weights.temporal_density,
        weights.historical_precision,
    ]
    .iter()
    .map(|w| u64::from(w.ppm()))
    .sum();
    faults.check(sum == u64::from(Ratio::ONE.ppm()), "weights", || {
        Refusal::invalid("the five weights do not add up to 1")
    });
    let strengths = &tables.strengths;
    let rising = [
        strengths.info,
        strengths.low,
        strengths.medium,
        strengths.high,
        strengths.critical,
    ];
    faults.check(rising.is_sorted(), "strengths", || {
        Refusal::invalid("a worse severity is weaker than a milder one")
    });
    let bands = &tables.bands;
    let fine =
        Ratio::ZERO < bands.medium && bands.medium < bands.high && bands.high < bands.very_high;
    faults.check(fine, "bands", || {
        Refusal::invalid("the bands do not rise from `medium` over `high` to `very_high`")
    });
    let saturations = [
        ("rules_saturation", tables.rules_saturation),
        ("sources_saturation", tables.sources_saturation),
        ("density_saturation", tables.density_saturation),
    ];
    for (field, saturation) in saturations {
        faults.check(saturation >= 1, field, || {
            Refusal::invalid("it is at least 1")
        });
    }
    faults.check(tables.density_window > Span::ZERO, "density_window", || {
        Refusal::invalid("it is longer than nothing").hint("for example `10m`")
    });
    for id in tables.precisions.keys() {
        faults.check(rule_ids.contains(id.as_str()), "precisions", || {
            Refusal::invalid(format!("unknown rule `{id}`"))
        });
    }
    for (part, version) in [
        ("confidence", &tables.version),
        ("promotion", &definitions.promotion.version),
    ] {
        faults.part = part;
        faults.check(version == "1.0.0", "version", || {
            Refusal::invalid(format!("unknown version `{version}`")).hint("this is `1.0.0`")
        });
    }
}
