//! An outside that sends back whatever it was sent: headers and body, in the
//! field that is asked for, in the text, in headers of its answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The service. It runs until the test ends.
pub(crate) struct Outside {
    /// Where it is, `HOST:PORT`.
    pub(crate) host: String,
    /// The heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || {
                    if let Some(head) = answer(stream) {
                        seen.lock().expect("no panic before").push(head);
                    }
                });
            }
        });
        Self { host, heads }
    }

    /// Whether a request came that held this: what is searched for went out.
    pub(crate) fn was_sent(&self, words: &str) -> bool {
        let heads = self.heads.lock().expect("no panic before");
        heads.iter().any(|head| head.contains(words))
    }
}

/// Reads a request, answers with all of it, and returns its head.
fn answer(mut stream: TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut part = [0; 8192];
    let (head, length) = loop {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            break (head.to_owned(), length.unwrap_or(0));
        }
    };
    while read.len() < head.len() + 4 + length {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&part[..count]);
    }
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("x-key: "))
        .unwrap_or("none");
    let all = String::from_utf8_lossy(&read).into_owned();
    let body = serde_json::json!({"state": key, "all": all, key: key}).to_string();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: {key}\r\n\
         etag: \"{key}\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // Who asked may be gone.
    drop(stream.write_all(text.as_bytes()));
    Some(head)
}
