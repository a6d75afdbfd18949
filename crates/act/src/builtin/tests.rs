//! The modules that speak HTTP: against a recording port, and against real
//! sockets through the real adapter.

use super::outside::HttpSettings;
use super::{HttpRequestModule, WebhookSend, registry, signature};
use crate::module::{Module, ModuleCtx, Outcome, OutcomeStatus, Verification};
use crate::permitted::tests::begun;
use async_trait::async_trait;
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest, Secrets};
use kernel::{Refusal, Span, Timestamp, TraceId};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Records what is sent and answers from a list.
#[derive(Default)]
struct Recorder {
    sent: Mutex<Vec<HttpRequest>>,
    answers: Mutex<Vec<Result<HttpAnswer, HttpFault>>>,
}

#[async_trait]
impl Http for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        self.sent.lock().unwrap().push(request);
        self.answers.lock().unwrap().remove(0)
    }
}

struct Vault;
impl Secrets for Vault {
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal> {
        match reference {
            "env:TOKEN" => Ok(b"s3\"cret".to_vec()),
            "env:HOOK" => Ok(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_vec()),
            other => Err(Refusal::unavailable(format!("no secret `{other}`"))),
        }
    }
}

fn ctx(http: Arc<dyn Http>) -> ModuleCtx {
    let now = Timestamp::from_micros(1_614_265_330_000_000);
    ModuleCtx {
        idempotency_key: KEY.to_owned(),
        trace: TraceId::new(1).unwrap(),
        now,
        deadline: now.plus(Span::from_secs(60)),
        http: begun(http),
        secrets: Arc::new(Vault),
    }
}

fn settings(hosts: &[&str]) -> HttpSettings {
    let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
    HttpSettings {
        hosts_allowed: hosts.clone(),
        private_ranges_allowed: hosts,
        ..HttpSettings::default()
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn answer(status: u16, body: &str) -> Result<HttpAnswer, HttpFault> {
    Ok(HttpAnswer {
        status,
        headers: BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("set-cookie".to_owned(), "session=1".to_owned()),
        ]),
        body: body.as_bytes().to_vec(),
    })
}

fn module() -> HttpRequestModule {
    HttpRequestModule::new(&settings(&["api.example.com"])).unwrap()
}

async fn exchange(
    input: Value,
    answers: Vec<Result<HttpAnswer, HttpFault>>,
) -> (Outcome, Vec<HttpRequest>) {
    let recorder = Arc::new(Recorder::default());
    *recorder.answers.lock().unwrap() = answers;
    let outcome = module()
        .request(&object(input), &ctx(recorder.clone()))
        .await;
    let sent = recorder.sent.lock().unwrap().clone();
    (outcome, sent)
}

#[tokio::test]
async fn a_request_goes_out_as_declared_and_its_record_holds_no_secret() {
    let input = json!({
        "method": "POST",
        "url": "https://api.example.com/restart",
        "headers": { "x-a": "1" },
        "secret_headers": { "authorization": { "reference": "env:TOKEN", "prefix": "Bearer " } },
        "json": { "b": 1, "a": 2 },
        "timeout": "3s",
    });
    let echo = r#"{"you_sent":"Bearer s3\"cret","raw":"s3"cret"}"#;
    let (outcome, sent) = exchange(input, vec![answer(200, echo)]).await;
    assert_eq!(outcome.status, OutcomeStatus::Success);
    let [request] = sent.as_slice() else { panic!() };
    assert_eq!(request.body, br#"{"a":2,"b":1}"#);
    assert_eq!(request.headers["authorization"], "Bearer s3\"cret");
    assert_eq!(request.headers["idempotency-key"], KEY);
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.timeout, Span::from_secs(3));
    assert!(request.private_ranges_allowed);
    let text = outcome.output.to_string();
    assert!(!text.contains("cret\\\"") && !text.contains("s3"), "{text}");
    assert!(!text.contains("session"), "{text}");
    registry(&settings(&["api.example.com"]))
        .unwrap()
        .check_output("http.request", &outcome.output)
        .unwrap();
}

