//! Tests of the public surface, over an in-memory ledger whose states pass
//! through JSON on every read, as they do in the store.

use kernel::{
    Actor, Claim, Code, Ctx, Digest, EntryId, EvidenceId, EvidenceType, Ground, Held, Ratio,
    Reader, Refusal, Snapshot, Span, StreamId, Subject, TenantId, Timestamp, TraceId, Trust, Unit,
    limits,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use world::evidence::{Body, evidence_id};
use world::state::{Claimed, FieldClaim, GROUNDS_RECENT_MAX};
use world::{
    Content, Evidence, Fact, Filing, Schema, SchemaDefinition, State, Tier, claim, file, take,
};

#[derive(Default)]
struct Ledger {
    states: BTreeMap<StreamId, (u64, String)>,
    objects: Vec<(Digest, Vec<u8>)>,
    entries: usize,
    commands: u128,
}

impl Reader for Ledger {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let held = self.states.get(stream);
        Ok(held.map(|(version, body)| Held::Json(*version, body.clone())))
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn checkout() -> Subject {
    "service/checkout".parse().unwrap()
}

impl Ledger {
    fn run<R>(
        &mut self,
        op: impl FnOnce(&mut Unit<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.commands += 1;
        let ctx = Ctx::new(
            TenantId(uuid::Uuid::from_u128(1)),
            at("2026-03-01T10:00:00Z"),
            Actor::system("test"),
            TraceId::new(7).unwrap(),
            self.commands,
        );
        let mut unit = Unit::new(self, &ctx);
        let reply = op(&mut unit)?;
        let work = unit.finish();
        self.entries += work.drafts.len();
        self.objects.extend(work.objects);
        for changed in work.changed {
            let body = changed.state.body().unwrap();
            self.states.insert(changed.stream, (changed.version, body));
        }
        Ok(reply)
    }

    fn filed(&mut self, source: &str, body: &str, trust: Trust) -> EvidenceId {
        let filing = Filing {
            trust,
            ..filing(source, body.as_bytes())
        };
        self.run(|unit| file(unit, filing)).unwrap().id
    }
}

fn filing(source: &str, body: &[u8]) -> Filing {
    Filing {
        evidence_type: EvidenceType::Alert,
        source: source.to_owned(),
        source_id: "group-1".to_owned(),
        locator: "http://alertmanager.example".to_owned(),
        subjects: vec![checkout()],
        trust: Trust::Verified,
        observed_at: at("2026-03-01T09:59:00Z"),
        connector: "webhook".to_owned(),
        content_type: "application/json".to_owned(),
        body: Content::Plain(body.to_vec()),
    }
}

fn definition() -> Value {
    json!({
        "entity": "service", "version": 1,
        "fields": {
            "errors": { "enum": ["normal", "elevated"] },
            "error_ratio": { "type": "number", "minimum": 0, "maximum": 1 },
            "owner": { "type": "string" }
        },
        "critical": ["errors", "owner"]
    })
}

fn schema() -> Schema {
    Schema::compile(serde_json::from_value(definition()).unwrap()).unwrap()
}

fn fact(field: &str, value: Value, when: &str, evidence: EvidenceId) -> Fact {
    Fact {
        field: field.to_owned(),
        value,
        observed_at: at(when),
        evidence,
    }
}

#[test]
fn the_same_raw_body_is_one_record() {
    let mut ledger = Ledger::default();
    let first = ledger.run(|unit| file(unit, filing("am", b"{}"))).unwrap();
    assert!(first.new);
    let mut otherwise = filing("am", b"{}");
    otherwise.locator = "elsewhere".to_owned();
    let again = ledger.run(|unit| file(unit, otherwise)).unwrap();
    assert_eq!(
        (again.id, again.entry, again.new),
        (first.id, first.entry, false)
    );
    assert_eq!(ledger.entries, 1);
    for other in [
        filing("pd", b"{}"),
        filing("am", b"{} "),
        Filing {
            evidence_type: EvidenceType::Telemetry,
            ..filing("am", b"{}")
        },
    ] {
        assert!(ledger.run(|unit| file(unit, other)).unwrap().new);
    }
    let record = ledger.run(|unit| unit.get::<Evidence>(first.id)).unwrap();
    assert_eq!(record.entry, Some(first.entry));
    assert_eq!(record.digest, Digest::of(b"{}"));
    assert_eq!(record.bytes, 2);
    assert_eq!(record.fetched_at, at("2026-03-01T10:00:00Z"));
}

#[test]
fn the_id_has_a_test_vector() {
    let id = evidence_id("am", Digest::of(b"{}"), EvidenceType::Alert).unwrap();
    let form = format!(
        "writ.evidence.v1\n{{\"digest\":\"{}\",\"source\":\"am\",\"type\":\"alert\"}}",
        Digest::of(b"{}")
    );
    assert_eq!(id.0, Digest::of(form.as_bytes()));
}

#[test]
fn large_and_binary_bodies_go_to_the_object_store() {
    let check = |body: Vec<u8>, inline: bool| {
        let mut ledger = Ledger::default();
        let id = ledger
            .run(|unit| file(unit, filing("am", &body)))
            .unwrap()
            .id;
        let record = ledger.run(|unit| unit.get::<Evidence>(id)).unwrap();
        match &record.body {
            Body::Inline(text) => assert!(inline && text.as_bytes() == body),
            Body::Object(digest) => {
                assert!(!inline);
                assert_eq!(ledger.objects, [(*digest, body)]);
            }
        }
    };
    let max = limits::EVIDENCE_INLINE_BYTES_MAX;
    check(Vec::new(), true);
    check(vec![b'a'; max], true);
    check(vec![b'a'; max + 1], false);
    check(vec![0xff, 0xfe], false);
    // Six bytes each in JSON: short as text, too long in an entry.
    check(vec![1; max], false);
}

#[test]
fn bounds_of_evidence_are_kept() {
    let check = |change: fn(&mut Filing), part: &str| {
        let mut one = filing("am", b"x");
        change(&mut one);
        let fault = Ledger::default().run(|unit| file(unit, one)).unwrap_err();
        assert!(fault.message.contains(part), "{fault}");
    };
    check(|f| f.source = String::new(), "no source");
    check(|f| f.source_id = "x".repeat(257), "`source_id`");
    check(|f| f.locator = "x".repeat(4_097), "`locator`");
    check(|f| f.subjects = vec![checkout(); 1_025], "1025 subjects");
}

#[test]
fn schemas_are_checked_when_they_are_compiled() {
    let check = |change: fn(&mut Value), part: &str| {
        let mut value = definition();
        change(&mut value);
        let fault = Schema::compile(serde_json::from_value(value).unwrap()).unwrap_err();
        assert!(fault.message.contains(part), "{fault}");
    };
    check(|d| d["entity"] = json!("Service"), "no entity type");
    check(|d| d["version"] = json!(0), "begins with 1");
    check(|d| d["fields"] = json!({}), "0 fields");
    check(|d| d["critical"] = json!(["nope"]), "critical field `nope`");
    check(
        |d| d["fields"]["owner"] = json!({ "type": "txt" }),
        "field `owner`: no JSON Schema",
    );
    check(
        |d| d["fields"]["owner"] = json!({ "$ref": "file:///etc/passwd" }),
        "no JSON Schema",
    );
    check(|d| d["fields"][""] = json!(true), "no field name");
    let mut unknown = definition();
    unknown["surprise"] = json!(1);
    assert!(serde_json::from_value::<SchemaDefinition>(unknown).is_err());
    assert_eq!(schema().reference().hash, schema().reference().hash);
}

#[test]
fn a_state_fails_closed_on_what_the_schema_does_not_know() {
    let mut ledger = Ledger::default();
    let evidence = ledger.filed("am", "1", Trust::Verified);
    let mut check = |subject: &str, field: &str, value: Value, part: &str| {
        let facts = [fact(field, value, "2026-03-01T09:00:00Z", evidence)];
        let fault = ledger
            .run(|unit| claim(unit, &schema(), &subject.parse().unwrap(), &facts))
            .unwrap_err();
        assert!(fault.message.contains(part), "{fault}");
        assert!(
            !fault.to_string().contains("hunter2"),
            "no value is repeated: {fault}"
        );
    };
    check("service/checkout", "nope", json!(1), "unknown field `nope`");
    check(
        "service/checkout",
        "errors",
        json!("hunter2"),
        "field `errors`",
    );
    check(
        "service/checkout",
        "error_ratio",
        json!("hunter2"),
        "field `error_ratio`",
    );
    check(
        "service/checkout",
        "error_ratio",
        json!(1.5),
        "field `error_ratio`",
    );
    check("account/x", "errors", json!("normal"), "is not a `service`");
    let nowhere = EvidenceId(Digest::ZERO);
    let facts = [fact(
        "errors",
        json!("normal"),
        "2026-03-01T09:00:00Z",
        nowhere,
    )];
    let fault = ledger
        .run(|unit| claim(unit, &schema(), &checkout(), &facts))
        .unwrap_err();
    assert_eq!(fault.code, Code::NotFound);
}

#[test]
fn trust_wins_then_the_newest_and_contradictions_are_kept() {
    let mut ledger = Ledger::default();
    let alert = ledger.filed("am", "1", Trust::Verified);
    let newer = ledger.filed("am", "2", Trust::Verified);
    let said = ledger.filed("chat", "3", Trust::Reported);
    let facts = [
        fact("errors", json!("normal"), "2026-03-01T09:00:00Z", alert),
        fact("errors", json!("elevated"), "2026-03-01T09:30:00Z", newer),
        fact("errors", json!("normal"), "2026-03-01T09:50:00Z", said),
    ];
    let state = ledger
        .run(|unit| claim(unit, &schema(), &checkout(), &facts))
        .unwrap();
    let belief = &state.fields["errors"];
    assert_eq!(belief.claim.value, json!("elevated"), "trust before time");
    assert_eq!(
        belief.contradictions.len(),
        1,
        "the same source does not contradict itself"
    );
    assert_eq!(belief.contradictions[0].source, "chat");
    // 0.9 for trust, 1 for age, 1/2 for agreement.
    assert_eq!(belief.confidence, Ratio::from_ppm(450_000));
    // A claim that changes nothing records nothing.
    let before = ledger.entries;
    ledger
        .run(|unit| claim(unit, &schema(), &checkout(), &facts))
        .unwrap();
    assert_eq!(ledger.entries, before);
}

#[test]
fn confidence_falls_with_age() {
    let check = |hours_micros: i64, ppm: u32| {
        let mut ledger = Ledger::default();
        let old = ledger.filed("am", "1", Trust::SystemOfRecord);
        let new = ledger.filed("am", "2", Trust::SystemOfRecord);
        let now = at("2026-03-01T09:00:00Z");
        let then = now.minus(Span::from_micros(hours_micros));
        let facts = [
            Fact {
                observed_at: then,
                ..fact("owner", json!("a"), "2026-03-01T09:00:00Z", old)
            },
            fact("errors", json!("normal"), "2026-03-01T09:00:00Z", new),
        ];
        let state = ledger
            .run(|unit| claim(unit, &schema(), &checkout(), &facts))
            .unwrap();
        assert_eq!(state.fields["owner"].confidence, Ratio::from_ppm(ppm));
    };
    const HOUR: i64 = 3_600_000_000;
    check(HOUR, 1_000_000);
    check(HOUR + 1, 900_000);
    check(24 * HOUR, 900_000);
    check(24 * HOUR + 1, 700_000);
}

#[test]
fn snapshots_are_refused_with_the_names_of_what_is_missing() {
    let mut ledger = Ledger::default();
    let schema = schema();
    let nothing = ledger
        .run(|unit| take(unit, &schema, &checkout()))
        .unwrap_err();
    assert_eq!(nothing.code, Code::NotFound);
    let evidence = ledger.filed("am", "1", Trust::Verified);
    let when = "2026-03-01T09:00:00Z";
    let tier = |ledger: &mut Ledger| {
        let state = ledger.run(|unit| unit.get::<State>(checkout())).unwrap();
        schema.tier(&state)
    };
    let step = |ledger: &mut Ledger, field: &str, value: Value| {
        let facts = [fact(field, value, when, evidence)];
        ledger
            .run(|unit| claim(unit, &schema, &checkout(), &facts))
            .unwrap();
    };
    step(&mut ledger, "error_ratio", json!(0.5));
    assert_eq!(tier(&mut ledger), Tier::Unusable);
    let fault = ledger
        .run(|unit| take(unit, &schema, &checkout()))
        .unwrap_err();
    assert!(fault.message.contains("`errors`, `owner`"), "{fault}");
    step(&mut ledger, "errors", json!("elevated"));
    assert_eq!(tier(&mut ledger), Tier::Partial);
    let fault = ledger
        .run(|unit| take(unit, &schema, &checkout()))
        .unwrap_err();
    assert!(fault.message.contains("`owner`") && !fault.message.contains("`errors`"));
    step(&mut ledger, "owner", json!("team-a"));
    assert_eq!(tier(&mut ledger), Tier::Complete);
    let id = ledger.run(|unit| take(unit, &schema, &checkout())).unwrap();
    let before = ledger.entries;
    assert_eq!(
        ledger.run(|unit| take(unit, &schema, &checkout())).unwrap(),
        id
    );
    assert_eq!(ledger.entries, before, "taken once");
    let snapshot = ledger.run(|unit| unit.get::<Snapshot>(id)).unwrap();
    assert_eq!(snapshot.id().unwrap(), id);
    assert_eq!(snapshot.fields.len(), 3);
    assert_eq!(snapshot.grounds.len(), 1);
    assert_eq!(snapshot.grounds[0].evidence, evidence);
    assert_eq!(&snapshot.schema, schema.reference());
    step(&mut ledger, "owner", json!("zeta"));
    assert_ne!(
        ledger.run(|unit| take(unit, &schema, &checkout())).unwrap(),
        id
    );
}

#[test]
fn a_state_that_no_longer_fits_its_schema_is_not_frozen() {
    let mut ledger = Ledger::default();
    let evidence = ledger.filed("am", "1", Trust::Verified);
    let facts = [
        fact("errors", json!("normal"), "2026-03-01T09:00:00Z", evidence),
        fact("owner", json!("a"), "2026-03-01T09:00:00Z", evidence),
    ];
    ledger
        .run(|unit| claim(unit, &schema(), &checkout(), &facts))
        .unwrap();
    let mut narrower = definition();
    narrower["fields"]["errors"] = json!({ "const": "elevated" });
    let narrower = Schema::compile(serde_json::from_value(narrower).unwrap()).unwrap();
    let fault = ledger
        .run(|unit| take(unit, &narrower, &checkout()))
        .unwrap_err();
    assert!(fault.message.contains("field `errors`"), "{fault}");
}

/// A claim with the record behind it.
fn made(number: u8, minute: i64, source: u8, field: u8, value: u8, trust: usize) -> Claimed {
    let trusts = [
        Trust::SystemOfRecord,
        Trust::Verified,
        Trust::Reported,
        Trust::Inferred,
    ];
    let observed_at = Timestamp::from_micros(minute * 60_000_000);
    let evidence = EvidenceId(Digest::of(&[number % 64]));
    Claimed {
        subject: checkout(),
        claims: vec![FieldClaim {
            field: format!("f{field}"),
            claim: Claim {
                value: json!(value),
                source: format!("s{source}"),
                trust: trusts[trust],
                observed_at,
                evidence,
            },
        }],
        grounds: vec![Ground {
            evidence,
            entry: EntryId(uuid::Uuid::from_u128(u128::from(number % 64))),
            source_type: "alert".to_owned(),
            source_id: String::new(),
            locator: String::new(),
            observed_at: Timestamp::from_micros(i64::from(number % 64)),
        }],
    }
}

fn folded<'a>(claims: impl IntoIterator<Item = &'a Claimed>) -> String {
    let mut state = State::empty(checkout());
    for claimed in claims {
        state = state.with(claimed).unwrap();
        // What the store holds is what the fold goes on from.
        state = serde_json::from_str(&kernel::json::canonical(&state).unwrap()).unwrap();
    }
    kernel::json::canonical(&state).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_and_grouping_give_the_same_bytes(
        parts in proptest::collection::vec((any::<u8>(), 0_i64..3_000, 0_u8..3, 0_u8..3, 0_u8..2, 0_usize..4), 1..30),
        seed in any::<u64>(),
        cut in 1_usize..7,
    ) {
        let claims: Vec<Claimed> = parts.iter().map(|p| made(p.0, p.1, p.2, p.3, p.4, p.5)).collect();
        let plain = folded(&claims);
        let mut mixed: Vec<Claimed> = claims.iter().chain(claims.iter().take(4)).cloned().collect();
        mixed.sort_by_key(|c| Digest::of(format!("{seed}{c:?}").as_bytes()));
        prop_assert_eq!(&plain, &folded(&mixed));
        let grouped: Vec<Claimed> = mixed.chunks(cut).map(|chunk| Claimed {
            subject: checkout(),
            claims: chunk.iter().flat_map(|c| c.claims.clone()).collect(),
            grounds: chunk.iter().flat_map(|c| c.grounds.clone()).collect(),
        }).collect();
        prop_assert_eq!(&plain, &folded(&grouped));
    }

}

proptest! {
    // Hundreds of records each: few cases say enough.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn grounds_are_bounded_and_the_same_in_any_order(
        minutes in proptest::collection::vec(0_i64..100_000, 230..260),
        seed in any::<u64>(),
    ) {
        let claims: Vec<Claimed> = minutes.iter().enumerate().map(|(n, minute)| {
            let mut claimed = made(0, *minute, 0, 0, 0, 0);
            let evidence = EvidenceId(Digest::of(&n.to_be_bytes()));
            claimed.claims[0].claim.evidence = evidence;
            claimed.grounds[0].evidence = evidence;
            claimed.grounds[0].observed_at = Timestamp::from_micros(-minute);
            claimed
        }).collect();
        let fold = |claims: &[Claimed]| {
            claims.iter().fold(State::empty(checkout()), |state, c| state.with(c).unwrap())
        };
        let plain = fold(&claims);
        let mut mixed = claims.clone();
        mixed.sort_by_key(|c| Digest::of(format!("{seed}{c:?}").as_bytes()));
        prop_assert_eq!(&plain, &fold(&mixed));
        // The newest records, and that of the live claim, which is the oldest.
        prop_assert!(plain.grounds.len() <= GROUNDS_RECENT_MAX + 1);
        let live = plain.fields["f0"].claim.evidence;
        prop_assert!(plain.grounds.contains_key(&live));
    }
}
