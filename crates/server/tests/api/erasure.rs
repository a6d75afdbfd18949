//! What is personal, from outside: planted words go through the real loop into
//! the real store; who may is shown them; no file holds them in plaintext, and
//! once they are erased nothing gives them back, while the ledger verifies.
//!
//! There is no index for full text in writ. The search goes through every file
//! under the data directory, byte by byte, so that one that comes later is
//! searched as well.

use crate::harness::{World, request};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kernel::{Digest, Role, Subject, Timestamp, Unit};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use testkit::personal;

const CANARY: &str = "quokkacanary7316";
const OTHER: &str = "numbatcanary4402";

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

/// The forms in which a text may stand in a file.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![text.as_bytes().to_vec(), hex::encode(text).into_bytes()];
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    forms.push(utf16);
    for shift in 0..3 {
        // Base64 depends on where in three bytes the text begins.
        let coded = BASE64.encode(format!("{}{text}", "x".repeat(shift)));
        let inner = &coded[(shift * 4).div_ceil(3)..coded.len() - 4];
        forms.push(inner.as_bytes().to_vec());
    }
    forms
}

/// The files that hold any of these.
fn holding(folder: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in files(folder) {
        for needle in needles {
            if bytes.windows(needle.len()).any(|w| w == needle) {
                let shown = String::from_utf8_lossy(needle).into_owned();
                found.push(format!("{}: {shown}", path.display()));
            }
        }
    }
    found
}

/// The wrapped keys of a subject, as text and as bytes.
fn wrapped(world: &World, subject: &str) -> Vec<Vec<u8>> {
    let folder = world.directory.path().join("keyring");
    let mut keys = Vec::new();
    for (_, bytes) in files(&folder) {
        let Ok(file) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        if file["subject"] == subject {
            let texts = [&file["mark"], &file["keys"][0]["wrapped"]];
            for text in texts.map(|t| t.as_str().unwrap()) {
                keys.push(text.as_bytes().to_vec());
                keys.push(BASE64.decode(text).unwrap());
            }
        }
    }
    assert_eq!(keys.len(), 4, "the keys of {subject} are in the keyring");
    keys
}