/// A service that sends back what it was sent, in each way that it could, to
/// the request and to the read after it.
#[tokio::test]
async fn no_way_of_sending_a_secret_back_gets_it_into_the_record() {
    let header = json!({ "authorization": { "reference": "env:TOKEN", "prefix": "Bearer " } });
    let url = "https://api.example.com/";
    let input = json!({
        "method": "GET", "url": url, "secret_headers": header,
        "verify": { "url": url, "secret_headers": header, "pointer": "/state", "equals": "up" },
    });
    let ways = ["s3\\\"cret", "s3%22cret", "czMiY3JldA", "czMiY3JldA=="];
    for way in ways {
        let echo = format!(r#"{{"state":"{way}","also":"{way}"}}"#);
        let (outcome, _) = exchange(input.clone(), vec![answer(200, &echo)]).await;
        let recorded = outcome.output.to_string();
        let twice = format!(r#"{{"{way}":1,"{way}":2}}"#);
        let mut read = Vec::new();
        for body in [&echo, &twice] {
            let recorder = Arc::new(Recorder::default());
            recorder.answers.lock().unwrap().push(answer(200, body));
            read.push(
                module()
                    .verify(&object(input.clone()), &ctx(recorder))
                    .await,
            );
        }
        let Verification::Denied(proof) = &read[0] else {
            panic!("{read:?}");
        };
        let Verification::Unread(why) = &read[1] else {
            panic!("{read:?}");
        };
        for text in [&recorded, &proof.to_string(), why] {
            assert!(text.contains("[secret]"), "{text}");
            for part in ["cret", "3JldA"] {
                assert!(!text.replace("[secret]", "").contains(part), "{text}");
            }
        }
    }
    let fault = Err(HttpFault::NoAnswer("a proxy said s3\"cret".into()));
    let recorder = Arc::new(Recorder::default());
    recorder.answers.lock().unwrap().push(fault);
    let read = module().verify(&object(input), &ctx(recorder)).await;
    assert!(
        matches!(&read, Verification::Unread(why) if !why.contains("cret\"") && why.contains("[secret]")),
        "{read:?}"
    );
}

/// A secret that is bound to its host goes to no other, in the request, in the
/// read after it, in what undoes it, and in the signature of a webhook; one that
/// is bound to none goes nowhere, however its reference is spelt.
#[tokio::test]
async fn a_secret_that_is_bound_to_a_host_goes_to_no_other() {
    let mut settings = settings(&["api.example.com", "other.example.com"]);
    let own = vec!["api.example.com".to_owned()];
    settings.secret_hosts = BTreeMap::from([("env:TOKEN".to_owned(), own)]);
    let http = HttpRequestModule::new(&settings).unwrap();
    let hook = WebhookSend::new(&settings).unwrap();
    let header = |reference: &str| json!({ "x-key": { "reference": reference } });
    let (own, other) = ("https://api.example.com/", "https://other.example.com/");
    let asked = |url: &str, reference: &str| json!({ "method": "GET", "url": url, "secret_headers": header(reference) });
    let read = |url: &str| json!({ "url": url, "secret_headers": header("env:TOKEN"), "pointer": "", "equals": 1 });
    let mut read_elsewhere = asked(own, "env:TOKEN");
    read_elsewhere["verify"] = read(other);
    let mut undone_elsewhere = asked(own, "env:TOKEN");
    undone_elsewhere["compensate"] = asked(other, "env:TOKEN");
    let mut fine = asked(own, "env:TOKEN");
    fine["verify"] = read(own);
    fine["compensate"] = asked(own, "env:TOKEN");
    http.check(&object(fine)).unwrap();
    for input in [
        asked(other, "env:TOKEN"),
        asked(own, "env:HOOK"),
        asked(own, "file:TOKEN"),
        read_elsewhere,
        undone_elsewhere,
    ] {
        let refusal = http.check(&object(input.clone())).unwrap_err();
        assert_eq!(refusal.code, kernel::Code::Forbidden, "{input}: {refusal}");
    }
    // Not even where nobody checked before it is sent.
    for input in [asked(other, "env:TOKEN"), asked(own, "env:HOOK")] {
        let recorder = Arc::new(Recorder::default());
        let outcome = http.request(&object(input), &ctx(recorder.clone())).await;
        assert_eq!(outcome.status, OutcomeStatus::Error);
        assert!(recorder.sent.lock().unwrap().is_empty());
    }
    let message = |url: &str| json!({ "url": url, "payload": {}, "secret": "env:TOKEN" });
    hook.check(&object(message(own))).unwrap();
    hook.check(&object(message(other))).unwrap_err();
    settings.secret_hosts = BTreeMap::from([("env:TOKEN".to_owned(), vec!["x.example".into()])]);
    assert!(
        HttpRequestModule::new(&settings).is_err(),
        "x.example is not allowed at all"
    );
}

#[tokio::test]
async fn long_bodies_are_cut_in_the_record() {
    let body = "é".repeat(10_000);
    let input = json!({ "method": "GET", "url": "https://api.example.com/" });
    let (outcome, sent) = exchange(input, vec![answer(200, &body)]).await;
    assert_eq!(
        outcome.output["body"].as_str().unwrap().len(),
        crate::limits::ANSWER_EXCERPT_BYTES_MAX
    );
    assert_eq!(outcome.output["body_truncated"], true);
    assert_eq!(outcome.output["body_bytes"], 20_000);
    assert!(
        !sent[0].headers.contains_key("idempotency-key"),
        "a read needs no key"
    );
}

#[tokio::test]
async fn what_each_status_means() {
    use OutcomeStatus::{Error, Failure, Success, Unknown};
    for (method, idempotency, status, expected) in [
        ("POST", None, 200, Success),
        ("POST", None, 299, Success),
        ("POST", None, 302, Failure),
        ("POST", None, 400, Failure),
        ("POST", None, 404, Failure),
        ("POST", None, 408, Error),
        ("POST", None, 429, Error),
        ("POST", None, 500, Failure),
        ("POST", Some("honoured"), 500, Error),
        ("PUT", None, 500, Error),
        ("PUT", Some("ignored"), 500, Failure),
        ("GET", None, 500, Error),
        ("POST", None, 502, Unknown),
        ("POST", None, 504, Unknown),
        ("GET", None, 504, Error),
        ("POST", None, 503, Error),
    ] {
        let mut input = json!({ "method": method, "url": "https://api.example.com/" });
        if let Some(word) = idempotency {
            input["idempotency"] = json!(word);
        }
        let (outcome, _) = exchange(input, vec![answer(status, "")]).await;
        assert_eq!(
            outcome.status, expected,
            "{method} {idempotency:?} {status}"
        );
    }
    let input =
        json!({ "method": "GET", "url": "https://api.example.com/", "expect_status": [404] });
    let (outcome, _) = exchange(input.clone(), vec![answer(404, "")]).await;
    assert_eq!(outcome.status, Success);
    let (outcome, _) = exchange(input.clone(), vec![answer(200, "")]).await;
    assert_eq!(outcome.status, Failure);
    let (outcome, _) = exchange(input.clone(), vec![Err(HttpFault::NotSent("x".into()))]).await;
    assert_eq!(
        (outcome.status, outcome.cost),
        (Error, gate::budget::Actual::Nothing)
    );
    let (outcome, _) = exchange(input, vec![Err(HttpFault::NoAnswer("x".into()))]).await;
    assert_eq!(outcome.status, Unknown);
}

#[test]
fn what_can_be_sent_again() {
    for (method, word, expected) in [
        ("GET", None, true),
        ("HEAD", None, true),
        ("PUT", None, true),
        ("DELETE", None, true),
        ("POST", None, false),
        ("PATCH", None, false),
        ("POST", Some("honoured"), true),
        ("PUT", Some("ignored"), false),
        ("GET", Some("ignored"), true),
    ] {
        let mut input = json!({ "method": method, "url": "https://api.example.com/" });
        if let Some(word) = word {
            input["idempotency"] = json!(word);
        }
        assert_eq!(
            module().idempotent(&object(input)),
            expected,
            "{method} {word:?}"
        );
    }
}

#[test]
fn inputs_are_checked_before_anything_else() {
    let registry = registry(&settings(&["api.example.com"])).unwrap();
    let good = json!({ "method": "POST", "url": "https://api.example.com/" });
    registry
        .check_input("http.request", &object(good.clone()))
        .unwrap();
    for (field, value) in [
        ("method", json!("TRACE")),
        ("url", json!("https://evil.example/")),
        ("url", json!(7)),
        ("extra", json!(1)),
        ("headers", json!({ "authorization": "Bearer abc" })),
        ("headers", json!({ "Cookie": "a" })),
        ("headers", json!({ "idempotency-key": "mine" })),
        ("headers", json!({ "host": "evil" })),
        ("headers", json!({ "x": "a\r\nb: c" })),
        ("secret_headers", json!({ "x": { "reference": "hunter2" } })),
        (
            "secret_headers",
            json!({ "host": { "reference": "env:A" } }),
        ),
        ("timeout", json!("soon")),
        ("timeout", json!("0s")),
        ("timeout", json!("1h")),
        ("expect_status", json!([])),
        ("expect_status", json!([99])),
        (
            "verify",
            json!({ "url": "https://evil.example/", "pointer": "/a", "equals": 1 }),
        ),
        (
            "verify",
            json!({ "url": "https://api.example.com/", "pointer": "a", "equals": 1 }),
        ),
        (
            "compensate",
            json!({ "method": "POST", "url": "https://evil.example/" }),
        ),
        ("compensate", json!({ "method": "POST" })),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        let refused = registry.check_input("http.request", &object(bad));
        let text = refused.expect_err(&format!("{field}: {value}")).to_string();
        assert!(!text.contains("hunter2") && !text.contains("abc"), "{text}");
    }
    let mut both = good.clone();
    both["json"] = json!({});
    both["body"] = json!("x");
    assert!(registry.check_input("http.request", &object(both)).is_err());
    let mut nested = good.clone();
    nested["compensate"] = good.clone();
    registry
        .check_input("http.request", &object(nested.clone()))
        .unwrap();
    nested["compensate"]["compensate"] = good;
    assert!(
        registry
            .check_input("http.request", &object(nested))
            .is_err()
    );
    assert!(registry.check_input("no.such", &Map::new()).is_err());
}

#[test]
fn the_declared_request_is_the_compensation() {
    let undo = json!({ "method": "DELETE", "url": "https://api.example.com/x" });
    let input =
        object(json!({ "method": "PUT", "url": "https://api.example.com/x", "compensate": undo }));
    let compensation = module().compensation(&input, &Value::Null).unwrap();
    assert_eq!(compensation.module, "http.request");
    assert_eq!(Value::Object(compensation.input), undo);
    let without = object(json!({ "method": "GET", "url": "https://api.example.com/x" }));
    assert_eq!(module().compensation(&without, &Value::Null), None);
}

#[tokio::test]
async fn the_read_after_the_write() {
    let input = object(json!({
        "method": "POST",
        "url": "https://api.example.com/",
        "verify": { "url": "https://api.example.com/state", "pointer": "/s", "equals": "up" },
    }));
    for (read, expected) in [
        (answer(200, r#"{"s":"up"}"#), "confirmed"),
        (answer(200, r#"{"s":"down"}"#), "denied"),
        (answer(200, "{}"), "denied"),
        (answer(200, "no json"), "unread"),
        (answer(500, r#"{"s":"up"}"#), "unread"),
        (Err(HttpFault::NoAnswer("x".into())), "unread"),
    ] {
        let recorder = Arc::new(Recorder::default());
        recorder.answers.lock().unwrap().push(read);
        let got = match module().verify(&input, &ctx(recorder)).await {
            Verification::NotDeclared => "not declared",
            Verification::Confirmed(proof) => {
                assert_eq!(proof["pointer"], "/s");
                "confirmed"
            }
            Verification::Denied(_) => "denied",
            Verification::Unread(_) => "unread",
        };
        assert_eq!(got, expected);
    }
    assert_eq!(
        module().timeout(&input),
        Span::from_secs(20),
        "both exchanges have their time"
    );
}

#[test]
fn signatures_follow_the_standards_vector() {
    // The example of the Standard Webhooks reference libraries.
    let secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signed = signature(
        secret,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(
        signed.unwrap(),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    assert!(signature(b"", "a", 1, b"").is_err());
    assert!(signature(b"whsec_", "a", 1, b"").is_err());
    assert!(signature(b"whsec_%%%", "a", 1, b"").is_err());
}

#[tokio::test]
async fn a_webhook_is_signed_over_what_is_sent() {
    let module = WebhookSend::new(&settings(&["api.example.com"])).unwrap();
    let input = object(json!({
        "url": "https://api.example.com/hook",
        "payload": { "type": "x", "a": 1 },
        "secret": "env:HOOK",
    }));
    module.check(&input).unwrap();
    for (status, expected) in [
        (204, OutcomeStatus::Success),
        (410, OutcomeStatus::Failure),
        (400, OutcomeStatus::Error),
        (500, OutcomeStatus::Error),
        (502, OutcomeStatus::Unknown),
    ] {
        let recorder = Arc::new(Recorder::default());
        recorder.answers.lock().unwrap().push(answer(status, ""));
        let outcome = module.deliver(&input, &ctx(recorder.clone())).await;
        assert_eq!(outcome.status, expected, "{status}");
        let sent = recorder.sent.lock().unwrap();
        let headers = &sent[0].headers;
        let secret = Vault.resolve("env:HOOK").unwrap();
        let signed = signature(&secret, KEY, 1_614_265_330, &sent[0].body).unwrap();
        assert_eq!(headers["webhook-id"], KEY);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], signed);
    }
    let missing = object(
        json!({ "url": "https://api.example.com/hook", "payload": {}, "secret": "env:NONE" }),
    );
    let outcome = module
        .deliver(&missing, &ctx(Arc::new(Recorder::default())))
        .await;
    assert_eq!(outcome.status, OutcomeStatus::Error);
}

/// Serves connections one after the other, each with its own behaviour.
fn serve(behaviours: Vec<fn(&mut TcpStream)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for behave in behaviours {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let _head = stream.read(&mut buffer).unwrap();
            behave(&mut stream);
        }
    });
    port
}

/// What the module makes of a real server, and whether a private address may
/// be reached at all.
async fn real(behaviour: fn(&mut TcpStream), host: &str, private: bool) -> Outcome {
    let port = serve(vec![behaviour]);
    let place = format!("{host}:{port}");
    let mut rules = settings(&[&place]);
    if !private {
        rules.private_ranges_allowed.clear();
    }
    let module = HttpRequestModule::new(&rules).unwrap();
    let input = json!({ "method": "POST", "url": format!("http://{place}/"), "json": {}, "timeout": "500ms" });
    let http = connect::ReqwestHttp::new().unwrap();
    module.request(&object(input), &ctx(Arc::new(http))).await
}

#[tokio::test]
async fn against_real_sockets() {
    use OutcomeStatus::{Error, Failure, Success, Unknown};
    let ok: fn(&mut TcpStream) = |s| {
        s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .unwrap()
    };
    let no: fn(&mut TcpStream) = |s| {
        s.write_all(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n")
            .unwrap()
    };
    let moved: fn(&mut TcpStream) = |s| {
        s.write_all(
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        )
        .unwrap();
    };
    let slow: fn(&mut TcpStream) = |_| std::thread::sleep(std::time::Duration::from_secs(2));
    let reset: fn(&mut TcpStream) = |s| {
        s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha")
            .unwrap()
    };
    let huge: fn(&mut TcpStream) = |s| {
        s.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
            .unwrap();
        while s.write_all(&[b'x'; 65536]).is_ok() {}
    };
    for (behaviour, host, private, expected) in [
        (ok, "127.0.0.1", true, Success),
        (ok, "localhost", true, Success),
        (ok, "127.0.0.1", false, Error),
        (ok, "localhost", false, Error),
        (no, "127.0.0.1", true, Failure),
        (moved, "127.0.0.1", true, Failure),
        (slow, "127.0.0.1", true, Unknown),
        (reset, "127.0.0.1", true, Unknown),
        (huge, "127.0.0.1", true, Unknown),
    ] {
        let outcome = real(behaviour, host, private).await;
        assert_eq!(
            outcome.status, expected,
            "{host} {private} {:?}",
            outcome.reason
        );
    }
}
