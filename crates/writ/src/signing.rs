//! The wiring of checkpoints: the folder of the logs' keys, the witnesses that
//! are asked, and `writ witness`.

use crate::cli::{self, Checkpoints};
use crate::commands::Json;
use crate::failure::{Failure, without_user};
use connect::{OsEntropy, PrivateFolder, SystemClock};
use flow::checkpoints::{Signing, Witness};
use kernel::Span;
use kernel::port::{Entropy as _, PrivateFiles as _};
use ledger::checkpoint::{LogName, Signer};
use ledger::note::{Algorithm, KeyName, SigningKey, VerifierKey};
use ledger::witness::KnownLog;
use std::path::Path;
use std::sync::Arc;

/// The folder of a data directory that holds the private halves of the logs'
/// keys.
const LOG_KEYS: &str = "log-keys";
/// The file of a witness's key.
const WITNESS_KEY: &str = "witness.key";

/// How the logs in this data directory are signed.
pub(crate) fn signing(data: &Path, asked: &Checkpoints) -> Result<Signing, Failure> {
    let files = PrivateFolder::open(&data.join(LOG_KEYS))?;
    let log =
        LogName::new(&asked.log_name).map_err(|e| Failure::usage(format!("--log-name: {e}")))?;
    let witnesses: Result<_, Failure> = asked.witnesses.iter().map(|w| witness_of(w)).collect();
    Ok(Signing {
        signer: Signer::new(Arc::new(files), Arc::new(OsEntropy::new()?), log),
        witnesses: witnesses?,
        entries_max: u64::from(asked.checkpoint_entries.max(1)),
        every: Span::from_secs(asked.checkpoint_seconds),
    })
}

fn witness_of(text: &str) -> Result<Witness, Failure> {
    let hint = "write `URL=NAME+ID+BASE64`, as `writ witness` prints it";
    let shown = without_user(text);
    let wrong = |why: &str| Failure::usage(format!("--witness `{shown}`: {why}")).hint(hint);
    if shown != text {
        return Err(wrong("its address holds a user name"));
    }
    let (url, key) = text.split_once('=').ok_or_else(|| wrong("no `=`"))?;
    let url = url.trim_end_matches('/');
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong(
            "its address begins with neither `http://` nor `https://`",
        ));
    }
    let key = VerifierKey::parse(key).map_err(|e| wrong(&e.to_string()))?;
    if key.algorithm() != Algorithm::CosignatureV1 {
        return Err(wrong("its key is not one that cosigns"));
    }
    Ok(Witness {
        url: url.to_owned(),
        key,
    })
}

/// `writ witness`: serves until it is asked to end.
#[allow(clippy::print_stdout, reason = "what a person must see at the start")]
pub(crate) async fn witness(asked: cli::Witness, output: Json) -> Result<(), Failure> {
    let files = PrivateFolder::open(&asked.data)?;
    let mut logs: Vec<KnownLog> = Vec::new();
    for text in &asked.log_keys {
        let key = VerifierKey::parse(text)
            .map_err(|e| Failure::usage(format!("--log-key `{text}`: {e}")))?;
        let origin = key.name().to_string();
        match logs.iter_mut().find(|log| log.origin == origin) {
            Some(log) => log.keys.push(key),
            None => logs.push(KnownLog {
                origin,
                keys: vec![key],
            }),
        }
    }
    if logs.is_empty() {
        return Err(Failure::usage("a witness without a log cosigns nothing")
            .hint("give --log-key KEY; `writ ledger key export` prints a log's"));
    }
    let key = witness_key(&files, &asked.name)?;
    let listener = tokio::net::TcpListener::bind(&asked.listen)
        .await
        .map_err(|e| Failure::failed(format!("cannot listen on `{}`: {e}", asked.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::failed(format!("cannot listen: {e}")))?;
    let (url, public) = (format!("http://{address}"), key.verifier().to_string());
    let asked_to_end = crate::up::asked_to_end();
    match output {
        Json::Yes => println!("{}", serde_json::json!({"url": url, "key": public})),
        Json::No => {
            println!("the witness listens at {url}");
            println!("writ up --witness '{url}={public}'");
        }
    }
    let witness = server::witness::Witness::new(key, logs, Arc::new(files), Arc::new(SystemClock));
    Ok(server::witness::serve(listener, witness, asked_to_end).await?)
}

/// The witness's key; made at the first start.
fn witness_key(files: &PrivateFolder, name: &str) -> Result<SigningKey, Failure> {
    let wrong = |e| Failure::failed(format!("the witness's key: {e}"));
    if let Some(bytes) = files.read(WITNESS_KEY)? {
        let text = String::from_utf8(bytes).unwrap_or_default();
        return SigningKey::parse(text.trim_end()).map_err(wrong);
    }
    let entropy = OsEntropy::new()?;
    let mut seed = [0; 32];
    let bits = [entropy.bits(), entropy.bits()];
    seed.iter_mut()
        .zip(bits.into_iter().flat_map(u128::to_be_bytes))
        .for_each(|(to, from)| *to = from);
    let name = KeyName::new(name).map_err(wrong)?;
    let key = SigningKey::new(name, Algorithm::CosignatureV1, &seed).map_err(wrong)?;
    let text = format!("{}\n", key.to_secret_text());
    files.create(WITNESS_KEY, text.as_bytes())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Remote, Up};
    use crate::client::Client;
    use crate::up;
    use ledger::checkpoint::log_keys;

    fn asked(data: &Path, witnesses: Vec<String>) -> Up {
        Up {
            checkpoints: Checkpoints {
                witnesses,
                ..Checkpoints::default()
            },
            ..Up::on(data.to_owned(), "127.0.0.1:0".into())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_checkpoint_is_cosigned_by_a_witness_of_its_own_process() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        let running = up::start(&asked(&data, Vec::new())).await.unwrap();
        let (control, tenant) = (running.control.clone(), running.tenant);
        let signer = &control.signing().unwrap().signer;
        let ctx = control.system_ctx(tenant, "test");
        signer.ready(control.ledger(), ctx).await.unwrap();
        let keys = log_keys(control.ledger().store(), tenant).await.unwrap();
        let log_key = keys.active().unwrap().unwrap().to_string();
        let token = running.token.clone();
        drop(control);
        running.stop().await.unwrap();

        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap().to_string();
        drop(free);
        let beside = place.path().join("witness");
        let serving = tokio::spawn(witness(
            cli::Witness {
                data: beside.clone(),
                listen: listen.clone(),
                name: "witness.example".into(),
                log_keys: vec![log_key],
                log: String::new(),
            },
            Json::Yes,
        ));
        while tokio::net::TcpStream::connect(&listen).await.is_err() {
            assert!(!serving.is_finished(), "the witness serves");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let text = std::fs::read_to_string(beside.join(WITNESS_KEY)).unwrap();
        let key = SigningKey::parse(text.trim_end()).unwrap();
        let named = format!("http://{listen}={}", key.verifier());

        let running = up::start(&asked(&data, vec![named])).await.unwrap();
        let remote = Remote {
            server: format!("http://{}", running.address),
            token,
        };
        let client = Client::new(&remote).unwrap();
        let path = "/v1/ledger/checkpoint";
        let signed = client.post(path, &serde_json::json!({})).await.unwrap();
        assert_eq!(signed["cosignatures"][0]["name"], "witness.example");
        let note = signed["note"].as_str().unwrap();
        let note = ledger::note::Note::parse(note.as_bytes()).unwrap();
        note.verify([key.verifier()]).unwrap();
        running.stop().await.unwrap();
        serving.abort();
    }
}
