//! The wire itself: requests whose end two servers could see in different
//! places, written byte by byte to the listener of production. Whatever came
//! in, one answer comes out, and nothing that was hidden in a body is asked.

use crate::harness::{World, request};
use axum::body::Body;
use axum::http::header;
use kernel::Role::Admin;
use kernel::names::Name as _;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

/// The server of production at an address, until it is ended.
pub(crate) struct Served {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), kernel::Refusal>>,
}

impl Served {
    pub(crate) async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let serve = server::serve(listener, world.app.clone(), async {
            // An error says that the test is over.
            drop(ended.await);
        });
        Self {
            address,
            end,
            task: tokio::spawn(serve),
        }
    }

    pub(crate) async fn end(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// The statuses that come back, and everything of it, until the server
    /// closes. A last request that asks it to is sent behind the rest; its own
    /// answer, where there is one, is left out.
    pub(crate) async fn said(&self, bytes: &[u8]) -> (Vec<u16>, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may close before it has read everything.
        drop(stream.write_all(bytes).await);
        drop(stream.write_all(LAST.as_bytes()).await);
        let mut said = Vec::new();
        let read = stream.read_to_end(&mut said);
        drop(timeout(Duration::from_secs(20), read).await);
        let mut said = String::from_utf8_lossy(&said).into_owned();
        if let Some(last) = said.find(LAST_ANSWER) {
            let begin = said.get(..last).and_then(|s| s.rfind("HTTP/1.1 "));
            said.truncate(begin.unwrap_or(last));
        }
        (statuses(&said), said)
    }
}

/// The last request, and what only its answer holds.
const LAST: &str = "GET /problems/blocked HTTP/1.1\r\nhost: writ\r\nconnection: close\r\n\r\n";
const LAST_ANSWER: &str = "The gate said no";

/// The statuses of the answers.
fn statuses(said: &str) -> Vec<u16> {
    let answers = said.split("HTTP/1.1 ").skip(1);
    answers
        .filter_map(|answer| answer.get(..3)?.parse().ok())
        .collect()
}

