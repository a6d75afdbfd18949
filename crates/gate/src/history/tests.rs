//! Tests of history: windows at their boundaries, bounded tallies against a
//! model, what a definition is, and which happenings it counts.

use super::kept::{Declared, KeptEvent, Readied};
use super::tally::{Occurred, TallyEvent};
use super::*;
use crate::contract::{ActionClass, Grounding, Scope, Step};
use kernel::{
    Actor, Aggregate, EntryId, Impossible, Money, PrincipalKind, SnapshotId, Stamp, Subject,
};
use serde_json::json;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// 2026-03-28T12:00:00Z; in Berlin a day of 23 hours follows.
const START: i64 = 1_774_699_200_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(START + micros)
}

fn definition(within: &str, zone: Option<&str>) -> Definition {
    Definition {
        happening: Happening::StepPermitted,
        per: Per::Tenant,
        within: serde_json::from_value(json!(within)).unwrap(),
        zone: zone.map(|zone| Zone::parse(zone).unwrap()),
        only: Filter::default(),
        fields: BTreeSet::new(),
    }
}

fn stamp(at: Timestamp, version: u64) -> Stamp {
    Stamp {
        at,
        actor: Actor::system("test"),
        entry: EntryId::from(uuid::Uuid::from_u128(version.into())),
        version,
    }
}

/// Folds happenings as they would be recorded.
fn tally(definition: &Definition, happenings: &[Timestamp]) -> Option<Tally> {
    happenings.iter().fold(None, |state, at| {
        let event = TallyEvent::Occurred(Occurred {
            counts: definition.digest().unwrap(),
            value: "tenant".to_owned(),
            within: definition.within,
            period: definition.period(*at),
        });
        Some(Tally::evolve(state, &event, &stamp(*at, 1)).unwrap())
    })
}

#[test]
fn windows_end_at_the_instant() {
    let hour = definition("1h", None);
    let berlin = definition("day", Some("Europe/Berlin"));
    let utc = definition("day", None);
    let month = definition("month", Some("Europe/Berlin"));
    for (what, definition, happened, now, count, since) in [
        ("at once", &hour, 0, 0, 1, Some(0)),
        ("just within", &hour, 0, HOUR - 1, 1, Some(3599)),
        ("just out", &hour, 0, HOUR, 0, None),
        ("of another clock", &hour, 5, 0, 1, Some(0)),
        // Midnight in Berlin is 23:00 UTC; the next one is 23 hours later.
        ("same day", &berlin, 0, 11 * HOUR - 1, 1, Some(39_599)),
        ("next day", &berlin, 0, 11 * HOUR, 0, None),
        (
            "short day",
            &berlin,
            11 * HOUR,
            34 * HOUR - 1,
            1,
            Some(82_799),
        ),
        ("after it", &berlin, 11 * HOUR, 34 * HOUR, 0, None),
        ("same day in UTC", &utc, 0, 12 * HOUR - 1, 1, Some(43_199)),
        ("next day in UTC", &utc, 0, 12 * HOUR, 0, None),
        ("same month", &month, 0, 3 * DAY, 1, Some(259_200)),
        ("next month", &month, 0, 4 * DAY, 0, None),
    ] {
        let tally = tally(definition, &[at(happened)]).unwrap();
        assert_eq!(tally.count(definition, at(now)), count, "{what}");
        assert_eq!(tally.seconds_since(definition, at(now)), since, "{what}");
    }
}

#[test]
fn a_day_counts_what_a_clock_behind_holds_for_yesterday() {
    let day = definition("day", None);
    let midnight = 12 * HOUR;
    let happened = [at(0), at(midnight), at(midnight - 1), at(midnight + 1)];
    let tally = tally(&day, &happened).unwrap();
    assert_eq!(tally.count(&day, at(midnight + 2)), 3);
    assert_eq!(tally.count(&day, at(midnight - 1)), 3, "never too little");
    assert_eq!(tally.count(&day, at(midnight + DAY)), 0);
}

/// Numbers that depend on the seed alone.
fn dice(seed: u64, sides: i64) -> i64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    i64::try_from((x ^ (x >> 31)) >> 1).unwrap() % sides
}

