//! What is personal: erasing it, being shown it, and the keyring.

use super::{Json, escaped, items, print};
use crate::cli::Keyring;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal as _, Write as _};

pub(crate) async fn erase(
    client: &Client,
    output: Json,
    subject: &str,
    reason: &str,
    confirm: Option<String>,
) -> Result<(), Failure> {
    let path = format!("/v1/personal/preview?subject={}", escaped(subject));
    let preview = client.get(&path).await?;
    let confirm = match confirm {
        Some(confirm) => confirm,
        None => {
            let stdin = std::io::stdin();
            let mut person = stdin.is_terminal().then(|| stdin.lock());
            let person = person.as_mut().map(|lines| lines as &mut dyn BufRead);
            asked(&preview, subject, person)?
        }
    };
    if confirm != subject {
        return Err(
            Failure::failed(format!("not erased: `{confirm}` is not `{subject}`"))
                .hint("repeat the subject exactly"),
        );
    }
    let body = json!({"subject": subject, "reason": reason, "confirm": confirm});
    let answer = client.post("/v1/personal/erase", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// Shows what would be erased and asks the person, where there is one, for the
/// subject.
#[allow(
    clippy::print_stderr,
    reason = "a question to the person at the terminal"
)]
fn asked(
    preview: &Value,
    subject: &str,
    person: Option<&mut dyn BufRead>,
) -> Result<String, Failure> {
    let Some(person) = person else {
        return Err(Failure::usage("erasing needs the subject once more")
            .hint(format!("give --confirm {subject}")));
    };
    eprintln!("{}", render::thing(preview));
    eprint!("nothing brings this back. To erase it, type {subject}: ");
    let mut answer = String::new();
    std::io::stderr()
        .flush()
        .and_then(|()| person.read_line(&mut answer))
        .map_err(|e| Failure::failed(format!("no answer: {e}")))?;
    Ok(answer.trim().to_owned())
}

