//! The inbox, delegations and deciding on several at once, in a real browser.

use crate::driver::{Browser, Scripts};
use crate::world::World;
use serde_json::json;
use std::path::Path;

fn allow_bulk(pack: &Path) {
    let file = pack.join("approvals.yaml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let more = "bulk: { max: 5, of: { action_classes: [internal_mutation] } }\n\
                escalation: [{ after: 10m, to: [operator] }]\n";
    std::fs::write(file, format!("{settings}{more}")).expect("it can be written");
}

/// The page fits and is clean in both sizes and both schemes.
async fn looked_at(browser: &Browser, name: &str) {
    browser.is_clean().await;
    browser
        .picture(&crate::passing(&format!("{name}.png")))
        .await;
    browser.viewport(390, 844).await;
    browser.scheme("dark").await;
    browser.is_clean().await;
    let phone = format!("{name}-phone-dark.png");
    browser.picture(&crate::passing(&phone)).await;
    browser.viewport(1440, 900).await;
    browser.scheme("light").await;
}

#[tokio::test]
async fn a_person_filters_delegates_and_decides_on_what_is_ticked() {
    let world = World::with_an_incident_in(allow_bulk).await;
    let bea = json!({"kind": "human", "name": "Bea", "roles": ["operator"]});
    world.post("/v1/principals", &world.token, &bea).await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.sign_in(&world.token).await;

    browser.go("/approvals?type=nothing.such").await;
    browser.says("#waiting", "Nothing waits").await;
    browser.go("/approvals?decidable=true").await;
    browser.says("#waiting", "refused by silence").await;
    looked_at(&browser, "approvals").await;

    browser.click("header.title a[href='/delegations']").await;
    browser.type_into("#grant-reason", "on leave").await;
    browser.click("form.grant button").await;
    browser.says(".flash", "They may decide for you").await;
    browser.says("#given", "Bea for home admin").await;
    browser.says("#given", "in force").await;
    looked_at(&browser, "delegations").await;
    browser.click("#given details summary").await;
    browser.type_into("#given textarea", "back again").await;
    browser.click("#given form button").await;
    browser.says("#given", "back again").await;

    browser.go("/approvals").await;
    browser.click("#bulk").await;
    browser.says("form.bulk", "costs up to").await;
    browser.says("form.bulk", "ALLOW").await;
    looked_at(&browser, "several").await;
    // With the keyboard alone: tick, write, press the one button.
    browser
        .ask("document.querySelector('.tick input').focus(); return 1")
        .await;
    browser.press(" ").await;
    browser.type_into("#bulk-reason", "looked at each").await;
    browser.press("\u{e004}\u{e007}").await;
    browser.says("#results", "approved").await;
    looked_at(&browser, "several-done").await;
    let approved = world.get("/v1/approvals").await;
    let vote = &approved["items"][0]["state"]["votes"][0];
    assert_eq!(vote["reason"], "looked at each");
    browser.end().await;
}
