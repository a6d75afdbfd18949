//! Canaries: a secret of its own is planted in every place that takes one, the
//! binary lives through a day with its log at the most verbose, and afterwards
//! everything that it wrote or answered is searched for each of them.

#[path = "../common/recorded.rs"]
mod common;
#[path = "../common/filled.rs"]
mod filled;
mod life;
mod outside;
mod search;

use life::Node;
use search::Found;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is planted, and where.
pub(crate) const PLANTED: [(&str, &str); 14] = [
    ("password of PostgreSQL", "cnry-postgres-Zq7vXw2mK9"),
    ("password of Redis", "cnry-redis-Hh4tRb8sLd3"),
    ("secret key of S3", "cnry-s3secret-Pf6yUj1nQe"),
    ("secret of a bearer source", "cnry-bearersource-Wc5gTz0aMb"),
    ("secret of a signing source", "cnry-hmacsource-Xk3dSv7rYn"),
    (
        "secret of a module, by environment",
        "cnry-modenv-Ja9hEp4lGi",
    ),
    ("secret of a module, by file", "cnry-modfile-Uo2wBx6cVt"),
    ("a false bearer token", "writ_cnry_falsetoken_Qd8mIz5kRs"),
    (
        "a password of basic authentication",
        "cnry-basic-Ny1fHu7jCo",
    ),
    ("a header of somebody else", "cnry-header-Lv4pKa9xTe"),
    ("a cookie of somebody else", "cnry-cookie-Gs6bWn3qDm"),
    ("a parameter of an address", "cnry-query-Rz0tFy8hJu"),
    ("a body of the wrong shape", "cnry-body-Ei5cMg2vOw"),
    ("a form of the wrong shape", "cnry-form-Bk7sXd1rPl"),
];

