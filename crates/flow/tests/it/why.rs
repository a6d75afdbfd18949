//! Why an act happened: from a real run back to its evidence, its policy, its
//! approval and its budget, on any store, and an answer that is cut says so.

use act::Run;
use kernel::id::{DERIVED_IDS, UUID_IDS};
use kernel::{Category, EntryId};
use ledger::{Entry, EntryQuery, Store, why};
use std::collections::BTreeSet;
use testkit::{Loop, Person, Sample};

async fn acted() -> (Loop, String) {
    let control = Loop::start(12, &Sample::default()).await;
    let tenant = control.home();
    let (_, approval) = control.incident(tenant, "press-1").await;
    let ann = Person::named("ann");
    control.approve(tenant, &ann, approval).await.unwrap();
    assert!(control.tick().await.unwrap().is_empty());
    let (run, _) = control.only::<Run>(tenant).await;
    (control, run)
}

#[tokio::test]
async fn an_act_leads_back_to_evidence_policy_approval_and_budget() {
    let (control, run) = acted().await;
    let store = control.store.as_ref();
    let answer = why::why(store, control.home(), &run).await.unwrap();
    assert!(!answer.cut);
    let told = |kind: &str| answer.reasons.iter().any(|r| r.entry.kind == kind);
    for kind in [
        "evidence.filed",
        "signal.accepted",
        "detection.matched",
        "bundle.sealed",
        "incident.opened",
        "snapshot.taken",
        "gate.verdict_given",
        "approval.requested",
        "approval.approved",
        "reservation.held",
        "permit.issued",
        "directive.proposed",
    ] {
        let kinds: Vec<_> = answer.reasons.iter().map(|r| &r.entry.kind).collect();
        assert!(told(kind), "`{kind}` is missing among {kinds:?}");
    }
    for category in [
        Category::Evidence,
        Category::Validation,
        Category::Approval,
        Category::Budget,
    ] {
        let found = answer.reasons.iter().any(|r| r.entry.category == category);
        assert!(found, "nothing of {category} led to the run");
    }
    for reason in &answer.reasons {
        let before = |id: EntryId| {
            let found = answer.reasons.iter().find(|r| r.entry.id == id);
            found.is_some_and(|r| r.entry.seq > reason.entry.seq && r.depth + 1 == reason.depth)
        };
        assert!(reason.explains.is_none_or(before), "{reason:?}");
    }
}

async fn entries(control: &Loop) -> Vec<Entry> {
    let query = EntryQuery {
        limit: 1_000,
        ..EntryQuery::default()
    };
    let found = control.store.entries(control.home(), &query);
    found.await.unwrap()
}

#[tokio::test]
async fn every_id_that_names_a_stream_is_followed_to_it() {
    let (control, _) = acted().await;
    let prefixes: Vec<_> = UUID_IDS
        .iter()
        .chain(DERIVED_IDS)
        .map(|(p, _)| *p)
        .collect();
    let all = entries(&control).await;
    let streams: BTreeSet<_> = all.iter().map(|e| e.stream.clone()).collect();
    let mut followed = BTreeSet::new();
    for stream in &streams {
        let prefix = stream.id().split_once('_').map(|(prefix, _)| prefix);
        if prefix.is_some_and(|prefix| prefixes.contains(&prefix)) {
            // An investigation has the id of its incident, which is followed.
            let found = why::stream_of(stream.id()).unwrap();
            assert!(streams.contains(&found), "`{stream}` leads to `{found}`");
            followed.insert(found.kind().to_owned());
        }
    }
    assert!(followed.len() >= 12, "{followed:?}");
    let zeros = "0".repeat(32);
    for id in [
        "run_00",
        "run_",
        "run",
        &format!("nix_{zeros}"),
        &format!("ent_{zeros}"),
    ] {
        assert_eq!(why::stream_of(id), None, "{id}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_says_so() {
    let (control, _) = acted().await;
    let (tenant, store) = (control.home(), control.store.as_ref());
    // The world state of a machine that fires again and again is a long stream.
    let machine = testkit::alerts::Alert::pair("press-1", control.now());
    for n in 0..12 {
        let mut again = machine.clone();
        for alert in &mut again {
            alert.starts_at = alert.starts_at.plus(kernel::Span::from_secs(n));
        }
        control.receive(tenant, &again).await.unwrap();
    }
    let mut cut = 0;
    for entry in entries(&control).await {
        let answer = why::why(store, tenant, &entry.id.to_string())
            .await
            .unwrap();
        assert!(answer.reasons.len() <= why::ANSWER_ENTRIES_MAX);
        cut += usize::from(answer.cut);
    }
    assert!(cut > 0, "no answer was cut");
}
