//! Decisions with the real binary. Signed: a key is made, registered and
//! confirmed, a yes is signed where policy demands it, and what was signed
//! verifies offline, also out of a bundle of the ledger. Edited, and read: what
//! the gate said, what may go alone, what happened before.

#[path = "common/mod.rs"]
mod common;
#[path = "browser/world.rs"]
mod world;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use world::World;

/// What a command said, and its exit code.
struct Said {
    code: i32,
    text: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    #[track_caller]
    fn ends(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        assert!(self.text.contains(words), "no `{words}` in: {}", self.text);
        self
    }
}

fn writ(world: &World, token: &str, arguments: &[&str]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["--json"])
        .args(arguments)
        .env("WRIT_SERVER", &world.url)
        .env("WRIT_TOKEN", token)
        .output()
        .expect("the binary starts");
    let said = if done.status.success() {
        done.stdout
    } else {
        [done.stdout, done.stderr].concat()
    };
    Said {
        code: done.status.code().expect("it ends"),
        text: String::from_utf8(said).expect("text"),
    }
}

fn demand_signatures(pack: &Path) {
    let file = pack.join("approvals.yaml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let settings = format!("{settings}signatures: {{ action_classes: [internal_mutation] }}\n");
    std::fs::write(file, settings).expect("it can be written");
}

#[tokio::test]
async fn a_yes_is_signed_and_verifies_without_a_server() {
    let world = World::with_an_incident_in(demand_signatures).await;
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name).to_str().expect("plain").to_owned();
    let ann = world.token.as_str();

    // A second admin, and a key of the first that the second confirms.
    let created = writ(
        &world,
        ann,
        &["principal", "create", "bea", "--role", "admin"],
    )
    .json();
    let id = created["id"].as_str().expect("an id");
    let issued = writ(&world, ann, &["key", "issue", id]).json();
    let bea = issued["token"].as_str().expect("a token");
    let (pem, other) = (at("ann.pem"), at("other.pem"));
    let registered = writ(&world, ann, &["key", "register", &pem]).json();
    let key = registered["id"].as_str().expect("an id");
    let public = registered["public_key"].as_str().expect("a key");

    let waiting = writ(&world, ann, &["list", "approvals", "--status", "pending"]).json();
    let waiting = &waiting["items"][0];
    let approval = waiting["id"].as_str().expect("an id");
    let binding = &waiting["state"]["request"]["binding"];
    let digest = binding["digest"].as_str().expect("a digest");
    let found = |more: &[&str]| {
        let list = [&["list", "approvals", "--status", "pending"], more].concat();
        let items = writ(&world, ann, &list).json()["items"].clone();
        items.as_array().expect("a list").len()
    };
    assert_eq!(found(&["--decidable", "--class", "internal_mutation"]), 1);
    assert_eq!(found(&["--type", "something.else"]), 0);
    assert_eq!(found(&["--overdue"]), 0);

    // Another may decide in her place, until she takes it back; and this pack
    // wants each request decided on alone.
    let grant = [
        "delegation",
        "grant",
        id,
        "--for",
        "2h",
        "--reason",
        "on leave",
    ];
    let granted = writ(&world, ann, &grant).json();
    let of = granted["id"].as_str().expect("an id");
    let delegation = granted["delegation"].as_str().expect("an id");
    writ(&world, ann, &["list", "delegations"]).ends(0, delegation);
    let revoke = ["delegation", "revoke", of, delegation, "--reason", "back"];
    writ(&world, ann, &revoke).ends(0, "revoked");
    let yes = [
        "approve",
        approval,
        "--digest",
        digest,
        "--on-behalf-of",
        of,
    ];
    writ(&world, bea, &yes).ends(1, "no delegation in force");
    let several = format!("{approval}={digest}");
    writ(&world, ann, &["approval", "bulk", &several]).ends(1, "decided on alone");

    let signed = |pem: &str| {
        let yes = ["approve", approval, "--digest", digest, "--key", pem];
        writ(&world, ann, &yes)
    };
    signed(&pem).ends(1, "no second person confirmed");
    writ(&world, ann, &["key", "confirm", key]).ends(1, "cannot confirm it");
    writ(&world, bea, &["key", "confirm", key]).ends(0, "active");

    writ(&world, ann, &["approve", approval, "--digest", digest]).ends(1, "must be signed");
    writ(&world, bea, &["key", "register", &other]).ends(0, "registered");
    signed(&other).ends(1, "'s, not `human:");
    let unseen = "0".repeat(64);
    let yes = ["approve", approval, "--digest", &unseen, "--key", &pem];
    writ(&world, ann, &yes).ends(1, "nothing was signed");
    signed(&pem).ends(0, "approved");

    // Offline: with the public key alone, and no server to ask.
    let shown = writ(&world, ann, &["show", approval]).text;
    let verify = |text: &str, key: &str| {
        let file = at("signed.json");
        std::fs::write(&file, text).expect("it can be written");
        let arguments = ["--json", "approval", "verify", &file, "--key", key];
        let done = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(arguments)
            .env("WRIT_SERVER", "http://127.0.0.1:1")
            .output()
            .expect("the binary starts");
        Said {
            code: done.status.code().expect("it ends"),
            text: String::from_utf8([done.stdout, done.stderr].concat()).expect("text"),
        }
    };
    verify(&shown, public).ends(0, "\"verified\"");
    let statement =
        writ(&world, ann, &["show", approval]).json()["state"]["votes"][0]["signed"].clone();
    verify(&statement.to_string(), public).ends(0, "\"verified\"");
    let stranger = gate::signing_key::PublicKey::ed25519(&[
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ]);
    verify(&shown, &stranger.to_string()).ends(3, "none of yours");
    let no = statement.to_string().replace("\"approve\"", "\"reject\"");
    verify(&no, public).ends(3, "not over this statement");
    verify("{}", public).ends(1, "nothing is signed");

    // Out of a bundle: what was signed is what the log says it was about.
    writ(&world, ann, &["ledger", "checkpoint", "--sign"]).ends(0, "");
    let bundle = at("log.bundle");
    writ(&world, ann, &["ledger", "export", &bundle]).ends(0, "");
    let log = std::fs::read_to_string(&bundle).expect("a bundle");
    verify(&log, public).ends(0, "\"verified\"");
    let objective = binding["directive"].as_str().expect("an id");
    let directive = writ(&world, ann, &["show", objective]).json();
    let objective = directive["state"]["contract"]["objective"]
        .as_str()
        .expect("text");
    let altered = log.replace(objective, "something else");
    assert_ne!(log, altered);
    verify(&altered, public).ends(3, "is not in the bundle");
    let altered = log.replace("\"because\":[\"it takes", "\"because\":[\"it took");
    assert_ne!(log, altered);
    verify(&altered, public).ends(3, "are not what was signed");

    // A key that is revoked signs no more.
    writ(
        &world,
        ann,
        &["key", "revoke", key, "--reason", "laptop lost"],
    )
    .ends(0, "revoked");
    let keys = writ(
        &world,
        ann,
        &["list", "signing-keys", "--status", "revoked"],
    )
    .json();
    assert_eq!(keys["items"][0]["id"], key);
}