/// A request that an attacker hides: it would show who the victim is.
fn hidden(token: &str) -> String {
    format!("GET /v1/me HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_could_end_in_two_places_is_refused() {
    let world = World::new().await;
    let served = Served::start(&world).await;
    let hidden = hidden(world.home.token(Admin));
    let chunked = format!("0\r\n\r\n{hidden}");
    let length = chunked.len();
    let heads = [
        format!("content-length: 5\r\ncontent-length: {length}"),
        format!("content-length: 5, {length}"),
        format!("content-length: +{length}"),
        format!("content-length: -{length}"),
        format!("content-length: 0x{length:x}"),
        "content-length: 99999999999999999999".to_owned(),
        "content-length: five".to_owned(),
        "content-length:".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        "transfer-encoding: identity".to_owned(),
        "transfer-encoding: chunked, identity".to_owned(),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity".to_owned(),
        "transfer-encoding : chunked".to_owned(),
        "transfer-encoding:\r\n chunked".to_owned(),
        "x-folded: a\r\n b".to_owned(),
        "x-nul: a\0b".to_owned(),
        "x-return: a\rb".to_owned(),
        " x-space: a".to_owned(),
        "x space: a".to_owned(),
        "host: other".to_owned(),
        ": nameless".to_owned(),
    ];
    for head in heads {
        for body in [chunked.as_str(), hidden.as_str()] {
            let raw = format!(
                "POST /v1/ledger/checkpoint HTTP/1.1\r\nhost: writ\r\n{head}\r\n\r\n{body}"
            );
            let (statuses, said) = served.said(raw.as_bytes()).await;
            assert_eq!(statuses, [400], "{head:?}: {said}");
            assert!(!said.contains("principal"), "{head:?}: {said}");
        }
    }
    // Where both say how long it is, the chunks are believed, as RFC 9112 says;
    // what follows on the connection is never read.
    for head in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        "content-length: 0\r\ntransfer-encoding: chunked".to_owned(),
        "transfer-encoding: chunked".to_owned(),
    ] {
        for line in ["POST /v1/ledger/checkpoint", "GET /healthz", "POST /login"] {
            let raw = format!("{line} HTTP/1.1\r\nhost: writ\r\n{head}\r\n\r\n{chunked}");
            let (statuses, said) = served.said(raw.as_bytes()).await;
            assert_eq!(statuses.len(), 1, "{head:?}: {said}");
            assert!(said.contains("connection: close"), "{head:?}: {said}");
        }
    }
    served.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_a_body_is_never_asked() {
    let world = World::new().await;
    let served = Served::start(&world).await;
    let admin = world.home.token(Admin);
    let hidden = hidden(admin);
    let length = hidden.len();
    let known = format!("authorization: Bearer {admin}\r\n");
    for (line, more, expected) in [
        // Routes that read no body, and refusals before a body is read.
        ("GET /healthz", "", 200),
        ("GET /v1/me", known.as_str(), 200),
        ("GET /v1/me", "", 401),
        ("POST /v1/nothing", "", 404),
        ("DELETE /v1/me", "", 405),
        ("POST /v1/principals", "", 401),
        ("POST /v1/principals", known.as_str(), 415),
        ("HEAD /healthz", "", 200),
    ] {
        let raw = format!(
            "{line} HTTP/1.1\r\nhost: writ\r\n{more}content-length: {length}\r\n\r\n{hidden}"
        );
        let (statuses, said) = served.said(raw.as_bytes()).await;
        assert_eq!(statuses, [expected], "{line}: {said}");
    }
    // Two whole requests are two.
    let two = format!("{hidden}{hidden}");
    let (statuses, said) = served.said(two.as_bytes()).await;
    assert_eq!(statuses, [200, 200], "{said}");
    served.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_lie_and_other_languages_are_refused() {
    let world = World::new().await;
    let served = Served::start(&world).await;
    let hidden = hidden(world.home.token(Admin));
    let known = format!("authorization: Bearer {}", world.home.token(Admin));
    let head = format!(
        "POST /v1/principals HTTP/1.1\r\nhost: writ\r\n{known}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "5\r\nhelloX",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
    ] {
        let raw = format!("{head}{chunks}{hidden}");
        let (statuses, said) = served.said(raw.as_bytes()).await;
        assert!(
            statuses.is_empty() || statuses == [400],
            "{chunks:?}: {said}"
        );
        assert!(!said.contains("principal\""), "{chunks:?}: {said}");
    }
    for raw in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("GET /v1/me HTTP/9.9\r\nhost: writ\r\n{known}\r\n\r\n"),
        format!("GET /v1/me\r\n{known}\r\n\r\n"),
        format!("GET  /v1/me HTTP/1.1\r\nhost: writ\r\n{known}\r\n\r\n"),
        format!("GET /v1/me HTTP/1.1 x\r\nhost: writ\r\n{known}\r\n\r\n"),
        format!("GET /v1/ me HTTP/1.1\r\nhost: writ\r\n{known}\r\n\r\n"),
        format!("G\u{1}T /v1/me HTTP/1.1\r\nhost: writ\r\n{known}\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{0}\u{5}".to_owned(),
    ] {
        let (statuses, said) = served.said(raw.as_bytes()).await;
        assert!(statuses.is_empty() || statuses == [400], "{raw:?}: {said}");
    }
    served.end().await;
    world.end().await;
}

/// A name of a host that somebody else chose leads nowhere and comes back
/// nowhere: no link and no redirect is made of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_host_is_believed_nowhere() {
    let world = World::new().await;
    let served = Served::start(&world).await;
    let admin = world.home.token(Admin);
    let form = format!("token={admin}");
    let login = format!(
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let forwarded = "x-forwarded-host: evil.example\r\nx-forwarded-for: 1.2.3.4\r\n\
                     x-original-url: /v1/me\r\nx-rewrite-url: /v1/me\r\n\
                     x-http-method-override: GET\r\nforwarded: host=evil.example\r\n";
    for (line, rest, expected) in [
        ("GET http://evil.example/login HTTP/1.1", "\r\n", 200),
        ("GET http://evil.example/v1/me HTTP/1.1", "\r\n", 401),
        ("GET /incidents HTTP/1.1", "\r\n", 401),
        ("GET /v1/me HTTP/1.1", "\r\n", 401),
        ("POST /login HTTP/1.1", login.as_str(), 303),
        ("GET / HTTP/1.1", "\r\n", 401),
    ] {
        let raw = format!("{line}\r\nhost: evil.example\r\n{forwarded}{rest}");
        let (statuses, said) = served.said(raw.as_bytes()).await;
        assert_eq!(statuses, [expected], "{line}: {said}");
        assert!(!said.contains("evil.example"), "{line}: {said}");
    }
    served.end().await;
    world.end().await;
}

/// Line breaks that come in by a path, a query, a form or a cookie end no
/// header of an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_comes_in_adds_a_header_to_an_answer() {
    let world = World::with_packs().await;
    let admin = world.home.token(Admin);
    let evil = "x%0d%0aset-cookie:%20evil=1";
    let mut tried = 0;
    for facts in server::rows().into_iter().map(|row| row.facts) {
        if facts.gives == server::routes::Gives::Events || facts.path == "/logout" {
            continue;
        }
        let part = |p: &str| match p.starts_with('{') {
            true => evil.to_owned(),
            false => p.to_owned(),
        };
        let path: Vec<String> = facts.path.split('/').map(part).collect();
        let path = format!("{}?done={evil}", path.join("/"));
        let asked = request(facts.verb.name(), &path, Some(admin))
            .header("traceparent", "00-evil\t-1-1")
            .header("if-none-match", "\"x\"")
            .header(header::COOKIE, format!("writ_theme={evil}"));
        let (kind, body) = match facts.posting {
            server::routes::Posting::Form => (
                "application/x-www-form-urlencoded",
                format!("theme=dark&back=/{evil}&next=/{evil}&reason={evil}"),
            ),
            server::routes::Posting::Header => ("application/json", "{}".to_owned()),
        };
        let asked = asked.header(header::CONTENT_TYPE, kind);
        let reply = world.send(asked.body(Body::from(body)).unwrap()).await;
        assert_ne!(reply.status, 500, "{path}");
        let cookies = reply.headers.get_all(header::SET_COOKIE).iter();
        let set: Vec<_> = cookies.map(|c| c.to_str().unwrap()).collect();
        assert!(!set.iter().any(|c| c.contains("evil")), "{path}: {set:?}");
        tried += 1;
    }
    assert!(tried > 150, "{tried}");
    world.end().await;
}

/// Names and paths lead to nothing beside what they name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_leads_out_of_its_place() {
    let world = World::with_packs().await;
    let served = Served::start(&world).await;
    let admin = world.home.token(Admin);
    let tenant = world.home.tenant;
    let ups = [
        "../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%5c..%5cetc%5cpasswd",
        "%2fetc%2fpasswd",
        "..;/etc/passwd",
        "....//....//etc/passwd",
        "policy%00.md",
        "file:///etc/passwd",
    ];
    for place in [
        "/static/".to_owned(),
        "/runbooks/".to_owned(),
        "/problems/".to_owned(),
        "/v1/templates/".to_owned(),
        "/v1/sessions/".to_owned(),
        "/v1/evidence/".to_owned(),
        "/v1/states/".to_owned(),
        format!("/v1/tlog/{tenant}/tile/"),
        format!("/v1/tlog/{tenant}/tile/0/"),
        "/v1/ledger/streams/directive/".to_owned(),
    ] {
        for up in ups {
            let raw = format!(
                "GET {place}{up} HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {admin}\r\n\r\n"
            );
            let (statuses, said) = served.said(raw.as_bytes()).await;
            let refused = matches!(statuses.as_slice(), [400 | 404]);
            assert!(refused, "{place}{up}: {said}");
            assert!(!said.contains("root:"), "{place}{up}: {said}");
        }
    }
    served.end().await;
    for name in [
        "../x.yaml",
        "/etc/passwd",
        "rules/../../x.yaml",
        "rules/\0.yaml",
    ] {
        let mut body = crate::pack::body();
        body["files"][name] = serde_json::json!({"text": "x: 1"});
        let reply = world.post("/v1/packs/load", admin, &body).await;
        assert!([400, 409, 422].contains(&reply.status), "{name}: {reply:?}");
    }
    world.end().await;
}