fn copy(from: &Path, to: &Path) {
    for item in std::fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

struct Desk {
    world: World,
    admin: String,
    bodies: Vec<Vec<u8>>,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let ctx = world.control.system_ctx(world.home.tenant, "setup");
        let loaded = world.control.load_pack(ctx, None, personal::files());
        loaded.await.unwrap();
        Self {
            admin: world.home.token(Role::Admin).to_owned(),
            world,
            bodies: Vec::new(),
        }
    }
    /// Sends a complaint; `more` stands in the body only.
    async fn send(&mut self, person: &str, id: &str, canary: &str, more: &str) -> Value {
        let at = Timestamp::parse("2026-03-01T10:00:00Z")
            .unwrap()
            .to_string();
        let mut item = personal::item(person, id, &at, canary);
        item["more"] = more.into();
        let body = json!({ "items": [item] });
        self.bodies.push(body.to_string().into_bytes());
        let path = format!("/v1/ingest/{}/desk", self.world.home.tenant);
        let reply = self.world.post(&path, &self.admin, &body).await;
        reply.is(202).body
    }
    async fn open(&self, role: Role, kind: &str, id: &str, status: u16) -> Value {
        let body = json!({"kind": kind, "id": id, "reason": "a test"});
        let token = self.world.home.token(role);
        let reply = self.world.post("/v1/personal/open", token, &body).await;
        let reply = reply.is(status);
        if status == 200 {
            assert_eq!(reply.header("cache-control"), "no-store");
        }
        reply.body
    }
    /// Digests of what was sent: they would let anyone try guesses.
    fn digests(&self) -> Vec<Vec<u8>> {
        let digests = self.bodies.iter().map(|body| Digest::of(body));
        digests
            .flat_map(|d| [d.to_string().into_bytes(), d.0.to_vec()])
            .collect()
    }
    async fn is_whole(&self) {
        for (path, member) in [("verify", "intact"), ("replay", "equal")] {
            let path = format!("/v1/ledger/{path}");
            let report = self.world.get(&path, &self.admin).await.is(200).body;
            assert_eq!(report[member], true, "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_holds_what_is_personal_and_nothing_gives_it_back_once_erased() {
    let mut desk = Desk::new().await;
    let long = format!("{CANARY} ").repeat(6_000);
    let first = desk.send("1", "a", CANARY, &long).await;
    desk.send("2", "b", OTHER, "").await;
    let evidence = first["evidence"].as_str().unwrap().to_owned();
    let signal = first["signals_new"][0].as_str().unwrap().to_owned();

    // Who may is shown it, and nobody else; everybody sees that it is sealed.
    for (kind, id, name) in [
        ("evidence", evidence.as_str(), "body"),
        ("signal", &signal, "note"),
        ("state", "person/1", "email"),
    ] {
        for role in [Role::Viewer, Role::Operator, Role::Approver, Role::Agent] {
            desk.open(role, kind, id, 403).await;
        }
        for role in [Role::Auditor, Role::Admin] {
            let opened = desk.open(role, kind, id, 200).await;
            let value = opened["values"][name]["value"].to_string();
            assert!(value.contains(CANARY), "{kind}: {opened}");
        }
    }
    let viewer = desk.world.home.token(Role::Viewer).to_owned();
    let state = desk.world.get("/v1/states/person/1", &viewer).await.is(200);
    let email = &state.body["state"]["fields"]["email"]["claim"]["value"];
    assert!(email.get("$sealed").is_some(), "{email}");
    let opened = desk
        .world
        .get("/v1/ledger/entries?kind=subject_key.opened", &viewer)
        .await;
    let opened = opened.is(200).body["items"].as_array().unwrap().len();
    assert_eq!(opened, 6, "each opening is on the ledger");

    let mut needles = forms(CANARY);
    needles.extend(forms(OTHER));
    needles.extend(desk.digests());
    let data = desk.world.directory.path().to_owned();
    assert_eq!(holding(&data, &needles), Vec::<String>::new());
    let keys = wrapped(&desk.world, "person/1");
    assert_eq!(
        holding(&data, &keys).len(),
        2,
        "as text, in the keyring only"
    );

    // A copy of the database from before the erasure.
    let older = tempfile::tempdir().unwrap();
    copy(&data, older.path());

    let erase =
        |confirm: &str| json!({"subject": "person/1", "reason": "asked for", "confirm": confirm});
    let path = "/v1/personal/erase";
    let post = async |token: &str, body: &Value| desk.world.post(path, token, body).await;
    post(desk.world.home.token(Role::Auditor), &erase("person/1"))
        .await
        .is(403);
    post(&desk.admin, &erase("person/2")).await.is(400);
    let preview = "/v1/personal/preview?subject=person/1";
    let preview = desk.world.get(preview, &desk.admin).await.is(200).body;
    assert_eq!(preview["bodies"], 1, "{preview}");
    let done = post(&desk.admin, &erase("person/1")).await.is(200).body;
    assert_eq!(done["status"], "erased");

    for (kind, id, name) in [
        ("evidence", evidence.as_str(), "body"),
        ("signal", &signal, "note"),
        ("state", "person/1", "email"),
    ] {
        let opened = desk.open(Role::Admin, kind, id, 200).await;
        let erased = &opened["values"][name]["erased"];
        assert_eq!(erased["subject"], "person/1", "{kind}: {opened}");
        assert_eq!(erased["reason"], "asked for");
        assert!(!opened.to_string().contains(CANARY), "{opened}");
    }
    let other = desk.open(Role::Admin, "state", "person/2", 200).await;
    assert!(other["values"]["email"].to_string().contains(OTHER));
    assert_eq!(holding(&data, &keys), Vec::<String>::new());
    assert_eq!(holding(&data, &needles), Vec::<String>::new());
    desk.is_whole().await;

    // It does not come back by being sent again.
    let path = format!("/v1/ingest/{}/desk", desk.world.home.tenant);
    let again: Value = serde_json::from_slice(&desk.bodies[0]).unwrap();
    let refused = desk.world.post(&path, &desk.admin, &again).await.is(403);
    assert!(refused.body.to_string().contains("erased on"));
    assert_eq!(holding(&data, &needles), Vec::<String>::new());

    // The older copy verifies, and holds as little.
    assert_eq!(holding(older.path(), &needles), Vec::<String>::new());
    assert_eq!(holding(older.path(), &keys), Vec::<String>::new());
    let copied = store::Sqlite::open(older.path()).unwrap();
    let report = ledger::verify::log(&copied, desk.world.home.tenant, |_| {});
    assert!(report.await.unwrap().is_intact());
    desk.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_listed_and_renewed_by_who_may() {
    let mut desk = Desk::new().await;
    let none = json!({});
    let rotate = "/v1/keyring/rotate";
    desk.world.post(rotate, &desk.admin, &none).await.is(404);
    desk.send("1", "a", CANARY, "").await;
    let auditor = desk.world.home.token(Role::Auditor).to_owned();
    let viewer = desk.world.home.token(Role::Viewer).to_owned();
    desk.world.get("/v1/keyring", &viewer).await.is(403);
    let listed = desk.world.get("/v1/keyring", &auditor).await.is(200).body;
    assert_eq!(listed["items"][0]["id"], "person/1", "{listed}");
    desk.world.post(rotate, &auditor, &none).await.is(403);
    let done = desk.world.post(rotate, &desk.admin, &none).await.is(200);
    assert_eq!(
        (&done.body["generation"], &done.body["subjects"]),
        (&json!(2), &json!(1))
    );
    let one = json!({"subject": "person/1"});
    desk.world.post(rotate, &desk.admin, &one).await.is(200);
    // With a key, each is renewed once; opening is for each time.
    for body in [&none, &one] {
        let key = [("idempotency-key", format!("rotate-{body}"))];
        let key = [(key[0].0, key[0].1.as_str())];
        let post = async || desk.world.post_with(rotate, &desk.admin, body, &key).await;
        let first = post().await.is(200).body;
        let kept = files(&desk.world.directory.path().join("keyring"));
        assert_eq!(post().await.is(200).body, first);
        let again = files(&desk.world.directory.path().join("keyring"));
        assert_eq!(again, kept, "{body}: nothing is renewed a second time");
    }
    let body = json!({"kind": "state", "id": "person/1", "reason": "a test"});
    let (path, key) = ("/v1/personal/open", [("idempotency-key", "open-1")]);
    let refused = desk.world.post_with(path, &desk.admin, &body, &key).await;
    refused.is(400);
    let opened = desk.open(Role::Admin, "state", "person/1", 200).await;
    assert!(opened.to_string().contains(CANARY));
    desk.is_whole().await;
    desk.world.end().await;
}

/// A contract of nothing but words, on the state of a person as it is now, with
/// the sealed value of a field among its constraints.
async fn drafted(desk: &Desk, person: &str) -> String {
    let (control, tenant) = (&desk.world.control, desk.world.home.tenant);
    let subject = Subject::parse(person).unwrap();
    let (in_force, of) = (control.in_force(tenant).unwrap(), subject.clone());
    let take = move |unit: &mut Unit<'_>| world::take(unit, in_force.pack.schema_of(&of)?, &of);
    let ctx = control.system_ctx(tenant, "test");
    let snapshot = control.ledger().run(ctx, take).await.unwrap().answer;
    let path = format!("/v1/snapshots/{snapshot}");
    let taken = desk.world.get(&path, &desk.admin).await.is(200).body;
    let email = &taken["state"]["fields"]["email"]["claim"];
    let ground = &taken["state"]["grounds"][0];
    let contract = json!({
        "issued_by": format!("human:{}", desk.world.home.principals[&Role::Admin]),
        "role": "operator",
        "type": "person.write",
        "objective": "write to them",
        "scope": {"subjects": [person]},
        "constraints": {"address": email["value"]},
        "success_metrics": ["they answer"],
        "budget": "2 EUR",
        "timebox": "10h",
        "action_class": "internal_mutation",
        "steps": [{
            "id": "write",
            "module": "http.request",
            "input": {"method": "PUT", "url": "http://desk.example/x", "json": {"to": email["value"]}},
            "cost": "1 EUR",
            "evidence": [{"source": {"source_type": ground["source_type"], "source_id": ground["source_id"]}}],
        }],
        "snapshot": snapshot,
    });
    let body = json!({"contract": contract, "wanted": "draft"});
    let reply = desk.world.post("/v1/directives", &desk.admin, &body).await;
    let reply = reply.is(201).body;
    reply["directive"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_and_directives_say_what_was_erased_when_and_why() {
    let mut desk = Desk::new().await;
    desk.send("1", "a", CANARY, "").await;
    desk.send("2", "b", OTHER, "").await;
    let (first, second) = (
        drafted(&desk, "person/1").await,
        drafted(&desk, "person/2").await,
    );
    let viewer = desk.world.home.token(Role::Viewer).to_owned();
    let get = async |path: &str| desk.world.get(path, &viewer).await.is(200);
    let page = async |path: &str| {
        let reply = desk.world.get(path, &desk.admin).await.is(200);
        String::from_utf8_lossy(&reply.bytes).into_owned()
    };
    let state = "/v1/states/person/1";
    let before = get(state).await;
    let tag = before.header("etag").to_owned();
    assert!(before.body.get("erased").is_none(), "{:?}", before.body);
    let shown = page(&format!("/directives/{first}")).await;
    assert!(shown.contains("sealed, personal of person/1"), "{shown}");
    assert!(!shown.contains("erased on"), "{shown}");

    let erase = json!({"subject": "person/1", "reason": "asked for", "confirm": "person/1"});
    let erased = desk.world.post("/v1/personal/erase", &desk.admin, &erase);
    erased.await.is(200);
    let gone = |body: &Value, place: &str| {
        let gone = body["erased"][place].clone();
        assert_eq!(gone["subject"], "person/1", "{place}: {body}");
        assert_eq!(gone["reason"], "asked for", "{place}");
        let at = gone["at"].as_str().unwrap();
        assert!(Timestamp::parse(at).is_ok(), "{place}: {at}");
        let by = gone["by"].as_str().unwrap();
        assert!(by.starts_with("human:"), "{place}: {by}");
    };
    for place in ["/fields/email/claim/value", "/fields/phone/claim/value"] {
        gone(&get(state).await.body, place);
    }
    let path = format!("/v1/directives/{first}");
    for place in [
        "/contract/constraints/address",
        "/contract/steps/0/input/json/to",
    ] {
        gone(&get(&path).await.body, place);
    }
    // As it was before, it is as gone as now.
    let past = get("/v1/ledger/streams/state/person%2F1").await.body;
    gone(&past["resource"], "/fields/email/claim/value");
    // Whoever has this version has not heard of the erasure.
    let known = request("GET", state, Some(&viewer)).header("if-none-match", tag);
    let known = desk.world.send(known.body(Body::empty()).unwrap()).await;
    gone(&known.is(200).body, "/fields/email/claim/value");

    let shown = page(&format!("/directives/{first}")).await;
    assert!(shown.contains("erased on"), "{shown}");
    assert!(!shown.contains("sealed, personal of"), "{shown}");
    // The other person's are as they were.
    let other = get("/v1/states/person/2").await.body;
    assert!(other.get("erased").is_none(), "{other}");
    let shown = page(&format!("/directives/{second}")).await;
    assert!(!shown.contains("erased on"), "{shown}");
    desk.world.end().await;
}