#[tokio::test]
async fn an_edit_shows_each_field_before_and_after() {
    let world = World::with_an_incident_in(|_| ()).await;
    let ann = world.token.as_str();
    let waiting = writ(&world, ann, &["list", "approvals", "--status", "pending"]).json();
    let id = waiting["items"][0]["directive"].as_str().expect("an id");
    let directive = writ(&world, ann, &["show", id]).json();
    let digest = directive["state"]["digest"].as_str().expect("a digest");
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("contract.json");
    let file = file.to_str().expect("plain");
    let mut contract = directive["state"]["contract"].clone();
    let put = |contract: &Value| std::fs::write(file, contract.to_string()).expect("written");
    put(&contract);
    let edit = ["edit", id, file, "--approve", "--digest", digest];
    writ(&world, ann, &edit).ends(1, "nothing is changed");
    let was = contract["objective"].to_string();
    contract["objective"] = "gently".into();
    put(&contract);
    let unseen = "0".repeat(64);
    let old = ["edit", id, file, "--approve", "--digest", &unseen];
    let shown = format!("objective: {was} → \"gently\"");
    writ(&world, ann, &old).ends(1, &shown);
    // The editor may not approve, so the new version waits for somebody else.
    let done = writ(&world, ann, &edit).json();
    assert_eq!(done["outcome"]["result"], "waiting", "{done}");
    assert_eq!(done["decision"], Value::Null);
    let directive = writ(&world, ann, &["show", id]).json();
    assert_eq!(directive["state"]["contract"]["objective"], "gently");
}

/// What the binary writes for people.
fn told(world: &World, token: &str, arguments: &[&str]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(arguments)
        .env("WRIT_SERVER", &world.url)
        .env("WRIT_TOKEN", token)
        .output()
        .expect("the binary starts");
    Said {
        code: done.status.code().expect("it ends"),
        text: String::from_utf8([done.stdout, done.stderr].concat()).expect("text"),
    }
}

fn declare_history(pack: &Path) {
    let facts = "facts:\n  - { name: approvals, happening: approval_given, per: subject, within: 1d, measure: count }\n";
    std::fs::write(pack.join("history.yaml"), facts).expect("it can be written");
}

#[tokio::test]
async fn what_was_decided_and_what_may_go_alone_is_read_at_the_command_line() {
    let world = World::with_an_incident_in(declare_history).await;
    let ann = world.token.as_str();
    let say = |arguments: &[&str]| told(&world, ann, arguments);
    let waiting = writ(&world, ann, &["list", "approvals", "--status", "pending"]).json();
    let item = &waiting["items"][0];
    let id = item["directive"].as_str().expect("an id");
    let verdict = item["state"]["request"]["binding"]["verdicts"][0].clone();
    let verdict = verdict.as_str().expect("an id");
    for of in [id, verdict] {
        say(&["explain", of])
            .ends(0, "ALLOW  ")
            .ends(0, "who    system:runbooks")
            .ends(0, "\npolicy ");
    }
    say(&["runbook", "grounding"]).ends(0, "# Blocked by grounding");
    say(&["runbook", "none"]).ends(2, "there are: ");

    let ladder = writ(&world, ann, &["autonomy", "list"]).json();
    let kind = ladder["items"][0]["kind"].as_str().expect("a type");
    say(&["autonomy", "list"])
        .ends(0, kind)
        .ends(0, "supervised  0              50  0");
    let shown = writ(&world, ann, &["autonomy", "show", kind]).json();
    assert_eq!(shown["state"]["kind"], kind);
    let why = ["--reason", "it went well"];
    let grant = [&["autonomy", "grant", kind][..], &why].concat();
    say(&grant).ends(1, "0 of 50 approved runs succeeded");
    let withdraw = [&["autonomy", "withdraw", kind][..], &why].concat();
    say(&withdraw).ends(1, "is not signed off");

    let subject = item["subject"].as_str().expect("a subject");
    say(&["history"]).ends(0, "(give a subject)");
    let of = say(&["history", "--subject", subject]);
    of.ends(0, subject).ends(0, "approval_given");
    say(&["history", "--subject", "nothing"]).ends(1, "subject");
}
