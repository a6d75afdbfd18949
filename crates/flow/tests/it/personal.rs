//! What is personal: sealed before it is recorded, the same when it comes again,
//! erased for good, and the ledger none the worse for it.

use flow::personal::key::Status;
use flow::personal::{Opened, Shown, SubjectKey, erase};
use flow::{Delivery, Received};
use kernel::{Actor, Code, Ctx, PrincipalKind, Refusal, Role, Subject, TenantId, json};
use sense::Signal;
use sense::dead_letter::DeadLetter;
use serde_json::Value;
use std::sync::Arc;
use testkit::{Loop, Person, Sample, checks, personal};
use world::{Evidence, State};

const AT: &str = "2026-03-01T09:59:00Z";

fn person(id: &str) -> Subject {
    Subject::new("person", id).unwrap()
}

struct Desk {
    control: Loop,
    tenant: TenantId,
}

impl Desk {
    async fn new(seed: u64) -> Self {
        let control = Loop::start(seed, &Sample::default()).await;
        let tenant = control.home();
        let ctx = control.control.system_ctx(tenant, "setup");
        let loaded = control.control.load_pack(ctx, None, personal::files());
        loaded.await.unwrap();
        Self { control, tenant }
    }
    fn ctx(&self) -> Ctx {
        self.control.ctx(self.tenant, &Person::named("ann"))
    }
    async fn send(&self, items: &[Value]) -> Result<Received, Refusal> {
        let delivery = Delivery {
            source: personal::SOURCE.into(),
            content_type: "application/json".into(),
            body: personal::body(items),
        };
        let source = Person {
            actor: Actor::new(PrincipalKind::Service, personal::SOURCE),
            roles: vec![Role::Source],
        };
        let ctx = self.control.ctx(self.tenant, &source);
        self.control.control.receive(ctx, delivery).await
    }
    async fn order(&self, subject: &Subject) -> Result<(), Refusal> {
        let subject = subject.clone();
        let work =
            move |unit: &mut kernel::Unit<'_>| erase::order(unit, &subject, "asked for").map(drop);
        let ledger = self.control.control.ledger();
        ledger.run(self.ctx(), work).await.map(drop)
    }
    async fn readmit(&self, subject: &Subject) -> Result<(), Refusal> {
        let subject = subject.clone();
        let work = move |unit: &mut kernel::Unit<'_>| {
            erase::readmit(unit, &subject, "came back").map(drop)
        };
        let ledger = self.control.control.ledger();
        ledger.run(self.ctx(), work).await.map(drop)
    }
    async fn key(&self, subject: &Subject) -> SubjectKey {
        let all = self.control.all::<SubjectKey>(self.tenant).await;
        let found = all.into_iter().find(|(_, key)| key.subject == *subject);
        found.map(|(_, key)| key).expect("the subject has keys")
    }
    async fn open(&self, kind: &str, id: impl ToString) -> Opened {
        let id = id.to_string();
        let control = &self.control.control;
        let opened = control.open_sealed(self.ctx(), (kind, &id), "a test");
        opened.await.unwrap()
    }
    /// The whole record as text.
    async fn record(&self) -> String {
        let mut text = String::new();
        for (_, evidence) in self.control.all::<Evidence>(self.tenant).await {
            text += &json::canonical(&evidence).unwrap();
        }
        for (_, state) in self.control.all::<State>(self.tenant).await {
            text += &json::canonical(&state).unwrap();
        }
        for (_, signal) in self.control.all::<Signal>(self.tenant).await {
            text += &json::canonical(&signal).unwrap();
        }
        for (_, letter) in self.control.all::<DeadLetter>(self.tenant).await {
            text += &json::canonical(&letter).unwrap();
        }
        text
    }
}

