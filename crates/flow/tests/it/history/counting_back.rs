//! What had happened before a fact was declared: it is counted back, through
//! edits of the definition, restarts, and whatever happens meanwhile.

use super::{
    FACTS, POLICIES, admit, agent, by, contract, go, known, propose, refund, reset, sample,
};
use gate::history::{self, Kept, Tally};
use gate::operations::Proposed;
use gate::{Contract, Directive, GateEnv};
use kernel::{Digest, Span, Timestamp, Unit};
use serde_json::json;
use std::collections::BTreeMap;
use testkit::{Fate, Loop, Person, Sample, checks};

/// The facts that are kept, and whether they are counted back.
async fn kept(control: &Loop) -> Kept {
    let found = control.find::<Kept>(control.home(), history::ID).await;
    found.unwrap()
}

/// A loop in which three refunds, an approval and a reading happened before
/// anything was counted, and a contract.
async fn uncounted() -> (Loop, Contract) {
    let without = Sample {
        policies: POLICIES.lines().take(2).collect(),
        history: String::new(),
        ..sample()
    };
    let control = Loop::start(1, &without).await;
    let tenant = control.home();
    let (like, approval) = known(&control).await;
    let (a, b) = (agent("a"), agent("b"));
    for issuer in [&a, &b, &a] {
        assert_eq!(go(&control, issuer, &like, refund()).await, Ok(()));
    }
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    let read = (
        "machine.look",
        "echo",
        json!({ "message": { "customer": "c-7" } }),
    );
    assert_eq!(go(&control, &a, &like, read).await, Ok(()));
    assert!(control.find::<Kept>(tenant, history::ID).await.is_none());
    assert!(
        control.all::<Tally>(tenant).await.is_empty(),
        "nothing is paid for"
    );
    (control, like)
}

/// Facts over what happened before anything was counted.
async fn what_happened_before_counts(control: &Loop, like: &Contract) {
    let (tenant, a, b) = (control.home(), agent("a"), agent("b"));
    control.load(tenant, &sample()).await.unwrap();
    assert_eq!(kept(control).await.pending().count(), 0);
    assert_eq!(go(control, &b, like, refund()).await, by("three-refunds"));
    assert_eq!(go(control, &b, like, reset()).await, Ok(()));
    let url = "http://plant.example/notes";
    let message = (
        "machine.tell",
        "http.request",
        json!({ "method": "POST", "url": url }),
    );
    let blocked = propose(control, &a, like, message.clone()).await.1;
    assert!(matches!(blocked, Proposed::Blocked { .. }), "{blocked:?}");
    let other = propose(control, &b, like, message).await.1;
    assert!(matches!(other, Proposed::Waiting { .. }), "{other:?}");
}

/// Verdicts of before anything was counted are not asked what was.
async fn what_was_asked_before_is_not_asked_again(control: &Loop) {
    let tenant = control.home();
    let set = "@id(\"few\") forbid (principal, action, resource) \
               when { context.history.refunds_today < 3 };";
    let texts = [("few.cedar".to_owned(), set.to_owned())];
    let since = Timestamp::EPOCH;
    let simulated = control
        .control
        .simulate_policies(tenant, &texts.into(), since)
        .await
        .unwrap();
    assert!(simulated.without_question > 8, "{simulated:?}");
    assert_eq!(simulated.changed, 0, "{simulated:?}");
    assert!(simulated.asked >= 6, "{simulated:?}");
}

/// Another window, another zone, another filter: the past stays.
async fn another_definition_keeps_the_past(control: &Loop, like: &Contract) {
    let (tenant, a) = (control.home(), agent("a"));
    for (from, to) in [
        ("within: day\n    zone: Europe/Berlin", "within: 25h"),
        ("Europe/Berlin", "UTC"),
        (
            "only: { directive_types",
            "only: { modules: [noop], directive_types",
        ),
    ] {
        let edited = Sample {
            history: FACTS.replacen(from, to, 1),
            ..sample()
        };
        assert_ne!(edited.history, FACTS, "{from}");
        control.load(tenant, &edited).await.unwrap();
        assert_eq!(kept(control).await.pending().count(), 0, "{to}");
        let blocked = go(control, &a, like, refund()).await;
        assert_eq!(blocked, by("three-refunds"), "{to}");
    }
}