/// No answer may be shown within another site's page, guessed to be another
/// kind of content, or kept by a cache on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_its_guards() {
    let world = World::with_packs().await;
    let admin = world.home.token(Admin);
    for facts in server::rows().into_iter().map(|row| row.facts) {
        if facts.gives == server::routes::Gives::Events || facts.path == "/logout" {
            continue;
        }
        let part = |p: &str| match p.starts_with('{') {
            true => "nothing".to_owned(),
            false => p.to_owned(),
        };
        let path: Vec<String> = facts.path.split('/').map(part).collect();
        for token in [None, Some(admin)] {
            let asked = request(facts.verb.name(), &path.join("/"), token);
            let reply = world.send(asked.body(Body::empty()).unwrap()).await;
            let path = facts.path;
            assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
            let policy = reply.header("content-security-policy");
            for needed in ["default-src 'none'", "frame-ancestors 'none'"] {
                assert!(policy.contains(needed), "{path}: {policy}");
            }
            for loose in ["unsafe", "http:", "https:", "*", "blob:"] {
                assert!(!policy.contains(loose), "{path}: {policy}");
            }
            let open = facts.path.starts_with("/static/") || facts.path.contains("/tlog/");
            let kept = reply.header("cache-control");
            assert!(
                open || kept == "no-store" || kept.contains("private"),
                "{path}: {kept}"
            );
        }
    }
    world.end().await;
}
