//! The HTTP adapter against real sockets: what arrives, what is refused, and
//! whether a fault is "not sent" or "no answer".

use connect::ReqwestHttp;
use kernel::Span;
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Serves one connection; sends what it read of the request to the receiver.
fn serve_once(
    answer: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 65536];
        let mut read = 0;
        loop {
            read += stream.read(&mut buffer[read..]).unwrap();
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.to_lowercase();
                let length = length
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: "))
                    .map_or(0, |n| n.parse::<usize>().unwrap());
                body.len() >= length
            });
            if whole {
                sender.send(text).unwrap();
                break;
            }
        }
        answer(&mut stream);
    });
    (port, receiver)
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: "POST".into(),
        url,
        headers: BTreeMap::from([("x-thing".into(), "yes".into())]),
        body: b"hello".to_vec(),
        timeout: Span::from_secs(3),
        answer_bytes_max: 1000,
        private_ranges_allowed: true,
    }
}

async fn send(request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
    ReqwestHttp::new().unwrap().send(request).await
}

fn reply(text: &'static str) -> impl FnOnce(&mut TcpStream) + Send + 'static {
    move |stream| stream.write_all(text.as_bytes()).unwrap()
}

#[track_caller]
fn no_answer(result: &Result<HttpAnswer, HttpFault>) {
    assert!(matches!(result, Err(HttpFault::NoAnswer(_))), "{result:?}");
}
#[track_caller]
fn not_sent(result: &Result<HttpAnswer, HttpFault>, url: &str) {
    assert!(
        matches!(result, Err(HttpFault::NotSent(_))),
        "{url}: {result:?}"
    );
}

#[tokio::test]
async fn a_request_arrives_as_it_was_asked_and_its_answer_comes_back() {
    let (port, seen) = serve_once(reply(
        "HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok",
    ));
    let answer = send(request(format!("http://127.0.0.1:{port}/p?q=1")))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (201, &b"ok"[..]));
    assert_eq!(answer.headers["x-a"], "1, 2");
    let seen = seen.recv().unwrap();
    assert!(seen.starts_with("POST /p?q=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-thing: yes\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (port, _seen) = serve_once(reply(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
    ));
    let answer = send(request(format!("http://127.0.0.1:{port}/")))
        .await
        .unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], "http://169.254.169.254/");
}

#[tokio::test]
async fn private_addresses_are_never_dialled_unless_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        "①27.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let mut refused = request(url.clone());
        refused.private_ranges_allowed = false;
        not_sent(&send(refused).await, &url);
    }
    let dialled = listener.accept();
    assert_eq!(dialled.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_is_no_host_is_refused_even_where_private_ranges_are_allowed() {
    for host in [
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
    ] {
        let url = format!("http://{host}:1/");
        not_sent(&send(request(url.clone())).await, &url);
    }
}

#[tokio::test]
async fn malformed_requests_are_not_sent() {
    for url in [
        "",
        "/x",
        "ftp://127.0.0.1/",
        "http://u:p@127.0.0.1/",
        "http://",
        "file:///etc/passwd",
    ] {
        not_sent(&send(request(url.into())).await, url);
    }
    let mut bad = request("http://127.0.0.1:1/".into());
    bad.headers.insert("a b".into(), "x".into());
    not_sent(&send(bad).await, "header name");
    let mut bad = request("http://127.0.0.1:1/".into());
    bad.headers.insert("a".into(), "x\r\ny: z".into());
    not_sent(&send(bad).await, "header value");
    let mut bad = request("http://127.0.0.1:1/".into());
    bad.method = "GE T".into();
    not_sent(&send(bad).await, "method");
    let mut bad = request("http://127.0.0.1:1/".into());
    bad.timeout = Span::ZERO;
    not_sent(&send(bad).await, "timeout");
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/");
    not_sent(&send(request(url.clone())).await, &url);
    let url = "http://name.invalid/".to_owned();
    not_sent(&send(request(url.clone())).await, &url);
}

#[tokio::test]
async fn a_failed_handshake_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 16];
        let _read = stream.read(&mut first).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let url = format!("https://127.0.0.1:{port}/");
    not_sent(&send(request(url.clone())).await, &url);
}

#[tokio::test]
async fn a_slow_answer_is_no_answer() {
    let (port, _seen) = serve_once(|stream| {
        thread::sleep(Duration::from_secs(2));
        // The other end may be gone by now; whether this is written is no matter.
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    });
    let mut slow = request(format!("http://127.0.0.1:{port}/"));
    slow.timeout = Span::from_millis(300);
    no_answer(&send(slow).await);
}

#[tokio::test]
async fn an_answer_that_trickles_is_cut_at_the_total_time() {
    let (port, _seen) = serve_once(|stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
            .unwrap();
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut slow = request(format!("http://127.0.0.1:{port}/"));
    slow.timeout = Span::from_millis(400);
    no_answer(&send(slow).await);
}

#[tokio::test]
async fn a_connection_that_ends_early_is_no_answer() {
    for cut in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        "nonsense\r\n\r\n",
    ] {
        let (port, _seen) = serve_once(reply(cut));
        no_answer(&send(request(format!("http://127.0.0.1:{port}/"))).await);
    }
}

#[tokio::test]
async fn the_size_of_an_answer_is_bounded_exactly() {
    for (length, declared, fits) in [
        (1000, true, true),
        (1001, true, false),
        (1000, false, true),
        (1001, false, false),
        (1_000_000, false, false),
    ] {
        let (port, _seen) = serve_once(move |stream| {
            let head = if declared {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")
            } else {
                "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned()
            };
            stream.write_all(head.as_bytes()).unwrap();
            // A reader that has enough hangs up.
            drop(stream.write_all(&vec![b'x'; length]));
        });
        let result = send(request(format!("http://127.0.0.1:{port}/"))).await;
        if fits {
            assert_eq!(result.unwrap().body.len(), length);
        } else {
            no_answer(&result);
        }
    }
}