/// Another name counts nothing anew.
async fn another_name_counts_on(control: &Loop, like: &Contract) {
    let (tenant, b) = (control.home(), agent("b"));
    let before = kept(control).await;
    let renamed = Sample {
        history: FACTS
            .replacen("only: {", "only: { modules: [noop],", 1)
            .replace("name: refunds_today", "name: refunds"),
        policies: POLICIES.replace("refunds_today", "refunds"),
        ..sample()
    };
    control.load(tenant, &renamed).await.unwrap();
    assert_eq!(kept(control).await, before, "a name is not what is counted");
    assert_eq!(go(control, &b, like, refund()).await, by("three-refunds"));
}

#[tokio::test]
async fn an_edited_definition_is_counted_back_and_forgets_nothing() {
    let (mut control, like) = uncounted().await;
    let (tenant, b) = (control.home(), agent("b"));
    what_happened_before_counts(&control, &like).await;
    what_was_asked_before_is_not_asked_again(&control).await;
    another_definition_keeps_the_past(&control, &like).await;
    another_name_counts_on(&control, &like).await;
    // A policy that names a fact that is gone does not load.
    let gone = Sample {
        history: FACTS.replace("refunds_today", "refunds_now"),
        ..sample()
    };
    let refusal = control.load(tenant, &gone).await.unwrap_err();
    assert!(refusal.message.contains("refunds_today"), "{refusal}");
    checks::all(&control).await;
    control.crash().await.unwrap();
    assert_eq!(go(&control, &b, &like, refund()).await, by("three-refunds"));
    checks::all(&control).await;
}

#[tokio::test]
async fn until_it_is_counted_back_a_policy_that_names_it_blocks_and_a_tick_counts() {
    let control = Loop::start(1, &sample()).await;
    let (tenant, a) = (control.home(), agent("a"));
    let (like, _) = known(&control).await;
    for _ in 0..3 {
        assert_eq!(go(&control, &a, &like, refund()).await, Ok(()));
    }
    // Declared, and the process dies before anything is counted back: the
    // facts of a pack, as they stand after they were dropped once.
    let facts = control.control.in_force(tenant).unwrap();
    let setup = Person::named("ann");
    let declare = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
        history::declare(unit, &history::FactSet::default(), false)?;
        history::declare(unit, &facts.pack.rules.history, false)
    };
    control.run(tenant, &setup, declare).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 3);
    let other = propose(&control, &a, &like, ("machine.look", "noop", json!({})))
        .await
        .1;
    assert!(matches!(other, Proposed::Approved { .. }), "{other:?}");
    let directive = contract(&like, &a, "machine.refund", "noop", json!({}));
    let admitted = move |unit: &mut Unit<'_>, env: &GateEnv<'_>| admit(unit, env, &directive);
    let reasons = control
        .run(tenant, &a, admitted)
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        reasons
            .contains("`refunds_today`, `since_approval`, `since_reading` is still counted back"),
        "{reasons}"
    );
    control.pass(Span::from_secs(1)).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 0);
    assert_eq!(go(&control, &a, &like, refund()).await, by("three-refunds"));
    checks::all(&control).await;
}

/// A fact for each thing that can be counted, and some with filters.
fn every_happening() -> String {
    use kernel::names::Name;
    let mut facts = "facts:\n".to_owned();
    let mut add = |name: &str, happening: &str, only: &str| {
        facts.push_str(&format!(
            "  - {{ name: {name}, happening: {happening}, per: subject_and_agent, within: 2d, \
             measure: count, only: {{ {only} }} }}\n"
        ));
    };
    for happening in history::Happening::ALL {
        add(happening.name(), happening.name(), "");
    }
    add(
        "outside",
        "step_permitted",
        "destinations: [\"*\"], cost_classes: [CHEAP]",
    );
    add("noops", "step_completed", "modules: [noop]");
    facts
}

/// What is counted, for whom, and when it happened.
type Counted = (
    Digest,
    String,
    Vec<Timestamp>,
    Vec<history::Slice>,
    Timestamp,
);

/// What of each kind happens in [`lived`], and what a refund adds that is let
/// through between a declaration and the counting.
const EXPECTED: [(&str, usize, usize); 9] = [
    ("step_permitted", 7, 8),
    ("step_completed", 6, 7),
    ("step_failed", 1, 1),
    ("approval_given", 2, 2),
    ("directive_completed", 4, 5),
    ("directive_aborted", 1, 1),
    ("verdict_blocked", 1, 1),
    ("outside", 4, 4),
    ("noops", 2, 3),
];

