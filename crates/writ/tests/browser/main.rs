//! The pages in a real browser against the real binary: reading, approving,
//! watching a run, proving the ledger, stopping everything; with a mouse, with
//! the keyboard alone, and without scripts.

#[path = "../common/mod.rs"]
mod common;
mod deciding;
mod driver;
#[path = "../common/filled.rs"]
mod filled;
mod hostile;
mod passkeys;
mod world;

use driver::{Browser, Scripts};
use serde_json::json;
use std::path::{Path, PathBuf};
use world::World;

const CHECKS: [&str; 4] = ["freshness", "grounding", "contradiction", "compliance"];

/// The README shows this picture; the test that makes it keeps it true.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/images")
        .join(name)
}

fn passing(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// From the first page to the directive that waits, by links alone.
async fn to_directive(browser: &Browser) {
    browser.go("/").await;
    browser.says("#waiting", "refused by silence").await;
    browser.click("#incidents .row-link").await;
    browser.says("#confidence", "detection strength").await;
    browser.says("#detections", "threshold").await;
    browser.is_clean().await;
    browser.click("#proposed .row-link").await;
    browser.wait("#why [data-check]").await;
}

/// Every validator's answer is on the page, and what decided it.
async fn explains_itself(browser: &Browser) {
    for check in CHECKS {
        let row = format!("#why tr[data-check={check}]");
        browser.says(&row, "ALLOW").await;
        browser.says(&row, "What decided").await;
    }
    browser.says("#why", "Determining policies").await;
    browser.says("#budget", "cap").await;
    browser.says("#kill", "not engaged").await;
    browser.says("#snapshot", "error_rate").await;
}

#[tokio::test]
async fn a_person_approves_and_watches_without_reloading() {
    let world = World::with_an_incident().await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.sign_in(&world.token).await;
    to_directive(&browser).await;
    explains_itself(&browser).await;
    browser.says("#live-word", "live").await;
    browser.is_clean().await;
    browser.picture(&kept("directive.png")).await;
    browser.scheme("dark").await;
    browser.viewport(390, 844).await;
    browser.is_clean().await;
    browser.picture(&passing("directive-phone-dark.png")).await;
    browser.viewport(1440, 900).await;

    // A mark that a reload would remove.
    browser
        .type_into("#approve-reason", "seen the errors myself")
        .await;
    browser.click("form.approve button").await;
    browser.wait(".flash").await;
    browser.ask("window.stays = true; return 1").await;
    browser.says("#directive-status", "complete").await;
    assert_eq!(
        browser.ask("return window.stays").await,
        true,
        "it was reloaded"
    );
    browser.says("#decide", "seen the errors myself").await;
    browser.click("#run-link").await;
    browser.says("#run-status", "completed").await;
    browser.says("[data-step=step-shift]", "succeeded").await;
    browser.says("[data-step=step-confirm]", "Proof").await;
    browser.picture(&passing("run-dark.png")).await;
    browser.is_clean().await;
    browser.click("#control a[href^='/why/']").await;
    browser.says("main", "What was seen?").await;
    browser.says("main", "Evidence filed").await;
    browser.is_clean().await;

    browser.go("/ledger").await;
    browser.click("#verify").await;
    browser.says(".proof.good", "entries hold").await;
    browser.click("#replay").await;
    browser.says(".proof.good", "the same").await;
    browser.picture(&passing("ledger.png")).await;

    browser.go("/kill").await;
    browser.click("form.drill button").await;
    browser.says("#drills", "passed").await;
    browser.says("#drills .took", "acknowledged after").await;
    browser.is_clean().await;
    browser.says("#scope", "every tenant").await;
    browser
        .type_into("#engage-reason", "a test of the switch")
        .await;
    browser.click("form.engage button").await;
    browser
        .says(".engagement[data-scope=tenant]", "a test of the switch")
        .await;
    browser.says(".stopped", "Kill switch engaged").await;
    browser.is_clean().await;
    let switch = world.get("/v1/kill-switch").await;
    assert_eq!(switch["state"]["engaged"]["tenant"]["status"], "engaged");
    browser.end().await;
}

#[tokio::test]
async fn every_page_is_clean_on_a_desk_and_on_a_phone() {
    let world = World::with_an_incident().await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.sign_in(&world.token).await;
    let pages = [
        "/",
        "/approvals",
        "/incidents",
        "/directives",
        "/runs",
        "/kill",
        "/ledger",
        "/budgets",
        "/candidates",
        "/signals",
        "/packs",
        "/principals",
        "/policies",
        "/autonomy",
        "/runbooks/policy",
    ];
    for path in pages {
        for (width, height) in [(1440, 900), (390, 844)] {
            browser.viewport(width, height).await;
            browser.go(path).await;
            browser.wait("h1").await;
            browser.is_clean().await;
            // Each page has one first heading and a name for every field.
            let headings = browser
                .ask("return document.querySelectorAll('h1').length")
                .await;
            assert_eq!(headings, 1, "{path}");
            let nameless = browser
                .ask(
                    "return [...document.querySelectorAll('input:not([type=hidden]),select,textarea')]\
                     .filter(f => !f.hidden && !f.labels.length).map(f => f.outerHTML)",
                )
                .await;
            assert_eq!(nameless, serde_json::json!([]), "{path}");
        }
    }
    browser.end().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    const ENTER: &str = "\u{e007}";
    const TAB: &str = "\u{e004}";
    const ESCAPE: &str = "\u{e00c}";
    let world = World::with_an_incident().await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.go("/login").await;
    browser.wait("#token:focus").await;
    browser.press(&format!("{}{ENTER}", world.token)).await;
    browser.follows().await;
    browser.press("?").await;
    browser.wait("#help[open]").await;
    browser.press(ESCAPE).await;
    browser.press("ga").await;
    browser.wait("a[href='/approvals'][aria-current]").await;
    browser.follows().await;
    browser.press("j").await;
    browser.wait(".row-link:focus").await;
    browser.press(ENTER).await;
    browser.wait("form.approve").await;
    browser.follows().await;
    browser.press("a").await;
    browser.wait("#approve-reason:focus").await;
    // One key alone has decided nothing.
    browser.says("#directive-status", "proposed").await;
    browser.press(&format!("by keyboard{TAB}")).await;
    browser.wait("form.approve button:focus").await;
    browser.press(ENTER).await;
    browser.says("#directive-status", "complete").await;
    browser.is_clean().await;
    browser.end().await;
}

/// What the gate decides by and what it decided, on a phone with the keyboard
/// alone: a block is explained as far as its runbook, and a set of policies
/// that ran in shadow is enforced.
#[tokio::test]
async fn the_gate_is_explained_and_changed_by_keyboard_on_a_phone() {
    const ENTER: &str = "\u{e007}";
    const TAB: &str = "\u{e004}";
    let world = World::with_an_incident().await;
    let text = "@id(\"no-restarts\") forbid (principal, action, resource) \
                when { resource.directive_type == \"service.restart\" };";
    let files = json!({"files": {"restarts.cedar": text}});
    world.post("/v1/policy/shadow", &world.token, &files).await;
    let found = world.get("/v1/directives").await;
    let mut contract = found["items"][0]["state"]["contract"].clone();
    let people = world.get("/v1/principals").await;
    let me = people["items"][0]["id"].as_str().expect("an admin");
    contract["issued_by"] = json!(format!("human:{me}"));
    contract["budget"] = json!("30 EUR");
    let asked = world
        .post(
            "/v1/directives",
            &world.token,
            &json!({"contract": contract}),
        )
        .await;
    assert_eq!(asked["outcome"]["result"], "blocked", "{asked}");

    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.viewport(390, 844).await;
    browser.sign_in(&world.token).await;
    let directive = asked["directive"].as_str().expect("an id");
    browser.go(&format!("/directives/{directive}")).await;
    browser.follows().await;
    browser.tab_to("a[href^='/verdicts/']").await;
    browser.press(ENTER).await;
    browser
        .says("#change", "at most 25.0000 (it was 30.0000)")
        .await;
    browser.says("#rules", "budget-ceiling").await;
    browser.is_clean().await;
    browser.tab_to("a[href='/runbooks/policy']").await;
    browser.press(ENTER).await;
    browser.says("h1", "Blocked by policy").await;
    browser.is_clean().await;

    browser.follows().await;
    browser.press("ge").await;
    browser.says("#shadow", "agreed").await;
    browser.tab_to("textarea[id^='promote-']").await;
    browser
        .press(&format!("tried for a week{TAB}{ENTER}"))
        .await;
    browser.says(".flash", "Enforced and recorded").await;
    browser.says("#policies", "no-restarts").await;
    browser.is_clean().await;
    browser.follows().await;
    browser.press("gy").await;
    browser.says("main", "0 of 50 approved runs").await;
    browser.is_clean().await;
    browser.end().await;
}

/// Loads the page again until it says this.
async fn reloaded_until(browser: &Browser, words: &str) {
    for _ in 0..100 {
        if browser.text().await.contains(words) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        browser.client.refresh().await.expect("it loads again");
    }
    panic!("the page never says `{words}`:\n{}", browser.text().await);
}

#[tokio::test]
async fn scripts_are_not_needed() {
    let world = World::with_an_incident().await;
    let browser = Browser::start(&world.url, Scripts::Off).await;
    browser.sign_in(&world.token).await;
    to_directive(&browser).await;
    explains_itself(&browser).await;
    let live = browser.wait("main").await.text().await.expect("text");
    assert!(!live.contains("connecting"), "a script ran");
    browser
        .type_into("#approve-reason", "without scripts")
        .await;
    browser.click("form.approve button").await;
    browser.says(".flash", "Approved and recorded").await;
    // Without scripts a page is as old as its loading.
    reloaded_until(&browser, "See the run").await;
    browser.click("#run-link").await;
    reloaded_until(&browser, "completed").await;
    browser.says("#run-status", "completed").await;
    browser.picture(&passing("run-without-scripts.png")).await;
    browser.end().await;
}

#[tokio::test]
async fn strangers_and_old_tokens_get_the_login_page() {
    let world = World::with_an_incident().await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.go("/approvals").await;
    browser.wait("#token").await;
    browser.type_into("#token", "writ_nothing").await;
    browser.click("form button[type=submit]").await;
    browser.says("#fault", "opens nothing").await;
    browser.end().await;
}
