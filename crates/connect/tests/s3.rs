//! The archive's adapter against a real S3 server that enforces Object Lock:
//! versitygw over a temporary directory, started here on a free port.

use connect::objects::{S3, S3Settings};
use kernel::port::{Clock, Lock, ObjectFault, Objects, Secrets};
use kernel::{Refusal, Span, Timestamp};
use rusty_s3::actions::{CreateBucket, DeleteObject, PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "c4n4ry-s3cr3t-key";
const REGION: &str = "eu-central-1";

struct Known;
impl Secrets for Known {
    fn resolve(&self, reference: &str) -> Result<Vec<u8>, Refusal> {
        match reference {
            "env:KEY" => Ok(KEY.into()),
            "env:SECRET" => Ok(SECRET.into()),
            "env:WRONG" => Ok(b"wrong-c4n4ry".to_vec()),
            _ => Err(Refusal::unavailable("no such secret")),
        }
    }
}

/// A server that ends with the test.
struct Server {
    child: Child,
    endpoint: String,
    http: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where `cargo xtask setup` puts the server.
#[allow(
    clippy::disallowed_methods,
    reason = "where tools are is known to the environment"
)]
fn program() -> std::path::PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(Into::into)
        .or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache
        .expect("a home")
        .join("writ/tools/versitygw-1.8.0/versitygw")
}