#[test]
fn a_busy_window_is_bounded_exact_while_few_and_never_too_small() {
    let hour = definition("1h", None);
    let slice = HOUR / SLICES;
    for (seed, step) in [(1, HOUR / 20), (2, HOUR / 300), (3, HOUR / 3_000)] {
        let (mut now, mut all, mut state) = (0, Vec::new(), None);
        let mut over = 0;
        for nth in 0..2_000_u64 {
            now += dice(seed * 10_000 + nth, 2 * step) + 1;
            // Some come from a clock that is a little behind.
            let when = now - dice(seed * 20_000 + nth, step);
            all.push(when);
            let event = TallyEvent::Occurred(Occurred {
                counts: hour.digest().unwrap(),
                value: "tenant".to_owned(),
                within: hour.within,
                period: None,
            });
            let next = Tally::evolve(state, &event, &stamp(at(when), nth + 1)).unwrap();
            assert!(next.at.len() <= EXACT_MAX && next.before.len() <= 66);
            let truth = |since: i64| {
                let within = all.iter().filter(|when| **when > since);
                u64::try_from(within.count()).unwrap()
            };
            let (told, exact) = (next.count(&hour, at(now)), truth(now - HOUR));
            assert!(told >= exact, "seed {seed}, {nth}: {told} of {exact}");
            assert!(told <= truth(now - HOUR - slice), "seed {seed}, {nth}");
            if exact < u64::try_from(EXACT_MAX).unwrap() {
                assert_eq!(told, exact, "seed {seed}, {nth}");
            } else {
                over += 1;
            }
            state = Some(next);
        }
        assert_eq!(over > 0, seed > 1, "seed {seed} is what it is meant to be");
    }
}

#[test]
fn a_burst_is_told_exactly_as_it_leaves_the_window() {
    let hour = definition("1h", None);
    let burst: Vec<Timestamp> = (0..200).map(|n| at(n * 1_000)).collect();
    let tally = tally(&hour, &burst).unwrap();
    for (now, told) in [
        (HOUR - 1, 200),
        (HOUR + 71_000, 128 + 72),
        (HOUR + 72_000, 127),
        (HOUR + 150_000, 49),
        (HOUR + 199_000, 0),
    ] {
        assert_eq!(tally.count(&hour, at(now)), told, "{now}");
    }
}

#[test]
fn counted_back_is_as_if_it_had_been_counted() {
    for (name, happened) in [
        ("1h", vec![0, 5, HOUR / 2, HOUR / 2 + 7, HOUR - 1]),
        ("1h", (0..400).map(|n| n * HOUR / 400).collect()),
        ("day", vec![0, HOUR, 11 * HOUR, 12 * HOUR, 13 * HOUR]),
        ("day", vec![0, 11 * HOUR, 12 * HOUR - 1]),
    ] {
        let definition = definition(name, None);
        let happened: Vec<Timestamp> = happened.into_iter().map(at).collect();
        let now = happened.last().unwrap().plus(Span::from_secs(1));
        let whole = tally(&definition, &happened).unwrap();
        for cut in 1..=happened.len() {
            let (past, live) = happened.split_at(cut);
            let event = TallyEvent::CountedBack(tally(&definition, past).unwrap());
            let state = tally(&definition, live);
            let back = Tally::evolve(state, &event, &stamp(now, 9)).unwrap();
            let told = (
                back.count(&definition, now),
                back.seconds_since(&definition, now),
            );
            let wanted = (
                whole.count(&definition, now),
                whole.seconds_since(&definition, now),
            );
            assert_eq!(told, wanted, "{name}, cut at {cut}");
            let twice: Result<_, Impossible> = Tally::evolve(Some(back), &event, &stamp(now, 10));
            assert!(twice.is_err());
        }
    }
}

fn fact(name: &str) -> Fact {
    serde_json::from_value(json!({
        "name": name, "happening": "step_permitted", "per": "tenant", "within": "1h",
        "measure": "count",
    }))
    .unwrap()
}

