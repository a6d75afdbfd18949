//! `writ residency check` on a pack and what a node is started with: what it
//! says and how it ends. And the binary itself: a node does not start where data
//! may not be, and is repaired without serving.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

fn shipped() -> PathBuf {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
    let mut found: Vec<_> = std::fs::read_dir(packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.remove(0)
}

/// The exit code, and what was written to both outputs.
fn check(arguments: &[&str]) -> (i32, String) {
    let pack = shipped();
    let done = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["residency", "check", "--pack", pack.to_str().unwrap()])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn everything_is_attested_or_it_fails() {
    let (code, text) = check(&[]);
    assert!(code == 0 && text.contains("(100.0 %)"), "{code} {text}");
    let (code, text) = check(&[
        "--database",
        "postgresql://u:s3cret@db.example/w?sslmode=disable",
    ]);
    assert_eq!(code, 1, "{text}");
    let fault = "fault: stores.ledger/db.example: this node uses it, and it has no entry";
    assert!(text.contains(fault), "{text}");
    assert!(
        !text.contains("s3cret"),
        "a password is not repeated: {text}"
    );
    let (code, text) = check(&["--cache", "redis://cache.example:6379", "--json"]);
    assert!(
        code == 1 && text.contains("stores.session_cache/cache.example"),
        "{text}"
    );
}

/// A node that serves; it ends with the test.
struct Node {
    child: Child,
    output: BufReader<ChildStdout>,
    told: serde_json::Value,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Node {
    /// The status of its readiness.
    fn readiness(&self) -> String {
        let url = self.told["url"].as_str().unwrap();
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        let asked = b"GET /readyz HTTP/1.1\r\nhost: writ\r\nconnection: close\r\n\r\n";
        stream.write_all(asked).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    }

    /// Ends it in order.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn writ(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(arguments).env_clear();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The node, or how it ended and what it said then.
fn up(data: &Path, arguments: &[&str]) -> Result<Node, (i32, String)> {
    let data = data.to_str().unwrap();
    let mut all = vec!["--json", "up", "--listen", "127.0.0.1:0", "--log", "error"];
    all.extend(["--data", data]);
    all.extend(arguments);
    let mut child = writ(&all).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    if output.read_line(&mut line).unwrap() > 0 {
        let told = serde_json::from_str(&line).unwrap();
        return Ok(Node {
            child,
            output,
            told,
        });
    }
    let mut said = String::new();
    let mut errors = child.stderr.take().unwrap();
    errors.read_to_string(&mut said).unwrap();
    Err((child.wait().unwrap().code().unwrap(), said))
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copied(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}

/// The pack with a cache elsewhere in its register.
fn mended(pack: &Path, to: &Path) -> PathBuf {
    copied(pack, to);
    let register = to.join("residency.yaml");
    let text = std::fs::read_to_string(&register).unwrap();
    let place = "  session_cache:\n";
    let more = "  session_cache:\n    cache.example: { region: home, attestation: { retention: none, \
                training: false, logging: none, by: x, at: 2026-01-01T00:00:00Z } }\n";
    assert!(text.contains(place));
    std::fs::write(register, text.replace(place, more)).unwrap();
    to.to_owned()
}

#[test]
fn a_node_does_not_start_where_data_may_not_be_and_is_repaired_without_serving() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (pack, elsewhere) = (shipped(), ["--cache", "redis://cache.example:6379"]);
    let pack_text = pack.to_str().unwrap();
    let register = std::fs::read_to_string(pack.join("residency.yaml")).unwrap();
    let line = register.lines().position(|l| l == "  session_cache:");
    let rule = format!("residency.yaml:{}:3: ", line.unwrap() + 1);
    let refused = |said: &str, whose: &str| {
        for part in [
            "error: this node may not keep data where it is started",
            whose,
            &rule,
            "session_cache store at `cache.example` has no entry",
            "`writ residency repair PACK`",
        ] {
            assert!(said.contains(part), "`{part}` in {said}");
        }
    };

    // Nothing is founded where it may not be.
    let with_pack = [&elsewhere[..], &["--pack", pack_text]].concat();
    let (code, said) = up(&data, &with_pack).err().expect("it does not start");
    assert_eq!(code, 1, "{said}");
    refused(&said, "(pack `");

    let node = up(&data, &["--pack", pack_text]).expect("it starts where data may be");
    assert!(node.told["token"].is_string(), "the first start is this");
    let tenant = node.told["tenant"].as_str().unwrap().to_owned();
    node.stop();
    let (code, said) = up(&data, &elsewhere).err().expect("it does not start");
    assert_eq!(code, 1, "{said}");
    refused(&said, &format!("tenant `{tenant}`"));

    // A pack that says no more does not mend it; one that does is loaded.
    let repair = |pack: &Path| {
        let mut all = vec!["residency", "repair", pack.to_str().unwrap()];
        all.extend(["--data", data.to_str().unwrap()]);
        all.extend(elsewhere);
        let done = writ(&all).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.code().unwrap(), said)
    };
    let (code, said) = repair(&pack);
    assert!(code == 1 && said.contains(&rule), "{code} {said}");
    assert!(up(&data, &elsewhere).is_err());
    let (code, said) = repair(&mended(&pack, &folder.path().join("mended")));
    assert_eq!(code, 0, "{said}");
    let node = up(&data, &elsewhere).expect("it starts");
    assert_eq!(node.readiness(), "HTTP/1.1 200 OK");
    node.stop();
}

#[test]
fn nothing_is_repaired_where_there_is_no_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let (pack, data) = (shipped(), folder.path().join("none"));
    let (pack, data) = (pack.to_str().unwrap(), data.to_str().unwrap());
    let done = writ(&["residency", "repair", pack, "--data", data]).output();
    let done = done.unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        !done.status.success() && said.contains("there is no ledger in"),
        "{said}"
    );
    assert!(!folder.path().join("none").exists());
}