impl Server {
    async fn start() -> Self {
        connect::http::install_tls();
        let directory = tempfile::tempdir().unwrap();
        let (data, versions) = (
            directory.path().join("data"),
            directory.path().join("versions"),
        );
        std::fs::create_dir(&data).unwrap();
        std::fs::create_dir(&versions).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = Command::new(program())
            .args([
                "--access", KEY, "--secret", SECRET, "--region", REGION, "--quiet",
            ])
            .args(["--port", &port.to_string(), "posix", "--versioning-dir"])
            .arg(&versions)
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("versitygw is there: run `cargo xtask setup`");
        let server = Self {
            child,
            endpoint: format!("http://{port}"),
            http: reqwest::Client::new(),
            _directory: directory,
        };
        for _ in 0..300 {
            if server.http.get(&server.endpoint).send().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("versitygw does not answer");
    }

    fn bucket(&self, name: &str) -> Bucket {
        let endpoint = self.endpoint.parse().unwrap();
        Bucket::new(endpoint, UrlStyle::Path, name.to_owned(), REGION).unwrap()
    }

    async fn make_bucket(&self, name: &str, locks: bool) {
        let bucket = self.bucket(name);
        let credentials = Credentials::new(KEY, SECRET);
        let mut action = CreateBucket::new(&bucket, &credentials);
        if locks {
            action
                .headers_mut()
                .insert("x-amz-bucket-object-lock-enabled", "true");
        }
        let mut request = self.http.put(action.sign(Duration::from_secs(60)));
        if locks {
            request = request.header("x-amz-bucket-object-lock-enabled", "true");
        }
        let answer = request.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
    }

    fn archive(&self, bucket: &str, secret: &str) -> S3 {
        let settings = S3Settings {
            endpoint: self.endpoint.clone(),
            bucket: bucket.to_owned(),
            region: REGION.to_owned(),
            prefix: "writ/archive".to_owned(),
            key: "env:KEY".to_owned(),
            secret: secret.to_owned(),
            private_ranges_allowed: true,
            timeout: Span::from_secs(20),
            object_bytes_max: 1024 * 1024,
        };
        let http = Arc::new(connect::ReqwestHttp::new().unwrap());
        S3::new(
            settings,
            http,
            Arc::new(Known),
            Arc::new(connect::SystemClock),
        )
        .unwrap()
    }

    /// What someone with the same credentials tries.
    async fn send<'a, A: S3Action<'a>>(&self, action: A, body: Option<&'static str>) -> u16 {
        let url = action.sign(Duration::from_secs(60));
        let request = match body {
            Some(body) => self.http.put(url).body(body),
            None => self.http.delete(url),
        };
        request.send().await.unwrap().status().as_u16()
    }
}

fn in_an_hour() -> Timestamp {
    connect::SystemClock.now().plus(Span::from_secs(3600))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_can_be_neither_changed_nor_deleted() {
    let server = Server::start().await;
    server.make_bucket("locked", true).await;
    let archive = server.archive("locked", "env:SECRET");
    let name = "ten_1/0001-0002.jsonl.zst";
    assert_eq!(archive.get(name).await, Ok(None));
    let until = in_an_hour();
    archive.put(name, b"one", until).await.unwrap();
    let lock = archive.lock(name).await.unwrap();
    assert!(
        matches!(lock, Lock::Compliance(at) if at >= until),
        "{lock:?}"
    );
    let again = archive.put(name, b"two", until).await;
    assert_eq!(again, Err(ObjectFault::Exists(name.into())));
    assert_eq!(archive.get(name).await, Ok(Some(b"one".to_vec())));

    // The owner of the bucket, past writ.
    let bucket = server.bucket("locked");
    let owner = Credentials::new(KEY, SECRET);
    let key = format!("writ/archive/{name}");
    let put = PutObject::new(&bucket, Some(&owner), &key);
    server.send(put, Some("forged")).await;
    let delete = DeleteObject::new(&bucket, Some(&owner), &key);
    server.send(delete, None).await;
    assert_eq!(
        archive.get(name).await,
        Ok(Some(b"one".to_vec())),
        "the first version stays"
    );
    assert_eq!(archive.list("ten_1/").await.unwrap(), [name]);
    assert_eq!(archive.list("").await.unwrap(), [name]);
    assert_eq!(archive.list("ten_2/").await.unwrap(), [""; 0]);
    let versions = versions(&server, &bucket, &owner).await;
    let mut refused = 0;
    for version in &versions {
        let mut delete = DeleteObject::new(&bucket, Some(&owner), &key);
        delete.query_mut().insert("versionId", version.clone());
        refused += usize::from(server.send(delete, None).await == 403);
    }
    assert!(refused >= 1, "{versions:?}");
    assert_eq!(archive.get(name).await, Ok(Some(b"one".to_vec())));
}

/// The ids of every version in the bucket.
async fn versions(server: &Server, bucket: &Bucket, owner: &Credentials) -> Vec<String> {
    let mut list = rusty_s3::actions::ListObjectsV2::new(bucket, Some(owner));
    list.query_mut().remove("list-type");
    list.query_mut().insert("versions", "");
    let url = list.sign(Duration::from_secs(60));
    let text = server
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let ids = text.split("<VersionId>").skip(1);
    ids.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_locks_and_wrong_credentials_are_refused() {
    let server = Server::start().await;
    server.make_bucket("plain", false).await;
    let archive = server.archive("plain", "env:SECRET");
    let put = archive.put("ten_1/a.zst", b"one", in_an_hour()).await;
    assert!(matches!(put, Err(ObjectFault::Refused(_))), "{put:?}");
    let rows = [
        ("plain", "env:WRONG"),
        ("plain", "env:NONE"),
        ("nowhere", "env:SECRET"),
    ];
    for (bucket, secret) in rows {
        let archive = server.archive(bucket, secret);
        let fault = archive
            .put("ten_1/a.zst", b"one", in_an_hour())
            .await
            .unwrap_err();
        assert!(
            matches!(fault, ObjectFault::Refused(_)),
            "{bucket} {secret}: {fault}"
        );
        let text = fault.to_string();
        for hidden in [SECRET, "c4n4ry", "Signature="] {
            assert!(!text.contains(hidden), "{text}");
        }
        assert!(archive.list("").await.is_err(), "{bucket} {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_or_hangs_up_is_waited_for_only_so_long() {
    // One takes the connection and says nothing; one says half of an answer.
    let halves: [&[u8]; 2] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<ListVers",
    ];
    for half in halves {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let mut kept = Vec::new();
            for stream in listener.incoming().take(3) {
                let mut stream = stream.unwrap();
                drop(stream.read(&mut [0; 4096]));
                stream.write_all(half).unwrap();
                if half.is_empty() {
                    kept.push(stream);
                }
            }
        });
        let settings = S3Settings {
            endpoint,
            bucket: "b".into(),
            region: REGION.into(),
            prefix: String::new(),
            key: "env:KEY".into(),
            secret: "env:SECRET".into(),
            private_ranges_allowed: true,
            timeout: Span::from_millis(300),
            object_bytes_max: 1024,
        };
        let http = Arc::new(connect::ReqwestHttp::new().unwrap());
        let archive = S3::new(
            settings,
            http,
            Arc::new(Known),
            Arc::new(connect::SystemClock),
        )
        .unwrap();
        let put = archive.put("a/b", b"x", in_an_hour()).await;
        assert!(matches!(put, Err(ObjectFault::Unavailable(_))), "{put:?}");
        let list = archive.list("").await;
        assert!(matches!(list, Err(ObjectFault::Unavailable(_))), "{list:?}");
        let get = archive.get("a/b").await;
        assert!(matches!(get, Err(ObjectFault::Unavailable(_))), "{get:?}");
    }
}