#[test]
fn a_definition_is_what_is_counted_and_not_what_it_is_called() {
    let classes = BTreeMap::from([("*.customer".to_owned(), "customer".to_owned())]);
    let digest = |bend: &dyn Fn(&mut Fact), classes: &BTreeMap<String, String>| {
        let mut fact = fact("a");
        fact.only.data_classes.insert("customer".to_owned());
        bend(&mut fact);
        let set = FactSet::compile(&[fact], classes).unwrap();
        *set.definitions().first_key_value().unwrap().0
    };
    let base = digest(&|_| (), &classes);
    for (what, same, bend) in [
        (
            "name",
            true,
            (&|f: &mut Fact| f.name = "b".into()) as &dyn Fn(&mut Fact),
        ),
        ("title", true, &|f| f.title = Some("A".into())),
        ("measure", true, &|f| f.measure = Measure::SecondsSince),
        ("window", false, &|f| f.within = Within::Day),
        ("per", false, &|f| f.per = Per::Agent),
        ("happening", false, &|f| f.happening = Happening::StepFailed),
        ("filter", false, &|f| {
            f.only.modules = ["x".to_owned()].into()
        }),
    ] {
        assert_eq!(digest(bend, &classes) == base, same, "{what}");
    }
    let mut wider = classes.clone();
    wider.insert("*.client".to_owned(), "customer".to_owned());
    assert_ne!(digest(&|_| (), &wider), base, "which fields hold the class");
}

#[test]
fn what_is_refused_when_it_is_loaded() {
    let check = |fact: Value, path: &[&str], says: &str| {
        let fact: Fact = serde_json::from_value(fact).unwrap();
        let classes = BTreeMap::from([("a".to_owned(), "customer".to_owned())]);
        let faults = FactSet::compile(&[self::fact("one"), fact], &classes).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        let (at, found, refusal) = &faults[0];
        assert_eq!((*at, found.as_slice()), (1, path));
        assert!(refusal.message.contains(says), "{refusal}");
    };
    let with = |name: &str, value: Value| {
        let mut fact = serde_json::to_value(fact("two")).unwrap();
        fact[name] = value;
        fact
    };
    check(with("name", json!("one")), &["name"], "stands twice");
    for name in ["", "A", "a-b", "1a"] {
        check(with("name", json!(name)), &["name"], "is no name");
    }
    check(with("within", json!("0s")), &["within"], "looks back");
    check(with("within", json!("400d")), &["within"], "looks back");
    check(
        with("zone", json!("Europe/Berlin")),
        &["zone"],
        "has no zone",
    );
    let only = json!({ "data_classes": ["secret"] });
    check(
        with("only", only),
        &["only", "data_classes"],
        "of class `secret`",
    );
    let mut costly = with("only", json!({ "cost_classes": ["CHEAP"] }));
    costly["happening"] = json!("approval_given");
    check(costly, &["only", "cost_classes"], "has no cost class");
    let many: Vec<Fact> = (0..=FACTS_MAX).map(|n| fact(&format!("f{n}"))).collect();
    let faults = FactSet::compile(&many, &BTreeMap::new()).unwrap_err();
    assert!(faults[0].2.message.contains("allowed are 64"), "{faults:?}");
    assert!(serde_json::from_value::<Within>(json!("week")).is_err());
}

fn contract() -> Contract {
    let step = |id: &str, module: &str, input: Value| Step {
        id: id.to_owned(),
        module: module.to_owned(),
        input: input.as_object().unwrap().clone(),
        cost: Money::parse("1 EUR", None).unwrap(),
        evidence: vec![Grounding::Locator("x".to_owned())],
    };
    Contract {
        issued_by: Actor::new(PrincipalKind::Agent, "a1"),
        role: "operator".to_owned(),
        kind: "account.refund".to_owned(),
        objective: "refund".to_owned(),
        scope: Scope {
            subjects: vec![Subject::parse("account/acme").unwrap()],
        },
        constraints: BTreeMap::new(),
        success_metrics: vec!["refunded".to_owned()],
        budget: Money::parse("5 EUR", None).unwrap(),
        timebox: Span::from_secs(600),
        action_class: ActionClass::InternalMutation,
        steps: vec![
            step("read", "crm.read", json!({ "customer": { "id": 7 } })),
            step(
                "tell",
                "http.request",
                json!({ "url": "https://mail.example.com/send" }),
            ),
            step("a#2", "noop", json!({})),
        ],
        snapshot: SnapshotId(Digest::ZERO),
    }
}