fn is_erased(shown: &Shown) -> bool {
    matches!(shown, Shown::Erased(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_again_is_known_also_after_its_keys_were_renewed() {
    let desk = Desk::new(1).await;
    let items = [personal::item("1", "a", AT, "quokka")];
    let first = desk.send(&items).await.unwrap();
    assert_eq!((first.signals_new.len(), first.facts_refused.len()), (1, 0));
    let appends = desk.control.store.appends();
    for renewed in [false, true] {
        if renewed {
            let control = &desk.control.control;
            let key = control.rotate_subject_key((desk.ctx(), None), person("1"));
            let key = key.await.unwrap();
            assert_eq!(desk.key(&person("1")).await.current(), Some(key));
            control.rotate_tenant_key((desk.ctx(), None)).await.unwrap();
        }
        let again = desk.send(&items).await.unwrap();
        assert_eq!(again.evidence, first.evidence);
        assert_eq!((again.signals_new.len(), again.signals_known), (0, 1));
    }
    assert_eq!(
        desk.control.store.appends(),
        appends + 2,
        "only the two renewals are recorded"
    );
    assert!(!desk.record().await.contains("quokka"));
    let opened = desk.open("state", person("1")).await;
    let expected = Shown::Value("quokka@mail.example".into());
    assert_eq!(opened.values["email"], expected);
    checks::all(&desk.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_stays_erased_and_comes_back_by_a_decision_only() {
    let mut desk = Desk::new(2).await;
    let one = [personal::item("1", "a", AT, "quokka")];
    let both = [
        personal::item("1", "b", AT, "wombat"),
        personal::item("2", "c", AT, "numbat"),
    ];
    let alone = desk.send(&one).await.unwrap();
    let shared = desk.send(&both).await.unwrap();
    let control = desk.control.control.clone();
    let first = person("1");
    let preview = control.erasure_preview(desk.tenant, &first).await.unwrap();
    assert_eq!((preview.bodies, preview.bodies_shared), (1, 1));
    assert_eq!((preview.signals, preview.fields.len()), (2, 2));

    desk.order(&person("1")).await.unwrap();
    let refused = desk.send(&one).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden, "{refused}");
    // The process dies before the keys are destroyed; the next one does it.
    desk.control.crash().await.unwrap();
    assert_eq!(desk.key(&person("1")).await.status, Status::Erasing);
    assert!(desk.control.tick().await.unwrap().is_empty());
    assert_eq!(desk.key(&person("1")).await.status, Status::Erased);
    checks::all(&desk.control).await;

    for evidence in [alone.evidence, shared.evidence] {
        assert!(is_erased(
            &desk.open("evidence", evidence).await.values["body"]
        ));
    }
    let fields = desk.open("state", person("1")).await.values;
    assert!(fields.values().all(is_erased), "{fields:?}");
    let other = desk.open("state", person("2")).await.values;
    let expected = Shown::Value("numbat@mail.example".into());
    assert_eq!(other["email"], expected, "the other person keeps theirs");

    for again in [&one[..], &both[..]] {
        let refused = desk.send(again).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        assert!(refused.message.contains("erased on"), "{refused}");
    }
    assert_eq!(
        desk.order(&person("1")).await.unwrap_err().code,
        Code::IllegalMove
    );
    assert_eq!(
        desk.order(&person("9")).await.unwrap_err().code,
        Code::NotFound
    );
    let old = desk.key(&person("1")).await;
    desk.readmit(&person("1")).await.unwrap();
    let back = desk.send(&one).await.unwrap();
    assert_ne!(
        back.evidence, alone.evidence,
        "the old name says nothing of it"
    );
    let new = desk.key(&person("1")).await;
    assert_eq!(new.status, Status::Active);
    assert!(!old.erasures[0].keys.contains(&new.keys[0]));
    assert!(is_erased(
        &desk.open("evidence", alone.evidence).await.values["body"]
    ));
    checks::all(&desk.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_and_erasing_at_the_same_time_leave_nothing_readable() {
    let desk = Desk::new(3).await;
    desk.send(&[personal::item("1", "first", AT, "quokka")])
        .await
        .unwrap();
    let desk = Arc::new(desk);
    let mut tasks = Vec::new();
    for n in 0..24 {
        let desk = desk.clone();
        tasks.push(tokio::spawn(async move {
            if n == 12 {
                desk.order(&person("1")).await.unwrap();
                let control = desk.control.control.clone();
                let done = control.carry_out_erasure(desk.tenant, person("1"));
                return done.await;
            }
            let item = personal::item("1", &n.to_string(), AT, "quokka");
            desk.send(&[item]).await.map(drop)
        }));
    }
    for task in tasks {
        if let Err(refusal) = task.await.unwrap() {
            let known = [Code::Forbidden, Code::Unavailable, Code::Conflict];
            assert!(known.contains(&refusal.code), "{refusal}");
        }
    }
    assert_eq!(desk.key(&person("1")).await.status, Status::Erased);
    for (_, evidence) in desk.control.all::<Evidence>(desk.tenant).await {
        let opened = desk.open("evidence", evidence.id).await;
        assert!(is_erased(&opened.values["body"]), "{opened:?}");
    }
    checks::all(&desk.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_nobody_is_sealed_under_the_key_of_its_source() {
    let desk = Desk::new(4).await;
    let mut bad = personal::item("1", "a", AT, "quokka");
    bad["at"] = "quokka o'clock".into();
    let got = desk.send(&[bad]).await.unwrap();
    assert_eq!(got.dead_letters, 1);
    let record = desk.record().await;
    assert!(!record.contains("quokka"), "{record}");
    let letters = desk.control.all::<DeadLetter>(desk.tenant).await;
    let opened = desk.open("dead_letter", letters[0].1.id).await;
    let Shown::Value(item) = &opened.values["item"] else {
        panic!("{opened:?}");
    };
    assert_eq!(item["item"]["at"], "quokka o'clock");
    let source = Subject::new("source", personal::SOURCE).unwrap();
    desk.order(&source).await.unwrap();
    desk.control.tick().await.unwrap();
    let opened = desk.open("dead_letter", letters[0].1.id).await;
    assert!(is_erased(&opened.values["item"]));
    checks::all(&desk.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_keyring_is_named_and_the_rest_goes_on() {
    let desk = Desk::new(5).await;
    desk.send(&[personal::item("1", "a", AT, "quokka")])
        .await
        .unwrap();
    let folder = desk.control.world.keyring.folder();
    std::fs::rename(folder.join("keyring"), folder.join("away")).unwrap();
    for id in ["1", "2"] {
        let refused = desk.send(&[personal::item(id, "b", AT, "wombat")]).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        assert!(refused.message.contains("`keyring`"), "{refused}");
    }
    let opened = desk.open("state", person("1")).await;
    for shown in opened.values.values() {
        let Shown::Refused(why) = shown else {
            panic!("{shown:?}");
        };
        assert!(why.contains("`keyring` is missing"), "{why}");
    }
    // An erasure is not believed while the keys may be elsewhere.
    desk.order(&person("1")).await.unwrap();
    assert_eq!(desk.control.tick().await.unwrap().len(), 1);
    assert_eq!(desk.key(&person("1")).await.status, Status::Erasing);
    let alerts = testkit::alerts::Alert::pair("press-1", desk.control.now());
    desk.control.receive(desk.tenant, &alerts).await.unwrap();
    std::fs::rename(folder.join("away"), folder.join("keyring")).unwrap();
    assert!(desk.control.tick().await.unwrap().is_empty());
    assert_eq!(desk.key(&person("1")).await.status, Status::Erased);
    checks::all(&desk.control).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_personal_field_does_not_accept_is_left_out_and_named() {
    let desk = Desk::new(6).await;
    let mut item = personal::item("1", "a", AT, "quokka");
    item["phone"] = "call quokka".into();
    let got = desk.send(&[item]).await.unwrap();
    assert_eq!(got.facts_refused.len(), 1, "{:?}", got.facts_refused);
    assert!(got.facts_refused[0].contains("phone"));
    assert!(!got.facts_refused[0].contains("quokka"));
    let opened = desk.open("state", person("1")).await;
    assert_eq!(opened.values.len(), 1, "{opened:?}");
    checks::all(&desk.control).await;
}
