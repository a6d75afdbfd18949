//! Event streams: resume, filters, the tenant's own events only, and an end
//! when the server stops.

use crate::harness::{World, request};
use axum::body::Body;
use futures_util::StreamExt as _;
use kernel::Role::{Admin, Viewer};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt as _;

type Chunks = axum::body::BodyDataStream;

struct Stream {
    chunks: Chunks,
    read: String,
}

impl Stream {
    /// The next event: its id and its data. `None` when the stream has ended.
    async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|l| l.strip_prefix(name));
                    line.map(|l| l.trim().to_owned())
                };
                let found = field("id:").zip(field("data:"));
                self.read = rest.to_owned();
                if let Some((id, data)) = found {
                    return Some((id.parse().unwrap(), serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let chunk = timeout(Duration::from_secs(10), self.chunks.next()).await;
            let chunk = chunk.expect("an event or the end")?.unwrap();
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

async fn open(world: &World, path: &str, token: &str, last: Option<u64>) -> Stream {
    let mut asked = request("GET", path, Some(token));
    if let Some(last) = last {
        asked = asked.header("last-event-id", last.to_string());
    }
    let asked = asked.body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(asked).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Stream {
        chunks: response.into_body().into_data_stream(),
        read: String::new(),
    }
}

async fn create(world: &World, name: &str) {
    let body = json!({"kind": "human", "name": name, "roles": ["viewer"]});
    let reply = world
        .post("/v1/principals", world.member.token(Admin), &body)
        .await;
    reply.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_where_it_was_and_misses_nothing() {
    let world = World::new().await;
    let token = world.member.token(Viewer);
    let mut all = open(&world, "/v1/events?after=0", token, None).await;
    let (first, event) = all.next().await.unwrap();
    assert_eq!((first, &event["type"]), (1, &json!("tenant.founded")));
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["tenant"], json!(world.member.tenant));
    let head = world.get("/v1/ledger/head", token).await.is(200);
    let head = head.body["seq"].as_u64().unwrap();
    for seq in 2..=head {
        assert_eq!(all.next().await.unwrap().0, seq);
    }
    // From now on, live.
    create(&world, "live").await;
    let (seq, event) = all.next().await.unwrap();
    assert_eq!((seq, &event["data"]["name"]), (head + 1, &json!("live")));
    drop(all);
    // Written while nobody listened; the header wins over the address.
    create(&world, "away 1").await;
    create(&world, "away 2").await;
    let mut again = open(&world, "/v1/events?after=0", token, Some(seq)).await;
    for name in ["away 1", "away 2"] {
        assert_eq!(again.next().await.unwrap().1["data"]["name"], json!(name));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_hold_and_other_tenants_are_not_heard() {
    let world = World::new().await;
    let token = world.member.token(Viewer);
    let path = "/v1/events?after=0&kind=principal.created";
    let mut stream = open(&world, path, token, None).await;
    let theirs = json!({"kind": "human", "name": "theirs", "roles": ["viewer"]});
    world
        .post("/v1/principals", world.home.token(Admin), &theirs)
        .await
        .is(201);
    create(&world, "ours").await;
    loop {
        let (_, event) = stream.next().await.unwrap();
        assert_eq!(event["type"], "principal.created");
        assert_ne!(event["data"]["name"], "theirs");
        if event["data"]["name"] == "ours" {
            break;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_the_server_stops() {
    let world = World::new().await;
    let mut stream = open(&world, "/v1/events", world.member.token(Viewer), None).await;
    assert_eq!(world.app.streams().count(), 1);
    world.app.stop();
    assert!(stream.next().await.is_none());
    drop(stream);
    assert_eq!(world.app.streams().count(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_stops_though_a_stream_is_open_and_a_client_is_silent() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, world.app.clone(), async move {
        drop(stopped.await);
    }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = world.member.token(Viewer);
    let head = format!(
        "GET /v1/events?after=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut read = vec![0; 4096];
    let length = client.read(&mut read).await.unwrap();
    assert!(read[..length].starts_with(b"HTTP/1.1 200"));
    // One that connects and says nothing does not hold the server up.
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    let ended = timeout(Duration::from_secs(15), serving).await;
    ended.expect("the server stops").unwrap().unwrap();
    drop(silent);
    world.end().await;
}
