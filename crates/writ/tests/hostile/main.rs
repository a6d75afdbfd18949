//! Clients that mean harm, against the built binary over plain sockets: each
//! gets an answer that names the fault or loses its connection in bounded time,
//! and nobody else notices. Afterwards writ is sound: nothing panicked, it ends
//! in order, and its ledger verifies.

mod bounds;

use anyhow::Result;
use std::path::Path;
use std::time::Duration;
use testkit::Sample;
use testkit::served::{Answer, Served, Wire, request};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

/// Longer than every bound of the server's on a connection; the bounds are
/// `HEAD_TIMEOUT`, `BODY_TIMEOUT` and `ANSWER_PART_TIMEOUT`.
const LET_GO_WITHIN: Duration = Duration::from_secs(60);
/// Between two bytes of a client that is slow.
const SLOW: Duration = Duration::from_millis(500);

/// The built binary, with these options.
fn served(options: &[&str]) -> Served {
    let binary = Path::new(env!("CARGO_BIN_EXE_writ"));
    Served::start(binary, &Sample::default(), options).expect("it serves")
}

/// What a client got before its connection ended, in bounded time.
async fn let_go(mut wire: Wire) -> String {
    let read = wire.until_closed(LET_GO_WITHIN).await;
    String::from_utf8_lossy(&read.expect("it is let go")).into_owned()
}

/// The answer came, says this, and is a problem.
#[track_caller]
fn refused(answer: &Answer, status: u16, says: &str) {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(body.contains(says), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_slow_is_let_go_and_holds_nobody_up() -> Result<()> {
    let served = served(&[]);
    let (address, token) = (served.address, served.token.clone());
    let calm = served.usage()?.sockets;
    // The head of a request, a byte at a time.
    let head = tokio::spawn(async move {
        let mut wire = Wire::to(address).await?;
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: writ\r\nx-slow: ")
            .await?;
        while wire.send(b"x").await.is_ok() {
            sleep(SLOW).await;
        }
        Ok::<_, anyhow::Error>(wire)
    });
    // A body, a byte at a time.
    let body = tokio::spawn(async move {
        let text = format!(
            "POST /v1/principals HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        );
        let mut wire = Wire::to(address).await?;
        wire.send(text.as_bytes()).await?;
        for _ in 0..15 {
            wire.send(b" ").await?;
            sleep(SLOW).await;
        }
        Ok::<_, anyhow::Error>(timeout(LET_GO_WITHIN, wire.answer()).await??)
    });
    // Answers that nobody takes.
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut deaf = Wire::of(socket.connect(address).await?);
    let many = request("GET", "/openapi.json", None, &[], None).repeat(200);
    deaf.send(&many).await?;
    // Somebody else meanwhile.
    let asked = request("GET", "/healthz", None, &[], None);
    assert_eq!(served.ask(&asked).await?.status, 200);
    let answer = body.await??;
    refused(&answer, 400, "the body did not arrive within");
    let mut wire = timeout(LET_GO_WITHIN, head).await???;
    wire.until_closed(LET_GO_WITHIN).await?;
    // Nothing is read before, so that only the server can have ended it.
    for _ in 0..LET_GO_WITHIN.as_secs() {
        if served.usage()?.sockets <= calm {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(served.usage()?.sockets <= calm, "it holds its connection");
    drop(deaf);
    served.is_sound().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_refused_before_it_is_read() -> Result<()> {
    let served = served(&[]);
    let token = served.token.clone();
    let post = |framing: &str| {
        format!(
            "POST /v1/principals HTTP/1.1\r\nhost: writ\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{framing}\r\n\r\n"
        )
    };
    // A body that is announced and never sent.
    let mut wire = Wire::to(served.address).await?;
    let huge = post("content-length: 99999999999");
    refused(&wire.ask(huge.as_bytes()).await?, 413, "bytes");
    let_go(wire).await;
    // One without an end.
    let mut wire = Wire::to(served.address).await?;
    wire.send(post("transfer-encoding: chunked").as_bytes())
        .await?;
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65_536], b"\r\n"].concat();
    for _ in 0..100 {
        if wire.send(&chunk).await.is_err() {
            break;
        }
    }
    let got = let_go(wire).await;
    assert!(got.is_empty() || got.starts_with("HTTP/1.1 413"), "{got}");
    // Headers: too many, too long, without an end; a path that is too long.
    let many: String = (0..300).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(30_000));
    let endless = format!("x-endless: {}", "y".repeat(200_000));
    for headers in [many, long, endless] {
        let mut wire = Wire::to(served.address).await?;
        let text = format!("GET /healthz HTTP/1.1\r\nhost: writ\r\n{headers}\r\n");
        // It may have heard enough before all of it is sent.
        drop(wire.send(text.as_bytes()).await);
        let answer = timeout(LET_GO_WITHIN, wire.answer()).await?;
        let status = answer.map_or(431, |answer| answer.status);
        assert_eq!(status, 431, "{}…", &headers[..20]);
    }
    let path = format!("/{}", "a".repeat(10_000));
    let answer = served.ask(&request("GET", &path, None, &[], None)).await?;
    refused(&answer, 431, "the path has");
    served.is_sound().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_and_what_is_cut_off_ends_the_connection() -> Result<()> {
    let served = served(&[]);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: writ\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: writ\r\nx: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: writ\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: writ\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /login HTTP/1.1\r\nhost: writ\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut wire = Wire::to(served.address).await?;
        wire.send(bytes).await?;
        let got = let_go(wire).await;
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 4"), "{got}");
    }
    // Half closed: a whole request is answered, a part of one is not.
    let mut wire = Wire::to(served.address).await?;
    wire.send(&request("GET", "/healthz", None, &[], None))
        .await?;
    wire.half_close().await?;
    assert_eq!(wire.answer().await?.status, 200);
    let mut wire = Wire::to(served.address).await?;
    wire.send(b"GET /healthz HTTP/1.1\r\nho").await?;
    wire.half_close().await?;
    let_go(wire).await;
    // Many requests at once on one connection: as many answers, in order.
    let mut wire = Wire::to(served.address).await?;
    let pair = [
        request("GET", "/healthz", None, &[], None),
        request("GET", "/nothing", None, &[], None),
    ];
    wire.send(&pair.concat().repeat(100)).await?;
    for _ in 0..100 {
        assert_eq!(wire.answer().await?.status, 200);
        assert_eq!(wire.answer().await?.status, 404);
    }
    served.is_sound().await
}