/// A loop in which every kind of happening happened, and a contract.
async fn lived() -> (Loop, Contract) {
    let sample = Sample {
        history: every_happening(),
        ..sample()
    };
    let sample = Sample {
        policies: POLICIES.lines().take(2).collect(),
        ..sample
    };
    let control = Loop::start(3, &sample).await;
    let (tenant, ann) = (control.home(), Person::named("ann"));
    // One directive that is done, one whose second step fails and whose first
    // is undone, and one that a person refuses.
    for fates in [
        &[Fate::Answer, Fate::Answer][..],
        &[Fate::Answer, Fate::Refuse],
    ] {
        let machine = format!(
            "press-{}",
            fates.iter().filter(|f| **f == Fate::Answer).count()
        );
        let (_, approval) = control.incident(tenant, &machine).await;
        control.world.http.script(fates);
        control.approve(tenant, &ann, approval).await.unwrap();
        control.pass(Span::from_secs(60)).await.unwrap();
    }
    let (id, _) = control.incident(tenant, "press-7").await;
    let like = control
        .find::<Directive>(tenant, id)
        .await
        .unwrap()
        .contract;
    let a = agent("a");
    for what in [
        refund(),
        ("machine.look", "echo", json!({ "message": "x" })),
        refund(),
    ] {
        assert_eq!(go(&control, &a, &like, what).await, Ok(()));
    }
    // A tool that compliance does not know is blocked at the plan.
    let stopped = propose(
        &control,
        &a,
        &like,
        ("machine.tell", "webhook.send", json!({})),
    )
    .await
    .1;
    assert!(matches!(stopped, Proposed::Blocked { .. }), "{stopped:?}");
    (control, like)
}

/// What the tallies of the declaration of this number hold.
async fn counted(control: &Loop, number: u64) -> Vec<Counted> {
    let tallies = control.all::<Tally>(control.home()).await;
    let mut counted: Vec<Counted> = tallies
        .into_iter()
        .filter(|(id, _)| {
            id.split('@')
                .next()
                .unwrap()
                .ends_with(&format!(".{number}"))
        })
        .map(|(_, t)| (t.counts, t.value, t.at, t.before, t.latest))
        .collect();
    counted.sort();
    counted
}

/// How often something happened.
fn times(
    tallies: &[Counted],
    definitions: &BTreeMap<Digest, history::Definition>,
    what: &str,
) -> usize {
    let is = |d: &history::Definition| match what {
        "outside" => !d.only.destinations.is_empty(),
        "noops" => !d.only.modules.is_empty(),
        what => d.happening.to_string() == what && d.only == history::Filter::default(),
    };
    let (digest, _) = definitions.iter().find(|(_, d)| is(d)).unwrap();
    let all = tallies.iter().filter(|(counts, ..)| counts == digest);
    all.map(|(_, _, at, ..)| at.len()).sum::<usize>()
}

#[tokio::test]
async fn what_is_counted_back_is_what_was_counted() {
    let (control, like) = lived().await;
    let (tenant, a) = (control.home(), agent("a"));
    let live = counted(&control, 1).await;
    let in_force = control.control.in_force(tenant).unwrap();
    let definitions = in_force.pack.rules.history.definitions();
    for (what, expected, _) in EXPECTED {
        assert_eq!(times(&live, &definitions, what), expected, "{what}");
    }
    let again = |between: Option<Contract>| {
        let facts = in_force.clone();
        move |unit: &mut Unit<'_>, env: &GateEnv<'_>| {
            history::declare(unit, &history::FactSet::default(), false)?;
            history::declare(unit, &facts.pack.rules.history, false)?;
            match &between {
                Some(contract) => admit(unit, env, contract).map(|found| found.unwrap()),
                None => Ok(()),
            }
        }
    };
    control.run(tenant, &a, again(None)).await.unwrap();
    control.pass(Span::from_secs(1)).await.unwrap();
    assert_eq!(kept(&control).await.pending().count(), 0);
    assert_eq!(counted(&control, 3).await, live);
    let between = contract(&like, &a, "machine.refund", "noop", json!({}));
    control.run(tenant, &a, again(Some(between))).await.unwrap();
    control.pass(Span::from_secs(120)).await.unwrap();
    let back = counted(&control, 6).await;
    for (what, _, expected) in EXPECTED {
        assert_eq!(times(&back, &definitions, what), expected, "{what}");
    }
    checks::all(&control).await;
}

