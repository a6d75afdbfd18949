//! A passkey in a real browser: registered on the page, confirmed by a second
//! person, and then it signs a decision that verifies without a server.

use crate::driver::{Browser, Scripts};
use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn demand_signatures(pack: &Path) {
    let file = pack.join("approvals.yaml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let settings = format!("{settings}signatures: {{ action_classes: [internal_mutation] }}\n");
    std::fs::write(file, settings).expect("it can be written");
}

#[tokio::test]
async fn a_passkey_signs_what_is_on_the_page() {
    let world = World::with_an_incident_in(demand_signatures).await;
    // An address is no relying party; `localhost` is.
    let site = world.url.replace("127.0.0.1", "localhost");
    let browser = Browser::start(&site, Scripts::On).await;
    browser.authenticator().await;
    browser.sign_in(&world.token).await;

    let waiting = world.get("/v1/approvals?status=pending").await;
    let approval = &waiting["items"][0];
    let directive = approval["directive"].as_str().expect("an id");
    let page = format!("/directives/{directive}");
    browser.go(&page).await;
    browser.says("#decide", "You have no passkey").await;
    browser.is_clean().await;

    browser.click("#decide a[href='/signing-keys']").await;
    browser.type_into("#key-name", "my phone").await;
    browser.click("form.register button").await;
    browser.says(".flash", "Your key is registered").await;
    browser.says("#keys", "my phone").await;
    browser.is_clean().await;
    browser.picture(&crate::passing("signing-keys.png")).await;

    // A second admin, who was told the id, confirms it.
    let bea = json!({"kind": "human", "name": "bea", "roles": ["admin"]});
    let bea = world.post("/v1/principals", &world.token, &bea).await;
    let issued = json!({"principal": bea["id"], "name": "browser"});
    let issued = world.post("/v1/keys", &world.token, &issued).await;
    let token = issued["token"].as_str().expect("a token");
    let keys = world.get("/v1/signing-keys").await;
    let key = keys["items"][0]["id"].as_str().expect("an id");
    let path = format!("/v1/signing-keys/{key}/confirm");
    assert_eq!(
        world.post(&path, token, &json!({})).await["status"],
        "active"
    );

    browser.go(&page).await;
    browser.scheme("dark").await;
    browser.viewport(390, 844).await;
    browser.wait("form.approve[data-passkey=sign]").await;
    browser.is_clean().await;
    browser
        .picture(&crate::passing("sign-phone-dark.png"))
        .await;
    let reason = "\"seen\" – größer als 1 < 2";
    browser.type_into("#approve-reason", reason).await;
    browser.click("form.approve button").await;
    browser.says(".flash", "Approved").await;
    browser.says("#decide", "signed with").await;
    browser.is_clean().await;

    let path = format!("/v1/approvals/{}", approval["id"].as_str().expect("an id"));
    let approved = world.get(&path).await;
    let vote = &approved["state"]["votes"][0];
    assert_eq!(vote["signed"]["statement"]["key"], key);
    assert_eq!(vote["signed"]["statement"]["reason"], reason);
    verifies_alone(&approved, &keys["items"][0]);
    browser.end().await;
}

/// The command line verifies it with the public key that the page shows.
fn verifies_alone(approved: &Value, key: &Value) {
    let public = &key["state"]["registered"]["public"];
    let public: gate::signing_key::PublicKey =
        serde_json::from_value(public.clone()).expect("a public key");
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("approval.json");
    let verify = |text: &str| {
        std::fs::write(&file, text).expect("it can be written");
        Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["approval", "verify", file.to_str().expect("plain"), "--key"])
            .arg(public.to_string())
            .env("WRIT_SERVER", "http://127.0.0.1:1")
            .output()
            .expect("the binary starts")
    };
    let said = verify(&approved.to_string());
    assert!(said.status.success(), "{said:?}");
    let altered = approved.to_string().replace("größer", "kleiner");
    assert_eq!(verify(&altered).status.code(), Some(3));
}