#[test]
fn which_happenings_count() {
    let contract = contract();
    let check = |only: Value, step: Option<&str>, counts: bool| {
        let mut definition = definition("1h", None);
        definition.only = serde_json::from_value(only.clone()).unwrap();
        definition.fields = BTreeSet::from(["customer".to_owned()]);
        let happened = Happened {
            what: Happening::StepPermitted,
            contract: &contract,
            step: step.map(|id| contract.step(id).unwrap()),
            cost_class: Some(CostClass::Medium),
        };
        assert_eq!(happened.counts_for(&definition), counts, "{only} {step:?}");
        definition.happening = Happening::StepFailed;
        assert!(!happened.counts_for(&definition));
    };
    let (read, tell) = (Some("read"), Some("tell"));
    check(json!({}), read, true);
    check(json!({ "modules": ["crm.read"] }), read, true);
    check(json!({ "modules": ["crm.read"] }), tell, false);
    check(json!({ "modules": ["crm.read", "noop"] }), None, true);
    check(json!({ "modules": ["other"] }), None, false);
    check(json!({ "directive_types": ["account.refund"] }), read, true);
    check(json!({ "directive_types": ["account.close"] }), read, false);
    check(json!({ "subject_types": ["account"] }), read, true);
    check(json!({ "subject_types": ["service"] }), read, false);
    check(json!({ "cost_classes": ["MEDIUM"] }), read, true);
    check(json!({ "cost_classes": ["CHEAP"] }), read, false);
    check(json!({ "data_classes": ["customer"] }), read, true);
    check(json!({ "data_classes": ["customer"] }), tell, false);
    check(json!({ "data_classes": ["customer"] }), None, true);
    check(json!({ "destinations": ["*"] }), tell, true);
    check(json!({ "destinations": ["*"] }), read, false);
    check(json!({ "destinations": ["*.example.com"] }), tell, true);
    check(
        json!({ "destinations": ["other.example.com"] }),
        tell,
        false,
    );
    // Every list must name the same step.
    let both = json!({ "modules": ["crm.read"], "destinations": ["*"] });
    check(both, None, false);
}

#[test]
fn for_whom_and_which_step() {
    let contract = contract();
    for (per, value) in [
        (Per::Tenant, "tenant"),
        (Per::Subject, "account/acme"),
        (Per::Agent, "agent:a1"),
        (Per::SubjectAndAgent, "account/acme@agent:a1"),
    ] {
        let mut definition = definition("1h", None);
        definition.per = per;
        assert_eq!(definition.value(&contract), value);
    }
    for (name, found) in [
        ("read", Some("read")),
        ("read#2", Some("read")),
        ("a#2", Some("a#2")),
        ("a#2#3", Some("a#2")),
        ("read#", None),
        ("read#x", None),
        ("nothing", None),
    ] {
        let step = step_named(&contract, name).map(|s| s.id.as_str());
        assert_eq!(step, found, "{name}");
    }
}

#[test]
fn what_is_declared_again_is_counted_anew_and_what_stays_goes_on() {
    let (a, b) = (definition("1h", None), definition("2h", None));
    let declared = |facts: &[&Definition], first: bool| {
        let facts = facts.iter().map(|d| (d.digest().unwrap(), (*d).clone()));
        KeptEvent::Declared(Declared {
            facts: facts.collect(),
            first,
        })
    };
    let digest = |d: &Definition| d.digest().unwrap();
    let fold = |state: Option<Kept>, event: KeptEvent, version: u64| {
        Kept::evolve(state, &event, &stamp(at(0), version))
    };
    let first = fold(None, declared(&[&a], true), 1).unwrap();
    assert_eq!((first.status(), first.due()), ("ready", None));
    let second = fold(Some(first), declared(&[&a, &b], false), 2).unwrap();
    let pending: Vec<_> = second.pending().map(|(d, k)| (*d, k.number)).collect();
    assert_eq!(pending, [(digest(&b), 2)]);
    assert_eq!(
        (second.status(), second.due()),
        ("counting_back", Some(at(0)))
    );
    let readied = |facts: &[(Digest, u64)]| {
        KeptEvent::Readied(Readied {
            facts: facts.iter().copied().collect(),
        })
    };
    assert!(fold(Some(second.clone()), readied(&[(digest(&b), 1)]), 3).is_err());
    let third = fold(Some(second), readied(&[(digest(&b), 2)]), 3).unwrap();
    assert!(fold(Some(third.clone()), readied(&[(digest(&b), 2)]), 4).is_err());
    let dropped = fold(Some(third), declared(&[&b], false), 4).unwrap();
    let again = fold(Some(dropped), declared(&[&a, &b], false), 5).unwrap();
    let numbers: Vec<_> = [&a, &b].map(|d| again.facts[&digest(d)].number).into();
    assert_eq!(numbers, [5, 2]);
    assert!(again.facts[&digest(&b)].ready && !again.facts[&digest(&a)].ready);
}