pub(crate) async fn readmit(
    client: &Client,
    output: Json,
    subject: &str,
    reason: &str,
) -> Result<(), Failure> {
    let body = json!({"subject": subject, "reason": reason});
    let answer = client.post("/v1/personal/readmit", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn open(
    client: &Client,
    output: Json,
    kind: &str,
    id: &str,
    reason: &str,
) -> Result<(), Failure> {
    let body = json!({"kind": kind, "id": id, "reason": reason});
    let answer = client.post("/v1/personal/open", &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

pub(crate) async fn keyring(
    client: &Client,
    output: Json,
    command: Keyring,
) -> Result<(), Failure> {
    match command {
        Keyring::List => {
            let answer = client.get("/v1/keyring?limit=200").await?;
            print(output, &answer, |answer| {
                render::table(
                    &items(answer),
                    &[
                        ("SUBJECT", "id"),
                        ("STATUS", "status"),
                        ("KEYS", "state.keys"),
                        ("OPENED", "state.opened"),
                    ],
                )
            });
        }
        Keyring::Rotate { subject } => {
            let body = subject.map_or_else(|| json!({}), |s| json!({"subject": s}));
            let answer = client.post("/v1/keyring/rotate", &body).await?;
            print(output, &answer, render::thing);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Remote, Up};
    use crate::up::{self, Running};
    use std::path::Path;
    use testkit::personal;

    /// A writ that takes in what is personal, with its keys in this folder.
    async fn served(place: &Path, keyring: &str) -> Running {
        let pack = place.join("pack");
        for (path, bytes) in personal::files() {
            let file = pack.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let mut up = Up::on(place.join("data"), "127.0.0.1:0".into());
        up.place.keyring = Some(place.join(keyring));
        up.pack = Some(pack.display().to_string());
        // The one before has stopped; its last thread may still be on its way out.
        for _ in 0..200 {
            match up::start(&up).await {
                Err(busy) if text(&busy).contains("another writ is using") => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                started => return started.unwrap(),
            }
        }
        panic!("the writ before never ended");
    }

    fn client(running: &Running, token: &str) -> Client {
        let remote = Remote {
            server: format!("http://{}", running.address),
            token: Some(token.to_owned()),
        };
        Client::new(&remote).unwrap()
    }

    /// The desk says something of a person.
    async fn said(running: &Running, id: &str) -> Result<Value, Failure> {
        let in_force = running.control.in_force(running.tenant).unwrap();
        let sources = &in_force.pack.definitions.sources;
        let desk = sources.iter().find(|s| s.name == personal::SOURCE).unwrap();
        let secret = running.source_secret(desk).unwrap();
        let now = running.control.now().to_string();
        let body = json!({"items": [personal::item("1", id, &now, "canary")]});
        let path = format!("/v1/ingest/{}/desk", running.tenant);
        client(running, &secret).post(&path, &body).await
    }

    fn text(failure: &Failure) -> String {
        format!("{failure:?}")
    }

    #[test]
    fn whoever_erases_types_the_subject_once_more() {
        let preview = json!({"subject": "person/1", "bodies": 1});
        let mut typed = b"person/1\nperson/2\n".as_slice();
        let answer = asked(&preview, "person/1", Some(&mut typed)).unwrap();
        assert_eq!(answer, "person/1");
        let another = asked(&preview, "person/1", Some(&mut typed)).unwrap();
        assert_eq!(another, "person/2");
        let nothing = asked(&preview, "person/1", Some(&mut typed)).unwrap();
        assert_eq!(nothing, "", "the end of the input is no yes");
        let nobody = asked(&preview, "person/1", None).unwrap_err();
        assert!(text(&nobody).contains("--confirm person/1"), "{nobody:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_erased_unconfirmed_and_the_keys_are_where_they_were_put() {
        let place = tempfile::tempdir().unwrap();
        let running = served(place.path(), "elsewhere").await;
        said(&running, "a").await.unwrap();
        assert!(place.path().join("elsewhere").is_dir());
        assert!(!place.path().join("data/keyring").exists());
        let token = running.token.clone().unwrap();
        let admin = client(&running, &token);
        let status = async || {
            let listed = admin.get("/v1/keyring").await.unwrap();
            listed["items"][0]["status"].as_str().unwrap().to_owned()
        };
        for other in ["person/2", "person", ""] {
            let confirm = Some(other.to_owned());
            let refused = erase(&admin, Json::Yes, "person/1", "asked for", confirm).await;
            let refused = text(&refused.unwrap_err());
            assert!(refused.contains("not erased"), "{refused}");
            assert_eq!(status().await, "active", "{other}");
        }
        running.stop().await.unwrap();

        // With another keyring nothing is taken in, and nothing is opened.
        let running = served(place.path(), "another").await;
        let refused = text(&said(&running, "b").await.unwrap_err());
        assert!(refused.contains("keyring"), "{refused}");
        let admin = client(&running, &token);
        let body = json!({"kind": "state", "id": "person/1", "reason": "a test"});
        let opened = admin.post("/v1/personal/open", &body).await.unwrap();
        let email = &opened["values"]["email"];
        assert!(email["refused"].is_string(), "{opened}");
        running.stop().await.unwrap();

        let running = served(place.path(), "elsewhere").await;
        let admin = client(&running, &token);
        let opened = admin.post("/v1/personal/open", &body).await.unwrap();
        let email = opened["values"]["email"]["value"].to_string();
        assert!(email.contains("canary"), "{opened}");
        let confirm = Some("person/1".to_owned());
        let done = erase(&admin, Json::Yes, "person/1", "asked for", confirm).await;
        done.unwrap();
        let opened = admin.post("/v1/personal/open", &body).await.unwrap();
        let email = &opened["values"]["email"]["erased"];
        assert_eq!(email["reason"], "asked for", "{opened}");
        running.stop().await.unwrap();
    }
}