pub(crate) fn planted(place: &str) -> &'static str {
    let found = PLANTED.iter().find(|(name, _)| *name == place);
    found.expect("it is planted").1
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_anywhere() {
    let mut node = Node::start().await;
    node.live().await;
    node.provoke().await;
    node.lose_its_servers().await;
    let secrets = node.secrets();
    let written = node.everything_written().await;
    // What is there to be found is found, or the search means nothing.
    for (place, words) in life::KNOWN {
        let holds = written
            .iter()
            .any(|(name, bytes)| name.contains(place) && search::holds(bytes, words));
        assert!(holds, "`{words}` stands nowhere in {place}");
    }
    let found: Vec<Found> = search::through(&written, &secrets);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// What the command line says when it is given a secret and cannot use it.
#[test]
fn no_command_repeats_a_secret_that_it_was_given() {
    let secret = "cnry-commandline-Ft3zQx8wNa";
    let place = tempfile::tempdir().expect("a directory");
    let mut said = Vec::new();
    for (variables, arguments) in failing(secret, place.path()) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.args(&arguments).env_clear();
        command.envs(variables.iter().map(|(n, v)| (*n, v.as_str())));
        command.current_dir(place.path());
        let (succeeded, text) = output_of(command, &place.path().join("said"));
        let is_help = arguments.iter().any(|a| a == "--help");
        assert!(is_help || !succeeded, "{arguments:?} {variables:?}: {text}");
        assert!(!text.is_empty(), "{arguments:?} says nothing");
        let given = format!("{arguments:?} {variables:?}");
        said.push((given, text.into_bytes()));
    }
    let found = search::through(&said, &[("command line".to_owned(), secret.to_owned())]);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Whether it ended well, and what it said until then, or until it served:
/// then what it was given is looked at later, and it is ended.
fn output_of(mut command: Command, file: &Path) -> (bool, String) {
    let output = File::create(file).expect("a file");
    command.stderr(output.try_clone().expect("the same file"));
    let mut child = command.stdout(output).spawn().expect("the binary starts");
    let mut ended = None;
    for _ in 0..1_200 {
        let said = std::fs::read_to_string(file).expect("text");
        ended = child.try_wait().expect("it can be asked");
        if ended.is_some() || said.contains("writ serves at") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    if ended.is_none() {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    let said = std::fs::read_to_string(file).expect("text");
    (ended.is_some_and(|status| status.success()), said)
}

type Given = (Vec<(&'static str, String)>, Vec<String>);

/// Commands that cannot work, or only print, each given the secret.
fn failing(secret: &str, place: &Path) -> Vec<Given> {
    let data = place.join("data").display().to_string();
    let up = |more: &[String]| {
        let fixed = ["up", "--listen", "127.0.0.1:0", "--log", "trace", "--data"];
        let words = fixed.iter().map(|w| (*w).to_owned());
        words
            .chain([data.clone()])
            .chain(more.iter().cloned())
            .collect::<Vec<_>>()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all: Vec<Given> = Vec::new();
    let databases = [
        format!("postgresql://writ:{secret}@127.0.0.1:1/writ?sslmode=disable"),
        format!("postgresql://writ:{secret}@[127.0.0.1:1/writ"),
        format!("postgresql://writ:{secret}@127.0.0.1:port/writ"),
        format!("postgresql://writ:{secret}@127.0.0.1:1/writ?sslmode={secret}"),
        format!("host=127.0.0.1 port=1 user=writ password='{secret}"),
        format!("mysql://writ:{secret}@127.0.0.1/writ"),
    ];
    for url in databases {
        all.push((vec![], up(&["--database".into(), url.clone()])));
        all.push((vec![("WRIT_DATABASE", url.clone())], up(&[])));
        let offline = vec!["ledger".into(), "verify".into(), "--database".into(), url];
        all.push((vec![], offline));
    }
    for url in [
        format!("redis://:{secret}@127.0.0.1:1:x"),
        format!("http://:{secret}@127.0.0.1:1"),
        format!(":{secret}@127.0.0.1"),
    ] {
        all.push((vec![("WRIT_CACHE", url.clone())], up(&[])));
        all.push((vec![], up(&["--cache".into(), url])));
    }
    let archive = ["--archive".into(), "s3://bucket/logs".into()];
    for more in [
        ["--archive-endpoint".into(), format!("http://u:{secret}@[x")],
        ["--archive-endpoint".into(), format!("s3:{secret}")],
        ["--archive-secret".into(), secret.to_owned()],
        ["--archive-key".into(), format!("{secret}:x")],
    ] {
        all.push((vec![], up(&[archive.clone(), more].concat())));
    }
    for more in [
        vec!["--witness".into(), format!("https://u:{secret}@w.example")],
        vec![
            "--witness".into(),
            format!("https://u:{secret}@w.example=bad"),
        ],
        vec!["--allow-host".into(), format!("u:{secret}@h.example")],
        vec!["--secret-host".into(), secret.to_owned()],
        vec!["--secret-host".into(), format!("{secret}=h.example")],
    ] {
        all.push((vec![], up(&more)));
    }
    for (server, token) in [
        ("http://127.0.0.1:1", secret.to_owned()),
        ("http://127.0.0.1:1", format!("{secret}\n")),
        ("ftp://127.0.0.1:1", secret.to_owned()),
    ] {
        let given = vec![("WRIT_SERVER", server.to_owned()), ("WRIT_TOKEN", token)];
        all.push((given.clone(), words("status")));
        all.push((given, words("--json list incidents")));
    }
    for server in [
        format!("http://u:{secret}@127.0.0.1:1"),
        format!("http://u:{secret}@["),
    ] {
        let token = ("WRIT_TOKEN", "writ_x".to_owned());
        all.push((vec![("WRIT_SERVER", server), token], words("status")));
    }
    let database = format!("postgresql://writ:{secret}@db.example/writ");
    let environment = vec![
        ("WRIT_TOKEN", secret.to_owned()),
        ("WRIT_DATABASE", database),
        ("WRIT_CACHE", format!("redis://:{secret}@cache.example")),
        ("WRIT_ARCHIVE_SECRET_KEY", secret.to_owned()),
        ("WRIT_ARCHIVE_ACCESS_KEY", secret.to_owned()),
        ("WRIT_ARCHIVE_SECRET", secret.to_owned()),
        ("WRIT_ARCHIVE_KEY", secret.to_owned()),
        ("WRIT_SERVER", format!("http://u:{secret}@127.0.0.1:1")),
        (
            "WRIT_ARCHIVE_ENDPOINT",
            format!("http://u:{secret}@127.0.0.1:1"),
        ),
        ("WRIT_WITNESSES", format!("https://u:{secret}@w.example=x")),
    ];
    for command in [
        "--help",
        "up --help",
        "admin-token --help",
        "ledger verify --help",
        "ledger export --help",
        "archive --help",
        "archive run --help",
        "archive restore --help",
        "residency check --help",
        "residency repair --help",
        "witness --help",
        "why --help",
        "replay --help",
        "backup --help",
    ] {
        all.push((environment.clone(), words(command)));
    }
    all
}