#[tokio::test]
async fn each_fact_says_what_it_tells_of_whom_and_whether_its_past_is_counted() {
    let control = Loop::start(1, &sample()).await;
    let (tenant, a) = (control.home(), agent("a"));
    let (like, approval) = known(&control).await;
    for _ in 0..2 {
        assert_eq!(go(&control, &a, &like, refund()).await, Ok(()));
    }
    let facts = async |subject: Option<&str>, agent: Option<&str>| {
        let (subject, agent) = (
            subject.map(|s| s.parse().unwrap()),
            agent.map(|a| a.parse().unwrap()),
        );
        let found = control
            .control
            .facts(tenant, subject.as_ref(), agent.as_ref());
        let found = found.await.unwrap();
        let row = |f: history::FactStanding| (f.fact.name, f.key, f.value, f.status, f.latest);
        found.into_iter().map(row).collect::<Vec<_>>()
    };
    let standings = control.control.facts(tenant, None, None).await.unwrap();
    let windows: Vec<_> = standings.iter().map(|f| f.window_from).collect();
    let ago = |days: u32| control.now().minus(Span::from_secs(days * 86_400));
    // Midnight in Berlin, a day ago, and thirty.
    let midnight = Timestamp::parse("2026-02-28T23:00:00Z").unwrap();
    assert_eq!(windows, [midnight, ago(1), ago(30)]);
    let started = standings[0].counted_since.unwrap();
    assert!(started < control.now() && standings.iter().all(|f| f.counted_since == Some(started)));
    let (ready, none) = (history::FactStatus::Ready, None::<serde_json::Value>);
    let text = |text: &str| text.to_owned();
    let tallies = control.all::<Tally>(tenant).await;
    let of_all = tallies.iter().find(|(_, tally)| tally.value == "tenant");
    let last = of_all.unwrap().1.latest;
    let refunds = |status, value| {
        let latest = (status == ready).then_some(last);
        (
            text("refunds_today"),
            Some(text("tenant")),
            value,
            status,
            latest,
        )
    };
    let row =
        |name: &str, key: Option<&str>, value| (text(name), key.map(text), value, ready, None);
    // Without a subject and an agent, only what is everybody's.
    let expected = [
        refunds(ready, Some(json!(2))),
        row("since_approval", None, none.clone()),
        row("since_reading", None, none.clone()),
    ];
    assert_eq!(facts(None, None).await, expected);

    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    let approved = control.now();
    control.pass(Span::from_secs(90)).await.unwrap();
    let found = facts(Some("machine/press-1"), Some("agent:a")).await;
    let (name, key, value, status, latest) = &found[1];
    assert_eq!((name.as_str(), *status), ("since_approval", ready));
    assert_eq!(key.as_deref(), Some("machine/press-1"));
    let seconds = control.now().since(approved).to_std().as_secs();
    assert_eq!(value, &Some(json!(seconds)));
    assert_eq!(*latest, Some(approved));
    let never = row("since_reading", Some("agent:a"), none.clone());
    assert_eq!(found[2], never, "it has read nothing");
    let other = facts(Some("machine/press-9"), None).await;
    let never = row("since_approval", Some("machine/press-9"), none.clone());
    assert_eq!(other[1], never, "of another machine");

    // Declared anew, and not counted back yet: nothing is told.
    let in_force = control.control.in_force(tenant).unwrap();
    let declare = move |unit: &mut Unit<'_>, _: &GateEnv<'_>| {
        history::declare(unit, &history::FactSet::default(), false)?;
        history::declare(unit, &in_force.pack.rules.history, false)
    };
    control.run(tenant, &ann, declare).await.unwrap();
    let back = history::FactStatus::CountingBack;
    assert_eq!(facts(None, None).await[0], refunds(back, none));
    control.pass(Span::from_secs(1)).await.unwrap();
    assert_eq!(facts(None, None).await[0], refunds(ready, Some(json!(2))));
}
