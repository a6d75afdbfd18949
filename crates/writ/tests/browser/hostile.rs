//! Scripts that a webhook plants, field by field: every page of the tenant is
//! opened, and nothing of them is anything but text.

use crate::common::{RECORDINGS, recorded_pack, recordings};
use crate::driver::{Browser, Scripts};
use crate::filled;
use crate::world::World;
use serde_json::{Value, json};

/// What is planted: an element that acts by itself, one that leaves the
/// attribute that it may stand in, and an address that is a script.
const PLANTED: &str = "javascript:window.planted=1//\"'><img src=x onerror=window.planted=1><script>window.planted=1</script>";

/// Things of one kind whose pages are opened.
const THINGS_MAX: usize = 20;

/// What a page must not have by now.
const LOOK: &str = "
    const all = [...document.querySelectorAll('*')];
    const acts = all.filter(e => [...e.attributes].some(a =>
        a.name.startsWith('on')
        || (['href', 'src', 'action', 'formaction', 'xlink:href'].includes(a.name)
            && !/^(\\/|#|https?:\\/\\/|data:image\\/)/.test(a.value) && a.value !== '')));
    const foreign = all.filter(e => ['IMG', 'IFRAME', 'OBJECT', 'EMBED', 'BASE', 'META'].includes(e.tagName)
        && e.outerHTML.includes('planted'));
    const scripts = [...document.scripts].filter(s => !s.src.startsWith(location.origin + '/static/'));
    return {
        ran: window.planted === undefined ? [] : ['it ran'],
        acts: acts.map(e => e.outerHTML.slice(0, 200)),
        foreign: foreign.map(e => e.outerHTML.slice(0, 200)),
        scripts: scripts.map(e => e.outerHTML.slice(0, 200)),
        shown: document.body.innerText.includes('window.planted') ? 1 : 0,
    }";

/// The way to each text in a payload.
fn texts(value: &Value, way: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(way),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                texts(item, format!("{way}/{at}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                texts(member, format!("{way}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// The payload with this text replaced; what fires is told apart by its
/// labels, so that each is another alert.
fn planted(recorded: &Value, way: &str, n: usize) -> Value {
    let mut one = recorded.clone();
    for (alert, place) in ["/alerts/0", "/alerts/1"].iter().zip(["a", "b"]) {
        let alert = one.pointer_mut(alert).expect("an alert");
        alert["labels"]["instance"] = json!(format!("host-{n}-{place}:80"));
        alert["fingerprint"] = json!(format!("{n:015x}{place}"));
    }
    *one.pointer_mut(way).expect("it is there") = json!(PLANTED);
    one
}

/// Delivers the payload once for each of its texts, with that one replaced;
/// once with all of those that are taken, and once with names of labels that
/// are scripts. What is no text for writ, such as an instant, is refused.
async fn plant(world: &World, recorded: &Value) {
    let mut ways = Vec::new();
    texts(recorded, String::new(), &mut ways);
    let (mut all, mut taken) = (recorded.clone(), 0);
    for (n, way) in ways.iter().enumerate() {
        let one = planted(recorded, way, n);
        if world.deliver(one.to_string().into_bytes()).await {
            *all.pointer_mut(way).expect("it is there") = json!(PLANTED);
            taken += 1;
        }
    }
    assert!(taken > 30, "{taken} of {}", ways.len());
    let mut names = recorded.clone();
    for part in ["labels", "annotations"] {
        names["alerts"][0][part][PLANTED] = json!(PLANTED);
        names["alerts"][0][part]["__proto__"] = json!(PLANTED);
    }
    for last in [all, names] {
        assert!(world.deliver(last.to_string().into_bytes()).await, "{last}");
    }
}

/// A recorded webhook with two alerts.
fn recorded() -> Value {
    let bodies = recordings(&recorded_pack().join(RECORDINGS));
    let mut bodies = bodies
        .iter()
        .map(|body| serde_json::from_slice::<Value>(body).expect("JSON"));
    let two = |body: &Value| body["alerts"].as_array().is_some_and(|a| a.len() == 2);
    bodies.find(two).expect("one has two alerts")
}

/// The path with things that it may be about: the newest of them.
async fn paths(world: &World, path: &str) -> Vec<String> {
    if !path.contains('{') {
        return vec![path.to_owned()];
    }
    let Some(listing) = filled::listing(path) else {
        return vec![];
    };
    let answer = world.get(&listing).await;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    let paths = items.iter().filter_map(|item| filled::about(path, item));
    paths.take(THINGS_MAX).collect()
}

#[tokio::test]
async fn what_a_webhook_plants_stays_text_on_every_page() {
    let world = World::with_an_incident().await;
    plant(&world, &recorded()).await;
    let browser = Browser::start(&world.url, Scripts::On).await;
    browser.sign_in(&world.token).await;
    let (mut pages, mut shown) = (0, 0);
    for facts in server::pages::rows().into_iter().map(|row| row.facts) {
        let reads = facts.verb == server::routes::Verb::Get;
        if !reads || facts.gives != server::routes::Gives::Html || facts.path == "/login" {
            continue;
        }
        for path in paths(&world, facts.path).await {
            browser.go(&path).await;
            browser.wait("h1").await;
            let seen = browser.ask(LOOK).await;
            for kind in ["ran", "acts", "foreign", "scripts"] {
                assert_eq!(seen[kind], json!([]), "{kind} on {path}");
            }
            browser.is_clean().await;
            pages += 1;
            shown += seen["shown"].as_i64().unwrap_or(0);
        }
    }
    // The planted text was there to be seen, on lists and on pages of things.
    assert!(pages > 50 && shown > 10, "{shown} of {pages}");
    browser.end().await;
}
